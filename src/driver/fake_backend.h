// SPDX-License-Identifier: Apache-2.0
// A vhost-user-fs device for tests of the driver: a thread that negotiates, walks chains and
// answers as it is told.
//
// It lives in the driver's own process, so the driver's addresses are its own too.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "fuse/wire.h"
#include "transport/vhost_user/protocol.h"
#include "virtio/layout.h"

namespace dpfs::driver {

class FakeBackend {
 public:
  // One request as it lay on the ring.
  struct Seen {
    uint32_t queue;
    std::vector<uint32_t> readable;  // sizes of the descriptors
    std::vector<uint32_t> writable;
    std::vector<std::byte> bytes;  // all that is readable
    bool indirect;

    template <class T>
    T at(size_t offset) const {
      T value;
      std::memcpy(&value, bytes.data() + offset, sizeof value);
      return value;
    }
    fuse::InHeader header() const { return at<fuse::InHeader>(0); }
  };
  struct Answer {
    std::vector<std::byte> bytes;      // what goes into the writable descriptors
    uint32_t used_length_surplus = 0;  // to lie about the length
  };
  using Serve = std::function<Answer(const Seen&)>;

  // A well-formed reply.
  template <class T>
  static Answer reply(const Seen& seen, const T& body) {
    return reply_bytes(seen, std::as_bytes(std::span(&body, 1)));
  }
  static Answer reply_bytes(const Seen& seen, std::span<const std::byte> body, int32_t error = 0) {
    fuse::OutHeader out{static_cast<uint32_t>(sizeof out + body.size()), error,
                        seen.header().unique};
    Answer answer;
    answer.bytes.resize(out.len);
    std::memcpy(answer.bytes.data(), &out, sizeof out);
    if (!body.empty()) std::memcpy(answer.bytes.data() + sizeof out, body.data(), body.size());
    return answer;
  }
  static Answer error(const Seen& seen, int error) { return reply_bytes(seen, {}, -error); }

  explicit FakeBackend(Serve serve, uint64_t features = kFeatures)
      : serve_(std::move(serve)), features_(features) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    socket_.reset(ends[0]);
    driver_end_.reset(ends[1]);
    thread_ = std::thread([this] { run(); });
  }
  ~FakeBackend() {
    stop_ = true;
    thread_.join();
  }

