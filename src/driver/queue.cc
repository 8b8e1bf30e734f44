// SPDX-License-Identifier: Apache-2.0
// The driver's side of a split virtqueue.
#include "driver/queue.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <bit>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace dpfs::driver {

using virtio::Desc;
namespace desc_flag = virtio::desc_flag;

namespace {

Fd make_eventfd() {
  Fd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) throw std::system_error(errno, std::system_category(), "eventfd");
  return fd;
}

}  // namespace

Queue::Queue(Memory& memory, uint32_t index, const Options& options)
    : index_(index),
      size_(options.size),
      event_idx_(options.event_idx),
      desc_block_(memory.allocate(virtio::desc_table_size(options.size), 4096)),
      avail_block_(memory.allocate(virtio::avail_size(options.size), 64)),
      used_block_(memory.allocate(virtio::used_size(options.size), 4096)),
      desc_(reinterpret_cast<Desc*>(desc_block_.data)),
      avail_header_(reinterpret_cast<virtio::AvailHeader*>(avail_block_.data)),
      avail_ring_(reinterpret_cast<uint16_t*>(avail_block_.data + virtio::avail_ring_offset(0))),
      used_header_(reinterpret_cast<virtio::UsedHeader*>(used_block_.data)),
      used_ring_(
          reinterpret_cast<virtio::UsedElem*>(used_block_.data + virtio::used_ring_offset(0))),
      chains_(options.size),
      free_count_(options.size),
      kick_fd_(make_eventfd()),
      call_fd_(make_eventfd()),
      error_fd_(make_eventfd()) {
  if (!std::has_single_bit(static_cast<uint32_t>(size_))) {
    throw std::invalid_argument("the queue size must be a power of two");
  }
  for (uint32_t i = 0; i < size_; ++i) chains_[i].next = static_cast<uint16_t>(i + 1);
}

uint16_t Queue::take_descriptor() noexcept {
  uint16_t taken = free_head_;
  free_head_ = chains_[taken].next;
  --free_count_;
  return taken;
}

std::optional<uint16_t> Queue::add(std::span<const Segment> readable,
                                   std::span<const Segment> writable) noexcept {
  const size_t length = readable.size() + writable.size();
  if (length == 0 || length > free_count_) return std::nullopt;
  const uint16_t head = free_head_;
  uint16_t last = head;
  for (size_t i = 0; i < length; ++i) {
    const bool is_readable = i < readable.size();
    const Segment& segment = is_readable ? readable[i] : writable[i - readable.size()];
    last = take_descriptor();
    uint16_t flags = is_readable ? 0 : desc_flag::kWrite;
    if (i + 1 < length) flags |= desc_flag::kNext;
    desc_[last] = {segment.guest_addr, segment.size, flags,
                   i + 1 < length ? free_head_ : uint16_t{0}};
  }
  chains_[head].length = static_cast<uint16_t>(length);
  chains_[head].last = last;
  offer(head);
  return head;
}

std::optional<uint16_t> Queue::add_indirect(uint64_t table_addr, uint32_t entries) noexcept {
  if (free_count_ == 0) return std::nullopt;
  const uint16_t head = take_descriptor();
  desc_[head] = {table_addr, static_cast<uint32_t>(entries * sizeof(Desc)), desc_flag::kIndirect,
                 0};
  chains_[head].length = 1;
  chains_[head].last = head;
  offer(head);
  return head;
}

bool Queue::give_back(uint32_t head) noexcept {
  if (head >= size_ || chains_[head].length == 0) return false;
  Chain& chain = chains_[head];
  // Inside the chain `next` still leads from one descriptor to the next, so the whole of it goes
  // back at once.
  chains_[chain.last].next = free_head_;
  free_head_ = static_cast<uint16_t>(head);
  free_count_ = static_cast<uint16_t>(free_count_ + chain.length);
  chain.length = 0;
  return true;
}

bool Queue::kick_wanted() noexcept {
  // The device's wish must be read after it can see our index: section 2.7.13.4.1.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const uint16_t before = avail_kicked_;
  const uint16_t now = avail_next_;
  avail_kicked_ = now;
  if (now == before) return false;
  if (event_idx_) {
    uint16_t event = std::atomic_ref(avail_event()).load(std::memory_order_relaxed);
    return virtio::event_crossed(event, now, before);
  }
  uint16_t flags = std::atomic_ref(used_header_->flags).load(std::memory_order_relaxed);
  return (flags & virtio::used_flag::kNoNotify) == 0;
}

void Queue::kick() noexcept {
  ++counters_.kicks;
  uint64_t one = 1;
  // Cannot block: the counter would have to reach 2^64.
  [[maybe_unused]] ssize_t written = write(kick_fd_.get(), &one, sizeof one);
}

bool Queue::device_reports_error() const noexcept {
  pollfd state{.fd = error_fd_.get(), .events = POLLIN, .revents = 0};
  return poll(&state, 1, 0) > 0;
}

bool Queue::arm_interrupt() noexcept {
  if (event_idx_) {
    std::atomic_ref(used_event()).store(used_next_, std::memory_order_relaxed);
  } else {
    std::atomic_ref(avail_flags()).store(0, std::memory_order_relaxed);
  }
  // The device may have returned something before it saw our wish: section 2.7.14.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return !has_used();
}

void Queue::disarm_interrupt() noexcept {
  if (event_idx_) {
    // As far away as an index can be.
    std::atomic_ref(used_event())
        .store(static_cast<uint16_t>(used_next_ - 1), std::memory_order_relaxed);
  } else {
    std::atomic_ref(avail_flags())
        .store(virtio::avail_flag::kNoInterrupt, std::memory_order_relaxed);
  }
}

void Queue::take_interrupt() noexcept {
  uint64_t signals = 0;
  if (read(call_fd_.get(), &signals, sizeof signals) == sizeof signals)
    counters_.interrupts += signals;
}

}  // namespace dpfs::driver
