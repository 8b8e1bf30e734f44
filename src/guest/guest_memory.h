// SPDX-License-Identifier: Apache-2.0
// The tenant's memory as this process sees it: a table of mapped regions, replaced as a whole.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace dpfs {

enum class GuestAddress : uint64_t {};  // physical, as descriptors have it
enum class UserAddress : uint64_t {
};  // virtual in the VMM's process, as vhost-user gives ring addresses

// One region, mapped as long as it lives. Regions that stay from one table to the next are shared
// by both (hence shared_ptr below), so that memory hot-plug maps only what is new.
class GuestRegion {
 public:
  struct Place {
    GuestAddress guest;
    UserAddress user;
    uint64_t size;            // bytes
    uint64_t offset_in_file;  // bytes
    friend bool operator==(const Place&, const Place&) = default;
  };

  // Maps `place` of `file`. EINVAL: empty, wraps around, or longer than the file; else what mmap
  // says.
  static Result<GuestRegion*> map(const Place& place, const Fd& file) noexcept;  // caller owns
  GuestRegion(const GuestRegion&) = delete;
  GuestRegion& operator=(const GuestRegion&) = delete;
  ~GuestRegion();

  const Place& place() const noexcept { return place_; }
  char* base() const noexcept { return base_; }

 private:
  GuestRegion(const Place& place, void* mapping, size_t mapping_size, char* base) noexcept
      : place_(place), mapping_(mapping), mapping_size_(mapping_size), base_(base) {}

  Place place_;
  void* mapping_;
  size_t mapping_size_;
  char* base_;
};

// One generation of the table. Immutable; a request in flight pins the one it was taken under, and
// the last pin to go unmaps what no later table has. Touched by one reactor only: the count is not
// atomic.
class GuestMemory {
 public:
  using Regions = std::vector<std::shared_ptr<const GuestRegion>>;

  // EINVAL when two regions overlap in guest addresses.
  static Result<GuestMemory*> make(Regions regions) noexcept;

  const Regions& regions() const noexcept { return regions_; }

  // Appends the pieces of [address, address + size) to out[used...]; returns how many there are
  // then. EFAULT: not all of it is mapped. E2BIG: `out` is full. Usually one piece; more across
  // regions.
  Result<size_t> translate(GuestAddress address, uint64_t size, std::span<iovec> out,
                           size_t used) const noexcept;
  // A contiguous range in one region, nullptr when it is none. For rings.
  char* at(UserAddress address, uint64_t size) const noexcept;

 private:
  friend class MemoryPin;
  explicit GuestMemory(Regions regions) noexcept : regions_(std::move(regions)) {}
  const GuestRegion* find(uint64_t guest_address) const noexcept;

  Regions regions_;  // by guest address
  mutable const GuestRegion* last_hit_ = nullptr;
  uint32_t pins_ = 0;
};

// Keeps one generation alive.
class MemoryPin {
 public:
  MemoryPin() noexcept = default;
  explicit MemoryPin(GuestMemory* memory) noexcept : memory_(memory) {
    if (memory_ != nullptr) ++memory_->pins_;
  }
  MemoryPin(const MemoryPin& other) noexcept : MemoryPin(other.memory_) {}
  MemoryPin(MemoryPin&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)) {}
  MemoryPin& operator=(MemoryPin other) noexcept {
    std::swap(memory_, other.memory_);
    return *this;
  }
  ~MemoryPin() {
    if (memory_ != nullptr && --memory_->pins_ == 0) delete memory_;
  }

  explicit operator bool() const noexcept { return memory_ != nullptr; }
  const GuestMemory* operator->() const noexcept { return memory_; }
  const GuestMemory& operator*() const noexcept { return *memory_; }

 private:
  GuestMemory* memory_ = nullptr;
};

}  // namespace dpfs
