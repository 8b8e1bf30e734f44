// SPDX-License-Identifier: Apache-2.0
// Opening and giving back.
#include "backend/kv/owned_store.h"

#include <fmt/format.h>

#include <array>

#include "backend/kv/found.h"

namespace dpfs::kv {

OwnedStore::OwnedStore(Reactor& reactor, std::unique_ptr<Store> store,
                       const Ownership::Options& options)
    : reactor_(reactor),
      timers_(reactor),
      store_(std::move(store)),
      ownership_(reactor, timers_, *store_, options) {}

Op<Unit> OwnedStore::open() {
  Result<Unit> ok = co_await store_->open();
  if (!ok) {
    problem_ = ok.error() == Errno::busy
                   ? "somebody else has it open: unmount it, or stop its daemon, first"
                   : fmt::format("it cannot be opened: {}", describe(ok.error()));
    co_return ok;
  }
  is_open_ = true;
  ok = co_await look();
  if (!ok) co_return ok;
  ok = co_await ownership_.claim();
  if (!ok) {
    problem_ =
        ok.error() == Errno::busy
            ? fmt::format("{} has it and serves it: end that daemon first",
                          ownership_.holder().empty() ? "another daemon" : ownership_.holder())
            : fmt::format("it cannot be claimed: {}", describe(ok.error()));
  }
  co_return ok;
}

namespace {

struct FoundSession final : ValueReader {
  void found(std::string_view value) noexcept override {
    ok = decode(value, session);
    host = session.host;
    session.host = {};
  }
  bool ok = true;
  Session session;
  std::string host;
};

}  // namespace

Op<Unit> OwnedStore::look() {
  Found<Superblock> superblock;
  FoundSession session;
  std::array gets{Get{.key = {.collection = Collection::superblock}, .reader = &superblock},
                  Get{.key = {.collection = Collection::session}, .reader = &session}};
  const Result<Unit> got = co_await store_->get(gets);
  if (!got) {
    problem_ = fmt::format("it cannot be read: {}", describe(got.error()));
    co_return got;
  }
  const Errno why = superblock.why(gets[0]);
  if (why == Errno::noent)
    problem_ = "there is no file system of that name; dpfs kv mkfs makes one";
  if (why == Errno::io) problem_ = "its first record, the superblock, cannot be read";
  if (why != Errno::none) co_return why;
  if (superblock.value.format > kFormat) {
    problem_ = fmt::format("its format is {}, and {} is the newest that this dpfs knows",
                           superblock.value.format, kFormat);
    co_return Errno::proto;
  }
  if (!session.ok) {
    problem_ = "the record that says who has it cannot be read";
    co_return Errno::io;
  }
  superblock_ = superblock.value;
  session_ = session.session;
  session_host_ = session.host;
  co_return Unit{};
}

Op<Unit> OwnedStore::close() {
  if (!is_open_) co_return Unit{};
  const Result<Unit> synced = co_await store_->sync();
  [[maybe_unused]] const Result<Unit> released = co_await ownership_.release();
  [[maybe_unused]] const Result<Unit> closed = co_await store_->close();
  is_open_ = false;
  co_return synced;
}

Op<Unit> OwnedStore::commit(std::span<const Write> writes) {
  const Compare owner = ownership_.compare();
  const Result<Unit> done = co_await store_->commit({&owner, 1}, writes);
  if (done || done.error() != kCompareFailed) co_return done;
  ownership_.lose();
  co_return Errno::io;
}

}  // namespace dpfs::kv
