// SPDX-License-Identifier: Apache-2.0
// `dpfs kv gc`: collects what is removed, now.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>

#include "backend/kv/check/check.h"
#include "backend/kv/check/repair.h"
#include "backend/kv/owned_store.h"
#include "backend/kv/volume.h"
#include "base/monotonic.h"
#include "daemon/kv_tool.h"
#include "daemon/kv_verbs.h"
#include "io/timer.h"

namespace dpfs {
namespace {

using kv::FindingKind;
using nlohmann::ordered_json;

struct Collected {
  std::string url;
  uint64_t orphans = 0;
  uint64_t garbage = 0;
  uint64_t leftovers = 0;  // chunks of writes that were not finished
  uint64_t damage = 0;     // leftovers stay where there is some
  int64_t bytes = 0;
};

// Chunks that no map knows of can only be told from others by looking at all.
Op<Unit> drop_leftovers(kv::OwnedStore& owned, kv::Progress& progress, Collected& out) {
  kv::Check check(owned.reactor(), owned.store(), owned.superblock(), progress, {});
  Result<Unit> ok = co_await check.run();
  if (!ok) co_return ok;
  const kv::Findings& found = check.findings();
  out.damage = found.count(kv::FindingLevel::damage);
  out.orphans = found.count(FindingKind::orphan);
  out.garbage = found.count(FindingKind::garbage);
  out.bytes = check.survey().used_bytes();
  if (out.damage > 0) co_return Unit{};
  kv::Repair repair(owned, check.survey(), found);
  ok = co_await repair.run();
  out.leftovers = repair.mended().size();
  co_return ok;
}

struct First final : kv::ScanReader {
  bool found(const kv::Key& key, std::string_view) noexcept override {
    ino = key.number;
    return false;
  }
  uint64_t ino = 0;
};

// The volume collects by itself; this waits until it has.
Op<Unit> wait_for_collection(kv::Volume& volume, Timers& timers, kv::Progress& progress,
                             const Collected& out) {
  constexpr uint64_t kLookEveryNs = 10'000'000;
  constexpr uint64_t kPatienceNs = 60'000'000'000;  // without any progress
  uint64_t until_ns = monotonic_ns() + kPatienceNs;
  int64_t bytes = volume.usage().used().bytes;
  uint64_t at = 0;
  while (true) {
    First first;
    const kv::Scan scan{.collection = kv::Collection::garbage, .records_max = 1};
    const Result<bool> scanned = co_await volume.store().scan(scan, first);
    if (!scanned) co_return scanned.error();
    if (first.ino == 0) co_return Unit{};
    const int64_t now = volume.usage().used().bytes;
    if (now != bytes || first.ino != at) until_ns = monotonic_ns() + kPatienceNs;
    if (monotonic_ns() > until_ns) co_return Errno::timedout;
    bytes = now;
    at = first.ino;
    progress.is_at("bytes collected", static_cast<uint64_t>(out.bytes - bytes), 0);
    Sleep sleep(timers, kLookEveryNs);
    co_await sleep;
  }
}

// co_await Left(volume): the last session has ended.
class Left {
 public:
  explicit Left(kv::Volume& volume) noexcept : volume_(volume) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept {
    volume_.detach([waiter] { waiter.resume(); });
  }
  void await_resume() const noexcept {}

 private:
  kv::Volume& volume_;
};

Op<Unit> collect(kv::Volume& volume, Timers& timers, kv::Progress& progress, Collected& out) {
  Result<Unit> ok = co_await volume.make_sure();
  if (!ok) co_return ok;
  ok = co_await wait_for_collection(volume, timers, progress, out);
  out.bytes -= volume.usage().used().bytes;
  co_return ok;
}

Op<Unit> gc(Reactor& reactor, const KvAsked& asked, kv::Progress& progress, Collected& out,
            std::string& problem) {
  out.url = asked.volume.name;
  {
    kv::OwnedStore owned(reactor, asked.make_store(reactor), asked.volume.ownership);
    Result<Unit> ok = co_await owned.open();
    problem = owned.problem();
    if (ok) ok = co_await drop_leftovers(owned, progress, out);
    const Result<Unit> closed = co_await owned.close();
    if (!ok || !closed) co_return ok ? closed : ok;
  }
  Timers timers(reactor);
  kv::Volume volume(reactor, asked.make_store(reactor), asked.volume);
  volume.attach();
  const Result<Unit> done = co_await collect(volume, timers, progress, out);
  co_await Left(volume);
  co_await NextTurn(reactor);  // what has called us is done with the volume
  co_return done;
}

void print(const KvToolOptions& options, const Collected& out) {
  if (options.json) {
    const ordered_json json = {{"url", out.url},         {"orphans", out.orphans},
                               {"garbage", out.garbage}, {"leftovers", out.leftovers},
                               {"bytes", out.bytes},     {"damage", out.damage}};
    fmt::print("{}\n", json.dump(2));
    return;
  }
  fmt::print("collected {} files without a name, {} removed files, {} chunks; {}\n", out.orphans,
             out.garbage, out.leftovers, kv_size_text(static_cast<uint64_t>(out.bytes)));
  if (out.damage > 0) {
    fmt::print("{} records are damaged, so chunks were left alone: dpfs kv fsck --repair\n",
               out.damage);
  }
}

}  // namespace

int kv_gc_main(int argc, char** argv) {
  CLI::App app(
      "Gives back what removed files take up, now. A daemon does so by itself, but for chunks of "
      "writes that were cut short.",
      "dpfs kv gc");
  app.footer(
      "\nExamples:\n"
      "  dpfs kv gc kv+rocksdb:/srv/files\n"
      "  dpfs kv gc --json 'kv+rocksdb:/srv/files?fs=alice'");
  KvToolOptions options;
  add_kv_tool_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  Collected out;
  const int code =
      run_kv_job("gc", options, false,
                 [&](Reactor& reactor, const KvAsked& asked, kv::Progress& progress,
                     std::string& problem) { return gc(reactor, asked, progress, out, problem); });
  if (code == 0) print(options, out);
  return code;
}

}  // namespace dpfs