  Fd take_driver_end() { return std::move(driver_end_); }
  std::vector<Seen> seen() {
    std::lock_guard lock(mutex_);
    return seen_;
  }
  std::vector<vhost_user::Request> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }

  static constexpr uint64_t kFeatures = virtio::feature::kVersion1 | virtio::feature::kEventIdx |
                                        virtio::feature::kIndirectDesc |
                                        vhost_user::kFeatureProtocolFeatures;

 private:
  struct Ring {
    uint32_t size = 0;
    vhost_user::VringAddr addr{};
    uint16_t next = 0;
    Fd call;
    bool enabled = false;
  };

  void run() {
    while (!stop_) {
      if (!take_message()) return;
      for (uint32_t i = 0; i < rings_.size(); ++i) {
        if (rings_[i].enabled) serve_ring(i);
      }
    }
  }

  // False where the driver has gone.
  bool take_message() {
    vhost_user::Header header{};
    iovec part{&header, sizeof header};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * vhost_user::kFdsMax)];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t got = recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0) {
      std::this_thread::yield();
      return true;
    }
    if (got == 0) return false;
    std::vector<Fd> fds;
    if (const cmsghdr* rights = CMSG_FIRSTHDR(&message); rights != nullptr) {
      for (size_t at = CMSG_LEN(0); at < rights->cmsg_len; at += sizeof(int)) {
        int fd;
        std::memcpy(&fd, reinterpret_cast<const char*>(rights) + at, sizeof fd);
        fds.emplace_back(fd);
      }
    }
    std::vector<std::byte> payload(header.size);
    if (header.size != 0 && recv(socket_.get(), payload.data(), header.size, MSG_WAITALL) <= 0)
      return false;
    handle(static_cast<vhost_user::Request>(header.request), header.flags, payload, fds);
    return true;
  }

  template <class T>
  static T load(std::span<const std::byte> bytes) {
    T value{};
    std::memcpy(&value, bytes.data(), std::min(sizeof value, bytes.size()));
    return value;
  }

  void send(vhost_user::Request request, std::span<const std::byte> payload) {
    vhost_user::Header header{static_cast<uint32_t>(request),
                              vhost_user::header_flag::kVersion | vhost_user::header_flag::kReply,
                              static_cast<uint32_t>(payload.size())};
    [[maybe_unused]] ssize_t sent = ::send(socket_.get(), &header, sizeof header, MSG_NOSIGNAL);
    sent = ::send(socket_.get(), payload.data(), payload.size(), MSG_NOSIGNAL);
  }
  void send_u64(vhost_user::Request request, uint64_t value) {
    send(request, std::as_bytes(std::span(&value, 1)));
  }

  void handle(vhost_user::Request request, uint32_t flags, std::span<const std::byte> payload,
              std::vector<Fd>& fds) {
    namespace protocol_feature = vhost_user::protocol_feature;
    using vhost_user::Request;
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    switch (request) {
      case Request::get_features:
        return send_u64(request, features_);
      case Request::get_protocol_features:
        return send_u64(request, protocol_feature::kMq | protocol_feature::kReplyAck |
                                     protocol_feature::kConfig);
      case Request::get_queue_num:
        return send_u64(request, rings_.size());
      case Request::get_config: {
        std::vector<std::byte> reply(payload.begin(), payload.end());
        virtio::FsConfig config{.tag = "fake", .num_request_queues = 2};
        std::memcpy(reply.data() + sizeof(vhost_user::ConfigHeader), &config, sizeof config);
        return send(request, reply);
      }
      case Request::get_vring_base: {
        auto state = load<vhost_user::VringState>(payload);
        rings_[state.index].enabled = false;
        state.num = rings_[state.index].next;
        return send(request, std::as_bytes(std::span(&state, 1)));
      }
      case Request::set_mem_table:
        table_ = load<vhost_user::MemoryTable>(payload);
        break;
      case Request::set_vring_num: {
        auto state = load<vhost_user::VringState>(payload);
        rings_[state.index].size = state.num;
        break;
      }
      case Request::set_vring_addr: {
        auto addr = load<vhost_user::VringAddr>(payload);
        rings_[addr.index].addr = addr;
        break;
      }
      case Request::set_vring_call:
        rings_[load<uint64_t>(payload)].call = std::move(fds[0]);
        break;
      case Request::set_vring_enable: {
        auto state = load<vhost_user::VringState>(payload);
        rings_[state.index].enabled = state.num != 0;
        break;
      }
      default:
        break;
    }
    if (flags & vhost_user::header_flag::kNeedReply) send_u64(request, 0);
  }

  std::byte* at(uint64_t guest_addr) {
    for (uint32_t i = 0; i < table_.num_regions; ++i) {
      const vhost_user::MemoryRegion& region = table_.regions[i];
      if (guest_addr >= region.guest_phys_addr &&
          guest_addr - region.guest_phys_addr < region.memory_size) {
        return reinterpret_cast<std::byte*>(region.user_addr) +
               (guest_addr - region.guest_phys_addr);
      }
    }
    std::abort();
  }

  void serve_ring(uint32_t index) {
    Ring& ring = rings_[index];
    auto* avail = reinterpret_cast<virtio::AvailHeader*>(ring.addr.avail_user_addr);
    auto* heads = reinterpret_cast<uint16_t*>(avail + 1);
    auto* used = reinterpret_cast<virtio::UsedHeader*>(ring.addr.used_user_addr);
    auto* elems = reinterpret_cast<virtio::UsedElem*>(used + 1);
    while (std::atomic_ref(avail->idx).load(std::memory_order_acquire) != ring.next) {
      uint16_t head = heads[ring.next % ring.size];
      uint32_t length = serve_chain(index, head);
      elems[ring.next % ring.size] = {head, length};
      std::atomic_ref(used->idx).store(++ring.next, std::memory_order_seq_cst);
      uint16_t event = std::atomic_ref(heads[ring.size]).load(std::memory_order_seq_cst);
      if (virtio::event_crossed(event, ring.next, static_cast<uint16_t>(ring.next - 1))) {
        uint64_t one = 1;
        [[maybe_unused]] ssize_t written = write(ring.call.get(), &one, sizeof one);
      }
    }
  }

  uint32_t serve_chain(uint32_t queue, uint16_t head) {
    auto* table = reinterpret_cast<virtio::Desc*>(rings_[queue].addr.desc_user_addr);
    Seen seen{.queue = queue, .readable = {}, .writable = {}, .bytes = {}, .indirect = false};
    const virtio::Desc* desc = &table[head];
    if (desc->flags & virtio::desc_flag::kIndirect) {
      seen.indirect = true;
      table = reinterpret_cast<virtio::Desc*>(at(desc->addr));
      desc = table;
    }
    std::vector<std::span<std::byte>> room;
    for (;; desc = &table[desc->next]) {
      std::byte* data = at(desc->addr);
      if (desc->flags & virtio::desc_flag::kWrite) {
        seen.writable.push_back(desc->len);
        room.emplace_back(data, desc->len);
      } else {
        seen.readable.push_back(desc->len);
        seen.bytes.insert(seen.bytes.end(), data, data + desc->len);
      }
      if ((desc->flags & virtio::desc_flag::kNext) == 0) break;
    }
    Answer answer = serve_(seen);
    {
      std::lock_guard lock(mutex_);
      seen_.push_back(std::move(seen));
    }
    std::span<const std::byte> rest = answer.bytes;
    for (std::span<std::byte> place : room) {
      size_t now = std::min(place.size(), rest.size());
      if (now != 0) std::memcpy(place.data(), rest.data(), now);
      rest = rest.subspan(now);
    }
    return static_cast<uint32_t>(answer.bytes.size()) + answer.used_length_surplus;
  }

  Serve serve_;
  uint64_t features_;
  Fd socket_;
  Fd driver_end_;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::vector<Seen> seen_;
  std::vector<vhost_user::Request> requests_;
  std::vector<Ring> rings_{3};
  vhost_user::MemoryTable table_{};
  std::thread thread_;
};

}  // namespace dpfs::driver
