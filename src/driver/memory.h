// SPDX-License-Identifier: Apache-2.0
// The memory of a tenant that is no VM: memfd regions with guest-physical addresses, and a bump
// allocator in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/fd.h"
#include "transport/vhost_user/protocol.h"

namespace dpfs::driver {

// A place in tenant memory that both sides can name.
struct Block {
  std::byte* data = nullptr;
  uint64_t guest_addr = 0;
  size_t size = 0;
};

class Memory {
 public:
  struct Region {
    uint64_t guest_addr;
    size_t size;
    std::byte* base;  // where it is mapped here, which vhost-user calls the user address
    Fd fd;
  };

  // QEMU's q35 machine puts the memory above 2 GiB at 4 GiB; a tenant here begins there too, so
  // that addresses never look like offsets.
  static constexpr uint64_t kFirstGuestAddr = 4ull << 30;

  // One region of `size` bytes, rounded up to pages. Throws std::system_error.
  explicit Memory(size_t size, uint64_t guest_addr = kFirstGuestAddr);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Like plugging a DIMM; tell the device with Device::add_region or set_mem_table. Throws
  // std::system_error.
  const Region& add_region(size_t size, uint64_t guest_addr);
  // Pulls it out again: the caller has told the device, and uses no Block of it any more.
  void remove_region(size_t index);
  std::span<const Region> regions() const noexcept { return regions_; }
  static vhost_user::MemoryRegion describe(const Region& region) noexcept;

  // Zeroed, never given back. From the first region that has room; throws std::bad_alloc where none
  // has.
  Block allocate(size_t size, size_t align = 64);

  // Where a guest-physical range is mapped here; null where no region holds all of it.
  std::byte* at(uint64_t guest_addr, size_t size) const noexcept;

 private:
  std::vector<Region> regions_;
  std::vector<size_t> used_;  // bytes of each region that are given away
};

}  // namespace dpfs::driver
