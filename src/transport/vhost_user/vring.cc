// SPDX-License-Identifier: Apache-2.0
// A request's way through one virtqueue.
#include "transport/vhost_user/vring.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <span>

#include "base/assert.h"

namespace dpfs::vhost_user {
namespace {

// Requests of one poll(), before the reactor looks at other queues.
constexpr uint32_t kBatch = 32;
// Replies that are published together. More would keep the tenant from going on while we work;
// fewer would bounce the ring's cache lines, and interrupt more often.
constexpr uint32_t kPublishBatch = 8;
// Requests in flight on one ring; what is available beyond that waits in the ring.
constexpr uint32_t kSlotsMax = 1024;
// Pieces of one message. Linux uses at most the queue's size. A buffer that crosses memory regions
// has some more.
constexpr uint32_t kPartsMin = 320;  // 1 MiB by pages, and headers
constexpr uint32_t kPartsMax = 1024;
constexpr uint32_t kPartsSpare = 64;

// A VMM that gave us something else than an eventfd (a full pipe) must not be able to make us wait.
void make_nonblocking(const Fd& fd) noexcept {
  if (fd) fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

}  // namespace

// Room for one request in flight.
struct Vring::Slot : dpfs::Request {
  uint16_t head = 0;
  uint32_t next_free = 0;
  MemoryPin memory;
};

// All slots of a ring and their iovecs. Last in, first out, so that few of them are ever touched:
// memory that is not touched costs nothing.
class Vring::Slots {
 public:
  Slots(uint32_t count, uint32_t parts_each)
      : slots_(std::make_unique_for_overwrite<Storage[]>(count)),
        parts_(std::make_unique_for_overwrite<iovec[]>(size_t{count} * parts_each)),
        parts_each_(parts_each),
        count_(count) {}
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;
  ~Slots() {
    for (uint32_t i = 0; i < made_; ++i) slot(i).~Slot();
  }

  Slot* take() {
    if (first_free_ != kNone) {
      Slot& taken = slot(first_free_);
      first_free_ = taken.next_free;
      return &taken;
    }
    if (made_ == count_) return nullptr;
    return new (&slots_[made_++]) Slot;
  }
  void give(Slot& slot) noexcept {
    slot.next_free = first_free_;
    first_free_ = index(slot);
  }
  bool has_free() const noexcept { return first_free_ != kNone || made_ < count_; }
  std::span<iovec> parts(const Slot& slot) noexcept {
    return {&parts_[size_t{index(slot)} * parts_each_], parts_each_};
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Storage {
    alignas(Slot) char bytes[sizeof(Slot)];
  };

  Slot& slot(uint32_t i) noexcept { return *std::launder(reinterpret_cast<Slot*>(&slots_[i])); }
  uint32_t index(const Slot& slot) const noexcept {
    return static_cast<uint32_t>(reinterpret_cast<const Storage*>(&slot) - slots_.get());
  }

  std::unique_ptr<Storage[]> slots_;
  std::unique_ptr<iovec[]> parts_;
  const uint32_t parts_each_;
  const uint32_t count_;
  uint32_t made_ = 0;
  uint32_t first_free_ = kNone;
};

Vring::Vring(Reactor& reactor, RingOwner& owner, std::string_view name, uint32_t number) noexcept
    : reactor_(reactor), owner_(owner), name_(name), number_(number) {}

Vring::~Vring() {
  DPFS_ASSERT(in_flight_ == 0);
  reactor_.deactivate(*this);
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
  slots_ = std::make_unique<Slots>(std::min<uint32_t>(size_, kSlotsMax),
                                   std::clamp<uint32_t>(size_, kPartsMin, kPartsMax) + kPartsSpare);
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
  if (in_flight_ == 0) stopped();
}

void Vring::stopped() noexcept {
  if (started()) {
    publish();
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
  return enabled_ && started() && !stopping_ && !queue_.broken() &&
         (number_ == virtio::kHiprioQueue || owner_.serving < kServingMax);
}

bool Vring::poll() noexcept {
  uint32_t taken = 0;
  while (taken < kBatch && may_take()) {
    Slot* slot = slots_->take();
    if (slot == nullptr) break;
    const Result<Chain> chain = queue_.take(*memory_, slots_->parts(*slot));
    if (!chain) {
      slots_->give(*slot);
      if (chain.error() == Errno::proto) broken();
      break;
    }
    ++taken;
    serve(*slot, *chain);
    if (taken % kPublishBatch == 0) publish();
  }
  publish();
  return taken > 0;
}

void Vring::serve(Slot& slot, const Chain& chain) noexcept {
  const std::span<const iovec> parts = slots_->parts(slot);
  slot.head = chain.head;
  slot.memory = memory_;
  slot.in = IoView(parts.first(chain.readable_parts));
  slot.out = IoView(parts.subspan(chain.readable_parts, chain.writable_parts));
  slot.sink = this;
  ++in_flight_;
  ++owner_.serving;
  session_->serve(slot);
  if (owner_.serving-- == kServingMax) owner_.rings_may_take();
}

void Vring::done(dpfs::Request& request, uint32_t written) noexcept {
  auto& slot = static_cast<Slot&>(request);
  queue_.put_used(slot.head, written);
  slot.memory = {};
  slots_->give(slot);
  --in_flight_;
  if (stopping_ && in_flight_ == 0) return stopped();
  reactor_.activate(*this);  // the next poll publishes, and takes what had to wait
}

void Vring::publish() noexcept {
  if (!queue_.publish() || !call_) return;
  ++interrupts_;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t told = write(call_.get(), &one, sizeof one);
}

// True where polling has to go on: there is work, or nobody would tell us of it.
bool Vring::arm() noexcept {
  // What keeps us from taking ends by done(), set_enabled() or the return of a call, each of which
  // activates.
  if (!may_take() || !slots_->has_free()) return false;
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
