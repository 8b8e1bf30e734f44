// SPDX-License-Identifier: Apache-2.0
// The clock that only goes on.
#pragma once

#include <chrono>
#include <cstdint>

namespace dpfs {

inline uint64_t monotonic_ns() noexcept {
  return static_cast<uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

}  // namespace dpfs
