// SPDX-License-Identifier: Apache-2.0
// take_text: names as FUSE has them, ended by a NUL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/result.h"
#include "guest/io_view.h"

namespace dpfs {

// Takes a text and its NUL off `from`, to `text`, which has room for size_max + 1 bytes. Its size,
// or EINVAL where it is empty or not terminated, or ENAMETOOLONG.
inline Result<uint16_t> take_text(IoView& from, char* text, size_t size_max) noexcept {
  IoView peek = from;
  const size_t copied = peek.copy_out(text, size_max + 1);
  const void* end = std::memchr(text, '\0', copied);
  if (end == nullptr) return copied > size_max ? Errno::nametoolong : Errno::inval;
  const auto size = static_cast<uint16_t>(static_cast<const char*>(end) - text);
  if (size == 0) return Errno::inval;
  from.skip(size + size_t{1});
  return size;
}

}  // namespace dpfs
