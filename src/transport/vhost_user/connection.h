// SPDX-License-Identifier: Apache-2.0
// Connection: one VMM's use of one device, from its connect to its hang-up. QEMU's
// docs/interop/vhost-user.rst.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/log.h"
#include "fuse/filesystem.h"
#include "fuse/session.h"
#include "guest/guest_memory.h"
#include "io/reactor.h"
#include "transport/vhost_user/channel.h"
#include "transport/vhost_user/vring.h"

namespace dpfs::vhost_user {

// What a device is, whoever is connected.
struct DeviceOptions {
  std::string tag;                  // 1 to 36 bytes
  uint16_t request_queues = 64;     // that a VMM may use; 1 to 64
  uint16_t queue_size_max = 1024;   // largest ring accepted
  bool tells_tag = true;            // VMMs may ask for the tag
  uint64_t interrupt_delay_ns = 0;  // see InterruptPolicy
  Session::Options session;
};

class ConnectionOwner {
 public:
  // The VMM is gone, or was sent away, and nothing is in flight. The owner destroys the connection,
  // but not from within this call.
  virtual void connection_closed() noexcept = 0;

 protected:
  ~ConnectionOwner() = default;
};

class Connection final : private Watch, private RingOwner {
 public:
  Connection(Reactor& reactor, Timers& timers, ConnectionOwner& owner, const DeviceOptions& options,
             FileSystem& fs, SessionCounters& counters, Fd socket);
  ~Connection();

  // False when the socket cannot be watched: nothing will come of this connection.
  bool open() noexcept;
  // Answers what is in flight, then reports closed.
  void close() noexcept;
  // Whether a VMM has said anything. One that only looked whether somebody listens has not.
  bool heard() const noexcept { return heard_; }

 private:
  void ready() noexcept override;
  void ring_stopped() noexcept override;
  void rings_may_take() noexcept override;

  // What a message asks for: a value to answer with, a plain success, or an errno.
  Result<Unit> handle(Message& message) noexcept;
  void acknowledge(Result<Unit> handled) noexcept;
  Result<Unit> answer_u64(const Message& message, uint64_t value) noexcept;

  Result<Unit> set_features(const Message& message) noexcept;
  uint64_t offered_features() const noexcept;
  Result<Unit> set_protocol_features(const Message& message) noexcept;
  Result<Unit> set_mem_table(Message& message) noexcept;
  Result<Unit> add_mem_reg(Message& message) noexcept;
  Result<Unit> rem_mem_reg(const Message& message) noexcept;
  Result<Unit> set_regions(GuestMemory::Regions regions) noexcept;
  Result<Unit> set_vring_num(const Message& message) noexcept;
  Result<Unit> set_vring_addr(const Message& message) noexcept;
  Result<Unit> set_vring_base(const Message& message) noexcept;
  Result<Unit> get_vring_base(const Message& message) noexcept;
  Result<Unit> set_vring_enable(const Message& message) noexcept;
  Result<Unit> set_vring_fd(Message& message) noexcept;
  Result<Unit> get_config(const Message& message) noexcept;
  Result<Unit> set_status(const Message& message) noexcept;
  Result<Unit> reset_device() noexcept;

  Result<Unit> start_if_complete(Vring& ring) noexcept;
  Vring* ring_at(uint64_t index) noexcept;
  bool idle() const noexcept;
  void stop_rings() noexcept;

  Reactor& reactor_;
  ConnectionOwner& owner_;
  const DeviceOptions& options_;
  Session session_;
  Channel channel_;
  Message message_;
  MemoryPin memory_;
  Fd backend_channel_;  // kept for the VMM's sake; nothing of ours speaks on it yet
  std::vector<std::unique_ptr<Vring>> rings_;
  log::RateLimit refused_log_;
  uint64_t features_ = 0;
  uint64_t protocol_features_ = 0;
  uint64_t status_ = 0;
  int waits_for_ring_ = -1;  // GET_VRING_BASE of that ring is answered when it has drained
  bool waits_for_reset_ = false;
  bool answered_ = false;  // the message at hand has had its answer
  bool handling_ = false;  // handle() is on the stack
  bool closing_ = false;
  bool heard_ = false;
  bool closed_ = false;
};

}  // namespace dpfs::vhost_user
