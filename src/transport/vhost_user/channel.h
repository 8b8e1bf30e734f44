// SPDX-License-Identifier: Apache-2.0
// Channel: vhost-user messages, with their descriptors, over a connected socket.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "transport/vhost_user/protocol.h"

namespace dpfs::vhost_user {

// One message, whole.
struct Message {
  Header header{};
  alignas(8) std::array<char, kPayloadMax> payload{};
  std::vector<Fd> fds;

  Request request() const noexcept { return static_cast<Request>(header.request); }
  bool needs_reply() const noexcept { return (header.flags & header_flag::kNeedReply) != 0; }
  std::span<const char> bytes() const noexcept { return {payload.data(), header.size}; }

  // The payload as a T. EINVAL when it has another size.
  template <class T>
  Result<T> as() const noexcept;
};

class Channel {
 public:
  // `socket` is a connected stream socket, non-blocking.
  explicit Channel(Fd socket) noexcept : socket_(std::move(socket)) {}

  int fd() const noexcept { return socket_.get(); }

  // EAGAIN: not all of the next message is here yet. ENOTCONN: the VMM has hung up. EPROTO: what
  // came is no vhost-user message, or has too many descriptors. On success `message` is it, until
  // the next call.
  Result<Unit> receive(Message& message) noexcept;

  // Answers `to`. A VMM that does not read its answers counts as gone.
  Result<Unit> reply(const Message& to, std::span<const char> payload) noexcept;
  template <class T>
  Result<Unit> reply(const Message& to, const T& value) noexcept {
    return reply(to, std::span<const char>(reinterpret_cast<const char*>(&value), sizeof value));
  }

 private:
  Result<Unit> receive_some(Message& message, char* at, size_t size) noexcept;

  Fd socket_;
  size_t received_ = 0;  // bytes of the message under way
};

template <class T>
Result<T> Message::as() const noexcept {
  if (header.size != sizeof(T)) return Errno::inval;
  T value;
  __builtin_memcpy(&value, payload.data(), sizeof value);
  return value;
}

}  // namespace dpfs::vhost_user
