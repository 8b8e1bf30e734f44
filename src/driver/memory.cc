// SPDX-License-Identifier: Apache-2.0
// Tenant memory: creating, mapping and dividing the regions.
#include "driver/memory.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <new>
#include <system_error>
#include <utility>

namespace dpfs::driver {
namespace {

constexpr size_t kPageSize = 4096;

constexpr size_t round_up(size_t size, size_t align) { return (size + align - 1) / align * align; }

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

}  // namespace

Memory::Memory(size_t size, uint64_t guest_addr) { add_region(size, guest_addr); }

Memory::~Memory() {
  for (const Region& region : regions_) munmap(region.base, region.size);
}

const Memory::Region& Memory::add_region(size_t size, uint64_t guest_addr) {
  size = round_up(size, kPageSize);
  Fd fd(memfd_create("dpfs-tenant", MFD_CLOEXEC));
  if (!fd) fail("memfd_create for tenant memory");
  if (ftruncate(fd.get(), static_cast<off_t>(size)) != 0) fail("ftruncate of tenant memory");
  void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (base == MAP_FAILED) fail("mmap of tenant memory");
  regions_.push_back({guest_addr, size, static_cast<std::byte*>(base), std::move(fd)});
  used_.push_back(0);
  return regions_.back();
}

void Memory::remove_region(size_t index) {
  munmap(regions_.at(index).base, regions_[index].size);
  regions_.erase(regions_.begin() + static_cast<ptrdiff_t>(index));
  used_.erase(used_.begin() + static_cast<ptrdiff_t>(index));
}

vhost_user::MemoryRegion Memory::describe(const Region& region) noexcept {
  return {.guest_phys_addr = region.guest_addr,
          .memory_size = region.size,
          .user_addr = reinterpret_cast<uint64_t>(region.base),
          .mmap_offset = 0};
}

Block Memory::allocate(size_t size, size_t align) {
  for (size_t i = 0; i < regions_.size(); ++i) {
    size_t offset = round_up(used_[i], align);
    if (offset > regions_[i].size || size > regions_[i].size - offset) continue;
    used_[i] = offset + size;
    return {regions_[i].base + offset, regions_[i].guest_addr + offset, size};
  }
  throw std::bad_alloc();
}

std::byte* Memory::at(uint64_t guest_addr, size_t size) const noexcept {
  for (const Region& region : regions_) {
    if (guest_addr < region.guest_addr || guest_addr - region.guest_addr > region.size) continue;
    uint64_t offset = guest_addr - region.guest_addr;
    if (size <= region.size - offset) return region.base + offset;
  }
  return nullptr;
}

}  // namespace dpfs::driver
