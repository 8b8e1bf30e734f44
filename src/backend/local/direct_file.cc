// SPDX-License-Identifier: Apache-2.0
// What a file system wants of direct I/O is asked once for each open file.
#include "backend/local/direct_file.h"

#include <bit>

#include "backend/local/system.h"

namespace dpfs::local {
namespace {

struct Alignment {
  uint32_t memory;
  uint32_t offset;  // 0: no direct I/O
};

Alignment alignment_of(int fd) noexcept {
#ifdef STATX_DIOALIGN
  Stat stat;
  const Result<Unit> ok =
      done([&] { return ::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stat); });
  if (ok && (stat.stx_mask & STATX_DIOALIGN) != 0) {
    return {stat.stx_dio_mem_align, stat.stx_dio_offset_align};
  }
#endif
  // Before Linux 6.1 nobody says. Should it be more, the file system refuses and the request goes
  // the usual way.
  return {.memory = 4096, .offset = 512};
}

}  // namespace

DirectFile open_direct(int proc_fd, int fd) noexcept {
  DirectFile direct;
  direct.state = DirectFile::State::refused;
  const Result<int> flags = checked([&] { return ::fcntl(fd, F_GETFL); });
  if (!flags) return direct;
  const int kept = *flags & (O_ACCMODE | O_DSYNC | O_SYNC | O_NOATIME);
  const Result<int> opened =
      checked([&] { return ::openat(proc_fd, FdName(fd).c_str(), kept | O_DIRECT | O_CLOEXEC); });
  if (!opened) return direct;
  Fd owned(*opened);
  const Alignment wanted = alignment_of(*opened);
  if (!std::has_single_bit(wanted.memory) || !std::has_single_bit(wanted.offset)) return direct;
  direct.fd = std::move(owned);
  direct.memory_align = wanted.memory;
  direct.offset_align = wanted.offset;
  direct.synchronous = (*flags & O_DSYNC) != 0;
  direct.state = DirectFile::State::open;
  return direct;
}

}  // namespace dpfs::local
