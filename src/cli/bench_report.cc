// SPDX-License-Identifier: Apache-2.0
// The reports of `dpfs bench`.
#include "cli/bench_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace dpfs::cli {
namespace {

constexpr double kMiB = 1 << 20;

std::string three_digits(double value) {
  return value < 10    ? fmt::format("{:.2f}", value)
         : value < 100 ? fmt::format("{:.1f}", value)
                       : fmt::format("{:.0f}", value);
}

}  // namespace

std::string format_ns(double nanoseconds) {
  if (nanoseconds < 1e3) return fmt::format("{:.0f} ns", nanoseconds);
  if (nanoseconds < 1e6) return three_digits(nanoseconds / 1e3) + " us";
  if (nanoseconds < 1e9) return three_digits(nanoseconds / 1e6) + " ms";
  return three_digits(nanoseconds / 1e9) + " s";
}

std::string format_count(double count) {
  if (count < 1e3) return three_digits(count);
  if (count < 1e6) return three_digits(count / 1e3) + " k";
  return three_digits(count / 1e6) + " M";
}

std::string bench_table(const BenchDevice& device, const BenchOptions& options,
                        const std::vector<BenchOutcome>& outcomes) {
  std::string text = fmt::format(
      "{} (pid {}), FUSE 7.{}, tag {}; {} in flight on {} queue(s), {} bytes, {}\n\n",
      device.process, device.pid, device.fuse_minor, device.tag.empty() ? "not told" : device.tag,
      options.depth, options.queues, options.block_size, options.sleep ? "sleeping" : "polling");
  text += fmt::format("{:<12}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}{:>11}{:>10}{:>10}{:>9}{:>9}\n",
                      "job", "ops/s", "MiB/s", "p50", "p99", "p99.9", "max", "daemon/op", "daemon",
                      "tenant", "kicks/op", "irqs/op");
  for (const BenchOutcome& outcome : outcomes) {
    const Histogram& latency = outcome.latency_ns;
    auto quantile = [&](double fraction) {
      return format_ns(static_cast<double>(latency.quantile(fraction)));
    };
    auto percent = [&](uint64_t cpu_ns) {
      return fmt::format("{:.0f} %", outcome.per_second(cpu_ns) / 1e7);
    };
    text += fmt::format(
        "{:<12}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}{:>11}{:>10}{:>10}{:>9.3f}{:>9.3f}\n",
        outcome.job, format_count(outcome.per_second(outcome.operations)),
        outcome.bytes == 0 ? "-" : three_digits(outcome.per_second(outcome.bytes) / kMiB),
        quantile(0.5), quantile(0.99), quantile(0.999),
        format_ns(static_cast<double>(latency.max())),
        outcome.has_daemon_cpu ? format_ns(outcome.per_operation(outcome.daemon_cpu_ns)) : "?",
        outcome.has_daemon_cpu ? percent(outcome.daemon_cpu_ns) : "?",
        percent(outcome.tenant_cpu_ns), outcome.per_operation(outcome.kicks),
        outcome.per_operation(outcome.interrupts));
  }
  text +=
      "\ndaemon/op is the daemon's CPU time for each operation; daemon and tenant are shares of "
      "one core.\n";
  return text;
}

std::string bench_json(const BenchDevice& device, const BenchOptions& options,
                       const std::vector<BenchOutcome>& outcomes) {
  using nlohmann::ordered_json;
  ordered_json jobs = ordered_json::array();
  for (const BenchOutcome& outcome : outcomes) {
    const Histogram& latency = outcome.latency_ns;
    ordered_json job = {
        {"job", outcome.job},
        {"seconds", outcome.seconds},
        {"operations", outcome.operations},
        {"operations_per_second", outcome.per_second(outcome.operations)},
        {"bytes_per_second", outcome.per_second(outcome.bytes)},
        {"latency_ns",
         {{"mean", latency.mean()},
          {"p50", latency.quantile(0.5)},
          {"p99", latency.quantile(0.99)},
          {"p99_9", latency.quantile(0.999)},
          {"max", latency.max()}}},
        {"kicks_per_operation", outcome.per_operation(outcome.kicks)},
        {"interrupts_per_operation", outcome.per_operation(outcome.interrupts)},
        {"daemon_cpu_ns_per_operation", nullptr},
        {"daemon_cpu_ns", nullptr},
        {"daemon_rss_bytes", outcome.daemon_rss_bytes},
        {"tenant_cpu_ns_per_operation", outcome.per_operation(outcome.tenant_cpu_ns)},
        {"failures", outcome.failures},
        {"failure", outcome.failure},
        {"bad_replies", outcome.bad_replies},
    };
    if (outcome.has_daemon_cpu) {
      job["daemon_cpu_ns_per_operation"] = outcome.per_operation(outcome.daemon_cpu_ns);
      job["daemon_cpu_ns"] = outcome.daemon_cpu_ns;
    }
    jobs.push_back(std::move(job));
  }
  ordered_json report = {
      {"device",
       {{"process", device.process},
        {"pid", device.pid},
        {"tag", device.tag},
        {"fuse_minor", device.fuse_minor},
        {"request_queues_max", device.queues_max}}},
      {"load",
       {{"block_size", options.block_size},
        {"depth", options.depth},
        {"queues", options.queues},
        {"queue_size", options.queue_size},
        {"file_size", options.file_size},
        {"wait", options.sleep ? "sleep" : "poll"},
        {"verify", options.verify},
        {"seed", options.seed}}},
      {"jobs", std::move(jobs)},
  };
  return report.dump(2) + "\n";
}

}  // namespace dpfs::cli
