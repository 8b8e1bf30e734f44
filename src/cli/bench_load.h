// SPDX-License-Identifier: Apache-2.0
// Runs one job: keeps `depth` requests in flight for a while, and measures.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "cli/bench_jobs.h"
#include "cli/bench_options.h"
#include "driver/tenant.h"

namespace dpfs::cli {

struct BenchOutcome {
  std::string job;
  double seconds = 0;
  uint64_t operations = 0;
  uint64_t bytes = 0;
  uint64_t failures = 0;
  std::string failure;  // the first one
  uint64_t kicks = 0;
  uint64_t interrupts = 0;
  uint64_t bad_replies = 0;
  uint64_t daemon_cpu_ns = 0;
  bool has_daemon_cpu = false;
  uint64_t daemon_rss_bytes = 0;  // at the end
  uint64_t tenant_cpu_ns = 0;
  Histogram latency_ns;

  double per_operation(uint64_t count) const noexcept {
    return operations == 0 ? 0 : static_cast<double>(count) / static_cast<double>(operations);
  }
  double per_second(uint64_t count) const noexcept {
    return seconds <= 0 ? 0 : static_cast<double>(count) / seconds;
  }
};

// Called a few times a second, from inside the load.
using BenchProgress = std::function<void(double seconds, uint64_t operations)>;

// From now on SIGINT and SIGTERM end the measurement early, so that its files are removed and what
// was measured is shown; a second one ends the program as ever.
void stop_bench_on_signals();
bool bench_was_interrupted() noexcept;

class BenchLoad {
 public:
  // `daemon` is the process whose CPU time counts; 0 for none.
  BenchLoad(driver::Tenant& tenant, const BenchOptions& options, pid_t daemon);
  ~BenchLoad();
  BenchLoad(const BenchLoad&) = delete;
  BenchLoad& operator=(const BenchLoad&) = delete;

  // Sets the job up, warms up, measures, tears down. Throws BenchError where the job cannot even
  // begin, or the device is gone; an operation that fails is in the outcome.
  BenchOutcome run(const std::string& name, BenchJob& job, const BenchProgress& progress);

 private:
  static void on_completion(driver::Call& call, void* load) noexcept;
  void completed(BenchSlot& slot) noexcept;
  void submit(BenchSlot& slot) noexcept;
  void turn();
  void warm_up();
  void measure(const BenchProgress& progress);
  void send(const BenchProgress& progress);
  void rest(const BenchProgress& progress) const;
  void drain();
  bool may_go_on() const noexcept { return job_->failure().empty() && !bench_was_interrupted(); }
  BenchSlot& slot_of(driver::Call& call) noexcept { return slots_[call.mark]; }

  driver::Tenant& tenant_;
  const BenchOptions& options_;
  pid_t daemon_;
  std::vector<BenchSlot> slots_;
  BenchJob* job_ = nullptr;
  uint32_t in_flight_ = 0;
  bool stopping_ = false;
  uint64_t operations_wanted_ = 0;  // 0: no limit
  uint64_t operations_begun_ = 0;
  uint64_t now_ns_ = 0;     // of the batch that is being looked at
  bool now_is_old_ = true;  // the next completion looks at the clock
  BenchOutcome outcome_;
};

}  // namespace dpfs::cli
