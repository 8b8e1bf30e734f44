// SPDX-License-Identifier: Apache-2.0
// libnfs_load: 4 KiB random reads of a file on an NFS server by libnfs, NFSv4.0, to compare with.
// The asynchronous interface, so many requests in flight, one connection, one thread. No writes:
// libnfs 4.0.0 fails to encode those of NFSv4 that are larger than some hundred bytes.
//
//   libnfs_load SERVER PORT /EXPORT/FILE DEPTH SECONDS
//
// Prints {"operations": N, "seconds": S, "cpu_us": C, "latency_us": {"p50": L, "p99": M}}; cpu_us
// is of each operation, kernel included.
#include <fcntl.h>
#include <nfsc/libnfs.h>
#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

constexpr size_t kBlockBytes = 4096;
constexpr int kStuckMs = 20'000;

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "libnfs_load: %s\n", what.c_str());
  std::exit(1);
}

double processor_s() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Target {
  std::string server;
  std::string port;
  std::string folder;
  std::string file;
};

class Load {
 public:
  Load(const Target& target, unsigned depth) : nfs_(nfs_init_context()), slots_(depth) {
    if (nfs_ == nullptr) fail("no context");
    const std::string url =
        "nfs://" + target.server + target.folder + "/?version=4&nfsport=" + target.port;
    nfs_url* parsed = nfs_parse_url_dir(nfs_, url.c_str());
    if (parsed == nullptr) fail(url + ": " + nfs_get_error(nfs_));
    if (nfs_mount(nfs_, parsed->server, parsed->path) != 0) fail(nfs_get_error(nfs_));
    nfs_destroy_url(parsed);
    if (nfs_open(nfs_, target.file.c_str(), O_RDONLY, &file_) != 0) {
      fail(nfs_get_error(nfs_));
    }
    nfs_stat_64 status{};
    if (nfs_fstat64(nfs_, file_, &status) != 0) fail(nfs_get_error(nfs_));
    blocks_ = status.nfs_size / kBlockBytes;
    if (blocks_ == 0) fail(target.file + " is empty");
    for (Slot& slot : slots_) slot.load = this;
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() {
    nfs_close(nfs_, file_);
    nfs_destroy_context(nfs_);
  }

  void run(double seconds) {
    // A quarter more goes before, to warm up.
    begin_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(Seconds(seconds / 4));
    end_ = begin_ + std::chrono::duration_cast<Clock::duration>(Seconds(seconds));
    for (Slot& slot : slots_) start(slot);
    while (in_flight_ > 0) turn();
  }

  void print() {
    if (latencies_us_.empty()) fail("nothing was answered");
    std::sort(latencies_us_.begin(), latencies_us_.end());
    const auto count = static_cast<double>(latencies_us_.size());
    const auto percentile = [&](double part) {
      return latencies_us_[static_cast<size_t>(part * (count - 1))];
    };
    std::printf(
        "{\"operations\": %zu, \"seconds\": %.6f, \"cpu_us\": %.3f, "
        "\"latency_us\": {\"p50\": %.2f, \"p99\": %.2f}}\n",
        latencies_us_.size(), Seconds(end_ - begin_).count(), processor_used_s_ / count * 1e6,
        percentile(0.5), percentile(0.99));
  }

 private:
  struct Slot {
    Load* load = nullptr;
    Clock::time_point started;
  };

  void start(Slot& slot) {
    slot.started = Clock::now();
    // splitmix64's step: offsets that no readahead foresees.
    random_ += 0x9e3779b97f4a7c15;
    const uint64_t offset =
        (random_ ^ (random_ >> 29)) * 0xbf58476d1ce4e5b9 % blocks_ * kBlockBytes;
    if (nfs_pread_async(nfs_, file_, offset, kBlockBytes, answered, &slot) != 0)
      fail(nfs_get_error(nfs_));
    ++in_flight_;
  }

  static void answered(int size, nfs_context* nfs, void*, void* slot) {
    if (size != static_cast<int>(kBlockBytes)) fail(nfs_get_error(nfs));
    static_cast<Slot*>(slot)->load->done(*static_cast<Slot*>(slot));
  }

  void done(Slot& slot) {
    --in_flight_;
    const Clock::time_point now = Clock::now();
    if (now >= begin_ && processor_before_s_ == 0) processor_before_s_ = processor_s();
    if (now >= end_) {
      if (processor_used_s_ == 0) processor_used_s_ = processor_s() - processor_before_s_;
      return;
    }
    if (now >= begin_) {
      latencies_us_.push_back(
          std::chrono::duration<double, std::micro>(now - slot.started).count());
    }
    start(slot);
  }

  void turn() {
    pollfd descriptor{
        .fd = nfs_get_fd(nfs_), .events = static_cast<short>(nfs_which_events(nfs_)), .revents = 0};
    if (::poll(&descriptor, 1, kStuckMs) < 1) fail("no answer");
    if (nfs_service(nfs_, descriptor.revents) < 0) fail(nfs_get_error(nfs_));
  }

  nfs_context* nfs_;
  nfsfh* file_ = nullptr;
  uint64_t blocks_ = 0;
  std::vector<Slot> slots_;
  uint64_t random_ = 1;
  size_t in_flight_ = 0;
  Clock::time_point begin_;
  Clock::time_point end_;
  double processor_before_s_ = 0;
  double processor_used_s_ = 0;
  std::vector<double> latencies_us_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() != 5) {
    std::fputs("usage: libnfs_load SERVER PORT /EXPORT/FILE DEPTH SECONDS\n", stderr);
    return 2;
  }
  const size_t cut = words[2].rfind('/');
  const Target target{.server = words[0],
                      .port = words[1],
                      .folder = words[2].substr(0, cut),
                      .file = words[2].substr(cut)};
  Load load(target, static_cast<unsigned>(std::stoul(words[3])));
  load.run(std::stod(words[4]));
  load.print();
  return 0;
}
