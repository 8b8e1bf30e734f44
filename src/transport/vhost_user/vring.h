// SPDX-License-Identifier: Apache-2.0
// Vring: one virtqueue of one device: takes requests, hands them to the session, gives the replies
// back.
#pragma once

#include <cstdint>
#include <memory>

#include "base/fd.h"
#include "base/log.h"
#include "fuse/request.h"
#include "fuse/session.h"
#include "guest/guest_memory.h"
#include "io/reactor.h"
#include "io/timer.h"
#include "transport/vhost_user/interrupts.h"
#include "transport/vhost_user/slots.h"
#include "virtio/split_queue.h"

namespace dpfs::vhost_user {

// What the rings of one device share.
class RingOwner {
 public:
  // A ring that was asked to stop has nothing in flight any more.
  virtual void ring_stopped() noexcept = 0;
  // Rings that waited because of `serving` may go on.
  virtual void rings_may_take() noexcept = 0;
  RingOwner(Timers& timers_of_device, uint32_t parts_each)
      : slots(parts_each), timers(timers_of_device) {}

  Slots slots;
  Timers& timers;
  // Requests of this device are inside blocking calls; when there are too many, its rings wait.
  uint32_t serving = 0;

 protected:
  ~RingOwner() = default;
};

class Vring final : public Poller, private Watch, private Timer, private ReplySink {
 public:
  // How many requests of one device may be inside the file system's calls at once. More than one
  // only when they block (io/relay.h), and then each holds a thread.
  static constexpr uint32_t kServingMax = 32;

  // `number` is the queue's, 0 being hiprio. `name` (of the device) is for the log.
  // `interrupt_delay_ns`: see InterruptPolicy.
  Vring(Reactor& reactor, RingOwner& owner, std::string_view name, uint32_t number,
        uint64_t interrupt_delay_ns) noexcept;
  Vring(const Vring&) = delete;
  Vring& operator=(const Vring&) = delete;
  ~Vring() override;

  // ---- Configuration, as vhost-user's messages have it. Before start().
  void set_size(uint16_t size) noexcept { size_ = size; }
  void set_base(uint16_t next_avail) noexcept { next_avail_ = next_avail; }
  void set_addresses(const RingAddresses& addresses) noexcept { addresses_ = addresses; }
  // At any time. A ring without a kick descriptor is polled for ever; one without a call descriptor
  // is silent.
  Result<Unit> set_kick(Fd kick) noexcept;
  void set_call(Fd call) noexcept;
  void set_error(Fd error) noexcept;

  Result<Unit> start(MemoryPin memory, Session& session, uint64_t features) noexcept;
  void set_enabled(bool enabled) noexcept;
  // The memory table has changed while the ring runs.
  Result<Unit> remap(MemoryPin memory) noexcept;
  // Takes no more. Calls RingOwner::ring_stopped() once nothing is in flight, which may be at once.
  void stop() noexcept;

  void activate() noexcept {
    if (started()) reactor_.activate(*this);
  }

  bool started() const noexcept { return queue_.started(); }
  bool stopping() const noexcept { return stopping_; }
  uint32_t in_flight() const noexcept { return in_flight_; }
  uint16_t next_avail() const noexcept { return next_avail_; }
  uint64_t interrupts() const noexcept { return interrupts_; }
  uint64_t kicks() const noexcept { return kicks_; }

 private:
  // Poller
  bool poll() noexcept override;
  bool arm() noexcept override;
  void disarm() noexcept override { queue_.disable_kicks(); }
  // Watch of the kick descriptor
  void ready() noexcept override;
  // Timer: no more completions have come.
  void fired() noexcept override { tell(); }
  // ReplySink
  void done(dpfs::Request& request, uint32_t written) noexcept override;

  bool may_take() const noexcept;
  size_t serve(Slot& slot, const Chain& chain) noexcept;
  void publish() noexcept;
  uint64_t may_wait_ns() noexcept;
  void tell() noexcept;
  void settle() noexcept;
  void interrupt() noexcept;
  void broken() noexcept;
  void stopped() noexcept;

  Reactor& reactor_;
  RingOwner& owner_;
  std::string_view name_;
  const uint32_t number_;

  RingAddresses addresses_;
  uint16_t size_ = 0;
  uint16_t next_avail_ = 0;
  Fd kick_;
  Fd call_;
  Fd error_;
  log::RateLimit broken_log_;
  bool enabled_ = false;
  bool stopping_ = false;

  SplitQueue queue_;
  MemoryPin memory_;
  Session* session_ = nullptr;
  uint32_t in_flight_ = 0;
  InterruptPolicy policy_;
  bool polls_ = false;  // poll() is on the stack
  uint64_t interrupts_ = 0;
  uint64_t kicks_ = 0;
};

}  // namespace dpfs::vhost_user
