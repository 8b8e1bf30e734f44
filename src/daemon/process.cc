// SPDX-License-Identifier: Apache-2.0
// Standard descriptors, signals, limits, the log's level.
#include "daemon/process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "base/errno.h"

namespace dpfs {

void fill_standard_descriptors() noexcept {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // The lowest free number is given out: this one.
    if (fcntl(fd, F_GETFD) < 0) [[maybe_unused]]
      const int filled = open("/dev/null", O_RDWR);
  }
}

log::Level level_of(const std::string& name) {
  static const std::map<std::string, log::Level> kLevels{{"trace", log::Level::trace},
                                                         {"debug", log::Level::debug},
                                                         {"info", log::Level::info},
                                                         {"warn", log::Level::warn},
                                                         {"error", log::Level::error}};
  return kLevels.at(name);
}

sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond RLIMIT_FSIZE is that tenant's EFBIG
  return signals;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void set_descriptor_limit(std::optional<uint64_t> asked) {
  constexpr rlim_t kSane = 1'000'000;
  if (asked == 0) return;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = asked ? *asked : std::min(limit.rlim_max, kSane);
  // Beyond what we may have now is for root, up to /proc/sys/fs/nr_open.
  limit.rlim_max = asked ? limit.rlim_cur : limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0 || !asked) return;
  throw std::runtime_error(fmt::format(
      "cannot open as many as {} descriptors: {}; see /proc/sys/fs/nr_open and 'ulimit -Hn'",
      *asked, describe(last_errno())));
}

}  // namespace dpfs
