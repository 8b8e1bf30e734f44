// SPDX-License-Identifier: Apache-2.0
// Small helpers over system calls.
#include "tests/posix/suite/files.h"

#include <dirent.h>

#include <algorithm>
#include <cstdio>

#include "tests/posix/suite/expect.h"

namespace dpfs::posix {

void make_file(const std::string& path, const std::string& text, mode_t mode) {
  const Fd file(WORKS(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)));
  // Not by a stream: what fails is to be seen where it fails.
  if (!text.empty()) write_at(file, 0, text);
  WORKS(fchmod(file.get(), mode));
}

void make_directory(const std::string& path, mode_t mode) {
  WORKS(mkdir(path.c_str(), 0700));
  WORKS(chmod(path.c_str(), mode));
}

void make_symlink(const std::string& target, const std::string& path) {
  WORKS(symlink(target.c_str(), path.c_str()));
}

Fd open_file(const std::string& path, int flags, mode_t mode) {
  return Fd(WORKS(open(path.c_str(), flags | O_CLOEXEC, mode)));
}

struct stat status(const std::string& path) {
  struct stat found = {};
  WORKS(lstat(path.c_str(), &found));
  return found;
}

struct stat status(const Fd& file) {
  struct stat found = {};
  WORKS(fstat(file.get(), &found));
  return found;
}

mode_t mode_of(const std::string& path) { return status(path).st_mode & 07777; }

bool exists(const std::string& path) {
  struct stat found = {};
  return lstat(path.c_str(), &found) == 0;
}

std::string content(const Fd& file) {
  std::string text;
  while (true) {
    char block[65536];
    const ssize_t count =
        WORKS(pread(file.get(), block, sizeof block, static_cast<off_t>(text.size())));
    if (count == 0) return text;
    text.append(block, static_cast<size_t>(count));
  }
}

std::string content(const std::string& path) { return content(open_file(path, O_RDONLY)); }

std::string read_at(const Fd& file, int64_t offset, size_t size) {
  std::string text(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t count = WORKS(
        pread(file.get(), text.data() + done, size - done, offset + static_cast<int64_t>(done)));
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  text.resize(done);
  return text;
}

void write_at(const Fd& file, int64_t offset, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = WORKS(pwrite(file.get(), text.data() + done, text.size() - done,
                                       offset + static_cast<int64_t>(done)));
    done += static_cast<size_t>(count);
  }
}

std::string pattern(size_t size, uint32_t seed) {
  std::string text(size, '\0');
  uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
  for (char& byte : text) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<char>(state >> 56);
  }
  return text;
}

std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  DIR* directory = WORKS(opendir(path.c_str()));
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

namespace {

// One descriptor for each level, so that paths may be deeper than PATH_MAX.
void remove_below(int parent, const char* name) {
  const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  DIR* directory = fdopendir(fd);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(directory)) names.emplace_back(entry->d_name);
  for (const std::string& child : names) {
    if (child == "." || child == "..") continue;
    if (unlinkat(fd, child.c_str(), 0) == 0) continue;
    remove_below(fd, child.c_str());
    unlinkat(fd, child.c_str(), AT_REMOVEDIR);
  }
  closedir(directory);
}

}  // namespace

void remove_tree(const std::string& path) {
  remove_below(AT_FDCWD, path.c_str());
  rmdir(path.c_str());
}

int64_t nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::string proc_path(const Fd& file) { return "/proc/self/fd/" + std::to_string(file.get()); }

}  // namespace dpfs::posix
