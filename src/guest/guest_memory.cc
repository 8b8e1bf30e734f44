// SPDX-License-Identifier: Apache-2.0
// Mapping tenant memory, and finding addresses in it.
#include "guest/guest_memory.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <limits>

#include "guest/bus_error_guard.h"

namespace dpfs {
namespace {

// Mapping offsets must be multiples of the page size of the file, which is 2 MiB or 1 GiB on
// hugetlbfs. Mapping from the start of the file, as QEMU's own library does, is right for every
// page size.
constexpr uint64_t kMappingStart = 0;

bool fits(uint64_t start, uint64_t size) noexcept {
  return size <= std::numeric_limits<uint64_t>::max() - start;
}

}  // namespace

Result<GuestRegion*> GuestRegion::map(const Place& place, const Fd& file) noexcept {
  const auto guest = static_cast<uint64_t>(place.guest);
  const auto user = static_cast<uint64_t>(place.user);
  if (place.size == 0 || !fits(guest, place.size) || !fits(user, place.size) ||
      !fits(place.offset_in_file, place.size)) {
    return Errno::inval;
  }
  struct stat status;
  if (fstat(file.get(), &status) != 0) return last_errno();
  // Pages behind the end of a file are a SIGBUS when touched.
  if (S_ISREG(status.st_mode) &&
      place.offset_in_file + place.size > static_cast<uint64_t>(status.st_size)) {
    return Errno::inval;
  }
  const size_t mapping_size = place.offset_in_file + place.size;
  void* mapping = mmap(nullptr, mapping_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                       file.get(), kMappingStart);
  if (mapping == MAP_FAILED) return last_errno();
  if (!guard_from_bus_errors(mapping, mapping_size)) {
    munmap(mapping, mapping_size);
    return Errno::nobufs;
  }
  madvise(mapping, mapping_size, MADV_DONTDUMP);  // a core dump of ours holds no tenant's data
  return new GuestRegion(place, mapping, mapping_size,
                         static_cast<char*>(mapping) + place.offset_in_file);
}

GuestRegion::~GuestRegion() {
  unguard(mapping_);
  munmap(mapping_, mapping_size_);
}

Result<GuestMemory*> GuestMemory::make(Regions regions) noexcept {
  auto guest_start = [](const std::shared_ptr<const GuestRegion>& region) {
    return static_cast<uint64_t>(region->place().guest);
  };
  std::ranges::sort(regions, {}, guest_start);
  for (size_t i = 1; i < regions.size(); ++i) {
    if (guest_start(regions[i - 1]) + regions[i - 1]->place().size > guest_start(regions[i])) {
      return Errno::inval;
    }
  }
  return new GuestMemory(std::move(regions));
}

const GuestRegion* GuestMemory::find(uint64_t guest_address) const noexcept {
  auto holds = [guest_address](const GuestRegion& region) {
    return guest_address - static_cast<uint64_t>(region.place().guest) < region.place().size;
  };
  if (last_hit_ != nullptr && holds(*last_hit_)) return last_hit_;
  for (const auto& region : regions_) {
    if (holds(*region)) return last_hit_ = region.get();
  }
  return nullptr;
}

Result<size_t> GuestMemory::translate(GuestAddress address, uint64_t size, std::span<iovec> out,
                                      size_t used) const noexcept {
  auto at = static_cast<uint64_t>(address);
  if (!fits(at, size)) return Errno::fault;
  while (size > 0) {
    const GuestRegion* region = find(at);
    if (region == nullptr) return Errno::fault;
    if (used == out.size()) return Errno::toobig;
    const uint64_t offset = at - static_cast<uint64_t>(region->place().guest);
    const uint64_t n = std::min(size, region->place().size - offset);
    out[used++] = {region->base() + offset, n};
    at += n;
    size -= n;
  }
  return used;
}

char* GuestMemory::at(UserAddress address, uint64_t size) const noexcept {
  for (const auto& region : regions_) {
    const GuestRegion::Place& place = region->place();
    const uint64_t offset = static_cast<uint64_t>(address) - static_cast<uint64_t>(place.user);
    if (offset < place.size && size <= place.size - offset) return region->base() + offset;
  }
  return nullptr;
}

}  // namespace dpfs
