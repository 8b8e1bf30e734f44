// SPDX-License-Identifier: Apache-2.0
// A split virtqueue seen from the driver: adds chains, publishes them, kicks, reaps. VIRTIO 1.3,
// section 2.7.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/fd.h"
#include "driver/memory.h"
#include "virtio/layout.h"

namespace dpfs::driver {

// One descriptor's worth of a chain.
struct Segment {
  uint64_t guest_addr;
  uint32_t size;
};

// One thread. Nothing here allocates after the constructor.
class Queue {
 public:
  struct Options {
    uint16_t size = 128;
    bool event_idx = true;
  };
  struct Counters {
    uint64_t kicks = 0;       // writes to the kick eventfd
    uint64_t interrupts = 0;  // signals that the device has sent on the call eventfd
    uint64_t broken = 0;      // used entries that no correct device writes
  };

  // Creates the rings in `memory` and the eventfds. Throws std::system_error, std::bad_alloc.
  Queue(Memory& memory, uint32_t index, const Options& options);

  uint32_t index() const noexcept { return index_; }
  uint16_t size() const noexcept { return size_; }
  uint16_t free_descriptors() const noexcept { return free_count_; }
  int kick_fd() const noexcept { return kick_fd_.get(); }
  int call_fd() const noexcept { return call_fd_.get(); }
  int error_fd() const noexcept { return error_fd_.get(); }
  // Whether the device has said that it gave this ring up.
  bool device_reports_error() const noexcept;
  const Counters& counters() const noexcept { return counters_; }
  void clear_counters() noexcept { counters_ = {}; }

  // Adds a chain of direct descriptors; the head, or nothing where the queue is full. The device
  // sees it after publish().
  std::optional<uint16_t> add(std::span<const Segment> readable,
                              std::span<const Segment> writable) noexcept;
  // Adds one descriptor that names an indirect table of `entries` descriptors.
  std::optional<uint16_t> add_indirect(uint64_t table_addr, uint32_t entries) noexcept;

  // Makes everything added so far visible to the device.
  void publish() noexcept { avail_idx().store(avail_next_, std::memory_order_release); }
  // Whether the device wants to hear of what was published since the last call.
  bool kick_wanted() noexcept;
  void kick() noexcept;
  void publish_and_kick() noexcept {
    publish();
    if (kick_wanted()) kick();
  }

  // Calls done(head, length) for every chain that the device has returned; the chain's descriptors
  // are free by then. Returns how many. Entries that make no sense are counted as broken, and the
  // rest of the ring is left alone.
  template <class Done>
  uint32_t reap(Done&& done) noexcept;
  bool has_used() const noexcept {
    return used_idx().load(std::memory_order_acquire) != used_next_;
  }

  // Asks the device to signal the call eventfd at the next used entry. True where it is worth
  // sleeping: nothing has come in the meantime.
  bool arm_interrupt() noexcept;
  // Asks it not to signal: we poll.
  void disarm_interrupt() noexcept;
  // After the call eventfd became readable.
  void take_interrupt() noexcept;

  // ---- For tests that forge rings
  // -----------------------------------------------------------------
  // Publishes any head at all and kicks; its descriptors are whatever lies in desc().
  void force(uint16_t head) noexcept {
    offer(head);
    publish();
    kick();
  }
  virtio::Desc& desc(uint32_t i) noexcept { return desc_[i]; }
  uint16_t& avail_ring(uint32_t i) noexcept { return avail_ring_[i % size_]; }
  virtio::UsedElem& used_ring(uint32_t i) noexcept { return used_ring_[i % size_]; }
  uint16_t& used_event() noexcept { return avail_ring_[size_]; }
  uint16_t& avail_event() noexcept { return *reinterpret_cast<uint16_t*>(used_ring_ + size_); }
  uint16_t& avail_flags() noexcept { return avail_header_->flags; }
  std::atomic_ref<uint16_t> avail_idx() const noexcept {
    return std::atomic_ref(avail_header_->idx);
  }
  std::atomic_ref<uint16_t> used_idx() const noexcept { return std::atomic_ref(used_header_->idx); }
  const Block& desc_block() const noexcept { return desc_block_; }
  const Block& avail_block() const noexcept { return avail_block_; }
  const Block& used_block() const noexcept { return used_block_; }

 private:
  struct Chain {
    uint16_t next = 0;    // while free: the next free descriptor
    uint16_t length = 0;  // while in flight and a head: descriptors of the chain; 0 otherwise
    uint16_t last = 0;    // while a head in flight: the chain's last descriptor
  };

  uint16_t take_descriptor() noexcept;
  void offer(uint16_t head) noexcept { avail_ring_[avail_next_++ & (size_ - 1)] = head; }
  bool give_back(uint32_t head) noexcept;

  uint32_t index_;
  uint16_t size_;
  bool event_idx_;
  Block desc_block_;
  Block avail_block_;
  Block used_block_;
  virtio::Desc* desc_;
  virtio::AvailHeader* avail_header_;
  uint16_t* avail_ring_;
  virtio::UsedHeader* used_header_;
  virtio::UsedElem* used_ring_;

  std::vector<Chain> chains_;
  uint16_t free_head_ = 0;
  uint16_t free_count_;
  uint16_t avail_next_ = 0;    // what publish() will store
  uint16_t avail_kicked_ = 0;  // what the device was told of, as far as kick_wanted() is concerned
  uint16_t used_next_ = 0;     // the used entry to look at next
  Fd kick_fd_;
  Fd call_fd_;
  Fd error_fd_;
  Counters counters_;
};

template <class Done>
uint32_t Queue::reap(Done&& done) noexcept {
  const uint16_t used = used_idx().load(std::memory_order_acquire);
  if (static_cast<uint16_t>(used - used_next_) > size_) {
    ++counters_.broken;
    used_next_ = used;
    return 0;
  }
  uint32_t count = 0;
  while (used_next_ != used) {
    virtio::UsedElem elem = used_ring_[used_next_++ & (size_ - 1)];
    if (!give_back(elem.id)) {
      ++counters_.broken;
      continue;
    }
    done(static_cast<uint16_t>(elem.id), elem.len);
    ++count;
  }
  return count;
}

}  // namespace dpfs::driver
