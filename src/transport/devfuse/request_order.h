// SPDX-License-Identifier: Apache-2.0
// RequestOrder: whether a request that was made earlier is still being fetched.
#pragma once

#include <cstdint>

namespace dpfs::devfuse {

// Linux numbers a mount's requests in the order in which they are made, in steps of two. Threads
// fetch them side by side, so they may come in another order. That matters to nobody who waits for
// his answers, but Linux does not wait for that of the RELEASE by which close(2) gives up a lock: a
// lock that is asked for afterwards must not be served before it.
//
// Remembers the last 64 numbers. One that never comes (its asker was killed) is missed until 63
// others have come, or it is given up.
class RequestOrder {
 public:
  // The number of a request that has been fetched. Again for the same one: nothing.
  void fetched(uint64_t unique) noexcept {
    if (unique == 0 || (unique & 1) != 0) return;  // notifications' answers; INTERRUPT
    const uint64_t number = unique / 2;
    if (last_ == 0) last_ = number - 1;
    if (number > last_) {
      const uint64_t step = number - last_;
      missing_ = step < kNumbers ? missing_ << step : 0;
      missing_ |= step < kNumbers ? (uint64_t{1} << step) - 2 : ~uint64_t{1};
      last_ = number;
    } else if (last_ - number < kNumbers) {
      missing_ &= ~(uint64_t{1} << (last_ - number));
    }
  }

  // Whether one that was made before this one has not been fetched.
  bool is_early(uint64_t unique) const noexcept {
    const uint64_t number = unique / 2;
    const uint64_t age = number < last_ ? last_ - number : 0;
    return age < kNumbers - 1 && (missing_ >> (age + 1)) != 0;
  }

  // Those that have not come are not waited for any more.
  void give_up() noexcept { missing_ = 0; }

 private:
  static constexpr uint64_t kNumbers = 64;
  uint64_t last_ = 0;     // the highest number
  uint64_t missing_ = 0;  // bit i: last_ - i
};

}  // namespace dpfs::devfuse
