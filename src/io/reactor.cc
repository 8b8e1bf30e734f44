// SPDX-License-Identifier: Apache-2.0
// The reactor's loop.
//
// Readiness (kicks, sockets) is epoll's, with io_uring for files as one more thing that gets ready.
// io_uring could watch descriptors too, but its poll requests belong to the thread that armed them
// and are served by it alone, while the thread that is this reactor changes (io/relay.h).
#include "io/reactor.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "base/assert.h"
#include "base/log.h"
#include "base/monotonic.h"
#include "io/thread_engine.h"
#include "io/uring_engine.h"

namespace dpfs {
namespace {

// While queues are polled, descriptors (control sockets, kicks of other queues) are looked at this
// often.
constexpr uint64_t kLookEveryNs = 20'000;
// Polling in vain for longer than this gives way to other threads of the processor at each turn:
// the tenant that we wait for may be one of them. A yield to nobody takes some 300 ns.
constexpr uint64_t kSpinAloneNs = 3'000;
// One that takes this long was a yield to somebody. A second one right after, or one as long as a
// time slice, and the processor is not ours to poll on: for a while queues are left to
// notifications, since a thread that sleeps gets its turn sooner than one that yields. (One alone
// may have been the kernel's own work.)
constexpr uint64_t kYieldedNs = 20'000;
constexpr uint64_t kYieldedAgainNs = 200'000;
constexpr uint64_t kSliceNs = 1'000'000;
constexpr uint64_t kCrowdedForNs = 100'000'000;

std::unique_ptr<IoEngine> make_engine(bool io_uring) {
  if (io_uring) {
    if (std::unique_ptr<IoEngine> engine = make_uring_engine()) return engine;
    log::info("io_uring is not available ({}); using threads for file I/O", describe(last_errno()));
  }
  return make_thread_engine();
}

void epoll_add(const Fd& epoll, int fd, void* data) {
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = data}};
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

}  // namespace

Reactor::Reactor(const Options& options)
    : options_(options),
      engine_(make_engine(options.io_uring)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      relay_(*this, options.threads_max, options.cpu) {
  if (!epoll_) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  if (!wake_event_) throw std::system_error(errno, std::generic_category(), "eventfd");
  // Both only end a wait; the next turn finds out why.
  epoll_add(epoll_, wake_event_.get(), nullptr);
  epoll_add(epoll_, engine_->readiness_fd(), nullptr);
}

Reactor::~Reactor() {
  DPFS_ASSERT(active_.empty());
  DPFS_ASSERT(ready_.empty());
}

void Reactor::run() { relay_.run(); }

void Reactor::stop() noexcept {
  stopping_.store(true, std::memory_order_release);
  wake();
}

void Reactor::post(std::function<void()> task) {
  {
    std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(task));
    has_posted_.store(true, std::memory_order_release);
  }
  wake();
}

void Reactor::wake() noexcept {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_event_.get(), &one, sizeof one);
}

void Reactor::lead() noexcept {
  FramePool* const bound_before = FramePool::bind(&frames_);
  while (!relay_.end_turn()) {
    if (stopping_.load(std::memory_order_acquire) && drained()) {
      relay_.finish();
      break;
    }
    turn();
  }
  FramePool::bind(bound_before);
}

void Reactor::leave_to_loop() noexcept {
  // What the visit has made ready (messages to be sent) does not wait for the loop's thread.
  run_ready();
  const bool unsent = engine_->flush();
  if (rests_ && (unsent || !ready_.empty() || active_count_ > 0)) {
    rests_ = false;
    wake();
  }
}

Reactor::Visit::Visit(Reactor& reactor, Visitor& visitor) noexcept : reactor_(reactor) {
  reactor_.relay_.visit(visitor);
  bound_before_ = FramePool::bind(&reactor_.frames_);
}

Reactor::Visit::~Visit() {
  reactor_.leave_to_loop();
  FramePool::bind(bound_before_);
  reactor_.relay_.depart();
}

bool Reactor::drained() const noexcept {
  return engine_->in_flight() == 0 && ready_.empty() && relay_.blocked() == 0 &&
         !has_posted_.load(std::memory_order_acquire);
}

// Each step that may lose the lead ends the turn when it has: what it was going through has
// changed.
void Reactor::turn() noexcept {
  if (has_posted_.load(std::memory_order_acquire) && !run_posted()) return;
  engine_->reap(ready_);
  if (!run_ready()) return;

  const uint64_t now_ns = monotonic_ns();
  const uint64_t changes = relay_.changes();
  const bool worked = poll_active(now_ns);
  if (relay_.changes() != changes) return;
  const bool unsent = engine_->flush();

  if (worked || !ready_.empty()) {
    worked_ns_ = now_ns;
  } else if (!active_.empty() && now_ns - worked_ns_ > kSpinAloneNs) {
    yield(now_ns);
  }
  if (worked || !active_.empty() || !ready_.empty()) {
    if (now_ns - looked_ns_ < kLookEveryNs) return;
    looked_ns_ = now_ns;
    return wait(0);
  }
  if (has_posted_.load(std::memory_order_acquire)) return;
  if (stopping_.load(std::memory_order_acquire) && drained()) return;
  wait(unsent ? 1 : -1);
}

