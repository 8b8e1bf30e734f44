// SPDX-License-Identifier: Apache-2.0
// Block by block, and the superblock at the end.
#include "backend/kv/stream/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace dpfs::kv {
namespace {

// In one commit.
constexpr size_t kWritesMax = 64;
constexpr size_t kWritesBytesMax = size_t{1} << 20;

constexpr std::array kAll{
#define DPFS_KV_COLLECTION(name, shape, letter) Collection::name,
#include "backend/kv/collections.def"
};

bool same(const Key& one, const Key& other) noexcept {
  return one.collection == other.collection && one.object == other.object &&
         one.number == other.number && one.name == other.name;
}

}  // namespace

Errno Import::broken(std::string why) {
  problem_ = std::move(why);
  return Errno::inval;
}

Op<Unit> Import::run() {
  Result<Unit> ok = co_await read_header();
  if (!ok) co_return ok;
  const Result<bool> taken = co_await has_records(store_);
  if (!taken) co_return taken.error();
  if (*taken) {
    problem_ = "there is a file system already, or what is left of one";
    co_return Errno::exist;
  }
  ok = co_await read_blocks();
  if (ok) ok = co_await finish();
  if (ok || !has_written_) co_return ok;
  const Result<Unit> erased = co_await erase_all(reactor_, store_, progress_);
  if (!erased) problem_ += "; what was written is not a file system, and could not be erased";
  co_return ok;
}

Op<Unit> Import::read_header() {
  std::array<char, kStreamHeaderBytes> room;
  const Result<Unit> got = co_await read(room);
  if (!got) {
    if (got.error() == Errno::inval) problem_ = "this is no exported file system";
    co_return got;
  }
  StreamHeader header;
  if (!decode(std::string_view(room.data(), room.size()), header)) {
    co_return broken("this is no exported file system");
  }
  if (header.version > kStreamVersion || header.format > kFormat) {
    co_return broken(fmt::format(
        "the stream is of version {} and format {}; {} and {} are the newest that this dpfs knows",
        header.version, header.format, kStreamVersion, kFormat));
  }
  co_return Unit{};
}

Op<Unit> Import::read_blocks() {
  while (true) {
    const Result<bool> more = co_await read_block();
    if (!more) co_return more.error();
    if (!*more) co_return Unit{};
  }
}

// False: it was the last one.
Op<bool> Import::read_block() {
  std::array<char, kBlockHeaderBytes> room;
  Result<Unit> ok = co_await read(room);
  if (!ok) co_return ok.error();
  BlockHeader header;
  if (!decode(std::string_view(room.data(), room.size()), header) || header.number != blocks_ + 1) {
    co_return broken(fmt::format("block {} is broken", blocks_ + 1));
  }
  payload_.resize(header.bytes);
  ok = co_await read(payload_);
  if (!ok) co_return ok.error();
  if (!is_whole(header, payload_)) co_return broken(fmt::format("block {} is broken", blocks_ + 1));
  ++blocks_;
  if (header.records > 0) {
    ok = co_await write_records(payload_, header.records);
    if (!ok) co_return ok.error();
    co_return true;
  }
  uint64_t total = 0;
  if (!decode_total(payload_, total) || total != records_) {
    co_return broken("its last block does not fit the others");
  }
  co_return false;
}

Op<Unit> Import::read(std::span<char> into) {
  size_t got = 0;
  const Errno why = reactor_.blocking([&] { return source_.read(into, got); });
  if (why != Errno::none) {
    problem_ = fmt::format("cannot be read: {}", describe(why));
    co_return why;
  }
  bytes_ += got;
  progress_.is_at("bytes read", bytes_, 0);
  if (got < into.size()) co_return broken("it ends too early");
  co_return Unit{};
}

Op<Unit> Import::write_records(std::string_view payload, uint32_t count) {
  BlockReader reader(payload);
  Key key{};
  std::string_view value;
  while (reader.next(key, value)) {
    ++records_;
    --count;
    if (key.collection == Collection::session) continue;
    if (key.collection == Collection::superblock) {
      superblock_ = value;
      continue;
    }
    const Result<Unit> added = co_await add(key, value);
    if (!added) co_return added;
  }
  if (reader.is_broken() || count != 0) {
    co_return broken(fmt::format("a record in block {} is broken", blocks_));
  }
  const Result<Unit> done = co_await flush();
  co_return done;
}

