// SPDX-License-Identifier: Apache-2.0
// Reading /proc/PID.
#include "cli/bench_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

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

Result<uint64_t> process_cpu_ns(pid_t pid) noexcept {
  Text path;
  std::snprintf(path.data(), path.size(), "/proc/%d/task", pid);
  DIR* tasks = opendir(path.data());
  if (tasks == nullptr) return Errno{ESRCH};
  uint64_t sum_ns = 0;
  while (const dirent* task = readdir(tasks)) {
    if (task->d_name[0] == '.') continue;
    Text text;
    std::snprintf(path.data(), path.size(), "/proc/%d/task/%.16s/schedstat", pid, task->d_name);
    if (read_text(path.data(), text)) sum_ns += std::strtoull(text.data(), nullptr, 10);
  }
  closedir(tasks);
  return sum_ns;
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