void Reactor::yield(uint64_t now_ns) noexcept {
  sched_yield();
  const uint64_t back_ns = monotonic_ns();
  const uint64_t took_ns = back_ns - now_ns;
  if (took_ns <= kYieldedNs) return;
  const bool again = now_ns - yielded_ns_ < kYieldedAgainNs;
  yielded_ns_ = back_ns;
  if (again || took_ns >= kSliceNs) crowded_until_ns_ = back_ns + kCrowdedForNs;
}

// False when the lead was lost meanwhile.
bool Reactor::run_ready() noexcept {
  const uint64_t changes = relay_.changes();
  // Those that were there when we began: what they make ready waits for the next turn. One is taken
  // at a time, because another thread may go on with the rest while this one is blocked.
  for (uint32_t n = ready_.size(); n > 0 && !ready_.empty(); --n) {
    Completion* completion = ready_.pop();
    completion->run(*completion);
    if (relay_.changes() != changes) return false;
  }
  return true;
}

bool Reactor::poll_active(uint64_t now_ns) noexcept {
  const uint64_t changes = relay_.changes();
  bool worked = false;
  for (size_t n = active_count_; n > 0 && !active_.empty(); --n) {
    Poller& poller = *active_.pop_front();
    active_.push_back(poller);  // round robin, and in the list while it runs
    const bool had_work = poller.poll();
    if (relay_.changes() != changes) return true;
    if (had_work) {
      worked = true;
      poller.polling.last_work_ns = now_ns;
      continue;
    }
    const uint64_t window_ns = now_ns < crowded_until_ns_ ? 0 : poller.polling.window_ns;
    if (now_ns - poller.polling.last_work_ns < window_ns || !poller.linked()) continue;
    if (poller.arm()) {
      poller.disarm();
      worked = true;
      continue;
    }
    poller.unlink();
    --active_count_;
  }
  return worked;
}

void Reactor::activate(Poller& poller) noexcept {
  if (poller.linked()) return;
  // It was idle. Would polling for as long as is allowed have caught this?
  const bool polling_pays = monotonic_ns() - poller.polling.last_work_ns < options_.poll_ns_max;
  poller.polling.window_ns = polling_pays ? options_.poll_ns_max : poller.polling.window_ns / 4;
  add_active(poller);
}

void Reactor::expect(Poller& poller) noexcept {
  poller.polling.last_work_ns = monotonic_ns();
  if (!poller.linked()) add_active(poller);
}

void Reactor::add_active(Poller& poller) noexcept {
  poller.disarm();
  active_.push_back(poller);
  ++active_count_;
}

void Reactor::deactivate(Poller& poller) noexcept {
  if (!poller.linked()) return;
  poller.unlink();
  --active_count_;
}

Result<Unit> Reactor::watch(int fd, Watch& watch) noexcept {
  return watch_for(EPOLLIN | EPOLLRDHUP | EPOLLET, fd, watch);
}

Result<Unit> Reactor::watch_both(int fd, Watch& watch) noexcept {
  return watch_for(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, fd, watch);
}

Result<Unit> Reactor::watch_for(uint32_t events, int fd, Watch& watch) noexcept {
  std::erase(gone_, &watch);
  epoll_event event{.events = events, .data = {.ptr = &watch}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return last_errno();
  return Unit{};
}

void Reactor::unwatch(int fd, Watch& watch) noexcept {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  gone_.push_back(&watch);
}

void Reactor::wait(int timeout_ms) noexcept {
  std::array<epoll_event, 64> events;
  gone_.clear();
  const bool rests = timeout_ms != 0;
  if (rests) {
    rests_ = true;
    relay_.rest();
  }
  const int count =
      epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
  if (rests) {
    relay_.go_on();
    rests_ = false;
  }
  for (int i = 0; i < count; ++i) {
    auto* watch = static_cast<Watch*>(events[static_cast<size_t>(i)].data.ptr);
    if (watch != nullptr && std::ranges::find(gone_, watch) == gone_.end()) watch->ready();
  }
  if (rests) looked_ns_ = monotonic_ns();
}

// False when the lead was lost meanwhile.
bool Reactor::run_posted() noexcept {
  const uint64_t changes = relay_.changes();
  while (relay_.changes() == changes) {
    std::function<void()> task;
    {
      std::lock_guard lock(posted_mutex_);
      has_posted_.store(!posted_.empty(), std::memory_order_relaxed);
      if (posted_.empty()) return true;
      task = std::move(posted_.front());
      posted_.pop_front();
    }
    task();
  }
  return false;
}

}  // namespace dpfs
