// SPDX-License-Identifier: Apache-2.0
// The steps of the exerciser.
#include "tests/posix/fsx/exerciser.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "tests/posix/suite/expect.h"
#include "tests/posix/suite/files.h"

namespace dpfs::posix {
namespace {

constexpr int64_t kPage = 4096;
constexpr size_t kHistoryMax = 40;
// For whole blocks of any usual file system.
constexpr int64_t kUnit = 65536;

std::string failed(const char* call) { return std::string(call) + ": " + errno_text(errno); }

char* aligned(std::string& memory) {
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  return memory.data() + (kPage - address % kPage) % kPage;
}

}  // namespace

Exerciser::Exerciser(const ExerciserSettings& settings)
    : settings_(settings),
      random_(settings.seed),
      memory_(static_cast<size_t>(settings.size_max + 3 * kPage), '\0') {}

std::string Exerciser::run() {
  struct Weighted {
    int weight;
    Step step;
  };
  static const Weighted kSteps[] = {
      {10, &Exerciser::read},       {12, &Exerciser::write},    {6, &Exerciser::map_read},
      {6, &Exerciser::map_write},   {4, &Exerciser::truncate},  {3, &Exerciser::append},
      {4, &Exerciser::punch},       {3, &Exerciser::zero},      {2, &Exerciser::allocate},
      {1, &Exerciser::collapse},    {1, &Exerciser::insert},    {3, &Exerciser::copy},
      {2, &Exerciser::synchronize}, {2, &Exerciser::open_anew}, {1, &Exerciser::read_also},
      {1, &Exerciser::check_whole},
  };
  int total = 0;
  for (const Weighted& one : kSteps) total += one.weight;
  unlink(settings_.path.c_str());
  std::string problem = open_anew();
  for (number_ = 1; number_ <= settings_.operations && problem.empty(); ++number_) {
    if (number_ == settings_.sabotage_at) sabotage();
    int64_t place = below(total);
    for (const Weighted& one : kSteps) {
      if (place < one.weight) {
        problem = (this->*one.step)();
        break;
      }
      place -= one.weight;
    }
    if (!problem.empty()) continue;
    struct stat found = {};
    if (fstat(file_.get(), &found) != 0) problem = failed("fstat");
    if (found.st_size != model_.size()) {
      problem = "the size is " + std::to_string(found.st_size) + ", expected " +
                std::to_string(model_.size());
    }
  }
  if (problem.empty()) problem = check_whole();
  file_.reset();
  if (problem.empty()) unlink(settings_.path.c_str());
  return problem;
}

int64_t Exerciser::below(int64_t limit) {
  return static_cast<int64_t>(random_() % static_cast<uint64_t>(limit));
}

int64_t Exerciser::draw_size() {
  const int64_t limit = below(3) == 0 ? 200 : settings_.size_max / 4;
  return 1 + below(limit);
}

void Exerciser::note(const char* what, int64_t offset, int64_t size) {
  history_.push_back(std::to_string(number_) + ": " + what + " " + std::to_string(offset) + ".." +
                     std::to_string(offset + size) + (direct_now_ ? " (O_DIRECT)" : "") +
                     ", size before " + std::to_string(model_.size()));
  if (history_.size() > kHistoryMax) history_.pop_front();
}

std::string Exerciser::open_anew() {
  direct_now_ = settings_.direct && below(3) == 0;
  note("open", 0, 0);
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC;
  file_.reset();
  file_.reset(open(settings_.path.c_str(), flags | (direct_now_ ? O_DIRECT : 0), 0644));
  if (!file_ && errno == EINVAL && direct_now_) {
    settings_.direct = direct_now_ = false;  // it has none
    file_.reset(open(settings_.path.c_str(), flags, 0644));
  }
  return file_ ? "" : failed("open");
}

std::string Exerciser::compare(int64_t offset, const std::string& wanted,
                               const std::string& got) const {
  if (wanted == got) return "";
  if (wanted.size() != got.size()) {
    return "read " + std::to_string(got.size()) + " bytes, expected " +
           std::to_string(wanted.size());
  }
  const auto place = std::mismatch(wanted.begin(), wanted.end(), got.begin()).first;
  const size_t first = static_cast<size_t>(place - wanted.begin());
  size_t count = 0;
  for (size_t i = first; i < wanted.size(); ++i) count += wanted[i] != got[i] ? 1 : 0;
  return std::to_string(count) + " bytes differ from " +
         std::to_string(offset + static_cast<int64_t>(first)) +
         " on: " + quoted(got.substr(first, 16)) + ", expected " + quoted(wanted.substr(first, 16));
}

std::string Exerciser::read() {
  int64_t offset = below(settings_.size_max);
  int64_t size = draw_size();
  if (direct_now_) {
    offset = offset / kPage * kPage;
    size = (size + kPage - 1) / kPage * kPage;
  }
  note("read", offset, size);
  char* memory = aligned(memory_);
  const ssize_t count = pread(file_.get(), memory, static_cast<size_t>(size), offset);
  if (count < 0) return failed("pread");
  return compare(offset, model_.read(offset, size), std::string(memory, count));
}

std::string Exerciser::write() {
  int64_t offset = below(settings_.size_max);
  int64_t size = std::min(draw_size(), settings_.size_max - offset);
  if (direct_now_) {
    offset = offset / kPage * kPage;
    size = (size + kPage - 1) / kPage * kPage;
  }
  note("write", offset, size);
  const std::string text = pattern(static_cast<size_t>(size), static_cast<uint32_t>(number_));
  char* memory = aligned(memory_);
  memcpy(memory, text.data(), text.size());
  const ssize_t count = pwrite(file_.get(), memory, text.size(), offset);
  if (count != size) return count < 0 ? failed("pwrite") : "pwrite wrote less than it was given";
  model_.write(offset, text);
  return "";
}

std::string Exerciser::append() {
  const int64_t size = draw_size();
  if (direct_now_ || model_.size() + size > settings_.size_max) return "";
  note("append", model_.size(), size);
  const std::string text = pattern(static_cast<size_t>(size), static_cast<uint32_t>(number_));
  const Fd file(open(settings_.path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!file) return failed("open to append");
  if (::write(file.get(), text.data(), text.size()) != size) return failed("append");
  model_.write(model_.size(), text);
  return "";
}

std::string Exerciser::map_read() {
  if (!settings_.maps || model_.size() == 0) return "";
  const int64_t offset = below(model_.size());
  const int64_t size = std::min(draw_size(), model_.size() - offset);
  note("map_read", offset, size);
  const int64_t begin = offset / kPage * kPage;
  const size_t length = static_cast<size_t>(offset + size - begin);
  void* memory = mmap(nullptr, length, PROT_READ, MAP_SHARED, file_.get(), begin);
  if (memory == MAP_FAILED) return failed("mmap");
  const std::string got(static_cast<char*>(memory) + (offset - begin), static_cast<size_t>(size));
  munmap(memory, length);
  return compare(offset, model_.read(offset, size), got);
}

std::string Exerciser::map_write() {
  if (!settings_.maps || model_.size() == 0) return "";
  const int64_t offset = below(model_.size());
  const int64_t size = std::min(draw_size(), model_.size() - offset);
  note("map_write", offset, size);
  const int64_t begin = offset / kPage * kPage;
  const size_t length = static_cast<size_t>(offset + size - begin);
  void* memory = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), begin);
  if (memory == MAP_FAILED) return failed("mmap");
  const std::string text = pattern(static_cast<size_t>(size), static_cast<uint32_t>(number_));
  memcpy(static_cast<char*>(memory) + (offset - begin), text.data(), text.size());
  const int result = below(2) == 0 ? msync(memory, length, MS_SYNC) : 0;
  munmap(memory, length);
  model_.write(offset, text);
  return result == 0 ? "" : failed("msync");
}

