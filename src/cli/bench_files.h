// SPDX-License-Identifier: Apache-2.0
// The files that `dpfs bench` works on: one big data file, one directory of small ones; made when
// first needed.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cli/bench_jobs.h"
#include "cli/bench_options.h"
#include "cli/bench_pattern.h"
#include "cli/bench_small_files.h"
#include "driver/tenant.h"

namespace dpfs::cli {

class BenchFiles {
 public:
  struct Directory {
    uint64_t node = 0;                 // of the first folder
    std::vector<uint64_t> folders;     // of --folders; file i lies in folder i % their number
    std::vector<std::string> names;    // of all files
    std::vector<uint64_t> nodes = {};  // of all files, where find_nodes() was called

    SmallFile file(uint64_t number) const noexcept {
      return {folders[number % folders.size()], names[number], number};
    }
  };

  BenchFiles(driver::Tenant& tenant, const BenchOptions& options);

  // Open for reading, and for writing where `writable`. Throws BenchError.
  driver::File data(bool writable);
  const Directory& directory();
  // The same; each file has one block of --bs, unless somebody else made it.
  const Directory& filled_directory();
  // The same; what node each file is, as a tenant knows it whose kernel has looked it up.
  const Directory& known_directory();
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
  void use_root(const std::string& not_made);
  void make_folders();
  void run_on_files(std::span<const FileStep> steps, const std::string& what,
                    const std::function<void(uint64_t, const BenchSlot&)>& end = {});

  driver::Tenant& tenant_;
  const BenchOptions& options_;
  BenchPattern pattern_;
  std::vector<uint16_t> generations_;
  uint64_t data_node_ = 0;
  bool filled_ = false;
  bool made_data_ = false;
  bool made_directory_ = false;
  bool filled_directory_ = false;
  driver::File readable_;
  driver::File writable_;
  Directory directory_;
  std::string name_;  // unique for this process, so that several may share a directory
};

}  // namespace dpfs::cli
