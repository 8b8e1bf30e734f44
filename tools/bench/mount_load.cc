// SPDX-License-Identifier: Apache-2.0
// mount_load: what tools/bench/mount_compare.py and tools/eval/nfs.py do to a mounted directory,
// timed in here.
//
//   mount_load read DIR COUNT THREADS kept|dropped   4 KiB reads of DIR/data, each page once
//   mount_load stat DIR COUNT THREADS FOLDERS FILES  lstat() by path, all over DIR/tree
//   mount_load walk DIR                              lists DIR/tree, and lstat() of all in it
//   mount_load create DIR COUNT                      empty files in DIR/made
//   mount_load unlink DIR COUNT                      takes them away again
//   mount_load tree DIR FOLDERS FILES                makes DIR/tree: FOLDERS with FILES each
//   mount_load put DIR COUNT                         files of 4 KiB in DIR/put
//   mount_load get DIR COUNT                         reads them
//   mount_load copy DIR                              DIR/data to DIR/copy, until it is stored
//
// Prints {"operations": N, "seconds": S}. Ends with status 1 and a message where anything fails: a
// benchmark of errors is fast, and worth nothing.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr size_t kBlockBytes = 4096;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "mount_load: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags, mode_t mode = 0)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {
    if (fd_ < 0) fail(path);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { ::close(fd_); }
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

// splitmix64: the same numbers in each run.
uint64_t mixed(uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// From when it is made.
class Stopwatch {
 public:
  void print(uint64_t operations) const {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun_;
    std::printf("{\"operations\": %llu, \"seconds\": %.6f}\n",
                static_cast<unsigned long long>(operations), took.count());
  }

 private:
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

// Runs `work(i)` for i from 0 to count - 1 on so many threads, and says how long it took.
void measure(uint64_t count, unsigned threads, const std::function<void(uint64_t)>& work) {
  constexpr uint64_t kTaken = 64;  // at once, so that the threads do not meet at the counter
  std::atomic<uint64_t> next{0};
  const auto run = [&] {
    while (true) {
      const uint64_t begin = next.fetch_add(kTaken, std::memory_order_relaxed);
      if (begin >= count) return;
      for (uint64_t i = begin; i < std::min(begin + kTaken, count); ++i) work(i);
    }
  };
  const Stopwatch watch;
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads; ++i) others.emplace_back(run);
  run();
  for (std::thread& other : others) other.join();
  watch.print(count);
}

// Each page once, in an order that no readahead foresees. `dropped`: the kernel is told to forget
// what it has of the file first, so that each read is one of the daemon's; what the daemon's own
// file has in memory stays there.
void read(const std::string& directory, uint64_t count, unsigned threads, bool dropped) {
  const Descriptor file(directory + "/data", O_RDONLY);
  struct stat status;
  if (::fstat(file.get(), &status) != 0) fail("data");
  const uint64_t pages = static_cast<uint64_t>(status.st_size) / kBlockBytes;
  if ((pages & (pages - 1)) != 0 || count > pages) {
    std::fputs("mount_load: data must have a power of two of pages, no fewer than COUNT\n", stderr);
    std::exit(1);
  }
  if (dropped) ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_RANDOM);
  measure(count, threads, [&](uint64_t i) {
    alignas(kBlockBytes) char block[kBlockBytes];
    const uint64_t page = (i * 0x9e3779b97f4a7c15 + 1) & (pages - 1);  // odd: a permutation
    if (::pread(file.get(), block, sizeof block, static_cast<off_t>(page * kBlockBytes)) !=
        static_cast<ssize_t>(sizeof block)) {
      fail("pread");
    }
  });
}

std::string folder_name(uint64_t i) { return "folder" + std::to_string(i); }
std::string file_name(uint64_t i) { return "file-number-" + std::to_string(i) + ".c"; }

void make_tree(const std::string& directory, uint64_t folders, uint64_t files) {
  const std::string tree = directory + "/tree";
  if (::mkdir(tree.c_str(), 0755) != 0) fail(tree);
  measure(folders, 1, [&](uint64_t i) {
    const std::string folder = tree + "/" + folder_name(i);
    if (::mkdir(folder.c_str(), 0755) != 0) fail(folder);
    for (uint64_t k = 0; k < files; ++k) {
      const Descriptor file(folder + "/" + file_name(k), O_CREAT | O_EXCL | O_WRONLY, 0644);
    }
  });
}

// stat() by path, of files all over the tree.
void stat_all(const std::string& directory, uint64_t count, unsigned threads, uint64_t folders,
              uint64_t files) {
  measure(count, threads, [&](uint64_t i) {
    const uint64_t number = mixed(i);
    const std::string path = directory + "/tree/" + folder_name(number % folders) + "/" +
                             file_name((number >> 32) % files);
    struct stat status;
    if (::lstat(path.c_str(), &status) != 0) fail(path);
  });
}

