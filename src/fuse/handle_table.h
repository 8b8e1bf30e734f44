// SPDX-License-Identifier: Apache-2.0
// HandleTable<T>: open files by the number that the tenant has for them.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "fuse/ids.h"

namespace dpfs {

// A Handle is a slot and the slot's generation, so that a number that is stale, forged or of
// another node finds nothing. Slots keep their place: a T* stays good until its handle is removed.
// Closed slots are used again, so the steady state allocates nothing.
template <class T>
class HandleTable {
 public:
  static constexpr uint32_t kHandlesMax = 1u << 20;  // of one session

  // No handle when kHandlesMax are open.
  template <class... Args>
  std::optional<Handle> insert(NodeId node, Args&&... args) {
    uint32_t index = first_free_;
    if (index == kNone) {
      if (slots_.size() >= kHandlesMax) return std::nullopt;
      index = static_cast<uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      first_free_ = slots_[index].next_free;
    }
    Slot& slot = slots_[index];
    slot.node = node;
    slot.value.emplace(std::forward<Args>(args)...);
    ++size_;
    return Handle{uint64_t{slot.generation} << 32 | index};
  }

  // nullptr: EBADF.
  T* find(Handle handle, NodeId node) noexcept {
    Slot* slot = slot_of(handle);
    return slot != nullptr && slot->node == node ? &*slot->value : nullptr;
  }

  bool remove(Handle handle, NodeId node) noexcept {
    if (find(handle, node) == nullptr) return false;
    const uint32_t index = static_cast<uint32_t>(handle);
    Slot& slot = slots_[index];
    slot.value.reset();
    ++slot.generation;
    slot.next_free = first_free_;
    first_free_ = index;
    --size_;
    return true;
  }

  size_t size() const noexcept { return size_; }
  template <class F>
  void each(F visit) {
    for (Slot& slot : slots_) {
      if (slot.value) visit(*slot.value);
    }
  }
  void clear() noexcept {
    for (uint32_t index = 0; index < slots_.size(); ++index) {
      Slot& slot = slots_[index];
      if (slot.value) remove(Handle{uint64_t{slot.generation} << 32 | index}, slot.node);
    }
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Slot {
    NodeId node{};
    uint32_t generation = 1;  // never 0 at first, so that Handle{0} is nobody's
    uint32_t next_free = kNone;
    std::optional<T> value;
  };

  Slot* slot_of(Handle handle) noexcept {
    const auto number = static_cast<uint64_t>(handle);
    const auto index = static_cast<uint32_t>(number);
    if (index >= slots_.size()) return nullptr;
    Slot& slot = slots_[index];
    return slot.value && slot.generation == number >> 32 ? &slot : nullptr;
  }

  std::deque<Slot> slots_;
  uint32_t first_free_ = kNone;
  size_t size_ = 0;
};

}  // namespace dpfs
