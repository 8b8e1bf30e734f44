// SPDX-License-Identifier: Apache-2.0
// How fast the responder answers READ from prepared bytes: the floor under what any client can do.
// The argument is the depth; the client's side is as cheap as can be, and does not look at payload.
#include <benchmark/benchmark.h>
#include <ctime>

#include "responder/raw_load_harness.h"
#include "responder/responder.h"

namespace dpfs::responder {

namespace {

double cpu_ns(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

// Of the responder's thread: what the process uses, and this thread does not.
double responder_cpu_ns() {
  return cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns(CLOCK_THREAD_CPUTIME_ID);
}

void read_prepared(benchmark::State& state, uint32_t bytes) {
  Options options;
  options.record = false;
  Responder responder(options);
  responder.put_prepared_file("data", uint64_t{1} << 34);
  RawClient client(responder.port());
  client.slots = 64;
  client.begin();
  RawLoad load(client, client.open("data"), bytes, static_cast<uint32_t>(state.range(0)));
  const double begin_ns = responder_cpu_ns();
  for (auto _ : state) {
    if (!load.turn()) return state.SkipWithError("no answer");
  }
  state.counters["responder_cpu_ns_per_read"] =
      (responder_cpu_ns() - begin_ns) / static_cast<double>(load.answered);
  state.SetItemsProcessed(static_cast<int64_t>(load.answered));
  state.SetBytesProcessed(static_cast<int64_t>(load.answered * bytes));
}

void read_4_kib(benchmark::State& state) { read_prepared(state, 4096); }
void read_1_mib(benchmark::State& state) { read_prepared(state, 1 << 20); }

BENCHMARK(read_4_kib)->Arg(1)->Arg(32)->UseRealTime();
BENCHMARK(read_1_mib)->Arg(1)->Arg(8)->UseRealTime();

}  // namespace

}  // namespace dpfs::responder
