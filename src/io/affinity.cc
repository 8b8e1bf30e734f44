// SPDX-License-Identifier: Apache-2.0
// Pinning by sched_setaffinity(2).
#include "io/affinity.h"

#include <sched.h>

#include "base/errno.h"
#include "base/log.h"

namespace dpfs {

void pin_this_thread(int cpu) noexcept {
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (cpu < CPU_SETSIZE) CPU_SET(static_cast<unsigned>(cpu), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    log::warn("cannot pin a reactor to processor {}: {}", cpu, describe(last_errno()));
  }
}

}  // namespace dpfs
