// SPDX-License-Identifier: Apache-2.0
// `dpfs bench`: connects, runs the jobs, prints.
#include "cli/bench.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "cli/bench_files.h"
#include "cli/bench_jobs.h"
#include "cli/bench_load.h"
#include "cli/bench_options.h"
#include "cli/bench_process.h"
#include "cli/bench_report.h"
#include "cli/bench_small_files.h"
#include "driver/tenant.h"

namespace dpfs::cli {
namespace {

driver::TenantOptions tenant_options(const BenchOptions& options) {
  driver::TenantOptions tenant;
  tenant.device.request_queues = options.queues;
  tenant.device.queue_size = options.queue_size;
  tenant.device.connect_wait_ms = options.connect_wait_ms;
  // Small files are made and removed many at a time, whatever is measured.
  const uint32_t per_queue = (options.depth + options.queues - 1) / options.queues;
  const auto batch = static_cast<uint32_t>(BatchOfFiles::kSlotsMax);
  tenant.client.calls_per_queue =
      std::max(per_queue, std::min<uint32_t>(batch, options.queue_size));
  // Room for the set-up's own requests too: a directory listing, and the fill of the data file in
  // large pieces where few requests are in flight anyway.
  constexpr uint32_t kSetUpSize = 128 << 10;
  constexpr uint32_t kManyCalls = 256;
  tenant.client.data_size = options.block_size;
  if (options.depth <= kManyCalls)
    tenant.client.data_size = std::max(options.block_size, kSetUpSize);
  tenant.client.data_size = std::max(tenant.client.data_size, 4096u);
  return tenant;
}

constexpr int kInterrupted = 128 + SIGINT;  // as the shell has it

class Progress {
 public:
  void show(const std::string& job, double seconds, uint64_t operations) {
    if (!terminal_) return;
    std::fprintf(stderr, "\r%-12s %5.1f s  %s/s   ", job.c_str(), seconds,
                 format_count(static_cast<double>(operations) / seconds).c_str());
  }
  void clear() {
    if (terminal_) std::fprintf(stderr, "\r%60s\r", "");
  }

 private:
  bool terminal_ = isatty(STDERR_FILENO) == 1;
};

int run(const BenchOptions& options) {
  driver::Tenant tenant(options.socket_path, tenant_options(options));
  Result<fuse::InitOut> init = tenant.mount.init();
  if (!init)
    throw BenchError(std::string("the device refuses FUSE_INIT: ") + describe(init.error()));
  if (tenant.client.agreement().max_write < options.block_size) {
    throw BenchError("the device takes at most " +
                     std::to_string(tenant.client.agreement().max_write) +
                     " bytes a request; ask for less with --bs");
  }
  const pid_t daemon = options.pid != 0 ? options.pid : tenant.device.connection().peer_pid();
  BenchDevice device;
  device.tag = tenant.device.tag();
  device.pid = daemon;
  device.process = process_name(daemon).text;
  device.fuse_minor = tenant.client.agreement().minor;
  device.queues_max =
      tenant.device.queues_max() == 0 ? 0 : tenant.device.queues_max() - virtio::kFirstRequestQueue;

  stop_bench_on_signals();
  std::shared_ptr<BenchFiles> files = make_bench_files(tenant, options);
  BenchLoad load(tenant, options, daemon);
  std::vector<BenchOutcome> outcomes;
  Progress progress;
  bool failed = false;
  try {
    for (const std::string& name : options.jobs) {
      if (bench_was_interrupted()) break;
      std::unique_ptr<BenchJob> job = make_bench_job(name, tenant, options, files);
      outcomes.push_back(load.run(name, *job, [&](double seconds, uint64_t operations) {
        progress.show(name, seconds, operations);
      }));
      progress.clear();
      if (outcomes.back().failure.empty()) continue;
      std::fprintf(stderr, "dpfs bench: %s failed: %s\n", name.c_str(),
                   outcomes.back().failure.c_str());
      failed = true;
    }
  } catch (...) {
    progress.clear();
    if (!tenant.device.connection().peer_has_closed()) files->remove();
    throw;
  }
  files->remove();
  // Also forgets every lookup; the device may answer as it likes.
  [[maybe_unused]] Result<Unit> ignored = tenant.mount.destroy();

  const std::string text =
      options.json ? bench_json(device, options, outcomes) : bench_table(device, options, outcomes);
  std::fputs(text.c_str(), stdout);
  if (bench_was_interrupted()) return kInterrupted;
  return failed ? 1 : 0;
}

}  // namespace

int bench_main(int argc, char** argv) {
  int exit_code = 0;
  std::optional<BenchOptions> options = parse_bench_options(argc, argv, exit_code);
  if (!options) return exit_code;
  try {
    return run(*options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dpfs bench: %s\n", error.what());
    return 1;
  }
}

}  // namespace dpfs::cli
