// SPDX-License-Identifier: Apache-2.0
// A store: one partition for one reactor.
#include "backend/kv/rocksdb/rocksdb_store.h"

#include <algorithm>
#include <map>
#include <utility>

#include "backend/kv/rocksdb/claim.h"
#include "backend/kv/rocksdb/mailbox.h"
#include "backend/kv/rocksdb/operand.h"
#include "backend/kv/rocksdb/patience.h"
#include "backend/kv/rocksdb/read_batch.h"
#include "backend/kv/rocksdb/record_key.h"
#include "backend/kv/rocksdb/walk.h"
#include "backend/kv/rocksdb/work_pool.h"
#include "base/log.h"
#include "base/monotonic.h"

namespace dpfs::kv {
namespace {

using namespace rocks;

constexpr Store::Traits kTraits{.engine = "rocksdb",
                                .chunk_bytes = uint32_t{64} << 10,
                                .commit_writes = 4096,
                                .remote = false,
                                .exclusive = true};

// What a scan gives without looking at the reactor's other work.
constexpr uint32_t kScanRecordsPerTurn = 512;
constexpr uint32_t kSweepRecords = 1024;
// Sweeps that were begun and not ended; somebody who gives up leaves one.
constexpr size_t kSweepsMax = 64;

bool is_possible(const Write& write) noexcept {
  if (!is_key(write.key)) return false;
  const bool of_bytes = write.kind == Write::Kind::patch || write.kind == Write::Kind::cut;
  const Shape shape = shape_of(write.key.collection);
  if (of_bytes && (write.number < 0 || (shape != Shape::single && shape != Shape::spread))) {
    return false;
  }
  const uint64_t offset =
      write.kind == Write::Kind::patch ? static_cast<uint64_t>(write.number) : 0;
  const uint64_t bytes = write.value.size() + write.payload.size();
  return offset <= kValueBytesMax && bytes <= kValueBytesMax - offset;
}

class RocksdbStore final : public Store {
 public:
  RocksdbStore(Reactor& reactor, const RocksdbOptions& options)
      : reactor_(reactor), options_(options), mailbox_(reactor) {
    flush_.run = [](Completion& self) noexcept { static_cast<Flush&>(self).store->flush(); };
    flush_.store = this;
  }
  ~RocksdbStore() override { DPFS_ASSERT(!claim_); }

  const Traits& traits() const noexcept override { return kTraits; }

  Op<Unit> open() override;
  Op<Unit> close() override;
  Op<Unit> get(std::span<Get> gets) override;
  Op<bool> scan(const Scan& scan, ScanReader& reader) override;
  Op<Unit> sweep(Sweep& sweep, ScanReader& reader) override;
  Op<Unit> commit(std::span<const Compare> compares, std::span<const Write> writes) override;
  Op<Unit> sync() override;
  Op<Space> space() override;

 private:
  struct Flush : Completion {
    RocksdbStore* store = nullptr;
  };
  // co_await: until the commit has been carried out.
  struct Committed : Commit {
    RocksdbStore& store;
    std::coroutine_handle<> waiter;
    explicit Committed(RocksdbStore& of) noexcept : Commit(of.mailbox_), store(of) {
      run = [](Completion& self) noexcept { static_cast<Committed&>(self).waiter.resume(); };
    }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      waiter = handle;
      store.enqueue(*this);
    }
    void await_resume() const noexcept {}
  };
  struct Synced : SyncWait {
    SyncQueue& queue;
    std::coroutine_handle<> waiter;
    Synced(Mailbox& mailbox, SyncQueue& of) noexcept : SyncWait(mailbox), queue(of) {
      run = [](Completion& self) noexcept { static_cast<Synced&>(self).waiter.resume(); };
    }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      waiter = handle;
      queue.add(*this);
    }
    void await_resume() const noexcept {}
  };

  Op<Unit> get_from_disk(std::span<Get> gets);
  Op<bool> scan_on(Walk walk, uint32_t records_max, ScanReader& reader);
  Op<Unit> sweep_on(Walk walk, Sweep& sweep, ScanReader& reader);
  Op<Unit> commit_in_group(std::span<const Compare> compares, std::span<const Write> writes);
  Op<Unit> sync_with_others();
  void enqueue(Commit& commit) noexcept;
  void flush() noexcept;

  Reactor& reactor_;
  const RocksdbOptions options_;
  Mailbox mailbox_;
  std::unique_ptr<Claim> claim_;
  std::string scratch_;
  Patience patience_;

