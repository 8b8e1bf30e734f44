// SPDX-License-Identifier: Apache-2.0
// A VMM for tests: a device's server on a running reactor, and the other end of its socket, to send
// any bytes and descriptors over.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/assert.h"
#include "base/fd.h"
#include "io/reactor_harness.h"
#include "transport/vhost_user/protocol.h"
#include "transport/vhost_user/server.h"
#include "virtio/fake_ring.h"

namespace dpfs::vhost_user {

inline size_t open_descriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

// A Server at an address that has no name in the file system.
class RunningServer {
 public:
  explicit RunningServer(FileSystem& fs, const DeviceOptions& options = {.tag = "test"}) {
    Fd listening(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un any{.sun_family = AF_UNIX, .sun_path = {}};
    DPFS_ASSERT(bind(listening.get(), reinterpret_cast<sockaddr*>(&any), sizeof(sa_family_t)) == 0);
    DPFS_ASSERT(listen(listening.get(), 16) == 0);
    address_size_ = sizeof address_;
    DPFS_ASSERT(
        getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address_), &address_size_) == 0);
    server_.emplace(running_.reactor, options, fs, std::move(listening));
    running_.call([this] { DPFS_ASSERT(server_->open()); });
  }
  ~RunningServer() {
    std::promise<void> closed;
    running_.reactor.post([&] { server_->close([&closed] { closed.set_value(); }); });
    closed.get_future().wait();
  }

  Fd connect() const {
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    DPFS_ASSERT(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address_), address_size_) ==
                0);
    return fd;
  }
  RunningReactor& running() noexcept { return running_; }

 private:
  RunningReactor running_{Reactor::Options{.poll_ns_max = 0}};
  sockaddr_un address_{};
  socklen_t address_size_ = 0;
  std::optional<Server> server_;
};

class FakeVmm {
 public:
  explicit FakeVmm(const RunningServer& server, uint16_t ring_size = 8)
      : socket_(server.connect()), ring(ring_size, region_of(memory_file_)) {}

  struct Reply {
    Header header{};
    std::string payload;
    uint64_t u64() const {
      uint64_t value = UINT64_MAX;
      if (payload.size() == sizeof value) std::memcpy(&value, payload.data(), sizeof value);
      return value;
    }
  };

