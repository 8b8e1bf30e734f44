// SPDX-License-Identifier: Apache-2.0
// guest_load: what `./dev eval nfs` runs in the guest, between two marks that count_plugin knows.
// Static: the guest has no libraries of ours.
//
//   guest_load NAME io read|write FILE DEPTH COUNT    4 KiB at random places, past the page cache
//   guest_load NAME string                            one instruction that repeats itself 4096
//   times guest_load NAME run COMMAND [ARGUMENTS...]        any program
//
// Depth 1 is pread() and pwrite(); more is Linux's AIO, the queue kept full: whatever is complete
// is taken and as much is submitted. A tenth of COUNT goes before the first mark, to warm up.
// Prints "@@ measured NAME OPERATIONS SECONDS INTERRUPTS" for the host; interrupts are those of
// virtio devices, from /proc/interrupts.
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

// nopl 0x..465044(%rax,%rax): does nothing, and no compiler writes it.
#define EVAL_MARK(which) \
  __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 'D', 'P', 'F', " which : : : "memory")

namespace {

constexpr size_t kBlockBytes = 4096;
constexpr unsigned kDepthMax = 128;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "guest_load: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

// splitmix64: the same numbers in each run.
class Random {
 public:
  uint64_t next() noexcept {
    uint64_t x = state_ += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

 private:
  uint64_t state_ = 1;
};

// Of all virtio devices since the guest's boot.
uint64_t virtio_interrupts() {
  std::FILE* file = std::fopen("/proc/interrupts", "re");
  if (file == nullptr) fail("/proc/interrupts");
  std::array<char, 4096> line{};
  uint64_t total = 0;
  while (std::fgets(line.data(), line.size(), file) != nullptr) {
    if (std::strstr(line.data(), "virtio") == nullptr) continue;
    // "24:   17   3  PCI-MSIX-0000:00:02.0   0-edge   virtio0-requests": one count per processor.
    char* at = std::strchr(line.data(), ':') + 1;
    for (char* end = at;; at = end) {
      const uint64_t value = std::strtoull(at, &end, 10);
      if (end == at) break;
      total += value;
    }
  }
  std::fclose(file);
  return total;
}

// Marks the begin where it is made; end() marks the end and says what was measured.
class Measurement {
 public:
  explicit Measurement(std::string name)
      : name_(std::move(name)), interrupts_(virtio_interrupts()), begun_(Clock::now()) {
    EVAL_MARK("'b'");
  }
  void end(uint64_t operations) const {
    EVAL_MARK("'e'");
    const std::chrono::duration<double> took = Clock::now() - begun_;
    std::printf("@@ measured %s %llu %.6f %llu\n", name_.c_str(),
                static_cast<unsigned long long>(operations), took.count(),
                static_cast<unsigned long long>(virtio_interrupts() - interrupts_));
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::string name_;
  uint64_t interrupts_;
  Clock::time_point begun_;
};

struct Direction {
  bool writes;
};

// Reads or writes blocks of one file at random places.
class RandomIo {
 public:
  RandomIo(const std::string& path, Direction direction, unsigned depth)
      : direction_(direction), depth_(depth) {
    fd_ = ::open(path.c_str(), (direction.writes ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
    if (fd_ < 0) fail(path);
    struct stat status{};
    if (::fstat(fd_, &status) != 0) fail(path);
    blocks_ = static_cast<uint64_t>(status.st_size) / kBlockBytes;
    if (blocks_ == 0) fail(path + " is empty");
    buffers_ = static_cast<char*>(std::aligned_alloc(kBlockBytes, kBlockBytes * depth));
    if (buffers_ == nullptr) fail("memory");
    std::memset(buffers_, 0xa5, kBlockBytes * depth);
    if (depth > 1 && ::syscall(SYS_io_setup, depth, &context_) != 0) fail("io_setup");
  }

  void run(uint64_t count) { depth_ == 1 ? one_by_one(count) : at_depth(count); }

 private:
  void one_by_one(uint64_t count) {
    for (uint64_t done = 0; done < count; ++done) {
      const auto offset = static_cast<off_t>(random_.next() % blocks_ * kBlockBytes);
      const ssize_t size = direction_.writes ? ::pwrite(fd_, buffers_, kBlockBytes, offset)
                                             : ::pread(fd_, buffers_, kBlockBytes, offset);
      if (size != static_cast<ssize_t>(kBlockBytes)) fail("a block");
    }
  }

  void at_depth(uint64_t count) {
    std::vector<unsigned> free(depth_);
    for (unsigned slot = 0; slot < depth_; ++slot) free[slot] = slot;
    std::array<io_event, kDepthMax> events{};
    for (uint64_t done = 0, submitted = 0; done < count;) {
      submitted += submit(free, std::min<uint64_t>(free.size(), count - submitted));
      const long found =
          ::syscall(SYS_io_getevents, context_, 1L, static_cast<long>(depth_), events.data(), 0L);
      if (found < 1) fail("io_getevents");
      for (long index = 0; index < found; ++index) {
        const io_event& event = events[static_cast<size_t>(index)];
        if (event.res != static_cast<int64_t>(kBlockBytes)) fail("a block");
        free.push_back(static_cast<unsigned>(event.data));
      }
      done += static_cast<uint64_t>(found);
    }
  }

  // In one system call.
  uint64_t submit(std::vector<unsigned>& free, uint64_t count) {
    for (uint64_t index = 0; index < count; ++index) {
      const unsigned slot = free.back();
      free.pop_back();
      iocb& control = controls_[index];
      control = {};
      control.aio_fildes = static_cast<uint32_t>(fd_);
      control.aio_lio_opcode = direction_.writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
      control.aio_buf = reinterpret_cast<uint64_t>(buffers_ + slot * kBlockBytes);
      control.aio_nbytes = kBlockBytes;
      control.aio_offset = static_cast<int64_t>(random_.next() % blocks_ * kBlockBytes);
      control.aio_data = slot;
      pointers_[index] = &control;
    }
    for (uint64_t sent = 0; sent < count;) {
      const long took = ::syscall(SYS_io_submit, context_, static_cast<long>(count - sent),
                                  pointers_.data() + sent);
      if (took < 1) fail("io_submit");
      sent += static_cast<uint64_t>(took);
    }
    return count;
  }

  Direction direction_;
  unsigned depth_;
  int fd_ = -1;
  uint64_t blocks_ = 0;
  char* buffers_ = nullptr;
  aio_context_t context_ = 0;
  std::array<iocb, kDepthMax> controls_{};
  std::array<iocb*, kDepthMax> pointers_{};
  Random random_;
};

int measure_io(const std::string& name, char** words) {
  const std::string direction = words[0];
  const auto depth = static_cast<unsigned>(std::atoi(words[2]));
  const auto count = static_cast<uint64_t>(std::atoll(words[3]));
  if (depth < 1 || depth > kDepthMax) {
    std::fprintf(stderr, "guest_load: the depth is 1 to %u\n", kDepthMax);
    return 2;
  }
  RandomIo load(words[1], {.writes = direction == "write"}, depth);
  load.run(count / 10 + depth);
  const Measurement measurement(name);
  load.run(count);
  measurement.end(count);
  return 0;
}

// How does the plugin count an instruction that repeats itself? Copies are made of them.
int measure_string(const std::string& name) {
  static std::array<char, kBlockBytes> from;
  static std::array<char, kBlockBytes> to;
  from.fill('x');
  to.fill('y');
  const void* source = from.data();
  void* destination = to.data();
  size_t count = kBlockBytes;
  const Measurement measurement(name);
  __asm__ volatile("rep movsb" : "+D"(destination), "+S"(source), "+c"(count) : : "memory");
  measurement.end(1);
  return 0;
}

int measure_run(const std::string& name, char** command) {
  const Measurement measurement(name);
  const pid_t child = ::fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    ::execvp(command[0], command);
    fail(command[0]);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child) fail("waitpid");
  measurement.end(1);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

int main(int count, char** words) {
  const std::string_view what = count > 2 ? words[2] : "";
  if (what == "io" && count == 7) return measure_io(words[1], words + 3);
  if (what == "string" && count == 3) return measure_string(words[1]);
  if (what == "run" && count > 3) return measure_run(words[1], words + 3);
  std::fprintf(stderr,
               "usage: guest_load NAME io read|write FILE DEPTH COUNT\n"
               "       guest_load NAME string\n"
               "       guest_load NAME run COMMAND [ARGUMENTS...]\n");
  return 2;
}
