// SPDX-License-Identifier: Apache-2.0
// The jobs of `dpfs bench`.
#include "cli/bench_jobs.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/bench_file_jobs.h"
#include "cli/bench_files.h"
#include "cli/bench_pattern.h"
#include "driver/requests.h"

namespace dpfs::cli {

namespace request = driver::request;
using driver::File;

BenchStep BenchJob::fail(std::string_view what, Errno why) noexcept {
  if (failure_.empty()) failure_ = std::string(what) + ": " + describe(why);
  return BenchStep::failed;
}

namespace {

// ---- READ and WRITE of one file
// --------------------------------------------------------------------

class DataJob : public BenchJob {
 public:
  DataJob(driver::Tenant& tenant, const BenchOptions& options, std::shared_ptr<BenchFiles> files,
          bool random)
      : tenant_(tenant),
        options_(options),
        files_(std::move(files)),
        random_(random),
        random_block_(options.seed) {}

  uint64_t bytes() const noexcept override { return options_.block_size; }

 protected:
  uint64_t next_block() noexcept {
    if (random_) return random_block_.below(files_->blocks());
    const uint64_t block = sequential_block_;
    if (++sequential_block_ == files_->blocks()) sequential_block_ = 0;
    return block;
  }

  BenchStep wrong_byte(uint64_t offset) noexcept {
    if (failure_.empty()) {
      std::array<char, 128> text{};
      std::snprintf(text.data(), text.size(), "wrong content at byte %llu of the data file",
                    static_cast<unsigned long long>(offset));
      failure_ = text.data();
    }
    return BenchStep::failed;
  }

  driver::Tenant& tenant_;
  const BenchOptions& options_;
  std::shared_ptr<BenchFiles> files_;
  File file_;

 private:
  bool random_;
  BenchRandom random_block_;
  uint64_t sequential_block_ = 0;
};

class ReadJob final : public DataJob {
 public:
  using DataJob::DataJob;

  void set_up(uint32_t) override { file_ = files_->data(false); }

  void fill(BenchSlot& slot) noexcept override {
    const uint64_t block = next_block();
    slot.offset = block * options_.block_size;
    if (options_.verify)
      std::fill_n(slot.call->data().begin(), options_.block_size, std::byte{0xee});
    request::read(*slot.call, file_, slot.offset, options_.block_size);
  }

  BenchStep completed(BenchSlot& slot) noexcept override {
    if (slot.call->error() != Errno::none) return fail("READ", slot.call->error());
    const std::span<const std::byte> data = slot.call->reply_data();
    if (data.size() != options_.block_size)
      return fail("READ answered fewer bytes than the file has", Errno::io);
    if (!options_.verify) return BenchStep::done;
    const uint16_t generation = files_->generations()[slot.offset / options_.block_size];
    const size_t right = files_->pattern().check(data, slot.offset, generation);
    return right == data.size() ? BenchStep::done : wrong_byte(slot.offset + right);
  }
};

class WriteJob final : public DataJob {
 public:
  using DataJob::DataJob;

  void set_up(uint32_t slots) override {
    file_ = files_->data(true);
    if (!options_.verify) return;
    // Two writes to one block at once may land in any order, so each block in flight is taken.
    if (files_->blocks() < 2 * slots) {
      throw BenchError("--verify needs a --file-size of at least twice --depth blocks of --bs");
    }
    taken_.assign(files_->blocks(), false);
  }

  void fill(BenchSlot& slot) noexcept override {
    uint64_t block = next_block();
    if (options_.verify) {
      while (taken_[block]) block = next_block();
      taken_[block] = true;
    }
    slot.offset = block * options_.block_size;
    if (options_.verify) {
      const uint16_t generation = ++files_->generations()[block];
      files_->pattern().fill(slot.call->data().first(options_.block_size), slot.offset, generation);
    }
    request::write(*slot.call, file_, slot.offset, options_.block_size);
  }

  BenchStep completed(BenchSlot& slot) noexcept override {
    if (options_.verify) taken_[slot.offset / options_.block_size] = false;
    if (slot.call->error() != Errno::none) return fail("WRITE", slot.call->error());
    if (slot.call->reply<fuse::WriteOut>().size != options_.block_size) {
      return fail("WRITE wrote fewer bytes than it was given", Errno::io);
    }
    return BenchStep::done;
  }

  void tear_down() override {
    if (!options_.verify || !failure_.empty()) return;
    std::vector<std::byte> block(options_.block_size);
    for (uint64_t i = 0; i < files_->blocks(); ++i) {
      const uint64_t offset = i * options_.block_size;
      Result<uint32_t> size = tenant_.mount.read(file_, offset, block);
      if (!size)
        throw BenchError(std::string("cannot read the data file back: ") + describe(size.error()));
      if (*size != block.size())
        throw BenchError("the data file is shorter than what was written to it");
      const size_t right = files_->pattern().check(block, offset, files_->generations()[i]);
      if (right == block.size()) continue;
      wrong_byte(offset + right);
      return;
    }
  }

 private:
  std::vector<bool> taken_;
};

// ---- Metadata
// --------------------------------------------------------------------------------------

class GetattrJob final : public BenchJob {
 public:
  explicit GetattrJob(std::shared_ptr<BenchFiles> files) : files_(std::move(files)) {}
  void set_up(uint32_t) override { node_ = files_->data(false).node; }
  void fill(BenchSlot& slot) noexcept override { request::getattr(*slot.call, node_); }
  BenchStep completed(BenchSlot& slot) noexcept override {
    return slot.call->error() == Errno::none ? BenchStep::done
                                             : fail("GETATTR", slot.call->error());
  }

