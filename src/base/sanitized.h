// SPDX-License-Identifier: Apache-2.0
// Whether this build has a sanitizer: it has memory, threads and system calls of its own.
#pragma once

namespace dpfs {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DPFS_SANITIZED 1
#endif
#endif
#ifdef DPFS_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace dpfs
