// SPDX-License-Identifier: Apache-2.0
// What time it is, for time stamps.
#pragma once

#include <ctime>

#include "backend/kv/records.h"

namespace dpfs::kv {

inline Time now() noexcept {
  timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return {.s = time.tv_sec, .ns = static_cast<uint32_t>(time.tv_nsec)};
}

inline bool operator<(const Time& a, const Time& b) noexcept {
  return a.s != b.s ? a.s < b.s : a.ns < b.ns;
}

}  // namespace dpfs::kv
