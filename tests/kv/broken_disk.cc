// SPDX-License-Identifier: Apache-2.0
// A disk that fails on request, for programs that this is preloaded into (LD_PRELOAD): calls on
// files below DPFS_BROKEN_FOLDER give EIO while the file DPFS_BROKEN_HOW says so, which may have
// the words read, write and sync in it. `half`: of a write, the first half is done and told.
// The checked calls would call those below.
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

std::string_view folder() {
  static const char* const kFolder = getenv("DPFS_BROKEN_FOLDER");
  return kFolder == nullptr ? "" : kFolder;
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

bool is_below(int fd) {
  std::array<char, 64> link{};
  std::array<char, 4096> path{};
  snprintf(link.data(), link.size(), "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link.data(), path.data(), path.size());
  return size > 0 && !folder().empty() &&
         std::string_view(path.data(), static_cast<size_t>(size)).starts_with(folder());
}

bool asked_for(std::string_view word) {
  static const char* const kHow = getenv("DPFS_BROKEN_HOW");
  static auto* const kRead = next<decltype(::read)>("read");
  const int fd = kHow == nullptr ? -1 : ::open(kHow, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::array<char, 100> text{};
  const ssize_t size = kRead(fd, text.data(), text.size());
  ::close(fd);
  return size > 0 && std::string_view(text.data(), static_cast<size_t>(size)).find(word) !=
                         std::string_view::npos;
}

bool fails(int fd, std::string_view word) {
  const int before = errno;
  const bool result = is_below(fd) && asked_for(word);
  errno = result ? EIO : before;
  return result;
}

// How much of a write is done: all of it, or half.
size_t part_of(int fd, size_t bytes) {
  return bytes > 1 && is_below(fd) && asked_for("half") ? bytes / 2 : bytes;
}

}  // namespace

extern "C" {

ssize_t read(int fd, void* into, size_t bytes) {
  static auto* const kNext = next<decltype(::read)>("read");
  return fails(fd, "read") ? -1 : kNext(fd, into, bytes);
}
ssize_t pread64(int fd, void* into, size_t bytes, off64_t offset) {
  static auto* const kNext = next<decltype(::pread64)>("pread64");
  return fails(fd, "read") ? -1 : kNext(fd, into, bytes, offset);
}
ssize_t pread(int fd, void* into, size_t bytes, off_t offset) {
  return pread64(fd, into, bytes, offset);
}
ssize_t write(int fd, const void* from, size_t bytes) {
  static auto* const kNext = next<decltype(::write)>("write");
  return fails(fd, "write") ? -1 : kNext(fd, from, part_of(fd, bytes));
}
ssize_t pwrite64(int fd, const void* from, size_t bytes, off64_t offset) {
  static auto* const kNext = next<decltype(::pwrite64)>("pwrite64");
  return fails(fd, "write") ? -1 : kNext(fd, from, part_of(fd, bytes), offset);
}
ssize_t pwrite(int fd, const void* from, size_t bytes, off_t offset) {
  return pwrite64(fd, from, bytes, offset);
}
int fsync(int fd) {
  static auto* const kNext = next<decltype(::fsync)>("fsync");
  return fails(fd, "sync") ? -1 : kNext(fd);
}
int fdatasync(int fd) {
  static auto* const kNext = next<decltype(::fdatasync)>("fdatasync");
  return fails(fd, "sync") ? -1 : kNext(fd);
}

}  // extern "C"
