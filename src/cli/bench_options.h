// SPDX-License-Identifier: Apache-2.0
// What the command line of `dpfs bench` says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dpfs::cli {

struct BenchOptions {
  std::string socket_path;
  std::vector<std::string> jobs;
  uint32_t block_size = 4096;
  uint32_t depth = 32;  // requests in flight, over all queues
  uint32_t queues = 1;
  uint16_t queue_size = 128;
  double seconds = 3;
  uint64_t operations = 0;  // 0: as many as fit into `seconds`
  double warmup_seconds = 0.5;
  uint64_t file_size = 256ull << 20;
  std::string path;       // of the data file; empty: one of the benchmark's own
  uint32_t files = 1000;  // small ones, for lookup, readdirplus and whole files
  uint32_t folders = 1;   // that they are spread over
  bool sleep = false;
  bool verify = false;
  bool json = false;
  bool keep = false;
  uint64_t seed = 1;
  int pid = 0;  // of the daemon; 0: whoever listens on the socket
  uint32_t connect_wait_ms = 0;
};

// Nothing where the program is to end with `exit_code`: help was asked for, or the arguments are
// wrong (said on stderr).
std::optional<BenchOptions> parse_bench_options(int argc, char** argv, int& exit_code);

}  // namespace dpfs::cli
