// SPDX-License-Identifier: Apache-2.0
// Receiving and sending vhost-user messages.
#include "transport/vhost_user/channel.h"

#include <sys/socket.h>

#include <cstring>

namespace dpfs::vhost_user {

Result<Unit> Channel::receive(Message& message) noexcept {
  if (received_ == 0) message.fds.clear();
  while (received_ < sizeof(Header)) {
    auto* head = reinterpret_cast<char*>(&message.header);
    const Result<Unit> some = receive_some(message, head + received_, sizeof(Header) - received_);
    if (!some) return some;
  }
  const Header& header = message.header;
  if ((header.flags & header_flag::kVersionMask) != header_flag::kVersion ||
      (header.flags & header_flag::kReply) != 0 || header.size > kPayloadMax) {
    return Errno::proto;
  }
  while (received_ < sizeof(Header) + header.size) {
    const size_t done = received_ - sizeof(Header);
    const Result<Unit> some =
        receive_some(message, message.payload.data() + done, header.size - done);
    if (!some) return some;
  }
  received_ = 0;
  return Unit{};
}

Result<Unit> Channel::receive_some(Message& message, char* at, size_t size) noexcept {
  iovec part{at, size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kFdsMax)];
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  head.msg_control = control;
  head.msg_controllen = sizeof control;
  const ssize_t n = recvmsg(socket_.get(), &head, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n < 0) {
    if (errno == EINTR) return receive_some(message, at, size);
    return errno == EAGAIN ? Errno::again : Errno::notconn;
  }
  // Take every descriptor that came, so that none leaks, before saying that something is wrong with
  // them.
  for (cmsghdr* entry = CMSG_FIRSTHDR(&head); entry != nullptr; entry = CMSG_NXTHDR(&head, entry)) {
    if (entry->cmsg_level != SOL_SOCKET || entry->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (entry->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(entry) + i * sizeof fd, sizeof fd);
      message.fds.emplace_back(fd);
    }
  }
  if (n == 0) return Errno::notconn;
  if ((head.msg_flags & MSG_CTRUNC) != 0 || message.fds.size() > kFdsMax) return Errno::proto;
  received_ += static_cast<size_t>(n);
  return Unit{};
}

Result<Unit> Channel::reply(const Message& to, std::span<const char> payload) noexcept {
  Header header{to.header.request, header_flag::kVersion | header_flag::kReply,
                static_cast<uint32_t>(payload.size())};
  iovec parts[] = {{&header, sizeof header}, {const_cast<char*>(payload.data()), payload.size()}};
  msghdr head{};
  head.msg_iov = parts;
  head.msg_iovlen = 2;
  const ssize_t n = sendmsg(socket_.get(), &head, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n != static_cast<ssize_t>(sizeof header + payload.size())) return Errno::notconn;
  return Unit{};
}

}  // namespace dpfs::vhost_user
