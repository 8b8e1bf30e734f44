// SPDX-License-Identifier: Apache-2.0
// A request's way through one virtqueue.
#include "transport/vhost_user/vring.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <span>

#include "base/assert.h"
#include "base/monotonic.h"

namespace dpfs::vhost_user {
namespace {

// Requests of one poll(), before the reactor looks at other queues.
constexpr uint32_t kBatch = 32;
// Replies that are published together. More would keep the tenant from going on while we work;
// fewer would bounce the ring's cache lines, and interrupt more often.
constexpr uint32_t kPublishBatch = 8;
// A request counts as one more for so many bytes of its buffers: big ones must not keep other
// queues waiting.
constexpr size_t kBatchBytes = 32 * 1024;
// Requests of the hiprio queue that may be inside the file system's calls beyond kServingMax: what
// belongs there (FORGET) hardly blocks, and what else a tenant puts there holds up its own device
// only.
constexpr uint32_t kServingHiprio = 4;
// Slots that only the hiprio queue takes: it is served whatever the others have in flight.
constexpr uint32_t kSlotsHiprio = 8;

// A VMM that gave us something else than an eventfd (a full pipe) must not be able to make us wait.
void make_nonblocking(const Fd& fd) noexcept {
  if (fd) fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

}  // namespace

Vring::Vring(Reactor& reactor, RingOwner& owner, std::string_view name, uint32_t number,
             uint64_t interrupt_delay_ns) noexcept
    : reactor_(reactor), owner_(owner), name_(name), number_(number), policy_(interrupt_delay_ns) {}

Vring::~Vring() {
  DPFS_ASSERT(in_flight_ == 0);
  reactor_.deactivate(*this);
  owner_.timers.stop(*this);
  if (kick_) reactor_.unwatch(kick_.get(), *this);
}

Result<Unit> Vring::set_kick(Fd kick) noexcept {
  if (kick_) reactor_.unwatch(kick_.get(), *this);
  kick_ = std::move(kick);
  if (!kick_) return Unit{};
  const Result<Unit> watched = reactor_.watch(kick_.get(), *this);
  if (!watched) kick_.reset();
  return watched;
}

void Vring::set_call(Fd call) noexcept {
  call_ = std::move(call);
  if (!call_) return;
  make_nonblocking(call_);
  // What was published while there was no descriptor was not told.
  if (started()) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t told = write(call_.get(), &one, sizeof one);
  }
}

void Vring::set_error(Fd error) noexcept {
  error_ = std::move(error);
  make_nonblocking(error_);
}

Result<Unit> Vring::start(MemoryPin memory, Session& session, uint64_t features) noexcept {
  DPFS_ASSERT(!started() && in_flight_ == 0);
  if (!memory) return Errno::inval;
  const Result<Unit> mapped = queue_.start(*memory, addresses_, size_, features, next_avail_);
  if (!mapped) return mapped;
  memory_ = std::move(memory);
  session_ = &session;
  stopping_ = false;
  queue_.enable_kicks();
  reactor_.activate(*this);  // requests may be there already
  return Unit{};
}

void Vring::set_enabled(bool enabled) noexcept {
  enabled_ = enabled;
  if (enabled_) activate();
}

Result<Unit> Vring::remap(MemoryPin memory) noexcept {
  if (!started()) return Unit{};
  const Result<Unit> mapped = queue_.remap(*memory);
  if (!mapped) broken();
  memory_ = std::move(memory);
  return mapped;
}

void Vring::stop() noexcept {
  stopping_ = true;
  if (in_flight_ == 0) return stopped();
  session_->end_waits();
}

void Vring::stopped() noexcept {
  if (started()) {
    queue_.publish();
    tell();
    next_avail_ = queue_.next_avail();
    queue_.stop();
  }
  reactor_.deactivate(*this);
  stopping_ = false;
  memory_ = {};
  owner_.ring_stopped();
}

// ---- One request's way --------------------------------------------------------------------------

void Vring::ready() noexcept {
  ++kicks_;
  activate();
}

bool Vring::may_take() const noexcept {
  if (!enabled_ || !started() || stopping_ || queue_.broken()) return false;
  const bool hiprio = number_ == virtio::kHiprioQueue;
  return owner_.serving < kServingMax + (hiprio ? kServingHiprio : 0) &&
         owner_.slots.free() > (hiprio ? 0 : kSlotsHiprio);
}

bool Vring::poll() noexcept {
  polls_ = true;
  uint32_t taken = 0;
  size_t cost = 0;
  while (cost < kBatch && may_take()) {
    Slot* slot = owner_.slots.take();
    const Result<Chain> chain = queue_.take(*memory_, owner_.slots.parts(*slot));
    if (!chain) {
      owner_.slots.give(*slot);
      if (chain.error() == Errno::proto) broken();
      break;
    }
    ++taken;
    cost += serve(*slot, *chain);
    if (taken % kPublishBatch == 0) publish();
  }
  polls_ = false;
  publish();
  return taken > 0;
}

// Returns what the request counts for in its batch.
size_t Vring::serve(Slot& slot, const Chain& chain) noexcept {
  const std::span<const iovec> parts = owner_.slots.parts(slot);
  slot.head = chain.head;
  slot.memory = memory_;
  slot.in = IoView(parts.first(chain.readable_parts));
  slot.out = IoView(parts.subspan(chain.readable_parts, chain.writable_parts));
  slot.sink = this;
  const size_t cost = 1 + (slot.in.size() + slot.out.size()) / kBatchBytes;
  ++in_flight_;
  ++owner_.serving;
  session_->serve(slot);
  if (owner_.serving-- >= kServingMax) owner_.rings_may_take();
  return cost;
}

void Vring::done(dpfs::Request& request, uint32_t written) noexcept {
  auto& slot = static_cast<Slot&>(request);
  queue_.put_used(slot.head, written);
  if (polls_ || !InterruptPolicy::can_wait(slot.header.opcode)) policy_.hurry();
  slot.memory = {};
  owner_.slots.give(slot);
  --in_flight_;
  if (owner_.slots.free() <= kSlotsHiprio + 1) owner_.rings_may_take();
  if (stopping_ && in_flight_ == 0) return stopped();
  reactor_.activate(*this);  // the next poll publishes, and takes what had to wait
}

// The driver sees what is done now. It is told now, too, or by one of the next calls.
void Vring::publish() noexcept {
  const uint32_t before = queue_.untold();
  queue_.publish();
  policy_.shown(queue_.untold() - before);
  if (queue_.untold() == 0) return;
  if (!queue_.wants_interrupt()) return settle();
  if (may_wait_ns() == 0) interrupt();
}

uint64_t Vring::may_wait_ns() noexcept {
  return policy_.wait_ns(queue_.untold(), in_flight_, monotonic_ns());
}

// What was held back: by now the driver may have found it by itself.
void Vring::tell() noexcept {
  if (queue_.wants_interrupt()) {
    interrupt();
  } else {
    settle();
  }
}

void Vring::settle() noexcept {
  owner_.timers.stop(*this);
  policy_.told();
  queue_.told();
}

void Vring::interrupt() noexcept {
  settle();
  if (!call_) return;
  ++interrupts_;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t told = write(call_.get(), &one, sizeof one);
}

// True where polling has to go on: there is work, or nobody would tell us of it.
bool Vring::arm() noexcept {
  // While we polled, the next completions could have come; asleep, a timer has to wake us.
  if (queue_.untold() > 0 && !Timer::linked()) {
    const uint64_t wait_ns = may_wait_ns();
    if (wait_ns == 0) {
      tell();
    } else {
      owner_.timers.start(*this, wait_ns);
    }
  }
  // What keeps us from taking ends by done(), set_enabled() or the return of a call, each of which
  // activates.
  if (!may_take()) return false;
  queue_.enable_kicks();
  return queue_.has_work() || !kick_;
}

void Vring::broken() noexcept {
  // A tenant can break and reset it as fast as it likes.
  if (broken_log_.admit() >= 0) {
    log::warn("{}: queue {} is stopped until the tenant's driver resets it: {}", name_, number_,
              SplitQueue::describe(queue_.fault()));
  }
  if (!error_) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t told = write(error_.get(), &one, sizeof one);
}

}  // namespace dpfs::vhost_user
