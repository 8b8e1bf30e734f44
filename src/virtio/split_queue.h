// SPDX-License-Identifier: Apache-2.0
// A split virtqueue seen from the device: takes chains, returns them used. VIRTIO 1.3, section 2.7.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "base/result.h"
#include "guest/guest_memory.h"
#include "virtio/layout.h"

namespace dpfs {

// Where the driver has put the three parts of the ring.
struct RingAddresses {
  UserAddress desc{};
  UserAddress avail{};
  UserAddress used{};
};

// What a driver made available: buffers to read, then buffers to write, in ring order.
struct Chain {
  uint16_t head;            // names it in the used ring
  uint32_t readable_parts;  // iovecs that the driver wrote for us
  uint32_t writable_parts;  // iovecs behind them that are ours to write
};

// Everything in the ring is the tenant's: read once, checked, and bounded. A ring that breaks the
// rules is broken() from then on, and says why; nothing else happens to it until it is started
// again.
class SplitQueue {
 public:
  enum class Fault : uint8_t {
    none,
    avail_index_jumped,  // by more than the queue's size
    head_out_of_range,
    chain_too_long,  // longer than its table: it loops
    next_out_of_range,
    address_not_mapped,
    zero_length,
    indirect_not_agreed,
    indirect_in_indirect,
    indirect_and_next,
    indirect_size,  // zero, or no multiple of a descriptor's
    readable_after_writable,
    too_many_parts,  // more than a request can hold
  };
  static const char* describe(Fault fault) noexcept;

  // Maps the ring in `memory`, which must stay while the queue is used. EINVAL: size is no power of
  // two up to 32768. EFAULT: a part is not mapped or not aligned.
  Result<Unit> start(const GuestMemory& memory, const RingAddresses& addresses, uint16_t size,
                     uint64_t features, uint16_t next_avail) noexcept;
  // The same ring in another table of the same memory.
  Result<Unit> remap(const GuestMemory& memory) noexcept;
  void stop() noexcept { size_ = 0; }
  bool started() const noexcept { return size_ != 0; }

  // True when the driver has made something available that was not taken yet.
  bool has_work() const noexcept;
  // The next chain's buffers go to the front of `parts`. EAGAIN: there is none. EPROTO: the ring is
  // broken.
  Result<Chain> take(const GuestMemory& memory, std::span<iovec> parts) noexcept;
  // Gives a chain back, with `written` bytes of its writable part filled. The driver sees it after
  // publish().
  void put_used(uint16_t head, uint32_t written) noexcept;
  // Shows the driver all that was put since the last time.
  void publish() noexcept;
  // How many chains it was shown since told().
  uint16_t untold() const noexcept { return static_cast<uint16_t>(published_ - told_); }
  // Whether it wants an interrupt for those. A driver that has found them by itself wants none.
  bool wants_interrupt() const noexcept;
  // It was interrupted, or did not want to be.
  void told() noexcept { told_ = published_; }

  // Asks the driver for a kick at the next chain. Look with has_work() afterwards: one may have
  // slipped in.
  void enable_kicks() noexcept;
  void disable_kicks() noexcept;

  bool broken() const noexcept { return fault_ != Fault::none; }
  Fault fault() const noexcept { return fault_; }
  uint16_t size() const noexcept { return size_; }
  // What the next start() continues with (vhost-user's VRING_BASE).
  uint16_t next_avail() const noexcept { return next_avail_; }

 private:
  Errno broken_by(Fault fault) noexcept;
  Result<Unit> map(const GuestMemory& memory) noexcept;

  RingAddresses addresses_;
  char* desc_ = nullptr;
  char* avail_ = nullptr;
  char* used_ = nullptr;
  uint16_t size_ = 0;
  uint16_t next_avail_ = 0;  // index of the next chain to take
  uint16_t next_used_ = 0;   // index of the next chain to put
  uint16_t published_ = 0;   // what the driver has been shown
  uint16_t told_ = 0;        // what of that needs no interrupt any more
  bool event_idx_ = false;
  bool indirect_ = false;
  Fault fault_ = Fault::none;
};

}  // namespace dpfs
