// SPDX-License-Identifier: Apache-2.0
// What the tools of `dpfs kv` have in common: a reactor to wait for, progress, options.
#pragma once

#include <functional>
#include <future>
#include <string>
#include <thread>
#include <utility>

#include "backend/kv/check/progress.h"
#include "base/op.h"
#include "daemon/kv_stores.h"
#include "daemon/url.h"
#include "io/reactor.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's own name
class App;
}  // namespace CLI

namespace dpfs {

// What every verb understands.
struct KvToolOptions {
  std::string url;
  bool json = false;
  bool progress = false;  // also where stderr is no terminal
};
void add_kv_tool_options(CLI::App& app, KvToolOptions& options);

// On stderr, one line that is written over again and again.
class KvProgress final : public kv::Progress {
 public:
  explicit KvProgress(const KvToolOptions& options);
  ~KvProgress() { clear(); }
  void is_at(const char* stage, uint64_t done, uint64_t of) noexcept override;
  void clear() noexcept;

 private:
  const bool shown_;
  uint64_t next_ns_ = 0;
  bool is_written_ = false;
};

// A reactor on a thread of its own.
class KvToolReactor {
 public:
  KvToolReactor();
  KvToolReactor(const KvToolReactor&) = delete;
  KvToolReactor& operator=(const KvToolReactor&) = delete;
  ~KvToolReactor();

  Reactor& reactor() noexcept { return reactor_; }
  // Begins what `begin` does on the reactor, and waits for its result.
  template <class T>
  Result<T> wait(std::function<Op<T>()> begin) {
    std::promise<Result<T>> done;
    std::future<Result<T>> result = done.get_future();
    reactor_.post([&] { tell<T>(begin, done); });
    return result.get();
  }

 private:
  template <class T>
  static Detached tell(const std::function<Op<T>()>& begin, std::promise<Result<T>>& done) {
    Op<T> op = begin();
    const Result<T> result = co_await op;
    op.drop();
    done.set_value(result);
  }

  Reactor reactor_;
  std::thread thread_;
};

// What a verb does on the reactor. `problem` is what to say where it fails; empty: what the errno
// says.
using KvJob = std::function<Op<Unit>(Reactor& reactor, const KvAsked& asked, kv::Progress& progress,
                                     std::string& problem)>;
// Does it. The exit code: 0, or after a line on stderr 1 where it failed and 2 where the URL is
// wrong. `create`: the store itself may be made.
int run_kv_job(const char* verb, const KvToolOptions& options, bool create, const KvJob& job);

// "1.5 GiB"
std::string kv_size_text(uint64_t bytes);

// To stderr: "dpfs kv VERB: 'URL': ...".
void say_problem(const char* verb, const std::string& url, const std::string& problem);

}  // namespace dpfs
