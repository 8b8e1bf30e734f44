// SPDX-License-Identifier: Apache-2.0
// Slots: requests under way in a session, each done exactly once (RFC 8881, section 2.10.6).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "backend/nfs/call.h"
#include "backend/nfs/connection.h"

namespace dpfs::nfs {

// What was sent stays in its slot until it is answered, to be sent again as it was.
struct Slot {
  static constexpr size_t kRequestBytesMax = 2048;  // but for data

  uint32_t sequence = 1;  // of the request that is under way, or comes next
  uint32_t xid = 0;
  Call* call = nullptr;  // nullptr: free, or its caller has given up
  bool used = false;
  Message message;
  Credential who;           // whose header lies in `room`
  size_t header_bytes = 0;  // of it; 0: there is none yet
  std::array<uint8_t, kRequestBytesMax> room;
};

class Slots {
 public:
  static constexpr uint32_t kMax = 1024;
  static constexpr uint32_t kNone = UINT32_MAX;

  // For a new session: all free. Nothing may be under way.
  void reset(uint32_t count) {
    while (slots_.size() < count) slots_.emplace_back();
    count_ = limit_ = count;
    free_.clear();
    free_.reserve(kMax);
    for (uint32_t i = count; i-- > 0;) {
      slots_[i].sequence = 1;
      slots_[i].call = nullptr;
      slots_[i].used = false;
      slots_[i].header_bytes = 0;  // the version may be another
      free_.push_back(i);
    }
  }
  uint32_t count() const noexcept { return count_; }
  uint32_t in_use() const noexcept { return count_ - static_cast<uint32_t>(free_.size()); }
  // How many the server wants us to use at most (sr_target_highest_slotid + 1).
  void set_limit(uint32_t limit) noexcept { limit_ = limit == 0 ? 1 : limit; }

  uint32_t take() noexcept {
    if (free_.empty() || in_use() >= limit_) return kNone;
    const uint32_t index = free_.back();
    free_.pop_back();
    slots_[index].used = true;
    return index;
  }
  void give(uint32_t index) noexcept {
    slots_[index].used = false;
    slots_[index].call = nullptr;
    free_.push_back(index);
  }
  Slot& at(uint32_t index) noexcept { return slots_[index]; }

 private:
  std::deque<Slot> slots_;
  std::vector<uint32_t> free_;
  uint32_t count_ = 0;
  uint32_t limit_ = 0;
};

}  // namespace dpfs::nfs
