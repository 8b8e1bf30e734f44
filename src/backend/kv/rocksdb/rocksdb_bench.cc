// SPDX-License-Identifier: Apache-2.0
// What requests to the RocksDB engine cost.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <future>

#include "backend/kv/rocksdb/rocksdb_store.h"
#include "backend/kv/store_contract.h"

namespace dpfs::kv {
namespace {

class Sink final : public ValueReader, public ScanReader {
 public:
  void found(std::string_view value) noexcept override { benchmark::DoNotOptimize(value.data()); }
  bool found(const Key&, std::string_view value) noexcept override {
    benchmark::DoNotOptimize(value.data());
    return true;
  }
};

// A new database in a folder of its own, opened.
class Bench {
 public:
  Bench() {
    std::string name = (std::filesystem::temp_directory_path() / "dpfs-kv-XXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) path_ = name;
    client_ = std::make_unique<ContractClient>(
        reactor_,
        make_rocksdb_store(reactor_.reactor, {.path = path_ + "/database", .create = true}));
    if (client_->open() != Errno::none) std::abort();
  }
  ~Bench() {
    client_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ContractClient& client() noexcept { return *client_; }
  Store& store() noexcept { return client_->store(); }

  // Opened again, everything comes from tables, by way of the block cache.
  void reopen() {
    if (client_->close() != Errno::none || client_->open() != Errno::none) std::abort();
  }
  // Runs the benchmark's loop on the reactor, `lanes` of `one` at the same time.
  template <class F>
  void run(benchmark::State& state, size_t lanes, F one) {
    std::promise<void> done;
    reactor_.reactor.post([&] { measure(state, lanes, one, done); });
    done.get_future().wait();
  }

 private:
  template <class F>
  Detached measure(benchmark::State& state, size_t lanes, F& one, std::promise<void>& done) {
    uint64_t number = 0;
    for (auto _ : state) {  // NOLINT: how Google Benchmark counts
      if (lanes == 1) {
        Op<Unit> op = one(number++);
        const Result<Unit> ended = co_await std::move(op);
        if (!ended) std::abort();
        continue;
      }
      left_ = lanes;
      for (size_t i = 0; i < lanes; ++i) lane(one, number++);
      while (left_ > 0) co_await NextTurn(reactor_.reactor);
    }
    state.SetItemsProcessed(static_cast<int64_t>(number));
    done.set_value();
  }
  template <class F>
  Detached lane(F& one, uint64_t number) {
    Op<Unit> op = one(number);
    const Result<Unit> ended = co_await std::move(op);
    if (!ended) std::abort();
    --left_;
  }

  std::string path_;
  RunningReactor reactor_;
  std::unique_ptr<ContractClient> client_;
  size_t left_ = 0;
};

// Of 1000 records of so many bytes, from tables.
void get_warm(benchmark::State& state) {
  Bench bench;
  const std::string value = some_text(static_cast<size_t>(state.range(0)), 1);
  const auto key = [](uint64_t i) {
    return Key{.collection = Collection::contents, .object = i * 7919 % 1000};
  };
  for (uint64_t i = 0; i < 1000; ++i) bench.client().write(put(key(i), value));
  bench.reopen();
  for (uint64_t i = 0; i < 1000; ++i) bench.client().get(key(i));
  Sink sink;
  Get get{.reader = &sink};
  bench.run(state, 1, [&](uint64_t i) {
    get.key = key(i);
    return bench.store().get({&get, 1});
  });
}
BENCHMARK(get_warm)->Arg(256)->Arg(4096)->Arg(65536)->UseRealTime();

// Six small records, two comparisons, one of which is the same in all commits: so many at once.
struct Creation {
  std::string name;
  std::vector<Compare> compares;
  std::vector<Write> writes;
};
void commit_like_create(benchmark::State& state) {
  Bench bench;
  const Key session{.collection = Collection::session};
  bench.client().write(put(session, "owner"));
  const auto lanes = static_cast<size_t>(state.range(0));
  std::vector<Creation> creations(lanes);
  const std::string attributes = some_text(120, 1);
  bench.run(state, lanes, [&](uint64_t i) {
    Creation& mine = creations[i % lanes];
    mine.name = "file" + std::to_string(i);
    mine.compares = {begins_with(session, "owner"), absent(entry_key(1, mine.name))};
    mine.writes = {put(entry_key(1, mine.name), "12345678901"),
                   put(listing_key(1, i), mine.name),
                   put(inode_key(i + 10), attributes),
                   put(inode_key(1), attributes),
                   add(usage_key(0), 1),
                   add(usage_key(1), 4096)};
    return bench.store().commit(mine.compares, mine.writes);
  });
}
BENCHMARK(commit_like_create)->Arg(1)->Arg(32)->UseRealTime();

void put_chunk(benchmark::State& state) {
  Bench bench;
  const std::string value = some_text(65536, 1);
  std::vector<Write> writes(1);
  bench.run(state, 1, [&](uint64_t i) {
    writes[0] = put(chunk_key(i / 1000, i % 1000), value);
    return bench.store().commit({}, writes);
  });
}
BENCHMARK(put_chunk)->UseRealTime();

void patch_4k(benchmark::State& state) {
  Bench bench;
  const std::string value = some_text(65536, 1);
  for (uint64_t i = 0; i < 64; ++i) bench.client().write(put(chunk_key(1, i), value));
  std::vector<Write> writes(1);
  bench.run(state, 1, [&](uint64_t i) {
    writes[0] = patch(chunk_key(1, i * 7 % 64), static_cast<int64_t>(i % 16 * 4096),
                      std::string_view(value).substr(0, 4096));
    return bench.store().commit({}, writes);
  });
}
BENCHMARK(patch_4k)->UseRealTime();

Op<Unit> scan_all(Store& store, const Scan& scan, ScanReader& reader) {
  Op<bool> op = store.scan(scan, reader);
  const Result<bool> ended = co_await std::move(op);
  if (!ended) co_return ended.error();
  co_return Unit{};
}
void scan_100(benchmark::State& state) {
  Bench bench;
  std::vector<std::string> names;
  for (int i = 1000; i < 2000; ++i) names.push_back("file" + std::to_string(i));
  for (const std::string& name : names)
    bench.client().write(put(entry_key(1, name), "12345678901"));
  bench.reopen();
  bench.client().scan({.collection = Collection::entry, .object = 1});
  Sink sink;
  const Scan scan{
      .collection = Collection::entry, .object = 1, .after_name = "file1500", .records_max = 100};
  bench.run(state, 1, [&](uint64_t) { return scan_all(bench.store(), scan, sink); });
}
BENCHMARK(scan_100)->UseRealTime();

}  // namespace
}  // namespace dpfs::kv