std::string Exerciser::truncate() {
  const int64_t size = below(settings_.size_max);
  note("truncate", size, 0);
  const bool by_name = below(2) == 0;
  const int result =
      by_name ? ::truncate(settings_.path.c_str(), size) : ftruncate(file_.get(), size);
  if (result != 0) return failed("truncate");
  model_.truncate(size);
  return "";
}

bool Exerciser::allocate_with(int mode, int64_t offset, int64_t size, std::string& problem) {
  if (std::find(refused_modes_.begin(), refused_modes_.end(), mode) != refused_modes_.end()) {
    return false;
  }
  if (fallocate(file_.get(), mode, offset, size) == 0) return true;
  if (errno == EOPNOTSUPP) {
    refused_modes_.push_back(mode);
  } else {
    problem = failed("fallocate");
  }
  return false;
}

std::string Exerciser::punch() {
  const int64_t offset = below(settings_.size_max);
  const int64_t size = draw_size();
  note("punch", offset, size);
  std::string problem;
  if (allocate_with(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size, problem)) {
    model_.punch(offset, size);
  }
  return problem;
}

std::string Exerciser::zero() {
  const int64_t offset = below(settings_.size_max);
  const int64_t size = std::min(draw_size(), settings_.size_max - offset);
  const bool keep_size = below(2) == 0;
  note(keep_size ? "zero keeping the size" : "zero", offset, size);
  std::string problem;
  const int mode = FALLOC_FL_ZERO_RANGE | (keep_size ? FALLOC_FL_KEEP_SIZE : 0);
  if (!allocate_with(mode, offset, size, problem)) return problem;
  if (keep_size) {
    model_.punch(offset, size);
  } else {
    model_.zero(offset, size);
  }
  return "";
}

