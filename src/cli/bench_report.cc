// SPDX-License-Identifier: Apache-2.0
// The reports of `dpfs bench`.
#include "cli/bench_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace dpfs::cli {
namespace {

constexpr double kMiB = 1 << 20;

constexpr fmt::string_view kLine =
    "{:<12}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}{:>11}{:>8}{:>10}{:>8}{:>10}{:>9}\n";

std::string three_digits(double value) {
  return value < 10    ? fmt::format("{:.2f}", value)
         : value < 100 ? fmt::format("{:.1f}", value)
                       : fmt::format("{:.0f}", value);
}

// A job without operations has nothing to say about them.
std::string table_line(const BenchOutcome& outcome) {
  const bool idle = outcome.operations == 0;
  const bool known = outcome.has_daemon_cpu;
  const Histogram& latency = outcome.latency_ns;
  auto share = [&](uint64_t cpu_ns) {
    return fmt::format("{:.0f} %", outcome.per_second(cpu_ns) / 1e7);
  };
  auto time = [&](double nanoseconds) { return idle ? "-" : format_ns(nanoseconds); };
  auto quantile = [&](double fraction) {
    return time(static_cast<double>(latency.quantile(fraction)));
  };
  auto each = [&](uint64_t count) {
    return idle ? "-" : fmt::format("{:.3f}", outcome.per_operation(count));
  };
  return fmt::format(
      fmt::runtime(kLine), outcome.job,
      idle ? "-" : format_count(outcome.per_second(outcome.operations)),
      outcome.bytes == 0 ? "-" : three_digits(outcome.per_second(outcome.bytes) / kMiB),
      quantile(0.5), quantile(0.99), quantile(0.999), time(static_cast<double>(latency.max())),
      known ? time(outcome.per_operation(outcome.daemon_cpu_ns)) : "?",
      known ? share(outcome.daemon_cpu_ns) : "?",
      three_digits(static_cast<double>(outcome.daemon_rss_bytes) / kMiB) + " MiB",
      share(outcome.tenant_cpu_ns), each(outcome.kicks), each(outcome.interrupts));
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
  text += fmt::format(fmt::runtime(kLine), "job", "ops/s", "MiB/s", "p50", "p99", "p99.9", "max",
                      "daemon/op", "daemon", "RSS", "tenant", "kicks/op", "irqs/op");
  for (const BenchOutcome& outcome : outcomes) text += table_line(outcome);
  text +=
      "\ndaemon/op is the daemon's CPU time for each operation; daemon and tenant are shares of "
      "one core;\nRSS is the daemon's memory, the tenant's pages that it has touched included.\n";
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
