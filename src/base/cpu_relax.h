// SPDX-License-Identifier: Apache-2.0
// What a loop that waits for another processor does between its looks.
#pragma once

namespace dpfs {

// Lets the processor's other thread run, and saves power.
inline void cpu_relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace dpfs
