// SPDX-License-Identifier: Apache-2.0
// Counts malloc calls of a test program. Included by exactly one of its files.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DPFS_COUNTS_ALLOCATIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DPFS_COUNTS_ALLOCATIONS 0
#endif
#endif
#ifndef DPFS_COUNTS_ALLOCATIONS
#define DPFS_COUNTS_ALLOCATIONS 1
#endif

namespace dpfs {

inline std::atomic<uint64_t> allocations_counted{0};
inline constinit thread_local uint64_t allocations_counted_here = 0;  // by the calling thread
inline void count_allocation() noexcept {
  allocations_counted.fetch_add(1, std::memory_order_relaxed);
  ++allocations_counted_here;
}
// False under a sanitizer, which has a malloc of its own.
inline constexpr bool kCountsAllocations = DPFS_COUNTS_ALLOCATIONS == 1;

}  // namespace dpfs

#if DPFS_COUNTS_ALLOCATIONS
// The program's malloc goes before the C library's, for operator new too.
extern "C" {
void* __libc_malloc(size_t bytes);                      // NOLINT: the C library's own names
void* __libc_calloc(size_t count, size_t bytes);        // NOLINT
void* __libc_realloc(void* memory, size_t bytes);       // NOLINT
void* __libc_memalign(size_t alignment, size_t bytes);  // NOLINT

void* malloc(size_t bytes) {
  dpfs::count_allocation();
  return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
  dpfs::count_allocation();
  return __libc_calloc(count, bytes);
}
void* realloc(void* memory, size_t bytes) {
  dpfs::count_allocation();
  return __libc_realloc(memory, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  dpfs::count_allocation();
  return __libc_memalign(alignment, bytes);
}
}
#endif
