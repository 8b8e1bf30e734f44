// SPDX-License-Identifier: Apache-2.0
// One asynchronous operation on a file, and who carries it out.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "io/completion.h"

namespace dpfs {

struct FileIo : Completion {
  enum class Kind : uint8_t { readv, writev, fsync, fdatasync };

  Kind kind = Kind::readv;
  int fd = -1;                     // stays open until the completion has run
  std::span<const iovec> buffers;  // at most IOV_MAX; stay until then too
  uint64_t offset = 0;             // bytes
};

// Carries out FileIo. io_uring where the kernel has it (io/uring_engine.h), a few threads where not
// (io/thread_engine.h). Of one reactor; not thread-safe.
class IoEngine {
 public:
  virtual ~IoEngine() = default;

  // Takes `io`; it may lie in a batch until flush().
  virtual void submit(FileIo& io) noexcept = 0;
  // True when the kernel would not take all of it now: call again soon.
  virtual bool flush() noexcept = 0;
  // Moves what is finished to `done`.
  virtual void reap(CompletionQueue& done) noexcept = 0;
  // Readable when there is something to reap.
  virtual int readiness_fd() const noexcept = 0;
  virtual const char* name() const noexcept = 0;

  uint32_t in_flight() const noexcept { return in_flight_; }

 protected:
  uint32_t in_flight_ = 0;
};

}  // namespace dpfs
