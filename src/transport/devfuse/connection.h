// SPDX-License-Identifier: Apache-2.0
// Connection: one mount of the Linux FUSE client. Reads requests from /dev/fuse, hands them to the
// session, writes the replies.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "fuse/session.h"
#include "io/reactor.h"
#include "transport/devfuse/slots.h"
#include "transport/devfuse/uring_queues.h"

namespace dpfs::devfuse {

// What a connection tells, on its reactor.
class ConnectionOwner {
 public:
  // The kernel has sent INIT; false when the session has refused it: there will be nothing else.
  virtual void connection_begun(bool accepted) noexcept = 0;
  // Unmounted, or aborted: no request will come, and none is in flight. Once. The connection may be
  // destroyed on a later turn.
  virtual void connection_ended() noexcept = 0;

 protected:
  ~ConnectionOwner() = default;
};

// Of its reactor, except the constructor, which runs while the reactor does not know of it.
class Connection final : private Poller, private Watch, private ReplySink, private QueuesHost {
 public:
  // How many requests of one mount may be inside the file system's calls at once. More than one
  // only when they block (io/relay.h), and then each holds a thread.
  static constexpr uint32_t kServingMax = 128;

  struct Options {
    Session::Options session;
    bool io_uring = true;  // requests come by io_uring, where the kernel offers it
  };

  // `device` is a /dev/fuse descriptor that is mounted, does not block and stays open. `name` is
  // for the log.
  Connection(Reactor& reactor, ConnectionOwner& owner, FileSystem& fs, std::string name, int device,
             const Options& options, SessionCounters& counters);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // False when the descriptor cannot be watched.
  bool open() noexcept;
  // Takes no more; connection_ended() follows when what is in flight has been answered.
  void close() noexcept;
  // Gives the kernel back all that it has given us, for a file system that hangs: whoever waits
  // gets an error once `device` is closed too.
  void abandon() noexcept;
  // How requests come.
  const char* way() const noexcept { return queues_ != nullptr ? "io_uring" : "/dev/fuse"; }

 private:
  bool poll() noexcept override;
  bool arm() noexcept override;
  void disarm() noexcept override {}
  void ready() noexcept override {
    drained_ = false;
    reactor_.activate(*this);
  }
  void done(dpfs::Request& request, uint32_t written) noexcept override;

  // QueuesHost
  bool may_serve() const noexcept override { return !over_ && serving_ < kServingMax; }
  void serve(dpfs::Request& request) noexcept override;
  void answered() noexcept override;

  bool may_take() const noexcept { return may_serve() && slots_.free() > 0; }
  bool take_one(size_t& cost) noexcept;
  void read_failed(Errno why) noexcept;
  void begin() noexcept;
  void reply_failed(const Slot& slot, Errno why) noexcept;
  void end_if_drained() noexcept;

  Reactor& reactor_;
  ConnectionOwner& owner_;
  const std::string name_;
  const int device_;
  std::optional<Session> session_;  // always there; made last
  Slots slots_;
  std::unique_ptr<UringQueues> queues_;  // nullptr: all comes by read(2)
  log::RateLimit error_log_;
  uint32_t in_flight_ = 0;
  uint32_t serving_ = 0;  // requests that are inside the session's calls
  bool begun_ = false;
  bool drained_ = false;  // the last read found nothing
  bool over_ = false;     // nothing is read any more
  bool told_ = false;     // connection_ended() was called
};

}  // namespace dpfs::devfuse
