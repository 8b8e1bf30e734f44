// SPDX-License-Identifier: Apache-2.0
// The SIGBUS handler and the table it looks in.
#include "guest/bus_error_guard.h"

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <mutex>

namespace dpfs {
namespace {

// Of all devices together: each has a few regions, with memory hot-plug some more.
constexpr size_t kRangesMax = 16384;

struct Range {
  std::atomic<uintptr_t> start{0};  // 0: free
  std::atomic<size_t> size{0};
};

std::array<Range, kRangesMax> ranges;  // read by the handler without a lock
std::atomic<size_t> ranges_used{0};    // those behind were never used
std::mutex ranges_mutex;               // of those that write

bool replace(uintptr_t start, size_t size) noexcept {
  return mmap(reinterpret_cast<void*>(start), size, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
}

// Async-signal-safe: loads, and mmap, which is a plain system call on Linux.
void on_bus_error(int signal, siginfo_t* info, void* /*context*/) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  const size_t used = ranges_used.load(std::memory_order_acquire);
  for (size_t i = 0; i < used; ++i) {
    const uintptr_t start = ranges[i].start.load(std::memory_order_acquire);
    const size_t size = ranges[i].size.load(std::memory_order_relaxed);
    if (start != 0 && address - start < size && replace(start, size)) return;
  }
  std::signal(signal, SIG_DFL);  // the instruction is run again, and ends us
}

void install_once() noexcept {
  static const bool installed = [] {
    struct sigaction action{};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, nullptr) == 0;
  }();
  static_cast<void>(installed);
}

}  // namespace

bool guard_from_bus_errors(void* start, size_t size) noexcept {
  std::lock_guard lock(ranges_mutex);
  install_once();
  size_t i = 0;
  while (i < kRangesMax && ranges[i].start.load(std::memory_order_relaxed) != 0) ++i;
  if (i == kRangesMax) return false;
  ranges[i].size.store(size, std::memory_order_relaxed);
  ranges[i].start.store(reinterpret_cast<uintptr_t>(start), std::memory_order_release);
  if (i >= ranges_used.load(std::memory_order_relaxed)) {
    ranges_used.store(i + 1, std::memory_order_release);
  }
  return true;
}

void unguard(void* start) noexcept {
  std::lock_guard lock(ranges_mutex);
  for (Range& range : ranges) {
    if (range.start.load(std::memory_order_relaxed) != reinterpret_cast<uintptr_t>(start)) continue;
    range.start.store(0, std::memory_order_release);
    return;
  }
}

}  // namespace dpfs
