// SPDX-License-Identifier: Apache-2.0
// The VMM's end of a vhost-user socket: typed requests, and anything at all for tests that
// misbehave.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "driver/memory.h"
#include "transport/vhost_user/protocol.h"

namespace dpfs::driver {

// Errors of every call: ENOTCONN the back-end has closed the socket, ETIMEDOUT it has not answered
// within reply_timeout_ms, EPROTO its answer is malformed, EINVAL it has refused the request (a
// REPLY_ACK other than 0).
class VhostUserConnection {
 public:
  explicit VhostUserConnection(Fd socket) noexcept : socket_(std::move(socket)) {}

  // Waits up to wait_ms for a socket that is not there yet, or that nobody listens on. Throws
  // std::runtime_error with a sentence that says what to do.
  static VhostUserConnection connect(const std::string& path, uint32_t wait_ms = 0);

  int fd() const noexcept { return socket_.get(); }
  void close() noexcept { socket_.reset(); }
  pid_t peer_pid() const noexcept;  // -1 where the kernel cannot tell
  bool peer_has_closed() const noexcept;

  int reply_timeout_ms = 10'000;
  // Ask for an acknowledgement of every request that has no reply of its own; needs
  // protocol_feature::kReplyAck.
  bool acknowledge = false;

  // ---- The requests -----------------------------------------------------------------------------
  // `request` answers with a u64: get_features, get_protocol_features, get_queue_num,
  // get_max_mem_slots, get_status.
  Result<uint64_t> get(vhost_user::Request request);
  // set_features, set_protocol_features, set_status, and with a descriptor set_vring_kick, _call,
  // _err.
  Result<Unit> set(vhost_user::Request request, uint64_t value, int fd = -1);
  // set_owner, reset_device
  Result<Unit> command(vhost_user::Request request, int fd = -1);
  // set_vring_num, set_vring_base, set_vring_enable
  Result<Unit> set_vring(vhost_user::Request request, uint32_t index, uint32_t number);
  Result<uint32_t> get_vring_base(uint32_t index);
  Result<Unit> set_vring_addr(const vhost_user::VringAddr& addr);
  // At most kMemoryTableRegionsMax regions.
  Result<Unit> set_mem_table(const Memory& memory);
  Result<Unit> add_mem_reg(const Memory::Region& region);
  Result<Unit> rem_mem_reg(const Memory::Region& region);
  Result<Unit> get_config(uint32_t offset, std::span<std::byte> into);
  Result<Unit> set_config(uint32_t offset, std::span<const std::byte> bytes);
  // The descriptor goes to `fd`.
  Result<vhost_user::Inflight> get_inflight_fd(uint16_t queues, uint16_t queue_size, Fd& fd);
  Result<Unit> set_inflight_fd(const vhost_user::Inflight& inflight, int fd);

  // ---- Below them -------------------------------------------------------------------------------
  template <class T>
  static std::span<const std::byte> bytes_of(const T& value) noexcept {
    return std::as_bytes(std::span(&value, 1));
  }

  // One request as the protocol wants it; waits for the acknowledgement where one is asked for.
  Result<Unit> request(vhost_user::Request request, std::span<const std::byte> payload,
                       std::span<const int> fds = {});
  // The same, expecting a reply of exactly `reply.size()` bytes.
  Result<Unit> request_reply(vhost_user::Request request, std::span<const std::byte> payload,
                             std::span<std::byte> reply, Fd* reply_fd = nullptr);

  // Exactly these bytes and descriptors in one sendmsg: for requests that lie.
  Result<Unit> send_raw(std::span<const std::byte> bytes, std::span<const int> fds = {});
  // One message: its header, as much of its payload as fits, and a descriptor where one came along.
  Result<vhost_user::Header> receive(std::span<std::byte> payload, Fd* fd = nullptr);

 private:
  Result<Unit> send(vhost_user::Request request, uint32_t flags, std::span<const std::byte> payload,
                    std::span<const int> fds);
  Result<Unit> receive_exactly(std::span<std::byte> into, Fd* fd);

  Fd socket_;
};

}  // namespace dpfs::driver
