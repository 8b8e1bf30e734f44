// SPDX-License-Identifier: Apache-2.0
// Tenant memory for tests: regions of memory files, as a VMM would share them.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "base/fd.h"
#include "guest/guest_memory.h"

namespace dpfs {

inline Fd memory_file(size_t bytes) {
  Fd fd(memfd_create("dpfs-test", MFD_CLOEXEC));
  DPFS_ASSERT(fd && ftruncate(fd.get(), static_cast<off_t>(bytes)) == 0);
  return fd;
}

// A region of a memory file of its own.
inline std::shared_ptr<const GuestRegion> fake_region(uint64_t guest, uint64_t user,
                                                      uint64_t bytes) {
  const Fd file = memory_file(bytes);
  const Result<GuestRegion*> region =
      GuestRegion::map({GuestAddress{guest}, UserAddress{user}, bytes, 0}, file);
  DPFS_ASSERT(region);
  return std::shared_ptr<const GuestRegion>(*region);
}

inline MemoryPin fake_memory(GuestMemory::Regions regions) {
  const Result<GuestMemory*> memory = GuestMemory::make(std::move(regions));
  DPFS_ASSERT(memory);
  return MemoryPin(*memory);
}

}  // namespace dpfs
