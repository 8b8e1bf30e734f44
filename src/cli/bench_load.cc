// SPDX-License-Identifier: Apache-2.0
// The load: requests in flight, one batch after the other.
//
// Nothing here allocates or makes a system call for each operation; the clock is read once for each
// batch of replies.
#include "cli/bench_load.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "cli/bench_process.h"

namespace dpfs::cli {
namespace {

constexpr uint64_t kNsPerSecond = 1'000'000'000;
constexpr uint64_t kProgressNs = kNsPerSecond / 4;

uint64_t clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * kNsPerSecond + static_cast<uint64_t>(now.tv_nsec);
}

void sleep_ns(uint64_t nanoseconds) {
  timespec pause{.tv_sec = static_cast<time_t>(nanoseconds / kNsPerSecond),
                 .tv_nsec = static_cast<long>(nanoseconds % kNsPerSecond)};
  nanosleep(&pause, nullptr);
}

uint64_t to_ns(double seconds) { return static_cast<uint64_t>(seconds * 1e9); }

volatile std::sig_atomic_t interrupted = 0;

}  // namespace

void stop_bench_on_signals() {
  struct sigaction action{};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = SA_RESETHAND;
  for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

bool bench_was_interrupted() noexcept { return interrupted != 0; }

BenchLoad::BenchLoad(driver::Tenant& tenant, const BenchOptions& options, pid_t daemon)
    : tenant_(tenant), options_(options), daemon_(daemon), slots_(options.depth) {
  tenant_.client.set_sleep(options.sleep);
}

BenchLoad::~BenchLoad() = default;

BenchOutcome BenchLoad::run(const std::string& name, BenchJob& job, const BenchProgress& progress) {
  outcome_ = {};
  outcome_.job = name;
  job_ = &job;
  job.set_up(options_.depth);

  stopping_ = false;
  operations_wanted_ = 0;
  if (job.idle()) {
    // What the daemon may still do about the set-up is not idleness.
    sleep_ns(to_ns(options_.warmup_seconds));
    measure(progress);
    return std::move(outcome_);
  }
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    BenchSlot& slot = slots_[i];
    slot = {};
    slot.index = i;
    slot.call = tenant_.client.take(virtio::kFirstRequestQueue + i % options_.queues);
    if (slot.call == nullptr) throw BenchError("a request was lost earlier; connect again");
    slot.call->mark = i;
    slot.call->context = this;
    slot.call->done = on_completion;
  }
  now_ns_ = clock_ns(CLOCK_MONOTONIC);
  warm_up();
  measure(progress);
  drain();
  for (BenchSlot& slot : slots_) tenant_.client.give(*slot.call);

  job.tear_down();
  outcome_.failure = job.failure();
  return std::move(outcome_);
}

void BenchLoad::submit(BenchSlot& slot) noexcept {
  job_->fill(slot);
  // The ring is larger than all calls together, so there is room.
  tenant_.client.submit(*slot.call);
  ++in_flight_;
}

void BenchLoad::on_completion(driver::Call& call, void* load) noexcept {
  auto* self = static_cast<BenchLoad*>(load);
  self->completed(self->slot_of(call));
}

void BenchLoad::completed(BenchSlot& slot) noexcept {
  if (now_is_old_) {
    now_ns_ = clock_ns(CLOCK_MONOTONIC);
    now_is_old_ = false;
  }
  --in_flight_;
  const BenchStep step = job_->completed(slot);
  if (step == BenchStep::next) return submit(slot);
  outcome_.latency_ns.record(now_ns_ - slot.begun_ns);
  ++outcome_.operations;
  if (step == BenchStep::failed) ++outcome_.failures;
  if (stopping_ || (operations_wanted_ != 0 && operations_begun_ == operations_wanted_)) return;
  ++operations_begun_;
  slot.begun_ns = now_ns_;
  submit(slot);
}

// One batch of replies, and the requests that follow them.
void BenchLoad::turn() {
  now_is_old_ = true;
  if (Result<uint32_t> some = tenant_.client.wait(); !some) {
    throw BenchError(some.error() == Errno::notconn
                         ? std::string("the daemon closed the connection; its log says why")
                         : std::string("waiting for replies: ") + describe(some.error()));
  }
  job_->between();
}

// Starts everything; from here on, each completion starts its successor.
void BenchLoad::warm_up() {
  for (BenchSlot& slot : slots_) {
    slot.begun_ns = now_ns_;
    submit(slot);
  }
  const uint64_t end_ns = now_ns_ + to_ns(options_.warmup_seconds);
  while (now_ns_ < end_ns && may_go_on()) turn();
}

void BenchLoad::measure(const BenchProgress& progress) {
  tenant_.client.clear_counters();
  outcome_.latency_ns.clear();
  outcome_.operations = 0;
  outcome_.failures = 0;
  operations_wanted_ = options_.operations;
  operations_begun_ = std::min<uint64_t>(in_flight_, operations_wanted_);

  const Result<uint64_t> daemon_before = process_cpu_ns(daemon_);
  const uint64_t tenant_before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  const uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
  job_->idle() ? rest(progress) : send(progress);
  outcome_.seconds = static_cast<double>(clock_ns(CLOCK_MONOTONIC) - begun_ns) / 1e9;
  outcome_.tenant_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - tenant_before;
  const Result<uint64_t> daemon_after = process_cpu_ns(daemon_);
  outcome_.has_daemon_cpu = daemon_before && daemon_after;
  if (outcome_.has_daemon_cpu) outcome_.daemon_cpu_ns = *daemon_after - *daemon_before;
  if (Result<uint64_t> rss = process_rss(daemon_)) outcome_.daemon_rss_bytes = *rss;
  const driver::Queue::Counters queues = tenant_.client.queue_counters();
  outcome_.kicks = queues.kicks;
  outcome_.interrupts = queues.interrupts;
  outcome_.bad_replies = tenant_.client.counters().bad_replies + queues.broken;
  outcome_.bytes = outcome_.operations * job_->bytes();
}

void BenchLoad::send(const BenchProgress& progress) {
  const uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
  const uint64_t end_ns =
      options_.operations != 0 ? UINT64_MAX : begun_ns + to_ns(options_.seconds);
  uint64_t progress_ns = begun_ns + kProgressNs;
  while (now_ns_ < end_ns && may_go_on()) {
    if (operations_wanted_ != 0 && outcome_.operations >= operations_wanted_) break;
    turn();
    if (now_ns_ < progress_ns) continue;
    progress_ns = now_ns_ + kProgressNs;
    if (progress) progress(static_cast<double>(now_ns_ - begun_ns) / 1e9, outcome_.operations);
  }
}

void BenchLoad::rest(const BenchProgress& progress) const {
  const uint64_t wanted_ns = to_ns(options_.seconds);
  for (uint64_t slept_ns = 0; slept_ns < wanted_ns && may_go_on(); slept_ns += kProgressNs) {
    sleep_ns(std::min(kProgressNs, wanted_ns - slept_ns));
    if (progress) progress(static_cast<double>(slept_ns + kProgressNs) / 1e9, 0);
  }
}

// What is still in flight is waited for, and no longer counted. A job of several steps ends its
// operations.
void BenchLoad::drain() {
  const BenchOutcome measured = outcome_;
  stopping_ = true;
  while (in_flight_ > 0) turn();
  job_->between();
  outcome_ = measured;
}

}  // namespace dpfs::cli
