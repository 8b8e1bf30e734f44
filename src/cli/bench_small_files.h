// SPDX-License-Identifier: Apache-2.0
// What a tenant does to a whole small file: requests one after the other, as Linux sends them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "base/errno.h"
#include "cli/bench_jobs.h"
#include "cli/bench_pattern.h"
#include "driver/tenant.h"

namespace dpfs::cli {

enum class FileStep : uint8_t {
  lookup,
  create,
  open_to_read,
  open_to_write,
  read,
  write,
  flush,
  release,
  unlink
};

// Which file it is. `number` tells its content from all others'.
struct SmallFile {
  uint64_t parent = 0;
  std::string_view name;
  uint64_t number = 0;
};

// The same steps for any number of files, each with a slot of its own. Its node, once a LOOKUP or a
// CREATE has told, and its handle are in slot.file.
class FileSequence {
 public:
  // `steps` stay. Files have `size` bytes of the pattern, which `verify` looks for in what is read.
  struct Contents {
    uint32_t size = 0;
    const BenchPattern* pattern = nullptr;
    bool verify = false;
  };
  FileSequence(std::span<const FileStep> steps, const Contents& contents) noexcept
      : steps_(steps), contents_(contents) {}

  void fill(BenchSlot& slot, const SmallFile& file) noexcept;
  // Where it has failed, failed_step() and why() tell more.
  BenchStep completed(BenchSlot& slot, const SmallFile& file) noexcept;
  const char* failed_step() const noexcept { return failed_step_; }
  Errno why() const noexcept { return why_; }

 private:
  BenchStep failed(const char* what, Errno why) noexcept;
  bool skips(FileStep step) const noexcept { return step == FileStep::flush && !flushes_; }

  std::span<const FileStep> steps_;
  Contents contents_;
  bool flushes_ = true;
  const char* failed_step_ = nullptr;
  Errno why_ = Errno::none;
};

// Before and after a measurement: the sequence for files 0 to count - 1, many at a time. `end` is
// told of each that is done, and may look at its slot. Ends with the first failure, or when the
// user has interrupted.
struct BatchOfFiles {
  static constexpr uint64_t kSlotsMax = 32;
  uint64_t count = 0;
  std::function<SmallFile(uint64_t number)> file;  // good until the next call
  std::function<void(uint64_t number, const BenchSlot& slot)> end = {};
};
Result<Unit> run_batch(driver::Tenant& tenant, FileSequence& sequence, const BatchOfFiles& files);

}  // namespace dpfs::cli
