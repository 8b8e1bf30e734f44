// SPDX-License-Identifier: Apache-2.0
// Memory for coroutine frames: free lists by size, so that a request that waits calls no malloc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace dpfs {

// A reactor owns one and binds it to the thread that runs it. A thread without one (a test, a tool)
// uses malloc itself; a frame may be taken with a pool bound and given back without, or the
// reverse.
class FramePool {
 public:
  FramePool() = default;
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;
  ~FramePool();

  // nullptr when memory is out.
  static void* take(size_t bytes) noexcept;
  static void give(void* frame, size_t bytes) noexcept;

  // Makes `pool` (or none) the calling thread's; returns the one before.
  static FramePool* bind(FramePool* pool) noexcept;

  // How often the pool had to ask malloc since it was made: constant in steady state.
  uint64_t grown() const noexcept { return grown_; }

 private:
  struct Free {
    Free* next;
  };
  static constexpr size_t kGrain = 64;    // bytes; a cache line
  static constexpr size_t kClasses = 64;  // frames up to 4 KiB; larger ones go to malloc

  std::array<Free*, kClasses> free_{};
  uint64_t grown_ = 0;
};

}  // namespace dpfs