 private:
  std::shared_ptr<BenchFiles> files_;
  uint64_t node_ = 0;
};

class StatfsJob final : public BenchJob {
 public:
  void set_up(uint32_t) override {}
  void fill(BenchSlot& slot) noexcept override { request::statfs(*slot.call, fuse::kRootNodeId); }
  BenchStep completed(BenchSlot& slot) noexcept override {
    return slot.call->error() == Errno::none ? BenchStep::done : fail("STATFS", slot.call->error());
  }
};

// The rings run and the device has been mounted, but nobody asks anything.
class IdleJob final : public BenchJob {
 public:
  void set_up(uint32_t) override {}
  bool idle() const noexcept override { return true; }
  void fill(BenchSlot&) noexcept override {}
  BenchStep completed(BenchSlot&) noexcept override { return BenchStep::done; }
};

// The lookups are forgotten when the device is: at the end of the connection.
class LookupJob final : public BenchJob {
 public:
  LookupJob(std::shared_ptr<BenchFiles> files, uint64_t seed)
      : files_(std::move(files)), random_(seed) {}
  void set_up(uint32_t) override { directory_ = &files_->directory(); }
  void fill(BenchSlot& slot) noexcept override {
    const SmallFile file = directory_->file(random_.below(directory_->names.size()));
    request::lookup(*slot.call, {file.parent, file.name});
  }
  BenchStep completed(BenchSlot& slot) noexcept override {
    return slot.call->error() == Errno::none ? BenchStep::done : fail("LOOKUP", slot.call->error());
  }

 private:
  std::shared_ptr<BenchFiles> files_;
  const BenchFiles::Directory* directory_ = nullptr;
  BenchRandom random_;
};

// Each request in flight lists the directory through a handle of its own, over and over.
class ReaddirplusJob final : public BenchJob {
 public:
  ReaddirplusJob(driver::Tenant& tenant, const BenchOptions& options,
                 std::shared_ptr<BenchFiles> files)
      : tenant_(tenant), options_(options), files_(std::move(files)) {}

  void set_up(uint32_t slots) override {
    const std::vector<uint64_t>& folders = files_->directory().folders;
    for (uint32_t i = 0; i < slots; ++i) {
      Result<File> handle = tenant_.mount.opendir(folders[i % folders.size()]);
      if (!handle)
        throw BenchError(std::string("cannot open the directory: ") + describe(handle.error()));
      handles_.push_back(*handle);
    }
    offsets_.assign(slots, 0);
  }

  void fill(BenchSlot& slot) noexcept override {
    request::readdirplus(*slot.call, handles_[slot.index], offsets_[slot.index],
                         options_.block_size);
  }

  BenchStep completed(BenchSlot& slot) noexcept override {
    if (slot.call->error() != Errno::none) return fail("READDIRPLUS", slot.call->error());
    std::span<const std::byte> data = slot.call->reply_data();
    offsets_[slot.index] = 0;  // at the end, begin again
    while (data.size() >= sizeof(fuse::Direntplus)) {
      fuse::Direntplus record;
      std::memcpy(&record, data.data(), sizeof record);
      const size_t size = fuse::direntplus_size(record.dirent.namelen);
      if (size > data.size()) return fail("READDIRPLUS answered half a record", Errno::proto);
      offsets_[slot.index] = record.dirent.off;
      data = data.subspan(size);
    }
    return BenchStep::done;
  }

  void tear_down() override {
    for (File handle : handles_) [[maybe_unused]]
      Result<Unit> ignored = tenant_.mount.releasedir(handle);
  }

 private:
  driver::Tenant& tenant_;
  const BenchOptions& options_;
  std::shared_ptr<BenchFiles> files_;
  std::vector<File> handles_;
  std::vector<uint64_t> offsets_;
};

}  // namespace

std::vector<std::string> bench_job_names() {
  std::vector<std::string> names = {"randread", "randwrite",   "read",   "write", "getattr",
                                    "lookup",   "readdirplus", "statfs", "idle"};
  for (const std::string& name : file_job_names()) names.push_back(name);
  return names;
}

std::shared_ptr<BenchFiles> make_bench_files(driver::Tenant& tenant, const BenchOptions& options) {
  return std::make_shared<BenchFiles>(tenant, options);
}

std::unique_ptr<BenchJob> make_bench_job(const std::string& name, driver::Tenant& tenant,
                                         const BenchOptions& options,
                                         const std::shared_ptr<BenchFiles>& files) {
  if (name == "randread") return std::make_unique<ReadJob>(tenant, options, files, true);
  if (name == "read") return std::make_unique<ReadJob>(tenant, options, files, false);
  if (name == "randwrite") return std::make_unique<WriteJob>(tenant, options, files, true);
  if (name == "write") return std::make_unique<WriteJob>(tenant, options, files, false);
  if (name == "getattr") return std::make_unique<GetattrJob>(files);
  if (name == "lookup") return std::make_unique<LookupJob>(files, options.seed);
  if (name == "readdirplus") return std::make_unique<ReaddirplusJob>(tenant, options, files);
  if (name == "statfs") return std::make_unique<StatfsJob>();
  if (name == "idle") return std::make_unique<IdleJob>();
  if (std::unique_ptr<BenchJob> job = make_file_job(name, tenant, options, files)) return job;
  throw BenchError("there is no job " + name);
}

}  // namespace dpfs::cli
