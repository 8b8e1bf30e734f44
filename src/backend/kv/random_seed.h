// SPDX-License-Identifier: Apache-2.0
// random_seed(): a number that no tenant can know.
#pragma once

#include <sys/random.h>
#include <time.h>

#include <cstdint>

namespace dpfs::kv {

// Never waits: what the kernel cannot give yet, early at boot, an address and the time stand in
// for.
inline uint64_t random_seed() noexcept {
  uint64_t seed = 0;
  if (::getrandom(&seed, sizeof seed, GRND_NONBLOCK) == sizeof seed) return seed;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return reinterpret_cast<uintptr_t>(&seed) * 0x9e3779b97f4a7c15 ^
         static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace dpfs::kv
