// SPDX-License-Identifier: Apache-2.0
// What one 4 KiB read takes with nothing else in flight: by the bare requests of a client that
// looks at nothing, and by the file system. Server and client poll, each on a processor of its own,
// so the difference is the file system's and the reactor's. There is no device: `dpfs bench`
// measures that on the null device.
#include <benchmark/benchmark.h>

#include "backend/nfs/nfs_fs_harness.h"
#include "responder/raw_load_harness.h"

namespace dpfs::nfs {
namespace {

constexpr uint32_t kReadBytes = 4096;
constexpr uint64_t kFileBytes = uint64_t{1} << 30;
constexpr int kReads = 20'000;  // of one iteration

responder::Options as_fast_as_it_can() {
  responder::Options options;
  options.record = false;
  options.spin = true;
  return options;
}

void tell_time_of_one(benchmark::State& state) {
  using benchmark::Counter;
  state.counters["one_read"] = Counter(static_cast<double>(state.iterations()) * kReads,
                                       Counter::kIsRate | Counter::kInvert);
}

void bare_requests(benchmark::State& state) {
  Responder server(as_fast_as_it_can());
  server.put_prepared_file("data", kFileBytes);
  responder::RawClient client(server.port());
  client.begin();
  responder::RawLoad load(client, client.open("data"), kReadBytes, 1);
  for (auto _ : state) {
    for (int i = 0; i < kReads; ++i) {
      if (!load.turn()) return state.SkipWithError("no answer");
    }
  }
  tell_time_of_one(state);
}

class Reader {
 public:
  Reader(NfsFs& fs, Request& request, NfsFsHarness::File file)
      : fs_(fs), request_(request), file_(file) {}

  Detached read_on(std::promise<bool>& done) {
    const iovec part{buffer_, sizeof buffer_};
    bool good = true;
    for (int i = 0; i < kReads && good; ++i) {
      offset_ = (offset_ + 7919 * kReadBytes) % kFileBytes;
      Op<uint32_t> reading = fs_.read(request_, {.node = file_.node,
                                                 .handle = file_.handle,
                                                 .offset = offset_,
                                                 .flags = 0,
                                                 .into = IoView({&part, 1})});
      const Result<uint32_t> bytes = co_await reading;
      good = bytes && *bytes == kReadBytes;
    }
    done.set_value(good);
  }

 private:
  NfsFs& fs_;
  Request& request_;
  NfsFsHarness::File file_;
  uint64_t offset_ = 0;
  char buffer_[kReadBytes] = {};
};

void file_system(benchmark::State& state) {
  NfsFsHarness harness(as_fast_as_it_can());
  harness.server.put_prepared_file(NfsFsHarness::path("data"), kFileBytes);
  const NodeId node = harness.node("data");
  const NfsFsHarness::File file{node, harness.open(node, O_RDONLY)};
  Reader reader(harness.fs(), harness.request(), file);
  for (auto _ : state) {
    std::promise<bool> done;
    harness.on_reactor([&] { reader.read_on(done); });
    if (!done.get_future().get()) return state.SkipWithError("a read failed");
  }
  tell_time_of_one(state);
  harness.release(file);
}

// An iteration is 20,000 reads: whoever starts it wants a processor, too.
BENCHMARK(bare_requests)->UseRealTime();
BENCHMARK(file_system)->UseRealTime();

}  // namespace
}  // namespace dpfs::nfs