// Lists a directory, lstat()s all that is in it, and goes into its folders: what `git status` does
// to find out that nothing has changed. Returns how many entries there were.
uint64_t walk(int parent, const char* name) {
  const int fd = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = fd < 0 ? nullptr : ::fdopendir(fd);
  if (stream == nullptr) fail(name);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view text = entry->d_name;
    if (text != "." && text != "..") names.emplace_back(text);
  }
  uint64_t count = names.size();
  for (const std::string& each : names) {
    struct stat status;
    if (::fstatat(fd, each.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) fail(each);
    if (S_ISDIR(status.st_mode)) count += walk(fd, each.c_str());
  }
  ::closedir(stream);
  return count;
}

void make_files(const std::string& directory, uint64_t count) {
  const std::string folder = directory + "/made";
  if (::mkdir(folder.c_str(), 0755) != 0) fail(folder);
  measure(count, 1, [&](uint64_t i) {
    const Descriptor file(folder + "/" + file_name(i), O_CREAT | O_EXCL | O_WRONLY, 0644);
  });
}

void unlink_files(const std::string& directory, uint64_t count) {
  const std::string folder = directory + "/made";
  measure(count, 1, [&](uint64_t i) {
    const std::string path = folder + "/" + file_name(i);
    if (::unlink(path.c_str()) != 0) fail(path);
  });
  if (::rmdir(folder.c_str()) != 0) fail(folder);
}

void put_files(const std::string& directory, uint64_t count) {
  const std::string folder = directory + "/put";
  if (::mkdir(folder.c_str(), 0755) != 0) fail(folder);
  const std::vector<char> content(kBlockBytes, 'x');
  measure(count, 1, [&](uint64_t i) {
    const Descriptor file(folder + "/" + file_name(i), O_CREAT | O_EXCL | O_WRONLY, 0644);
    if (::write(file.get(), content.data(), content.size()) !=
        static_cast<ssize_t>(content.size())) {
      fail("write");
    }
  });
}

void get_files(const std::string& directory, uint64_t count) {
  measure(count, 1, [&](uint64_t i) {
    const Descriptor file(directory + "/put/" + file_name(i), O_RDONLY);
    char block[kBlockBytes];
    if (::read(file.get(), block, sizeof block) != static_cast<ssize_t>(sizeof block)) fail("read");
  });
}

// Operations are pieces of it.
void copy_data(const std::string& directory) {
  constexpr size_t kPieceBytes = 1 << 20;
  const Stopwatch watch;
  const Descriptor from(directory + "/data", O_RDONLY);
  const Descriptor to(directory + "/copy", O_CREAT | O_TRUNC | O_WRONLY, 0644);
  std::vector<char> piece(kPieceBytes);
  uint64_t pieces = 0;
  for (ssize_t size = 0; (size = ::read(from.get(), piece.data(), piece.size())) != 0; ++pieces) {
    if (size < 0) fail("read");
    if (::write(to.get(), piece.data(), static_cast<size_t>(size)) != size) fail("write");
  }
  if (::fsync(to.get()) != 0) fail("fsync");
  watch.print(pieces);
}

[[noreturn]] void usage() {
  std::fputs(
      "usage: mount_load read DIR COUNT THREADS kept|dropped\n"
      "       mount_load stat DIR COUNT THREADS FOLDERS FILES\n"
      "       mount_load walk DIR\n"
      "       mount_load create|unlink|put|get DIR COUNT\n"
      "       mount_load copy DIR\n"
      "       mount_load tree DIR FOLDERS FILES\n",
      stderr);
  std::exit(2);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto number = [&words](size_t i) { return std::strtoull(words[i].c_str(), nullptr, 10); };
  if (words.size() < 2) usage();
  const std::string& job = words[0];
  const std::string& directory = words[1];
  if (job == "read" && words.size() == 5) {
    read(directory, number(2), static_cast<unsigned>(number(3)), words[4] == "dropped");
  } else if (job == "stat" && words.size() == 6) {
    stat_all(directory, number(2), static_cast<unsigned>(number(3)), number(4), number(5));
  } else if (job == "walk" && words.size() == 2) {
    const Stopwatch watch;
    const uint64_t count = walk(AT_FDCWD, (directory + "/tree").c_str());
    watch.print(count);
  } else if (job == "create" && words.size() == 3) {
    make_files(directory, number(2));
  } else if (job == "unlink" && words.size() == 3) {
    unlink_files(directory, number(2));
  } else if (job == "put" && words.size() == 3) {
    put_files(directory, number(2));
  } else if (job == "get" && words.size() == 3) {
    get_files(directory, number(2));
  } else if (job == "copy" && words.size() == 2) {
    copy_data(directory);
  } else if (job == "tree" && words.size() == 4) {
    make_tree(directory, number(2), number(3));
  } else {
    usage();
  }
  return 0;
}
