// SPDX-License-Identifier: Apache-2.0
// Reading /proc/PID.
#include "cli/bench_process.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/fd.h"

namespace dpfs::cli {
namespace {

using Text = std::array<char, 256>;

// A small file, whole and terminated.
bool read_text(const char* path, Text& text) noexcept {
  Fd fd(open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return false;
  const ssize_t size = read(fd.get(), text.data(), text.size() - 1);
  if (size < 0) return false;
  text[static_cast<size_t>(size)] = '\0';
  return true;
}

}  // namespace

// The process's own clock: the nanoseconds of schedstat, summed by the kernel over its threads,
// those that have ended included. (A sum over /proc/PID/task loses what a thread had used when it
// ends.)
Result<uint64_t> process_cpu_ns(pid_t pid) noexcept {
  clockid_t clock;
  timespec time;
  if (const int why = clock_getcpuclockid(pid, &clock); why != 0) return to_errno(why);
  if (clock_gettime(clock, &time) != 0) return last_errno();
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

Result<uint64_t> process_rss(pid_t pid) noexcept {
  Text path;
  Text text;
  std::snprintf(path.data(), path.size(), "/proc/%d/statm", pid);
  if (!read_text(path.data(), text)) return Errno{ESRCH};
  unsigned long size = 0;
  unsigned long resident = 0;
  if (std::sscanf(text.data(), "%lu %lu", &size, &resident) != 2) return Errno::io;
  return uint64_t{resident} * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

ProcessName process_name(pid_t pid) noexcept {
  Text path;
  Text text;
  ProcessName name{"?"};
  std::snprintf(path.data(), path.size(), "/proc/%d/comm", pid);
  if (!read_text(path.data(), text)) return name;
  text[std::strcspn(text.data(), "\n")] = '\0';
  std::snprintf(name.text, sizeof name.text, "%.15s", text.data());
  return name;
}

}  // namespace dpfs::cli
