// SPDX-License-Identifier: Apache-2.0
// System calls on extended attributes that take a path below a descriptor (Linux 6.13).
#pragma once

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace dpfs::local {

// The longest extended attribute, and the longest list of them.
inline constexpr size_t kXattrBytes = 64 * 1024;
using XattrBuffer = std::array<char, kXattrBytes>;

// The C library does not know them yet.
struct XattrArgs {
  uint64_t value;
  uint32_t size;
  uint32_t flags;
};
inline ssize_t setxattr_at(int directory, const char* path, int at_flags, const char* name,
                           const XattrArgs& args) noexcept {
  return ::syscall(463, directory, path, at_flags, name, &args, sizeof args);
}
inline ssize_t getxattr_at(int directory, const char* path, int at_flags, const char* name,
                           const XattrArgs& args) noexcept {
  return ::syscall(464, directory, path, at_flags, name, &args, sizeof args);
}
inline ssize_t listxattr_at(int directory, const char* path, int at_flags, char* names,
                            size_t size) noexcept {
  return ::syscall(465, directory, path, at_flags, names, size);
}
inline ssize_t removexattr_at(int directory, const char* path, int at_flags,
                              const char* name) noexcept {
  return ::syscall(466, directory, path, at_flags, name);
}

// Takes "trusted." names out of a list of names, each with its NUL; gives its new length.
inline size_t leave_out_trusted(char* names, size_t bytes) noexcept {
  size_t kept = 0;
  for (size_t at = 0; at < bytes;) {
    const size_t size = std::min(::strnlen(names + at, bytes - at) + 1, bytes - at);
    if (!std::string_view(names + at, size).starts_with("trusted.")) {
      std::memmove(names + kept, names + at, size);
      kept += size;
    }
    at += size;
  }
  return kept;
}

inline bool has_xattr_at() noexcept {
  // Nothing but a kernel that knows the call finds fault with the descriptor.
  static const bool has = listxattr_at(-1, "", AT_EMPTY_PATH, nullptr, 0) < 0 && errno == EBADF;
  return has;
}

}  // namespace dpfs::local
