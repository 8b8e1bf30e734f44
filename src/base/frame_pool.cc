// SPDX-License-Identifier: Apache-2.0
// Free lists of coroutine frames.
#include "base/frame_pool.h"

#include <cstdlib>
#include <new>
#include <utility>

namespace dpfs {
namespace {

constinit thread_local FramePool* bound_pool = nullptr;

}  // namespace

FramePool::~FramePool() {
  for (Free*& head : free_) {
    while (head != nullptr) std::free(std::exchange(head, head->next));
  }
}

FramePool* FramePool::bind(FramePool* pool) noexcept { return std::exchange(bound_pool, pool); }

void* FramePool::take(size_t bytes) noexcept {
  const size_t size_class = (bytes + kGrain - 1) / kGrain;
  FramePool* pool = bound_pool;
  if (pool != nullptr && size_class < kClasses && pool->free_[size_class] != nullptr) {
    return std::exchange(pool->free_[size_class], pool->free_[size_class]->next);
  }
  if (pool != nullptr) ++pool->grown_;
  return std::malloc(size_class * kGrain);
}

void FramePool::give(void* frame, size_t bytes) noexcept {
  const size_t size_class = (bytes + kGrain - 1) / kGrain;
  FramePool* pool = bound_pool;
  if (pool == nullptr || size_class >= kClasses) return std::free(frame);
  pool->free_[size_class] = new (frame) Free{pool->free_[size_class]};
}

}  // namespace dpfs
