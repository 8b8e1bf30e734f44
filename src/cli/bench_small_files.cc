// SPDX-License-Identifier: Apache-2.0
// Small files, step by step.
#include "cli/bench_small_files.h"

#include <fcntl.h>

#include <algorithm>
#include <vector>

#include "cli/bench_load.h"
#include "driver/requests.h"

namespace dpfs::cli {

namespace request = driver::request;

namespace {

const char* name_of(FileStep step) noexcept {
  switch (step) {
    case FileStep::lookup:
      return "LOOKUP";
    case FileStep::create:
      return "CREATE";
    case FileStep::open_to_read:
    case FileStep::open_to_write:
      return "OPEN";
    case FileStep::read:
      return "READ";
    case FileStep::write:
      return "WRITE";
    case FileStep::flush:
      return "FLUSH";
    case FileStep::release:
      return "RELEASE";
    case FileStep::unlink:
      return "UNLINK";
  }
  return "?";
}

// Where the pattern of a file begins: no two files have the same 8 bytes.
uint64_t pattern_begin(const SmallFile& file) noexcept { return file.number << 20; }

}  // namespace

void FileSequence::fill(BenchSlot& slot, const SmallFile& file) noexcept {
  driver::Call& call = *slot.call;
  switch (steps_[slot.step]) {
    case FileStep::lookup:
      return request::lookup(call, {file.parent, file.name});
    case FileStep::create: {
      const fuse::CreateIn in{
          .flags = O_CREAT | O_WRONLY, .mode = 0100644, .umask = 0, .open_flags = 0};
      return request::create(call, {file.parent, file.name}, in);
    }
    case FileStep::open_to_read:
      return request::open(call, slot.file.node, O_RDONLY);
    case FileStep::open_to_write:
      return request::open(call, slot.file.node, O_WRONLY);
    case FileStep::read:
      return request::read(call, slot.file, 0, contents_.size);
    case FileStep::write:
      // Anything but zeros, which engines compress. Each file its own only where somebody looks.
      if (contents_.verify || !slot.has_contents) {
        contents_.pattern->fill(call.data().first(contents_.size), pattern_begin(file), 0);
        slot.has_contents = true;
      }
      return request::write(call, slot.file, 0, contents_.size);
    case FileStep::flush:
      return request::flush(call, slot.file);
    case FileStep::release:
      return request::release(call, slot.file);
    case FileStep::unlink:
      return request::unlink(call, {file.parent, file.name});
  }
}

BenchStep FileSequence::failed(const char* what, Errno why) noexcept {
  failed_step_ = what;
  why_ = why;
  return BenchStep::failed;
}

BenchStep FileSequence::completed(BenchSlot& slot, const SmallFile& file) noexcept {
  driver::Call& call = *slot.call;
  const FileStep step = steps_[slot.step];
  // A file system may do without FLUSH and say so with ENOSYS: Linux does not ask again.
  if (step == FileStep::flush && call.error() == Errno::nosys) {
    flushes_ = false;
  } else if (call.error() != Errno::none) {
    return failed(name_of(step), call.error());
  }
  switch (step) {
    case FileStep::lookup:
      slot.file.node = call.reply<fuse::EntryOut>().nodeid;
      break;
    case FileStep::create:
      slot.file.node = call.reply<fuse::EntryOut>().nodeid;
      slot.file.handle = call.reply<fuse::OpenOut>(sizeof(fuse::EntryOut)).fh;
      break;
    case FileStep::open_to_read:
    case FileStep::open_to_write:
      slot.file.handle = call.reply<fuse::OpenOut>().fh;
      break;
    case FileStep::read: {
      const std::span<const std::byte> data = call.reply_data();
      if (data.size() != contents_.size) {
        return failed("READ answered fewer bytes than the file has", Errno::io);
      }
      if (contents_.verify &&
          contents_.pattern->check(data, pattern_begin(file), 0) != data.size()) {
        return failed("READ answered what is not in that file", Errno::io);
      }
      break;
    }
    case FileStep::write:
      if (call.reply<fuse::WriteOut>().size != contents_.size) {
        return failed("WRITE wrote fewer bytes than it was given", Errno::io);
      }
      break;
    default:
      break;
  }
  do {
    ++slot.step;
  } while (slot.step < steps_.size() && skips(steps_[slot.step]));
  return slot.step < steps_.size() ? BenchStep::next : BenchStep::done;
}

// ---- Many at a time
// ------------------------------------------------------------------------------

namespace {

class Batch {
 public:
  Batch(driver::Tenant& tenant, FileSequence& sequence, const BatchOfFiles& files)
      : tenant_(tenant), sequence_(sequence), files_(files) {}

  Result<Unit> run() {
    slots_.reserve(BatchOfFiles::kSlotsMax);
    while (slots_.size() < std::min(files_.count, BatchOfFiles::kSlotsMax)) {
      driver::Call* call = tenant_.client.take();
      if (call == nullptr) break;
      slots_.push_back({.call = call, .index = static_cast<uint32_t>(slots_.size())});
      call->mark = slots_.back().index;
      call->context = this;
      call->done = [](driver::Call& done, void* batch) noexcept {
        auto* self = static_cast<Batch*>(batch);
        self->completed(self->slots_[done.mark]);
      };
    }
    if (slots_.empty()) return files_.count == 0 ? Result<Unit>(Unit{}) : Errno::busy;
    for (BenchSlot& slot : slots_) begin(slot);
    while (in_flight_ > 0) {
      const Result<uint32_t> some = tenant_.client.wait();
      if (!some) return some.error();  // what is in flight stays the device's
    }
    for (const BenchSlot& slot : slots_) {
      slot.call->done = nullptr;
      tenant_.client.give(*slot.call);
    }
    if (why_ != Errno::none) return why_;
    return Unit{};
  }

 private:
  void begin(BenchSlot& slot) noexcept {
    if (next_ == files_.count || why_ != Errno::none || bench_was_interrupted()) return;
    slot.offset = next_++;
    slot.step = 0;
    submit(slot);
  }
  void submit(BenchSlot& slot) noexcept {
    sequence_.fill(slot, files_.file(slot.offset));
    tenant_.client.submit(*slot.call);
    ++in_flight_;
  }
  void completed(BenchSlot& slot) noexcept {
    --in_flight_;
    const BenchStep step = sequence_.completed(slot, files_.file(slot.offset));
    if (step == BenchStep::next) return submit(slot);
    if (step == BenchStep::failed) why_ = sequence_.why();
    if (step == BenchStep::done && files_.end) files_.end(slot.offset, slot);
    begin(slot);
  }

  driver::Tenant& tenant_;
  FileSequence& sequence_;
  const BatchOfFiles& files_;
  std::vector<BenchSlot> slots_;
  uint64_t next_ = 0;
  uint32_t in_flight_ = 0;
  Errno why_ = Errno::none;
};

}  // namespace

Result<Unit> run_batch(driver::Tenant& tenant, FileSequence& sequence, const BatchOfFiles& files) {
  Batch batch(tenant, sequence, files);
  return batch.run();
}

}  // namespace dpfs::cli