  // Exactly these bytes and descriptors.
  void send_raw(std::string_view bytes, std::span<const int> fds = {}) const {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 64)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(fds.size_bytes());
      cmsghdr* rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(fds.size_bytes());
      std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
    }
    [[maybe_unused]] const ssize_t sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
  }
  template <class T>
  static std::string bytes_of(const T& value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
  }
  static std::string message(Request request, std::string_view payload, uint32_t flags = 0) {
    return bytes_of(Header{static_cast<uint32_t>(request), header_flag::kVersion | flags,
                           static_cast<uint32_t>(payload.size())}) +
           std::string(payload);
  }
  void send(Request request, std::string_view payload = {}, std::span<const int> fds = {},
            uint32_t flags = 0) const {
    send_raw(message(request, payload, flags), fds);
  }
  // With NEED_REPLY: the value of the acknowledgement, 0 for success, or nothing: it hung up.
  std::optional<uint64_t> ask(Request request, std::string_view payload = {},
                              std::span<const int> fds = {}) const {
    send(request, payload, fds, header_flag::kNeedReply);
    const std::optional<Reply> reply = receive();
    if (!reply) return std::nullopt;
    return reply->u64();
  }
  template <class T>
  std::optional<uint64_t> ask_with(Request request, const T& payload,
                                   std::span<const int> fds = {}) const {
    return ask(request, bytes_of(payload), fds);
  }

  // The next message; nothing where the server has hung up, or sends none for `wait_ms`.
  std::optional<Reply> receive(int wait_ms = 10'000) const {
    Reply reply;
    if (!receive_exactly(reinterpret_cast<char*>(&reply.header), sizeof reply.header, wait_ms)) {
      return std::nullopt;
    }
    reply.payload.resize(reply.header.size);
    if (!receive_exactly(reply.payload.data(), reply.payload.size(), wait_ms)) return std::nullopt;
    return reply;
  }
  bool hung_up(int wait_ms = 10'000) const {
    pollfd state{.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
    return poll(&state, 1, wait_ms) == 1;
  }
  void hang_up() { socket_.reset(); }
  int fd() const { return socket_.get(); }

  // ---- A device that is brought up as it should be ----------------------------------------------

  static constexpr uint64_t kFeatures = virtio::feature::kVersion1 |
                                        virtio::feature::kIndirectDesc |
                                        virtio::feature::kEventIdx | kFeatureProtocolFeatures;
  static MemoryRegion ring_region() {
    return {.guest_phys_addr = FakeRing::kGuest,
            .memory_size = FakeRing::kBytes,
            .user_addr = FakeRing::kUser,
            .mmap_offset = 0};
  }
  static std::string memory_table(std::initializer_list<MemoryRegion> regions) {
    std::string table = bytes_of(uint32_t(regions.size())) + bytes_of(uint32_t{0});
    for (const MemoryRegion& region : regions) table += bytes_of(region);
    return table;
  }
  // With REPLY_ACK, so that ask() works.
  bool negotiate() const {
    send(Request::set_protocol_features, bytes_of(uint64_t{protocol_feature::kReplyAck}));
    return ask_with(Request::set_features, kFeatures) == 0;
  }
  bool share_memory() const {
    const int fd = memory_file_.get();
    return ask(Request::set_mem_table, memory_table({ring_region()}), {&fd, 1}) == 0;
  }
  // All but the kick descriptor, which starts it.
  bool prepare_ring(uint32_t index) const {
    return ask_with(Request::set_vring_num, VringState{index, ring.size}) == 0 &&
           ask_with(Request::set_vring_base, VringState{index, 0}) == 0 &&
           ask_with(Request::set_vring_addr, ring_addr(index)) == 0;
  }
  static VringAddr ring_addr(uint32_t index) {
    return {.index = index,
            .flags = 0,
            .desc_user_addr = FakeRing::kUser,
            .used_user_addr = FakeRing::kUser + FakeRing::kUsed,
            .avail_user_addr = FakeRing::kUser + FakeRing::kAvail,
            .log_guest_addr = 0};
  }
  bool start_ring(uint32_t index) const {
    const int kick_fd = kick.get();
    const int call_fd = call.get();
    return prepare_ring(index) &&
           ask_with(Request::set_vring_call, uint64_t{index}, {&call_fd, 1}) == 0 &&
           ask_with(Request::set_vring_kick, uint64_t{index}, {&kick_fd, 1}) == 0 &&
           ask_with(Request::set_vring_enable, VringState{index, 1}) == 0;
  }
  bool bring_up(uint32_t index = 1) const {
    return negotiate() && share_memory() && start_ring(index);
  }
  void kick_it() const {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(kick.get(), &one, sizeof one);
  }
  bool wait_for_call(int wait_ms = 10'000) const {
    pollfd state{.fd = call.get(), .events = POLLIN, .revents = 0};
    if (poll(&state, 1, wait_ms) != 1) return false;
    uint64_t count;
    return read(call.get(), &count, sizeof count) == sizeof count;
  }

 private:
  bool receive_exactly(char* into, size_t size, int wait_ms) const {
    while (size > 0) {
      pollfd state{.fd = socket_.get(), .events = POLLIN, .revents = 0};
      // A fuzzer's alarm interrupts both, whatever SA_RESTART says.
      const int ready = poll(&state, 1, wait_ms);
      if (ready < 0 && errno == EINTR) continue;
      if (ready != 1) return false;
      const ssize_t n = recv(socket_.get(), into, size, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      into += n;
      size -= static_cast<size_t>(n);
    }
    return true;
  }

  static std::shared_ptr<const GuestRegion> region_of(const Fd& file) {
    return std::shared_ptr<const GuestRegion>(*GuestRegion::map(
        {GuestAddress{FakeRing::kGuest}, UserAddress{FakeRing::kUser}, FakeRing::kBytes, 0}, file));
  }

  Fd socket_;
  Fd memory_file_ = memory_file(FakeRing::kBytes);

 public:
  int memory_fd() const { return memory_file_.get(); }
  const Fd kick{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  const Fd call{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  const FakeRing ring;
};

}  // namespace dpfs::vhost_user