  // Commits of this turn: they go to the database together, on the next.
  CompletionQueue pending_;
  Flush flush_;
  bool flush_is_due_ = false;
  uint32_t flushing_ = 0;  // flushes inside blocking()

  std::map<uint64_t, std::string> sweeps_;  // where each goes on
  uint64_t last_sweep_ = 0;
};

// ---- Opening and closing --------------------------------------------------------------------

Op<Unit> RocksdbStore::open() {
  if (const Result<Unit> ok = mailbox_.open(); !ok) co_return ok.error();
  std::unique_ptr<Claim> claim;
  auto call = [&]() noexcept {
    Errno why = Errno::none;
    claim = Claim::take(options_, why);
    return why;
  };
  const Errno why = co_await OnPool(mailbox_, call);
  claim_ = std::move(claim);
  if (why == Errno::none) co_return Unit{};
  mailbox_.close();
  co_return why;
}

Op<Unit> RocksdbStore::close() {
  if (!claim_) co_return Unit{};
  // A thread of this reactor may still be writing for others.
  while (flushing_ > 0) co_await NextTurn(reactor_);
  std::unique_ptr<Claim> claim = std::move(claim_);
  auto call = [&]() noexcept {
    claim.reset();
    return Errno::none;
  };
  co_await OnPool(mailbox_, call);
  mailbox_.close();
  sweeps_.clear();
  co_return Unit{};
}

// ---- Reading --------------------------------------------------------------------------------

Op<Unit> RocksdbStore::get(std::span<Get> gets) {
  if (!claim_) return Errno::stale;
  for (size_t i = 0; i < gets.size(); ++i) {
    const Result<bool> known =
        read_cached(claim_->database(), claim_->partition(), gets[i], scratch_);
    if (!known) return known.error();
    if (*known) continue;
    if (!patience_.tries()) return get_from_disk(gets.subspan(i));
    const uint64_t begun_ns = monotonic_ns();
    const Result<Unit> read = read_here(reactor_, claim_->database(), claim_->partition(), gets[i]);
    patience_.took(monotonic_ns() - begun_ns);
    if (!read) return read.error();
  }
  return Unit{};
}

Op<Unit> RocksdbStore::get_from_disk(std::span<Get> gets) {
  while (!gets.empty()) {
    const std::span<Get> some = gets.first(std::min(gets.size(), ReadBatch::kGetsMax));
    gets = gets.subspan(some.size());
    ReadBatch batch(claim_->database(), claim_->partition(), some);
    auto call = [&]() noexcept { return batch.read(); };
    const Errno why = co_await OnPool(mailbox_, call);
    if (why != Errno::none) co_return why;
    batch.deliver();
  }
  co_return Unit{};
}

Op<bool> RocksdbStore::scan(const Scan& scan, ScanReader& reader) {
  if (!claim_) return Errno::stale;
  const Shape shape = shape_of(scan.collection);
  if ((shape != Shape::named && shape != Shape::numbered) ||
      scan.after_name.size() > kNameBytesMax) {
    return Errno::inval;
  }
  const KeyText prefix = object_prefix(claim_->partition(), scan.collection, scan.object);
  KeyText next = prefix;
  KeyText end = prefix;
  if (shape == Shape::numbered) next.be64(scan.from_number);
  Walk walk{.collection = scan.collection,
            .next = std::string(next.view()),
            .end = std::string(end.behind().view())};
  if (shape == Shape::named && !scan.after_name.empty()) {
    walk.next.append(scan.after_name).push_back('\0');
  }
  return scan_on(std::move(walk), scan.records_max, reader);
}

Op<bool> RocksdbStore::scan_on(Walk walk, uint32_t records_max, ScanReader& reader) {
  Result<WalkEnd> end = WalkEnd::enough;
  while (records_max > 0) {
    uint32_t now = std::min(records_max, kScanRecordsPerTurn);
    records_max -= now;
    end = walk_cached(claim_->database(), walk, now, reader);
    records_max += now;
    if (!end) co_return end.error();
    if (*end == WalkEnd::over) co_return true;
    if (*end == WalkEnd::enough) {
      if (now > 0) co_return false;  // the reader's word
      co_await NextTurn(reactor_);
      continue;
    }
    RecordBuffer buffer;
    auto call = [&]() noexcept {
      end = read_ahead(claim_->database(), walk, records_max, buffer);
      return end ? Errno::none : end.error();
    };
    const Errno why = co_await OnPool(mailbox_, call);
    if (why != Errno::none) co_return why;
    const bool all = buffer.each([&](std::string_view key, std::string_view value) {
      const std::optional<DecodedKey> decoded = decode_key(key);
      return !decoded || reader.found(decoded->key, value);
    });
    if (!all) co_return false;
    if (*end == WalkEnd::over) co_return true;
  }
  co_return false;
}

