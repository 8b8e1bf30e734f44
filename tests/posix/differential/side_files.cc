// SPDX-License-Identifier: Apache-2.0
// Operations on open files, which are kept in slots and outlive their names.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tests/posix/differential/outcome.h"
#include "tests/posix/differential/side.h"
#include "tests/posix/suite/files.h"

namespace dpfs::posix {
namespace {

// Larger files would only take longer.
constexpr int64_t kSizeMax = 400'000;

bool is_regular(const Fd& file) {
  struct stat found = {};
  return file && fstat(file.get(), &found) == 0 && S_ISREG(found.st_mode);
}

// FUSE names no user for what changes a file in other ways than by writing, so setuid and setgid go
// for root, too (docs/posix.md). They are taken away here, so that both sides go on alike.
void drop_special_bits(const Fd& file) {
  struct stat found = {};
  if (!is_regular(file) || fstat(file.get(), &found) != 0) return;
  if ((found.st_mode & 06000) != 0) fchmod(file.get(), found.st_mode & 01777);
}

}  // namespace

std::string Side::open_into_slot(const Operation& operation) {
  Fd& slot = slots_[operation.slot];
  const char* path = operation.path.c_str();
  slot.reset(operation.kind == Kind::tmpfile
                 ? open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, operation.mode)
                 : open(path, operation.flags, operation.mode));
  if (!slot) return outcome(-1);
  struct stat found = {};
  if (regular_only_ && fstat(slot.get(), &found) == 0 && !S_ISREG(found.st_mode)) slot.reset();
  return "opened";
}

std::string Side::act_on_open_file(const Operation& operation) {
  Fd& file = slots_[operation.slot];
  if (!file) return "closed";
  const int fd = file.get();
  const auto allocate = [&](int mode) {
    const std::string text = outcome(fallocate(fd, mode, operation.offset, operation.size));
    drop_special_bits(file);
    return text;
  };
  // Whole blocks: the sizes of blocks are the file system's own affair.
  const auto shift = [&](int mode) {
    constexpr int64_t kUnit = 65536;
    const std::string text = outcome(fallocate(fd, mode, operation.offset / kUnit * kUnit, kUnit));
    drop_special_bits(file);
    return text;
  };
  switch (operation.kind) {
    case Kind::close:
      file.reset();
      return "";
    case Kind::read: {
      std::vector<char> block(static_cast<size_t>(operation.size));
      return outcome_with(pread(fd, block.data(), block.size(), operation.offset), block.data());
    }
    case Kind::write:
    case Kind::append: {
      const std::string text = pattern(static_cast<size_t>(operation.size), operation.number + 1);
      struct stat found = {};
      fstat(fd, &found);
      if (found.st_size > kSizeMax) return outcome(ftruncate(fd, 100));
      const int64_t offset = operation.kind == Kind::append ? found.st_size : operation.offset;
      return outcome(pwrite(fd, text.data(), text.size(), offset));
    }
    case Kind::ftruncate:
      return outcome(ftruncate(fd, operation.offset));
    case Kind::allocate:
      return allocate(0);
    case Kind::allocate_keep_size:
      return allocate(FALLOC_FL_KEEP_SIZE);
    case Kind::punch_hole:
      return allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
    case Kind::zero_range:
      return allocate(FALLOC_FL_ZERO_RANGE | (operation.choice % 2 != 0 ? FALLOC_FL_KEEP_SIZE : 0));
    case Kind::collapse_range:
      return shift(FALLOC_FL_COLLAPSE_RANGE);
    case Kind::insert_range:
      return shift(FALLOC_FL_INSERT_RANGE);
    case Kind::copy_range:
      return copy_range(operation);
    case Kind::map_write:
      return map_write(operation);
    case Kind::fsync:
      return outcome(operation.choice % 2 != 0 ? fsync(fd) : fdatasync(fd));
    case Kind::fchmod:
      return outcome(fchmod(fd, operation.mode));
    case Kind::futimens: {
      const timespec times[2] = {{1000 + operation.choice, 1}, {2000 + operation.choice, 2}};
      return outcome(futimens(fd, times));
    }
    case Kind::name_tmpfile:
      return outcome(linkat(AT_FDCWD, proc_path(file).c_str(), AT_FDCWD, operation.path.c_str(),
                            AT_SYMLINK_FOLLOW));
    default:
      return "";
  }
}

std::string Side::copy_range(const Operation& operation) {
  const Fd& from = slots_[operation.slot];
  const Fd& to = slots_[operation.other_slot];
  if (!is_regular(from) || !is_regular(to)) return "not two files";
  off64_t in = operation.offset / 2;
  off64_t out = operation.offset;
  // Fewer bytes than asked for are allowed: what counts is what is there in the end.
  int64_t left = operation.size;
  while (left > 0) {
    const ssize_t count =
        copy_file_range(from.get(), &in, to.get(), &out, static_cast<size_t>(left), 0);
    if (count < 0) return outcome(-1);
    if (count == 0) break;
    left -= count;
  }
  drop_special_bits(to);
  return std::to_string(operation.size - left) + " copied " + look(to);
}

std::string Side::map_write(const Operation& operation) {
  const Fd& file = slots_[operation.slot];
  if (!is_regular(file)) return "no file";
  const int64_t start = operation.offset / 4096 * 4096;
  const size_t length = static_cast<size_t>(operation.size + 4096);
  void* memory = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), start);
  if (memory == MAP_FAILED) return outcome(-1);
  // Only within the file: behind its end there is SIGBUS.
  const int64_t inside = std::min<int64_t>(status(file).st_size - start, operation.size);
  if (inside > 0) {
    const std::string text = pattern(static_cast<size_t>(inside), operation.number + 1);
    memcpy(memory, text.data(), text.size());
    msync(memory, length, MS_SYNC);
  }
  munmap(memory, length);
  return std::to_string(std::max<int64_t>(inside, 0)) + " stored";
}

}  // namespace dpfs::posix
