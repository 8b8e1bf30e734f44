// SPDX-License-Identifier: Apache-2.0
// Slots: room for the requests that a device has in flight.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <new>
#include <span>

#include "base/assert.h"
#include "fuse/request.h"
#include "guest/guest_memory.h"

namespace dpfs::vhost_user {

// Room for one request in flight.
struct Slot : dpfs::Request {
  uint16_t head = 0;
  uint32_t next_free = 0;
  MemoryPin memory;
};

// The slots of a device and their iovecs, shared by its rings: what a tenant may have in flight,
// and how much memory it may make us touch, is bounded for all its queues together. Last in, first
// out, so that few of them are ever touched: memory that is not touched costs nothing.
class Slots {
 public:
  // How many requests a device may have in flight; what is available beyond that waits in its
  // rings.
  static constexpr uint32_t kCount = 256;

  explicit Slots(uint32_t parts_each)
      : slots_(std::make_unique_for_overwrite<Storage[]>(kCount)),
        parts_(std::make_unique_for_overwrite<iovec[]>(size_t{kCount} * parts_each)),
        parts_each_(parts_each) {}
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;
  ~Slots() {
    for (uint32_t i = 0; i < made_; ++i) slot(i).~Slot();
  }

  // Only when some are free.
  Slot* take() noexcept {
    ++taken_;
    if (first_free_ != kNone) {
      Slot& taken = slot(first_free_);
      first_free_ = taken.next_free;
      return &taken;
    }
    DPFS_ASSERT(made_ < kCount);
    return new (&slots_[made_++]) Slot;
  }
  void give(Slot& slot) noexcept {
    --taken_;
    slot.next_free = first_free_;
    first_free_ = index(slot);
  }
  uint32_t free() const noexcept { return kCount - taken_; }
  std::span<iovec> parts(const Slot& slot) noexcept {
    return {&parts_[size_t{index(slot)} * parts_each_], parts_each_};
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Storage {
    alignas(Slot) char bytes[sizeof(Slot)];
  };

  Slot& slot(uint32_t i) noexcept { return *std::launder(reinterpret_cast<Slot*>(&slots_[i])); }
  uint32_t index(const Slot& slot) const noexcept {
    return static_cast<uint32_t>(reinterpret_cast<const Storage*>(&slot) - slots_.get());
  }

  std::unique_ptr<Storage[]> slots_;
  std::unique_ptr<iovec[]> parts_;
  const uint32_t parts_each_;
  uint32_t made_ = 0;
  uint32_t taken_ = 0;
  uint32_t first_free_ = kNone;
};

}  // namespace dpfs::vhost_user
