// SPDX-License-Identifier: Apache-2.0
// What requests to the Valkey engine cost, beside a bare GET over a socket. DPFS_SOURCE_DIR says
// where tools/rig/valkey.py is.
#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <future>

#include "backend/kv/store_contract.h"
#include "backend/kv/valkey/command.h"
#include "backend/kv/valkey/keys.h"
#include "backend/kv/valkey/valkey_rig.h"
#include "backend/kv/valkey/valkey_store.h"

namespace dpfs::kv {
namespace {

constexpr uint64_t kRecords = 1000;

class Sink final : public ValueReader {
 public:
  void found(std::string_view value) noexcept override { benchmark::DoNotOptimize(value.data()); }
};

ValkeyRig& rig() {
  static ValkeyRig servers({});
  return servers;
}

ValkeyOptions options() {
  ValkeyOptions its;
  its.servers = valkey_addresses(rig().address());
  return its;
}

Key key_of(uint64_t i) {
  return {.collection = Collection::contents, .object = i * 7919 % kRecords};
}

class Bench {
 public:
  Bench() {
    rig().tell("call 0 FLUSHALL SYNC");
    client_ =
        std::make_unique<ContractClient>(reactor_, make_valkey_store(reactor_.reactor, options()));
    if (client_->open() != Errno::none) std::abort();
  }
  ContractClient& client() noexcept { return *client_; }
  Store& store() noexcept { return client_->store(); }

  // Runs the benchmark's loop on the reactor, `lanes` of `one` at the same time.
  template <class F>
  void run(benchmark::State& state, uint64_t lanes, F one) {
    std::promise<void> done;
    reactor_.reactor.post([&] { measure(state, lanes, one, done); });
    done.get_future().wait();
  }

 private:
  template <class F>
  Detached measure(benchmark::State& state, uint64_t lanes, F& one, std::promise<void>& done) {
    uint64_t number = 0;
    for (auto _ : state) {  // NOLINT: how Google Benchmark counts
      left_ = lanes;
      for (uint64_t i = 0; i < lanes; ++i) lane(one, number++);
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

  RunningReactor reactor_;
  std::unique_ptr<ContractClient> client_;
  uint64_t left_ = 0;
};

void fill(Bench& bench, size_t bytes) {
  const std::string value = some_text(bytes, 1);
  for (uint64_t i = 0; i < kRecords; ++i) bench.client().write(put(key_of(i), value));
}

// The least that any client takes: it waits in recv().
void bare_get(benchmark::State& state) {
  Bench bench;
  fill(bench, static_cast<size_t>(state.range(0)));
  const Address address = options().servers.at(0);
  const Fd socket(::socket(address.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* where = reinterpret_cast<const sockaddr*>(&address.bytes);
  if (connect(socket.get(), where, address.size) != 0) std::abort();
  const int on = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const valkey::Keys keys("main");
  const size_t wanted = static_cast<size_t>(state.range(0)) +
                        ("$" + std::to_string(state.range(0)) + "\r\n\r\n").size();
  std::string answer(wanted, '\0');
  uint64_t i = 0;
  for (auto _ : state) {  // NOLINT: how Google Benchmark counts
    const std::string command = valkey::command({"GET", keys.record(key_of(i++)).view()});
    if (send(socket.get(), command.data(), command.size(), 0) < 0) std::abort();
    if (recv(socket.get(), answer.data(), wanted, MSG_WAITALL) < 0) std::abort();
  }
}
BENCHMARK(bare_get)->Arg(256)->Arg(4096)->UseRealTime();

void get(benchmark::State& state) {
  Bench bench;
  fill(bench, static_cast<size_t>(state.range(0)));
  Sink sink;
  const auto lanes = static_cast<uint64_t>(state.range(1));
  std::vector<Get> gets(lanes);
  bench.run(state, lanes, [&](uint64_t i) {
    Get& mine = gets[i % lanes];
    mine = {.key = key_of(i), .reader = &sink};
    return bench.store().get({&mine, 1});
  });
}
BENCHMARK(get)->Args({256, 1})->Args({4096, 1})->Args({4096, 32})->UseRealTime();

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
  const auto lanes = static_cast<uint64_t>(state.range(0));
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

}  // namespace
}  // namespace dpfs::kv
