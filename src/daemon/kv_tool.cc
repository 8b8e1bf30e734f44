// SPDX-License-Identifier: Apache-2.0
// Options, progress, the reactor's thread.
#include "daemon/kv_tool.h"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <exception>
#include <stdexcept>

#include "base/log.h"
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

int run_kv_job(const char* verb, const KvToolOptions& options, bool create, const KvJob& job) {
  std::string problem;
  try {
    log::set_level(log::Level::warn);
    Url url = Url::parse(options.url);
    const KvAsked asked = kv_asked(url, create);
    KvToolReactor reactor;
    KvProgress progress(options);
    const Result<Unit> done =
        reactor.wait<Unit>([&] { return job(reactor.reactor(), asked, progress, problem); });
    if (done) return 0;
    progress.clear();
    say_problem(verb, asked.volume.name, problem.empty() ? describe(done.error()) : problem);
  } catch (const std::invalid_argument& error) {
    fmt::print(stderr, "dpfs kv {}: {}\nTry: dpfs kv {} --help\n", verb, error.what(), verb);
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "dpfs kv {}: {}\n", verb, error.what());
  }
  return 1;
}

std::string kv_size_text(uint64_t bytes) {
  constexpr std::array kUnits{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} bytes", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

void say_problem(const char* verb, const std::string& url, const std::string& problem) {
  fmt::print(stderr, "dpfs kv {}: '{}': {}\n", verb, url, problem);
}

}  // namespace dpfs
