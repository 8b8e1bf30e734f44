// SPDX-License-Identifier: Apache-2.0
// The VMM's end of a vhost-user socket.
#include "driver/vhost_user_connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

namespace dpfs::driver {
namespace {

using vhost_user::Header;
using vhost_user::Request;
namespace header_flag = vhost_user::header_flag;

constexpr size_t kFdsMax = 64;  // more than any back-end accepts, so that tests can send too many

void sleep_ms(uint32_t milliseconds) {
  timespec pause{.tv_sec = 0, .tv_nsec = static_cast<long>(milliseconds) * 1'000'000};
  nanosleep(&pause, nullptr);
}

std::string why_not(const std::string& path, int error) {
  std::string start = "cannot connect to " + path + ": ";
  switch (error) {
    case ENOENT:
      return start + "there is no such socket; start the daemon first, or correct the path";
    case ECONNREFUSED:
      return start + "nobody listens on it; the daemon that made it is gone, start it again";
    case EACCES:
      return start + "permission denied; run as the user who started the daemon";
    case EAGAIN:
      return start + "the daemon is busy with another client";
    case ENOTSOCK:
      return start + "it is not a socket";
    default:
      return start + std::strerror(error);
  }
}

}  // namespace

VhostUserConnection VhostUserConnection::connect(const std::string& path, uint32_t wait_ms) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw std::runtime_error("the socket path is longer than " +
                             std::to_string(sizeof address.sun_path - 1) + " characters: " + path);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  constexpr uint32_t kRetryMs = 10;
  for (uint32_t waited_ms = 0;; waited_ms += kRetryMs) {
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket)
      throw std::runtime_error(std::string("cannot create a socket: ") + std::strerror(errno));
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      return VhostUserConnection(std::move(socket));
    }
    bool may_come = errno == ENOENT || errno == ECONNREFUSED;
    if (!may_come || waited_ms >= wait_ms) throw std::runtime_error(why_not(path, errno));
    sleep_ms(kRetryMs);
  }
}

pid_t VhostUserConnection::peer_pid() const noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return -1;
  return peer.pid;
}