std::string Exerciser::allocate() {
  const int64_t offset = below(settings_.size_max);
  const int64_t size = std::min(draw_size(), settings_.size_max - offset);
  const bool keep_size = below(2) == 0;
  note(keep_size ? "allocate keeping the size" : "allocate", offset, size);
  std::string problem;
  if (!allocate_with(keep_size ? FALLOC_FL_KEEP_SIZE : 0, offset, size, problem)) return problem;
  if (!keep_size && model_.size() < offset + size) model_.truncate(offset + size);
  return "";
}

std::string Exerciser::collapse() {
  const int64_t units = model_.size() / kUnit;
  if (units < 2) return "";
  const int64_t offset = below(units - 1) * kUnit;
  if (offset + kUnit >= model_.size()) return "";
  note("collapse", offset, kUnit);
  std::string problem;
  if (allocate_with(FALLOC_FL_COLLAPSE_RANGE, offset, kUnit, problem)) {
    model_.collapse(offset, kUnit);
  }
  return problem;
}

std::string Exerciser::insert() {
  const int64_t units = model_.size() / kUnit;
  if (units < 1 || model_.size() + kUnit > settings_.size_max) return "";
  const int64_t offset = below(units) * kUnit;
  note("insert", offset, kUnit);
  std::string problem;
  if (allocate_with(FALLOC_FL_INSERT_RANGE, offset, kUnit, problem)) model_.insert(offset, kUnit);
  return problem;
}

std::string Exerciser::copy() {
  if (model_.size() < 2) return "";
  const int64_t from = below(model_.size());
  int64_t size = std::min(draw_size(), model_.size() - from);
  int64_t to = below(settings_.size_max - size);
  if (to < from + size && from < to + size) return "";  // overlaps are EINVAL
  note("copy from", from, size);
  note("copy to", to, size);
  // Never O_DIRECT: a kernel that copies by splicing wants it aligned.
  const Fd file(open(settings_.path.c_str(), O_RDWR | O_CLOEXEC));
  if (!file) return failed("open to copy");
  off64_t in = from;
  off64_t out = to;
  while (size > 0) {
    const int64_t begin = in;
    const int64_t target = out;
    const ssize_t count =
        copy_file_range(file.get(), &in, file.get(), &out, static_cast<size_t>(size), 0);
    if (count <= 0) return count < 0 ? failed("copy_file_range") : "copy_file_range copied nothing";
    model_.copy(begin, target, count);
    size -= count;
  }
  return "";
}

std::string Exerciser::synchronize() {
  note("fsync", 0, 0);
  if (below(2) == 0) return fsync(file_.get()) == 0 ? "" : failed("fsync");
  return fdatasync(file_.get()) == 0 ? "" : failed("fdatasync");
}

std::string Exerciser::read_also() {
  if (settings_.also.empty()) return "";
  note("fsync and a look by the other path", 0, model_.size());
  if (fsync(file_.get()) != 0) return failed("fsync");
  const Fd file(open(settings_.also.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return failed("open by the other path");
  return compare(0, model_.bytes(), content(file));
}

void Exerciser::sabotage() {
  const Fd file(open(settings_.path.c_str(), O_RDWR | O_CLOEXEC));
  const std::string byte = model_.size() > 0 && model_.bytes()[0] == 'x' ? "y" : "x";
  write_at(file, 0, byte);
  if (model_.size() == 0) model_.truncate(1);
}

std::string Exerciser::check_whole() {
  note("check", 0, model_.size());
  const Fd file(open(settings_.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return failed("open to check");
  return compare(0, model_.bytes(), content(file));
}

}  // namespace dpfs::posix
