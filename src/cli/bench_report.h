// SPDX-License-Identifier: Apache-2.0
// How `dpfs bench` prints: a table for people, JSON for programs.
#pragma once

#include <string>
#include <vector>

#include "cli/bench_load.h"
#include "cli/bench_options.h"

namespace dpfs::cli {

struct BenchDevice {
  std::string tag;
  int pid = 0;
  std::string process;
  uint32_t fuse_minor = 0;
  uint32_t queues_max = 0;  // request queues; 0 where the device does not say
};

std::string bench_table(const BenchDevice& device, const BenchOptions& options,
                        const std::vector<BenchOutcome>& outcomes);
std::string bench_json(const BenchDevice& device, const BenchOptions& options,
                       const std::vector<BenchOutcome>& outcomes);

// "1.94 us", "240 k/s": three digits and a unit.
std::string format_ns(double nanoseconds);
std::string format_count(double count);

}  // namespace dpfs::cli