bool VhostUserConnection::peer_has_closed() const noexcept {
  if (!socket_) return true;
  pollfd state{.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
  return poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
}

// ---- The requests
// ---------------------------------------------------------------------------------

Result<uint64_t> VhostUserConnection::get(Request request) {
  uint64_t value = 0;
  Result<Unit> ok = request_reply(request, {}, std::as_writable_bytes(std::span(&value, 1)));
  if (!ok) return ok.error();
  return value;
}

Result<Unit> VhostUserConnection::set(Request number, uint64_t value, int fd) {
  return request(number, bytes_of(value), std::span(&fd, fd >= 0 ? 1 : 0));
}

Result<Unit> VhostUserConnection::command(Request number, int fd) {
  return request(number, {}, std::span(&fd, fd >= 0 ? 1 : 0));
}

Result<Unit> VhostUserConnection::set_vring(Request number, uint32_t index, uint32_t value) {
  return request(number, bytes_of(vhost_user::VringState{index, value}));
}

Result<uint32_t> VhostUserConnection::get_vring_base(uint32_t index) {
  vhost_user::VringState asked{index, 0};
  vhost_user::VringState state{};
  Result<Unit> ok = request_reply(Request::get_vring_base, bytes_of(asked),
                                  std::as_writable_bytes(std::span(&state, 1)));
  if (!ok) return ok.error();
  if (state.index != index) return Errno::proto;
  return state.num;
}

Result<Unit> VhostUserConnection::set_vring_addr(const vhost_user::VringAddr& addr) {
  return request(Request::set_vring_addr, bytes_of(addr));
}

Result<Unit> VhostUserConnection::set_mem_table(const Memory& memory) {
  vhost_user::MemoryTable table{};
  std::array<int, vhost_user::kMemoryTableRegionsMax> fds{};
  for (const Memory::Region& region : memory.regions()) {
    if (table.num_regions == vhost_user::kMemoryTableRegionsMax) return Errno::toobig;
    table.regions[table.num_regions] = Memory::describe(region);
    fds[table.num_regions++] = region.fd.get();
  }
  size_t size = offsetof(vhost_user::MemoryTable, regions) +
                table.num_regions * sizeof(vhost_user::MemoryRegion);
  return request(Request::set_mem_table, bytes_of(table).first(size),
                 std::span(fds).first(table.num_regions));
}

Result<Unit> VhostUserConnection::add_mem_reg(const Memory::Region& region) {
  vhost_user::SingleMemoryRegion single{0, Memory::describe(region)};
  int fd = region.fd.get();
  return request(Request::add_mem_reg, bytes_of(single), std::span(&fd, 1));
}

Result<Unit> VhostUserConnection::rem_mem_reg(const Memory::Region& region) {
  vhost_user::SingleMemoryRegion single{0, Memory::describe(region)};
  return request(Request::rem_mem_reg, bytes_of(single));
}

Result<Unit> VhostUserConnection::get_config(uint32_t offset, std::span<std::byte> into) {
  if (into.size() > vhost_user::kConfigBytesMax) return Errno::toobig;
  std::array<std::byte, vhost_user::kPayloadMax> message{};
  vhost_user::ConfigHeader asked{offset, static_cast<uint32_t>(into.size()), 0};
  std::memcpy(message.data(), &asked, sizeof asked);
  std::span<std::byte> whole = std::span(message).first(sizeof asked + into.size());
  Result<Unit> ok = request_reply(Request::get_config, whole, whole);
  if (!ok) return ok;
  std::memcpy(into.data(), message.data() + sizeof asked, into.size());
  return Unit{};
}

Result<Unit> VhostUserConnection::set_config(uint32_t offset, std::span<const std::byte> bytes) {
  if (bytes.size() > vhost_user::kConfigBytesMax) return Errno::toobig;
  std::array<std::byte, vhost_user::kPayloadMax> message{};
  vhost_user::ConfigHeader head{offset, static_cast<uint32_t>(bytes.size()), 0};
  std::memcpy(message.data(), &head, sizeof head);
  std::memcpy(message.data() + sizeof head, bytes.data(), bytes.size());
  return request(Request::set_config, std::span(message).first(sizeof head + bytes.size()));
}

Result<vhost_user::Inflight> VhostUserConnection::get_inflight_fd(uint16_t queues,
                                                                  uint16_t queue_size, Fd& fd) {
  vhost_user::Inflight asked{.mmap_size = 0,
                             .mmap_offset = 0,
                             .num_queues = queues,
                             .queue_size = queue_size,
                             .padding = 0};
  vhost_user::Inflight given{};
  Result<Unit> ok = request_reply(Request::get_inflight_fd, bytes_of(asked),
                                  std::as_writable_bytes(std::span(&given, 1)), &fd);
  if (!ok) return ok.error();
  if (!fd) return Errno::proto;
  return given;
}

Result<Unit> VhostUserConnection::set_inflight_fd(const vhost_user::Inflight& inflight, int fd) {
  return request(Request::set_inflight_fd, bytes_of(inflight), std::span(&fd, 1));
}

// ---- Below them
// -----------------------------------------------------------------------------------

Result<Unit> VhostUserConnection::request(Request number, std::span<const std::byte> payload,
                                          std::span<const int> fds) {
  Result<Unit> sent = send(number, acknowledge ? header_flag::kNeedReply : 0, payload, fds);
  if (!sent || !acknowledge) return sent;
  uint64_t outcome = 0;
  Result<Header> reply = receive(std::as_writable_bytes(std::span(&outcome, 1)));
  if (!reply) return reply.error();
  if (reply->request != static_cast<uint32_t>(number) || reply->size != sizeof outcome)
    return Errno::proto;
  if (outcome != 0) return Errno::inval;
  return Unit{};
}

Result<Unit> VhostUserConnection::request_reply(Request number, std::span<const std::byte> payload,
                                                std::span<std::byte> reply, Fd* reply_fd) {
  Result<Unit> sent = send(number, 0, payload, {});
  if (!sent) return sent;
  Result<Header> header = receive(reply, reply_fd);
  if (!header) return header.error();
  bool ours = header->request == static_cast<uint32_t>(number) &&
              (header->flags & header_flag::kReply) != 0;
  if (!ours) return Errno::proto;
  // GET_CONFIG is refused by a reply without payload.
  if (header->size == 0) return Errno::inval;
  if (header->size != reply.size()) return Errno::proto;
  return Unit{};
}

Result<Unit> VhostUserConnection::send(Request number, uint32_t flags,
                                       std::span<const std::byte> payload,
                                       std::span<const int> fds) {
  std::array<std::byte, sizeof(Header) + vhost_user::kPayloadMax> message;
  if (payload.size() > vhost_user::kPayloadMax) return Errno::toobig;
  Header header{static_cast<uint32_t>(number), header_flag::kVersion | flags,
                static_cast<uint32_t>(payload.size())};
  std::memcpy(message.data(), &header, sizeof header);
  if (!payload.empty()) std::memcpy(message.data() + sizeof header, payload.data(), payload.size());
  return send_raw(std::span(message).first(sizeof header + payload.size()), fds);
}

Result<Unit> VhostUserConnection::send_raw(std::span<const std::byte> bytes,
                                           std::span<const int> fds) {
  if (fds.size() > kFdsMax) return Errno::toobig;
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kFdsMax)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  while (part.iov_len > 0) {
    ssize_t sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EPIPE || errno == ECONNRESET ? Errno::notconn : last_errno();
    part.iov_base = static_cast<std::byte*>(part.iov_base) + sent;
    part.iov_len -= static_cast<size_t>(sent);
    message.msg_control = nullptr;  // the descriptors went with the first byte
    message.msg_controllen = 0;
  }
  return Unit{};
}

Result<Header> VhostUserConnection::receive(std::span<std::byte> payload, Fd* fd) {
  Header header{};
  Result<Unit> ok = receive_exactly(std::as_writable_bytes(std::span(&header, 1)), fd);
  if (!ok) return ok.error();
  if ((header.flags & header_flag::kVersionMask) != header_flag::kVersion) return Errno::proto;
  size_t fits = std::min<size_t>(header.size, payload.size());
  if (ok = receive_exactly(payload.first(fits), fd); !ok) return ok.error();
  std::array<std::byte, 256> rest;
  for (size_t left = header.size - fits; left > 0;) {
    size_t now = std::min(left, rest.size());
    if (ok = receive_exactly(std::span(rest).first(now), nullptr); !ok) return ok.error();
    left -= now;
  }
  return header;
}

Result<Unit> VhostUserConnection::receive_exactly(std::span<std::byte> into, Fd* fd) {
  while (!into.empty()) {
    pollfd state{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    int ready = poll(&state, 1, reply_timeout_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return Errno::timedout;
    iovec part{into.data(), into.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0 || (got < 0 && errno == ECONNRESET)) return Errno::notconn;
    if (got < 0) return last_errno();
    const cmsghdr* rights = CMSG_FIRSTHDR(&message);
    if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
      int received = -1;
      std::memcpy(&received, CMSG_DATA(rights), sizeof received);
      Fd owned(received);  // closed where nobody asked for it
      if (fd != nullptr) *fd = std::move(owned);
    }
    into = into.subspan(static_cast<size_t>(got));
  }
  return Unit{};
}

}  // namespace dpfs::driver
