// SPDX-License-Identifier: Apache-2.0
// The log: one line for a change of state, to stderr. Never per request: numbers go to counters.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string_view>

namespace dpfs::log {

enum class Level : uint8_t { trace, debug, info, warn, error };

void set_level(Level level) noexcept;
// Stderr is something else than it was at the start: the journal's stream, or a file.
void stderr_has_changed(bool is_the_journal) noexcept;
bool enabled(Level level) noexcept;
// With a "<N>" priority in front of each line when stderr is the journal's, a time stamp otherwise.
void vwrite(Level level, fmt::string_view format, fmt::format_args args) noexcept;

template <class... Args>
void write(Level level, fmt::format_string<Args...> format, const Args&... args) noexcept {
  if (enabled(level)) vwrite(level, format, fmt::make_format_args(args...));
}
template <class... Args>
void debug(fmt::format_string<Args...> format, const Args&... args) noexcept {
  write<Args...>(Level::debug, format, args...);
}
template <class... Args>
void info(fmt::format_string<Args...> format, const Args&... args) noexcept {
  write<Args...>(Level::info, format, args...);
}
template <class... Args>
void warn(fmt::format_string<Args...> format, const Args&... args) noexcept {
  write<Args...>(Level::warn, format, args...);
}
template <class... Args>
void error(fmt::format_string<Args...> format, const Args&... args) noexcept {
  write<Args...>(Level::error, format, args...);
}

// Lets one line through per second for the place that owns it, and counts those it kept back. For
// what a tenant can provoke.
class RateLimit {
 public:
  // How many were kept back since the last one let through, or -1: keep this one back too.
  int64_t admit() noexcept;

 private:
  int64_t next_ns_ = 0;
  int64_t kept_back_ = 0;
};

}  // namespace dpfs::log
