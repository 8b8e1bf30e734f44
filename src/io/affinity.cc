// SPDX-License-Identifier: Apache-2.0
// Pinning by sched_setaffinity(2).
#include "io/affinity.h"

#include <sched.h>

#include "base/errno.h"

namespace dpfs {

Result<Unit> pin_this_thread(int cpu) noexcept {
  if (cpu < 0) return Unit{};
  cpu_set_t set;
  CPU_ZERO(&set);
  if (cpu < CPU_SETSIZE) CPU_SET(static_cast<unsigned>(cpu), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) return last_errno();
  return Unit{};
}

}  // namespace dpfs
