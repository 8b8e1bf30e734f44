// SPDX-License-Identifier: Apache-2.0
// Signals, limits, the log's level.
#include "daemon/process.h"

#include <sys/resource.h>

#include <map>

namespace dpfs {

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

}  // namespace dpfs
