// SPDX-License-Identifier: Apache-2.0
// DPFS_ASSERT: for our own bugs, in every build. What a tenant or the kernel may do is an Errno.
#pragma once

namespace dpfs {

[[noreturn]] void assertion_failed(const char* fact, const char* file, int line) noexcept;

}  // namespace dpfs

#define DPFS_ASSERT(fact)                       \
  (__builtin_expect(static_cast<bool>(fact), 1) \
       ? void(0)                                \
       : ::dpfs::assertion_failed(#fact, __FILE__, __LINE__))
