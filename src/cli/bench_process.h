// SPDX-License-Identifier: Apache-2.0
// What /proc says of a process: CPU time in nanoseconds, memory.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "base/result.h"

namespace dpfs::cli {

// On-CPU time in nanoseconds of all threads, ended ones included. ESRCH where there is no such
// process (any more).
Result<uint64_t> process_cpu_ns(pid_t pid) noexcept;

// Resident memory in bytes.
Result<uint64_t> process_rss(pid_t pid) noexcept;

// Up to 15 characters; "?" where it cannot be told.
struct ProcessName {
  char text[16];
};
ProcessName process_name(pid_t pid) noexcept;

}  // namespace dpfs::cli