Op<Unit> RocksdbStore::sweep(Sweep& sweep, ScanReader& reader) {
  if (!claim_) return Errno::stale;
  const KeyText prefix = collection_prefix(claim_->partition(), sweep.collection);
  KeyText end = prefix;
  Walk walk{.collection = sweep.collection,
            .next = std::string(prefix.view()),
            .end = std::string(end.behind().view())};
  if (sweep.cursor != 0) {
    const auto found = sweeps_.find(sweep.cursor);
    if (found == sweeps_.end()) return Errno::stale;
    walk.next = std::move(found->second);
    sweeps_.erase(found);
  }
  return sweep_on(std::move(walk), sweep, reader);
}

Op<Unit> RocksdbStore::sweep_on(Walk walk, Sweep& sweep, ScanReader& reader) {
  RecordBuffer buffer;
  uint32_t records_max = kSweepRecords;
  Result<WalkEnd> end = WalkEnd::over;
  auto call = [&]() noexcept {
    end = read_ahead(claim_->database(), walk, records_max, buffer);
    return end ? Errno::none : end.error();
  };
  const Errno why = co_await OnPool(mailbox_, call);
  if (why != Errno::none) co_return why;
  buffer.each([&](std::string_view key, std::string_view value) {
    const std::optional<DecodedKey> decoded = decode_key(key);
    if (decoded) static_cast<void>(reader.found(decoded->key, value));
    return true;
  });
  sweep.cursor = 0;
  if (*end == WalkEnd::over) co_return Unit{};
  if (sweeps_.size() == kSweepsMax) sweeps_.erase(sweeps_.begin());
  sweep.cursor = ++last_sweep_;
  sweeps_.emplace(sweep.cursor, std::move(walk.next));
  co_return Unit{};
}

// ---- Changing -------------------------------------------------------------------------------

Op<Unit> RocksdbStore::commit(std::span<const Compare> compares, std::span<const Write> writes) {
  if (!claim_) return Errno::stale;
  if (writes.size() > kTraits.commit_writes || !std::ranges::all_of(writes, is_possible) ||
      !std::ranges::all_of(compares, is_key, &Compare::key)) {
    return Errno::inval;
  }
  return commit_in_group(compares, writes);
}

Op<Unit> RocksdbStore::commit_in_group(std::span<const Compare> compares,
                                       std::span<const Write> writes) {
  Committed commit(*this);
  commit.partition = claim_->partition();
  commit.compares = compares;
  commit.writes = writes;
  co_await commit;
  if (commit.why != Errno::none) co_return commit.why;
  co_return Unit{};
}

void RocksdbStore::enqueue(Commit& commit) noexcept {
  pending_.push(commit);
  if (std::exchange(flush_is_due_, true)) return;
  reactor_.next_turn(flush_);
}

void RocksdbStore::flush() noexcept {
  flush_is_due_ = false;
  CommitQueue& commits = claim_->database().commits();
  if (!commits.add(pending_)) return;
  // The thread that has come to write does so until nobody has anything to be written; when that
  // takes long, another goes on as this reactor.
  ++flushing_;
  CompletionQueue done;
  reactor_.blocking([&] {
    commits.write_all(mailbox_, done);
    return true;
  });
  --flushing_;
  while (Completion* commit = done.pop()) reactor_.next_turn(*commit);
}

Op<Unit> RocksdbStore::sync() {
  if (!claim_) return Errno::stale;
  if (claim_->database().syncs().is_clean()) return Unit{};
  return sync_with_others();
}

Op<Unit> RocksdbStore::sync_with_others() {
  Synced synced(mailbox_, claim_->database().syncs());
  co_await synced;
  if (synced.why != Errno::none) co_return synced.why;
  co_return Unit{};
}

Op<Store::Space> RocksdbStore::space() {
  if (!claim_) return Errno::stale;
  const Database& database = claim_->database();
  return reactor_.blocking([&] { return database.space(); });
}

}  // namespace

bool is_rocksdb_partition_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kPartitionBytesMax &&
         std::ranges::all_of(name, [](char c) { return c > ' ' && c < '\x7f'; });
}

std::unique_ptr<Store> make_rocksdb_store(Reactor& reactor, const RocksdbOptions& options) {
  return std::make_unique<RocksdbStore>(reactor, options);
}

}  // namespace dpfs::kv
