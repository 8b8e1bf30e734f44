// SPDX-License-Identifier: Apache-2.0
// The files that `dpfs bench` works on: one big data file, one directory of small ones; made when
// first needed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/bench_jobs.h"
#include "cli/bench_options.h"
#include "cli/bench_pattern.h"
#include "driver/tenant.h"

namespace dpfs::cli {

class BenchFiles {
 public:
  struct Directory {
    uint64_t node = 0;
    std::vector<std::string> names;
  };

  BenchFiles(driver::Tenant& tenant, const BenchOptions& options);

  // Open for reading, and for writing where `writable`. Throws BenchError.
  driver::File data(bool writable);
  const Directory& directory();
  // Blocks of --bs in the data file; the jobs use whole ones only.
  uint64_t blocks() const noexcept { return options_.file_size / options_.block_size; }
  const BenchPattern& pattern() const noexcept { return pattern_; }
  // How often each block has been written with --verify; empty without.
  std::vector<uint16_t>& generations() noexcept { return generations_; }

  // Removes what was made here.
  void remove() noexcept;

 private:
  void find_data();
  void use_existing(const std::string& path);
  bool use_any_file();
  void fill_data();
  void make_directory();

  driver::Tenant& tenant_;
  const BenchOptions& options_;
  BenchPattern pattern_;
  std::vector<uint16_t> generations_;
  uint64_t data_node_ = 0;
  bool filled_ = false;
  bool made_data_ = false;
  bool made_directory_ = false;
  driver::File readable_;
  driver::File writable_;
  Directory directory_;
  std::string name_;  // unique for this process, so that several may share a directory
};

}  // namespace dpfs::cli
