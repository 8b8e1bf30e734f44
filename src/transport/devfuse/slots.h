// SPDX-License-Identifier: Apache-2.0
// Slots: the requests that a mount has in flight, each with staging memory for its message and its
// reply.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

#include "fuse/request.h"

namespace dpfs::devfuse {

// Room for one request in flight. /dev/fuse copies: the message lies in `message`, which the kernel
// has written; the reply grows in `reply`, until the kernel takes it.
struct Slot : dpfs::Request {
  iovec message{};  // what the views in and out point to: all the room that there is
  iovec reply{};
  iovec message_part{};
  iovec reply_part{};
  uint32_t next_free = 0;
  bool taken = false;
  bool answered = false;
  bool with_reader = false;  // it is being served by who has read it, and will write the reply
};

// The slots of one mount, last in, first out, so that few of them are ever touched: memory that is
// not touched costs nothing, and what a burst has touched goes back to the system by trim().
class Slots {
 public:
  // How many requests a mount may have in flight. Linux sends 128 by itself (Session::Options::
  // background_max); the rest is for threads that wait for their own.
  static constexpr uint32_t kCount = 256;
  // Those that keep their memory: enough for a few streams, small enough for many mounts.
  static constexpr uint32_t kKept = 24;
  // A WRITE's header and arguments end where a page begins, so that its payload is aligned, as
  // O_DIRECT files below like it.
  static constexpr size_t kWriteArguments = sizeof(fuse::InHeader) + sizeof(fuse::WriteIn);

  // For messages and replies with up to `io_bytes_max` bytes of payload. Throws std::bad_alloc.
  explicit Slots(size_t io_bytes_max);
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;
  ~Slots();

  uint32_t free() const noexcept { return kCount - taken_; }
  uint32_t taken() const noexcept { return taken_; }
  // Only when some are free.
  Slot* take() noexcept;
  void give(Slot& slot) noexcept;
  // Gives back the memory of those that only a burst has used, and which are not taken.
  void trim() noexcept;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Storage {
    alignas(Slot) char bytes[sizeof(Slot)];
  };

  Slot& slot(uint32_t i) noexcept { return *std::launder(reinterpret_cast<Slot*>(&slots_[i])); }
  uint32_t index(const Slot& slot) const noexcept {
    return static_cast<uint32_t>(reinterpret_cast<const Storage*>(&slot) - slots_.get());
  }
  char* staging(uint32_t i) const noexcept { return staging_ + i * bytes_each_; }

  std::unique_ptr<Storage[]> slots_;
  char* staging_ = nullptr;
  size_t bytes_each_ = 0;
  size_t reply_at_ = 0;
  uint32_t made_ = 0;
  uint32_t taken_ = 0;
  uint32_t used_max_ = 0;  // slots that were touched since the last trim()
  uint32_t first_free_ = kNone;
};

}  // namespace dpfs::devfuse
