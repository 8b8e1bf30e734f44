// SPDX-License-Identifier: Apache-2.0
// Connection: one mount of the Linux FUSE client. Its requests go to the session, whichever way
// they come.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "fuse/session.h"
#include "io/reactor.h"
#include "transport/devfuse/fetch_host.h"
#include "transport/devfuse/readers.h"
#include "transport/devfuse/request_order.h"
#include "transport/devfuse/uring_queues.h"

namespace dpfs::devfuse {

// What a connection tells, on its reactor.
class ConnectionOwner {
 public:
  // The kernel has sent INIT; false when the session has refused it, or none came: there will be
  // nothing else. Once.
  virtual void connection_begun(bool accepted) noexcept = 0;
  // Unmounted, or aborted: no request will come, and none is in flight. Once. The connection may be
  // destroyed on a later turn.
  virtual void connection_ended() noexcept = 0;

 protected:
  ~ConnectionOwner() = default;
};

// Of its reactor, except the constructor, which runs while the reactor does not know of it.
class Connection final : private FetchHost {
 public:
  struct Options {
    Session::Options session;
    bool io_uring = true;  // requests come by io_uring, where the kernel offers it
  };

  // `device` is a /dev/fuse descriptor that is mounted, blocks and stays open. `name` is for the
  // log.
  Connection(Reactor& reactor, ConnectionOwner& owner, FileSystem& fs, std::string name, int device,
             const Options& options, SessionCounters& counters);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // False when there is no thread to be had.
  bool open() noexcept { return readers_.keep(1); }  // INIT is first
  // Takes no more; connection_ended() follows when what is in flight has been answered.
  void close() noexcept;
  // Gives the kernel back all that it has given us, for a file system that hangs: whoever waits
  // gets an error once `device` is closed too.
  void abandon() noexcept;
  // How requests come.
  const char* way() const noexcept { return by_queues_ ? "io_uring" : "/dev/fuse"; }

 private:
  // How many wait in read(2) for the little that does not come by io_uring.
  static constexpr uint32_t kReadersBesideQueues = 2;

  bool may_serve(const dpfs::Request& request, uint32_t times_asked) noexcept override;
  void serve(dpfs::Request& request) noexcept override;
  void answered() noexcept override;
  void greeted() noexcept override;
  void read_failed(Errno why) noexcept override;
  void queues_refused() noexcept override;
  void thread_ended() noexcept override { end_if_drained(); }

  void end_if_drained() noexcept;

  ConnectionOwner& owner_;
  const std::string name_;
  RequestOrder order_;
  uint32_t waits_in_vain_ = 0;      // for requests that were made earlier, one after another
  std::optional<Session> session_;  // always there; made last
  Readers readers_;
  std::unique_ptr<UringQueues> queues_;  // nullptr: the kernel does not offer them
  bool by_queues_ = false;
  uint32_t in_flight_ = 0;
  bool greeted_ = false;  // the owner knows how it began
  bool over_ = false;     // nothing is fetched any more
  bool told_ = false;     // connection_ended() was called
};

}  // namespace dpfs::devfuse
