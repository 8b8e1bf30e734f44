// SPDX-License-Identifier: Apache-2.0
// Claiming, beating, releasing.
#include "backend/kv/ownership.h"

#include <fmt/core.h>
#include <unistd.h>

#include <span>

#include "backend/kv/locked.h"
#include "base/log.h"

namespace dpfs::kv {
namespace {

constexpr uint64_t kMs = 1'000'000;
// Beats in a lease: one may be lost, and one late.
constexpr uint32_t kBeats = 4;

std::string host_name() {
  char name[kHostBytesMax + 1] = "";
  gethostname(name, kHostBytesMax);
  return name;
}

}  // namespace

// The session record, as it is stored and what it says. An absent one says that nobody has it.
class Ownership::FoundSession final : public ValueReader {
 public:
  void found(std::string_view value) noexcept override {
    size_ = value.size() <= bytes_.size() ? value.copy(bytes_.data(), value.size()) : 0;
    ok_ = decode(bytes(), session);
  }
  void clear() noexcept {
    session = {};
    size_ = 0;
    ok_ = true;
  }
  bool is_record() const noexcept { return ok_; }
  bool is_owned() const noexcept { return session.lease_ms != 0; }
  std::string_view bytes() const noexcept { return {bytes_.data(), size_}; }

  Session session;

 private:
  std::array<char, kSessionBytesMax> bytes_;
  size_t size_ = 0;
  bool ok_ = true;
};

Ownership::Ownership(Reactor& reactor, Timers& timers, Store& store, const Options& options)
    : reactor_(reactor), timers_(timers), store_(store), options_(options), host_(host_name()) {}

Op<Unit> Ownership::look(FoundSession& found) {
  found.clear();
  Get get{.key = {.collection = Collection::session}, .reader = &found};
  const Result<Unit> got = co_await store_.get({&get, 1});
  if (!got) co_return got;
  if (!found.is_record()) co_return Errno::io;
  co_return Unit{};
}

// EBUSY: the owner lives.
Op<Unit> Ownership::wait_for_silence(FoundSession& found) {
  const uint64_t epoch = found.session.epoch;
  const uint64_t beat = found.session.beat;
  log::info("owned by {} (process {}); waiting {} ms for a sign of life",
            std::string(found.session.host), found.session.pid, found.session.lease_ms);
  const uint64_t until_ns = monotonic_ns() + found.session.lease_ms * kMs;
  while (monotonic_ns() < until_ns) {
    Sleep sleep(timers_, found.session.lease_ms * kMs / kBeats);
    co_await sleep;
    const Result<Unit> looked = co_await look(found);
    if (!looked) co_return looked;
    if (!found.is_owned()) co_return Unit{};
    if (found.session.epoch != epoch || found.session.beat != beat) {
      holder_ = fmt::format("{}, process {},", found.session.host, found.session.pid);
      log::error("this file system is in use by {} (process {})", std::string(found.session.host),
                 found.session.pid);
      co_return Errno::busy;
    }
  }
  co_return Unit{};
}

Op<Unit> Ownership::claim() {
  FoundSession found;
  Result<Unit> ok = co_await look(found);
  if (!ok) co_return ok;
  if (found.is_owned() && !store_.traits().exclusive) {
    if (options_.takes_over) {
      log::warn("taken over from {} (process {})", std::string(found.session.host),
                found.session.pid);
    } else {
      ok = co_await wait_for_silence(found);
      if (!ok) co_return ok;
    }
  }
  epoch_ = found.session.epoch + 1;
  encode_number(epoch_, epoch_bytes_);
  beats_ = 0;
  ok = co_await write_down(options_.lease_ms, found.bytes());
  if (!ok) co_return ok.error() == kCompareFailed ? Errno::busy : ok.error();
  held_ = true;
  lost_ = false;
  if (!store_.traits().exclusive) {
    timers_.start(next_beat_, options_.lease_ms * kMs / kBeats);
  }
  co_return Unit{};
}

// If the record still begins with `before`; nothing: if there is none.
Op<Unit> Ownership::write_down(uint32_t lease_ms, std::string_view before) {
  const uint64_t begun_ns = monotonic_ns();
  std::array<char, kSessionBytesMax> room;
  const Session self{.epoch = epoch_,
                     .beat = ++beats_,
                     .lease_ms = lease_ms,
                     .pid = static_cast<uint32_t>(getpid()),
                     .host = host_};
  const Key key{.collection = Collection::session};
  const Compare compare{.key = key, .present = !before.empty(), .prefix = before};
  const Write write{.kind = Write::Kind::put, .key = key, .value = encode(self, room)};
  const Result<Unit> done = co_await store_.commit({&compare, 1}, {&write, 1});
  if (done) sure_until_ns_ = begun_ns + lease_ms * kMs;
  co_return done;
}

Op<Unit> Ownership::make_sure() {
  if (lost_) return Errno::io;
  if (is_sure()) return Unit{};
  if (!held_) return Errno::io;
  return beat();
}

Op<Unit> Ownership::beat() {
  co_await beating_.lock();
  const Locked locked(beating_, reactor_);
  if (!held_) co_return Errno::io;
  const Result<Unit> done =
      co_await write_down(options_.lease_ms, {epoch_bytes_.data(), epoch_bytes_.size()});
  if (!done && done.error() == kCompareFailed) {
    lose();
    co_return Errno::io;
  }
  co_return done;
}

Detached Ownership::beat_later() noexcept {
  [[maybe_unused]] const Result<Unit> done = co_await beat();
  if (held_) timers_.start(next_beat_, options_.lease_ms * kMs / kBeats);
}

void Ownership::lose() noexcept {
  if (!held_) return;
  held_ = false;
  lost_ = true;
  timers_.stop(next_beat_);
  log::error(
      "another daemon has taken this file system over; nothing is served from here any more");
}

Op<Unit> Ownership::release() {
  timers_.stop(next_beat_);
  co_await beating_.lock();
  const Locked locked(beating_, reactor_);
  // A beat that was on its way has started it once more.
  timers_.stop(next_beat_);
  if (!held_) co_return Unit{};
  held_ = false;
  const Result<Unit> done = co_await write_down(0, {epoch_bytes_.data(), epoch_bytes_.size()});
  co_return done;
}

}  // namespace dpfs::kv
