// SPDX-License-Identifier: Apache-2.0
// UringEntry: one entry of one of the kernel's queues, and the ring by which it is handed in.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "fuse/request.h"
#include "fuse/wire.h"

struct io_uring;  // liburing's. NOLINT(readability-identifier-naming)

namespace dpfs::devfuse {

// Room for one request. Its buffers are the kernel's while it is handed in.
class UringEntry : public dpfs::Request {
 public:
  // Of queue `queue`. Throws std::bad_alloc.
  UringEntry(uint32_t queue, size_t payload_bytes);
  UringEntry(const UringEntry&) = delete;
  UringEntry& operator=(const UringEntry&) = delete;
  ~UringEntry();

  uint32_t queue() const noexcept { return queue_; }

  // Whether the kernel lets us have such a ring.
  static bool possible() noexcept;

  // Makes the ring, for the calling thread only. `device` is a mounted /dev/fuse.
  Errno open(int device) noexcept;
  // Hands the entry in, with the reply to the request that it holds if it holds one, and waits for
  // the next. EINTR, EAGAIN: it has not come yet; ENOTCONN: none will come; anything else: the
  // kernel refuses the entry.
  Errno fetch() noexcept;
  // The reply lies in the entry.
  void set_reply(uint32_t bytes) noexcept;
  // Takes the entry back from the kernel, and a request that it holds: who has made that gets an
  // error when the mount is over. From the thread of open(), or while that one is elsewhere.
  void close() noexcept;

 private:
  void hand_in() noexcept;
  void take() noexcept;

  const uint32_t queue_;
  const size_t payload_bytes_;
  int device_ = -1;
  std::unique_ptr<io_uring> ring_;  // nullptr: closed
  fuse::UringReqHeader* headers_ = nullptr;
  char* payload_ = nullptr;
  uint64_t commit_id_ = 0;
  bool registered_ = false;
  bool handed_in_ = false;
  iovec buffers_[2] = {};   // what the kernel is told at registration
  iovec in_parts_[3] = {};  // header, first argument, the rest
  iovec out_parts_[2] = {};
};

}  // namespace dpfs::devfuse
