// SPDX-License-Identifier: Apache-2.0
// The log on spdlog, which stays in this file.
#include "base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace dpfs::log {
namespace {

// systemd sets JOURNAL_STREAM to the device and inode of the journal's socket (systemd.exec(5)).
bool stderr_is_the_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status;
  if (stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return false;
  return std::string(stream) == fmt::format("{}:{}", status.st_dev, status.st_ino);
}

int journal_priority(Level level) {
  switch (level) {
    case Level::trace:
    case Level::debug:
      return 7;
    case Level::info:
      return 6;
    case Level::warn:
      return 4;
    case Level::error:
      return 3;
  }
  return 6;
}

spdlog::level::level_enum to_spdlog(Level level) {
  return static_cast<spdlog::level::level_enum>(level);  // the same order; asserted below
}
static_assert(static_cast<int>(Level::trace) == spdlog::level::trace);
static_assert(static_cast<int>(Level::error) == spdlog::level::err);

struct Backend {
  Backend() : journal(stderr_is_the_journal()) {
    sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    logger = std::make_shared<spdlog::logger>("dpfs", sink);
    set_pattern();
    logger->flush_on(spdlog::level::trace);
  }
  void set_pattern() { logger->set_pattern(journal ? "%v" : "%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v"); }
  std::shared_ptr<spdlog::sinks::stderr_color_sink_mt> sink;
  std::shared_ptr<spdlog::logger> logger;
  bool journal;
};

Backend& backend() {
  // Never destroyed: a thread may log until the very end of the process.
  static auto* const instance = new Backend;
  return *instance;
}

}  // namespace

void set_level(Level level) noexcept { backend().logger->set_level(to_spdlog(level)); }

bool enabled(Level level) noexcept { return backend().logger->should_log(to_spdlog(level)); }

namespace {

// Whether a line can be written without waiting: a reader that has stopped must not stop us. (A
// pipe that polls writable takes PIPE_BUF bytes.)
bool stderr_takes_a_line() noexcept {
  pollfd stream{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  return poll(&stream, 1, 0) != 0;
}

std::mutex write_mutex;      // between looking and writing; of the count too
uint64_t lines_dropped = 0;  // since the last line that was written

}  // namespace

void stderr_has_changed(bool is_the_journal) noexcept {
  const std::lock_guard lock(write_mutex);
  backend().journal = is_the_journal;
  backend().sink->set_color_mode(spdlog::color_mode::never);
  backend().set_pattern();
}

void vwrite(Level level, fmt::string_view format, fmt::format_args args) noexcept {
  const std::lock_guard lock(write_mutex);
  if (!stderr_takes_a_line()) {
    ++lines_dropped;
    return;
  }
  try {
    if (const uint64_t dropped = std::exchange(lines_dropped, 0); dropped > 0) {
      backend().logger->warn("{} lines were dropped: nobody read them", dropped);
    }
    std::string text = fmt::vformat(format, args);
    if (backend().journal) text = fmt::format("<{}>{}", journal_priority(level), text);
    backend().logger->log(to_spdlog(level), "{}", text);
  } catch (...) {
    std::fputs("dpfs: a line could not be logged\n", stderr);
  }
}

int64_t RateLimit::admit() noexcept {
  const int64_t now_ns =
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
  if (now_ns < next_ns_) {
    ++kept_back_;
    return -1;
  }
  next_ns_ = now_ns + 1'000'000'000;
  return std::exchange(kept_back_, 0);
}

}  // namespace dpfs::log
