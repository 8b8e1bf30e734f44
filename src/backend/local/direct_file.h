// SPDX-License-Identifier: Apache-2.0
// DirectFile: a second descriptor of an open file, for I/O that passes the host's page cache by.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "base/fd.h"

namespace dpfs::local {

// O_DIRECT asks for aligned memory, offsets and sizes. What comes from a tenant may have none of
// them: its programs may be aligned, but where their bytes lie for us is up to the transport; and
// its page cache writes back the last part of a file through any descriptor. So a file that is open
// with O_DIRECT keeps its usual descriptor, and each request takes the one that suits it. The
// kernel keeps both coherent.
struct DirectFile {
  enum class State : uint8_t { untried, open, refused };

  State state = State::untried;
  Fd fd;
  uint32_t memory_align = 0;  // bytes; a power of two
  uint32_t offset_align = 0;  // of offsets and sizes, too
  bool synchronous = false;   // each write is on the disk when it is answered

  bool takes(uint64_t offset, uint64_t bytes) const noexcept {
    return state == State::open && ((offset | bytes) & (offset_align - 1)) == 0;
  }
  bool takes(std::span<const iovec> parts) const noexcept {
    for (const iovec& part : parts) {
      const auto address = reinterpret_cast<uintptr_t>(part.iov_base);
      if (((address | part.iov_len) & (memory_align - 1)) != 0) return false;
    }
    return true;
  }
};

// Memory that suits every file system, for one request.
struct alignas(4096) AlignedBuffer {
  static constexpr size_t kBytes = 1u << 20;
  static constexpr size_t kMax = 64;  // of one device; beyond them the page cache does as well
  char bytes[kBytes];
};

// Opens what `fd` is open on once more, with the same access. May block. Refused where the file
// system has no direct I/O.
DirectFile open_direct(int proc_fd, int fd) noexcept;

}  // namespace dpfs::local
