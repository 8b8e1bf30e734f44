// SPDX-License-Identifier: Apache-2.0
// EarlyInterrupts: INTERRUPTs that came before their request had begun to wait.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace dpfs {

// INTERRUPTs go by another queue than requests, and a layer may hold a request back meanwhile. Most
// that are kept are of requests that never wait, and are pushed out by later ones; numbers are not
// used again within a session.
class EarlyInterrupts {
 public:
  void remember(uint64_t unique) noexcept {
    uniques_[next_] = unique;
    next_ = (next_ + 1) % uniques_.size();
  }
  // True, once, for a number that was remembered.
  bool take(uint64_t unique) noexcept {
    const auto found = std::ranges::find(uniques_, unique);
    if (unique == 0 || found == uniques_.end()) return false;
    *found = 0;
    return true;
  }
  void clear() noexcept { uniques_ = {}; }

 private:
  std::array<uint64_t, 64> uniques_{};
  size_t next_ = 0;
};

}  // namespace dpfs
