// SPDX-License-Identifier: Apache-2.0
// Options, progress, the reactor's thread.
#include "daemon/kv_tool.h"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/monotonic.h"

namespace dpfs {

void add_kv_tool_options(CLI::App& app, KvToolOptions& options) {
  app.add_flag("--json", options.json, "For programs");
  app.add_flag("--progress", options.progress,
               "Say on stderr how far it is, also where that is no terminal");
  app.add_option("URL", options.url, "The file system, like kv+rocksdb:/srv/files?fs=main")
      ->type_name("")
      ->required();
}

KvProgress::KvProgress(const KvToolOptions& options)
    : shown_(options.progress || isatty(STDERR_FILENO) == 1) {}

void KvProgress::is_at(const char* stage, uint64_t done, uint64_t of) noexcept {
  if (!shown_) return;
  constexpr uint64_t kEveryNs = 200'000'000;
  const uint64_t now_ns = monotonic_ns();
  if (now_ns < next_ns_) return;
  next_ns_ = now_ns + kEveryNs;
  is_written_ = true;
  if (of > 0 && done <= of) {
    fmt::print(stderr, "\r{:<24}{:>12} of {} ({} %)      ", stage, done, of, done * 100 / of);
  } else {
    fmt::print(stderr, "\r{:<24}{:>12}{:>30}", stage, done, "");
  }
}

void KvProgress::clear() noexcept {
  if (std::exchange(is_written_, false)) fmt::print(stderr, "\r{:70}\r", "");
}

KvToolReactor::KvToolReactor()
    : reactor_(Reactor::Options{}), thread_([this] { reactor_.run(); }) {}

KvToolReactor::~KvToolReactor() {
  reactor_.stop();
  thread_.join();
}

void say_problem(const char* verb, const std::string& url, const std::string& problem) {
  fmt::print(stderr, "dpfs kv {}: '{}': {}\n", verb, url, problem);
}

}  // namespace dpfs
