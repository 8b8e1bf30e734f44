// SPDX-License-Identifier: Apache-2.0
// Readers: the threads that read requests from /dev/fuse and write the replies.
#pragma once

#include <cstdint>
#include <list>
#include <string_view>

#include "base/log.h"
#include "fuse/request.h"
#include "io/interruptible_thread.h"
#include "io/reactor.h"
#include "transport/devfuse/fetch_host.h"
#include "transport/devfuse/slots.h"

namespace dpfs::devfuse {

// Each waits in read(2), visits the reactor with the request that it got, leaves, and writes the
// reply. A request whose answer comes later stays in its slot, and is answered by whoever has the
// answer; the reader goes on with another slot.
//
// Several wait at once, although only one at a time can be the reactor: reading and writing, which
// copy, go on side by side. And the kernel wakes them in turn, so that some were last on the
// processor of whoever asks; waking a thread there costs a tenth of waking another processor that
// sleeps, at least in a virtual machine. docs/performance.md has figures.
//
// Of its reactor, except the constructor, and the destructor when nothing runs any more.
class Readers final : private ReplySink {
 public:
  // How many wait where all requests come this way.
  static constexpr uint32_t kThreads = 12;
  // How many there may be, with those that are inside calls that take long.
  static constexpr uint32_t kThreadsMax = 128;

  // `device` is a mounted /dev/fuse, which blocks. For payloads of up to `io_bytes_max`; throws
  // std::bad_alloc.
  Readers(Reactor& reactor, FetchHost& host, std::string_view name, int device,
          size_t io_bytes_max);
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;
  ~Readers();

  // From now on so many threads wait for requests. False when there is none to be had.
  bool keep(uint32_t threads) noexcept;
  // Takes nothing more. What was taken can still be answered.
  void stop() noexcept;
  // Threads that still use the host.
  uint32_t running() const noexcept { return running_; }

 private:
  struct Reader final : Visitor {
    explicit Reader(Readers& owner) noexcept : readers(owner) {}
    void blocked() noexcept override { readers.blocked(*this); }

    Readers& readers;
    InterruptibleThread thread;
    Slot* slot = nullptr;
    bool is_blocked = false;
    bool ended = false;
  };

  void done(dpfs::Request& request, uint32_t written) noexcept override;

  void run(Reader& reader) noexcept;
  bool read_one(Reader& reader) noexcept;
  bool serve(Reader& reader, Slot& slot) noexcept;
  void blocked(Reader& reader) noexcept;
  void replenish() noexcept;
  void fill_up() noexcept;
  bool start_one() noexcept;
  Errno write_reply(const Slot& slot) const noexcept;
  void reply_failed(const Slot& slot, Errno why) noexcept;

  Reactor& reactor_;
  FetchHost& host_;
  const std::string_view name_;
  const int device_;
  Slots slots_;
  std::list<Reader> readers_;
  uint32_t running_ = 0;
  uint32_t available_ = 0;  // of those: that are not blocked, and will read again
  uint32_t wanted_ = 0;
  bool greeted_ = false;
  bool stopped_ = false;
  log::RateLimit error_log_;  // of whoever writes replies
};

}  // namespace dpfs::devfuse