Op<Unit> Import::add(const Key& key, std::string_view value) {
  const Write write{.kind = Write::Kind::put, .key = key, .value = value};
  // A record may come twice, but not in one commit.
  const bool again =
      std::ranges::any_of(writes_, [&](const Write& other) { return same(other.key, write.key); });
  const size_t most = std::min<size_t>(kWritesMax, store_.traits().commit_writes);
  if (again || writes_.size() == most || writes_bytes_ + value.size() > kWritesBytesMax) {
    const Result<Unit> flushed = co_await flush();
    if (!flushed) co_return flushed;
  }
  writes_.push_back(write);
  writes_bytes_ += write.value.size();
  co_return Unit{};
}

Op<Unit> Import::flush() {
  if (writes_.empty()) co_return Unit{};
  has_written_ = true;
  // Nobody has made a file system here meanwhile.
  const Compare none{.key = {.collection = Collection::superblock}};
  const Result<Unit> done = co_await store_.commit({&none, 1}, writes_);
  writes_.clear();
  writes_bytes_ = 0;
  if (!done) problem_ = fmt::format("cannot be written: {}", describe(done.error()));
  if (!done && done.error() == kCompareFailed) {
    has_written_ = false;  // it is not ours to erase
    problem_ = "somebody else has made a file system there meanwhile";
  }
  co_return done;
}

Op<Unit> Import::finish() {
  Superblock superblock;
  if (!decode(superblock_, superblock) || superblock.format > kFormat) {
    co_return broken("it has no superblock, or one that cannot be read");
  }
  Result<Unit> ok = co_await store_.sync();
  if (!ok) co_return ok;
  writes_.assign(1, {.kind = Write::Kind::put,
                     .key = {.collection = Collection::superblock},
                     .value = superblock_});
  ok = co_await flush();
  if (ok) ok = co_await store_.sync();
  co_return ok;
}

// ---- All records --------------------------------------------------------------------------------

namespace {

struct FirstRecord final : ScanReader {
  bool found(const Key&, std::string_view) noexcept override {
    is_there = true;
    return false;
  }
  bool is_there = false;
};

// Keys of a sweep's step, to be erased when it is done.
struct Keys final : ScanReader {
  bool found(const Key& key, std::string_view) noexcept override {
    names.emplace_back(key.name);
    keys.push_back(key);
    keys.back().name = names.back();
    return true;
  }
  std::deque<std::string> names;  // they stay where they are
  std::vector<Key> keys;
};

Op<Unit> erase(Store& store, std::span<const Key> keys) {
  const size_t most = std::min<size_t>(kWritesMax, store.traits().commit_writes);
  std::vector<Write> writes;
  for (const Key& key : keys) {
    const bool again =
        std::ranges::any_of(writes, [&](const Write& other) { return same(other.key, key); });
    if (!again) writes.push_back({.kind = Write::Kind::erase, .key = key});
    if (writes.size() < most && &key != &keys.back()) continue;
    const Result<Unit> done = co_await store.commit({}, writes);
    if (!done) co_return done;
    writes.clear();
  }
  co_return Unit{};
}

}  // namespace

Op<bool> has_records(Store& store) {
  for (const Collection collection : kAll) {
    if (collection == Collection::session) continue;
    FirstRecord first;
    Sweep sweep{.collection = collection};
    do {
      const Result<Unit> swept = co_await store.sweep(sweep, first);
      if (!swept) co_return swept.error();
    } while (sweep.cursor != 0 && !first.is_there);
    if (first.is_there) co_return true;
  }
  co_return false;
}

Op<Unit> erase_all(Reactor& reactor, Store& store, Progress& progress) {
  uint64_t erased = 0;
  for (const Collection collection : kAll) {
    Sweep sweep{.collection = collection};
    do {
      Keys found;
      Result<Unit> ok = co_await store.sweep(sweep, found);
      if (ok) ok = co_await erase(store, found.keys);
      if (!ok) co_return ok;
      erased += found.keys.size();
      progress.is_at("records erased", erased, 0);
      co_await NextTurn(reactor);
    } while (sweep.cursor != 0);
  }
  const Result<Unit> synced = co_await store.sync();
  co_return synced;
}

}  // namespace dpfs::kv
