// SPDX-License-Identifier: Apache-2.0
// Whole small files: found, opened, read or written, and closed, by their names or their nodes;
// made, and removed.
#include "cli/bench_file_jobs.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "cli/bench_files.h"
#include "cli/bench_small_files.h"

namespace dpfs::cli {
namespace {

using enum FileStep;

// As `cat file` does, of whose folder the kernel knows already; close(2) is FLUSH and RELEASE.
constexpr std::array kRead{lookup, open_to_read, read, flush, release};
// The same while the kernel still knows what node the name is.
constexpr std::array kReadKnown{open_to_read, read, flush, release};
constexpr std::array kWrite{lookup, open_to_write, write, flush, release};
// As a shell's `echo x > file`, and `echo x > file; rm file`.
constexpr std::array kMake{create, write, flush, release};
constexpr std::array kMakeAndRemove{create, write, flush, release, unlink};
constexpr std::array kRemove{unlink};

class FileJob : public BenchJob {
 public:
  FileJob(std::span<const FileStep> steps, const BenchOptions& options,
          std::shared_ptr<BenchFiles> files)
      : options_(options),
        files_(std::move(files)),
        sequence_(
            steps,
            {.size = options.block_size, .pattern = &files_->pattern(), .verify = options.verify}) {
  }

  uint64_t bytes() const noexcept override { return options_.block_size; }

 protected:
  BenchStep look_at(BenchSlot& slot, const SmallFile& file) noexcept {
    const BenchStep step = sequence_.completed(slot, file);
    if (step == BenchStep::next) return step;
    slot.step = 0;
    if (step == BenchStep::failed) return fail(sequence_.failed_step(), sequence_.why());
    return step;
  }

  const BenchOptions& options_;
  std::shared_ptr<BenchFiles> files_;
  FileSequence sequence_;
};

// Of the directory's files, at random. Their lookups are forgotten at the end of the connection, as
// a kernel does that has memory.
class ExistingFileJob final : public FileJob {
 public:
  using Directory = BenchFiles::Directory;

  ExistingFileJob(std::span<const FileStep> steps, const BenchOptions& options,
                  std::shared_ptr<BenchFiles> files)
      : FileJob(steps, options, std::move(files)),
        by_node_(steps.front() != lookup),
        random_(options.seed) {}

  void set_up(uint32_t) override {
    directory_ = by_node_ ? &files_->known_directory() : &files_->filled_directory();
  }

  void fill(BenchSlot& slot) noexcept override {
    if (slot.step == 0) {
      slot.offset = random_.below(directory_->names.size());
      if (by_node_) slot.file.node = directory_->nodes[slot.offset];
    }
    sequence_.fill(slot, directory_->file(slot.offset));
  }

  BenchStep completed(BenchSlot& slot) noexcept override {
    return look_at(slot, directory_->file(slot.offset));
  }

 private:
  const bool by_node_;
  BenchRandom random_;
  const Directory* directory_ = nullptr;
};

// Of files that were not there before, in the directory. Each node is forgotten when its file is
// done: a device has limits for what it must remember.
class NewFileJob : public FileJob {
 public:
  NewFileJob(std::span<const FileStep> steps, driver::Tenant& tenant, const BenchOptions& options,
             std::shared_ptr<BenchFiles> files)
      : FileJob(steps, options, std::move(files)), tenant_(tenant) {}

  void set_up(uint32_t slots) override {
    directory_ = &files_->directory();
    to_forget_.reserve(slots);
  }

  void fill(BenchSlot& slot) noexcept override {
    if (slot.step == 0) slot.offset = begun_++;
    Text room;
    sequence_.fill(slot, file(slot.offset, room));
  }

  BenchStep completed(BenchSlot& slot) noexcept override {
    Text room;
    const BenchStep step = look_at(slot, file(slot.offset, room));
    if (step == BenchStep::done) to_forget_.push_back(slot.file.node);
    return step;
  }

  void between() noexcept override {
    while (!to_forget_.empty()) {
      // A full hiprio queue empties by itself; the rest goes next time.
      if (!tenant_.client.forget(to_forget_.back(), 1)) return;
      to_forget_.pop_back();
    }
  }

 protected:
  using Text = std::array<char, 24>;

  SmallFile file(uint64_t number, Text& room) const noexcept {
    constexpr std::string_view kPrefix = "new-";
    char* const end = std::ranges::copy(kPrefix, room.data()).out;
    const auto written = std::to_chars(end, room.data() + room.size(), number);
    const std::vector<uint64_t>& folders = directory_->folders;
    return {.parent = folders[number % folders.size()],
            .name = {room.data(), written.ptr},
            .number = number};
  }

  driver::Tenant& tenant_;
  const BenchFiles::Directory* directory_ = nullptr;
  uint64_t begun_ = 0;

 private:
  std::vector<uint64_t> to_forget_;
};

// What was made is removed when the time is over.
class MakeFileJob final : public NewFileJob {
 public:
  using NewFileJob::NewFileJob;

  void tear_down() override {
    if (options_.keep) return;
    FileSequence removal(kRemove, {});
    Text room;
    // What is left is seen when its folder cannot be removed: it is nobody's then, and stays.
    [[maybe_unused]] const Result<Unit> ignored =
        run_batch(tenant_, removal,
                  {.count = begun_, .file = [&](uint64_t number) { return file(number, room); }});
  }
};

}  // namespace

std::vector<std::string> file_job_names() {
  return {"readfile", "readknown", "writefile", "newfile", "create"};
}

std::unique_ptr<BenchJob> make_file_job(const std::string& name, driver::Tenant& tenant,
                                        const BenchOptions& options,
                                        const std::shared_ptr<BenchFiles>& files) {
  if (name == "readfile") return std::make_unique<ExistingFileJob>(kRead, options, files);
  if (name == "readknown") return std::make_unique<ExistingFileJob>(kReadKnown, options, files);
  if (name == "writefile") return std::make_unique<ExistingFileJob>(kWrite, options, files);
  if (name == "newfile") return std::make_unique<MakeFileJob>(kMake, tenant, options, files);
  if (name == "create") {
    return std::make_unique<NewFileJob>(kMakeAndRemove, tenant, options, files);
  }
  return nullptr;
}

}  // namespace dpfs::cli
