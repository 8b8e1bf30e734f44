// SPDX-License-Identifier: Apache-2.0
// Leader and followers: see relay.h for the idea.
#include "io/relay.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <string_view>
#include <system_error>

#include "base/assert.h"
#include "base/cpu_relax.h"
#include "base/fd.h"
#include "base/log.h"
#include "io/affinity.h"

namespace dpfs {
namespace {

// How often the watching follower looks. A call that blocks delays others by one to two ticks; a
// busy reactor pays some 3 us of CPU for each, half a percent.
constexpr long kTickNs = 500'000;
// So many ticks a thread may be in a section if it isn't asleep there.
constexpr uint32_t kRunningTicksMax = 8;
// After so many ticks without a section the watcher sleeps without a timer.
constexpr uint32_t kIdleTicksMax = 200;
// A burst of blocked calls may leave many followers; one that has had nothing to do for so long
// ends.
constexpr std::chrono::seconds kIdleFollowerLife{5};
// How many followers stay: one watches, one is ready to watch when that one leads.
constexpr uint32_t kIdleFollowersKept = 1;
// Who waits for the lead first spins, longer than most requests take. Then it sleeps, and looks
// now and then whether the leader sleeps, too.
constexpr std::chrono::microseconds kSpin{20};
constexpr uint32_t kSpinsPerLook = 64;
constexpr std::chrono::microseconds kLookEvery{100};
// How long others may be faster than one who waits.
constexpr std::chrono::milliseconds kPatience{1};

void futex_wait(std::atomic<uint32_t>& word, uint32_t expected, const timespec* timeout) noexcept {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, timeout, nullptr, 0);
}
void futex_wake(std::atomic<uint32_t>& word) noexcept {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
}

int this_thread_id() noexcept {
  thread_local const int id = gettid();
  return id;
}

// Who this thread is, where it leads as a visitor.
thread_local Visitor* this_visitor = nullptr;

// True when the kernel says that thread `id` of this process is running or waits for a processor;
// proc(5).
bool is_running(int id) noexcept {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
  const Fd file(open(path, O_RDONLY | O_CLOEXEC));
  char text[128];
  const ssize_t size = file ? read(file.get(), text, sizeof text) : -1;
  if (size <= 0) return false;
  // "12 (name) R ...": a name may hold anything, also ')', but is at most 15 bytes.
  const std::string_view stat(text, static_cast<size_t>(size));
  const size_t name_end = stat.rfind(") ");
  return name_end != std::string_view::npos && stat.substr(name_end + 2, 1) == "R";
}

}  // namespace

Relay::Relay(RelayedLoop& loop, uint32_t threads_max, int cpu) noexcept
    : loop_(loop), threads_max_(threads_max), cpu_(cpu) {}

Relay::~Relay() { DPFS_ASSERT(followers_.empty()); }

void Relay::run() {
  pin();
  {
    std::lock_guard lock(mutex_);
    add_follower();
  }
  loop_thread_ = this_thread_id();
  begin_to_lead(nullptr);
  loop_.lead();
  follow(nullptr);
  while (!followers_.empty()) {
    followers_.front().thread.join();
    followers_.pop_front();
  }
}

// It is a wish: a refusal is logged.
void Relay::pin() const noexcept {
  if (const Result<Unit> pinned = pin_this_thread(cpu_); !pinned) {
    log::warn("cannot pin a reactor to processor {}: {}", cpu_, describe(pinned.error()));
  }
}

void Relay::finish() noexcept {
  DPFS_ASSERT(blocked() == 0);
  std::lock_guard lock(mutex_);
  over_ = true;
  watcher_.store(kOver, std::memory_order_seq_cst);
  futex_wake(watcher_);
  followers_signal_.notify_all();
}

void Relay::visit(Visitor& visitor) noexcept {
  this_visitor = &visitor;
  acquire(&visitor);
}

void Relay::depart() noexcept {
  this_visitor = nullptr;
  release();
}

// ---- Who leads ----------------------------------------------------------------------------------

bool Relay::end_turn() noexcept {
  if (loop_thread_ != this_thread_id()) {  // it was blocked, and another is the loop by now
    loop_.leave_to_loop();
    release();
    return true;
  }
  if (!someone_waits_.load(std::memory_order_acquire)) return false;
  {
    std::lock_guard lock(mutex_);
    Waiter* const waiter = waiters_.front();
    if (waiter == nullptr) {
      someone_waits_.store(false, std::memory_order_relaxed);
      return false;
    }
    const bool gives_all = waiter->may_be_loop;
    if (gives_all) loop_thread_ = 0;  // whoever leads next without being a visitor
    grant_to(*waiter);
    if (gives_all) return true;
  }
  go_on();
  return false;
}

void Relay::begin_to_lead(Visitor* visitor) noexcept {
  ++changes_;
  if (visitor == nullptr && loop_thread_ == 0) loop_thread_ = this_thread_id();
  leader_.store(this_thread_id(), std::memory_order_relaxed);
  visitor_.store(visitor, std::memory_order_relaxed);
}

// As begin_to_lead(), after a section was taken.
void Relay::begin_to_lead_instead(Visitor* visitor) noexcept {
  Visitor* const blocked = visitor_.load(std::memory_order_relaxed);
  // Only a thread that may be the loop takes the loop's section.
  if (blocked == nullptr && leader_.load(std::memory_order_relaxed) == loop_thread_) {
    loop_thread_ = 0;
  }
  begin_to_lead(visitor);
  if (blocked != nullptr) blocked->blocked();
}

// True: the caller leads now, and the thread in the section is counted as blocked.
bool Relay::take(Section section) noexcept {
  if (!section_.compare_exchange_strong(section, (section & ~kStateMask) | kTaken,
                                        std::memory_order_acq_rel)) {
    return false;
  }
  blocked_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// For who waits for the lead, and has seen this section a while ago.
bool Relay::take_if_stuck(Section seen, bool may_be_loop) noexcept {
  const Section now = section_.load(std::memory_order_acquire);
  if (now != seen || (now & kStateMask) != kEntered) return false;
  // That of a thread of the relay's own may be the loop's, which must go on being one.
  const bool of_visitor = visitor_.load(std::memory_order_relaxed) != nullptr;
  return (may_be_loop || of_visitor) && take(now);
}

// Whoever leads is seldom long about it, where there is another processor for it to do so.
bool Relay::spin_for_lead() noexcept {
  static const bool alone = std::thread::hardware_concurrency() < 2;
  if (alone) return false;
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (uint32_t i = 0; i < kSpinsPerLook; ++i) {
      if (!held_.load(std::memory_order_relaxed) && try_acquire()) return true;
      cpu_relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

void Relay::wait_for_lead(Visitor* visitor) noexcept {
  const bool may_be_loop = visitor == nullptr;
  Section seen = section_.load(std::memory_order_acquire);
  if (spin_for_lead()) return begin_to_lead(visitor);
  if (take_if_stuck(seen, may_be_loop)) return begin_to_lead_instead(visitor);

  std::unique_lock lock(mutex_);
  Waiter self;
  self.may_be_loop = may_be_loop;
  waiters_.push_back(self);
  const auto begin = std::chrono::steady_clock::now();
  bool taken = false;
  while (!self.granted) {
    someone_waits_.store(true, std::memory_order_seq_cst);
    taken = take_if_stuck(seen, may_be_loop);
    if (taken || try_acquire()) {
      self.unlink();
      someone_waits_.store(!waiters_.empty(), std::memory_order_relaxed);
      break;
    }
    seen = section_.load(std::memory_order_acquire);
    self.woken = false;
    self.patient = std::chrono::steady_clock::now() - begin < kPatience;
    self.signal.wait_for(lock, kLookEvery, [&self] { return self.granted || self.woken; });
  }
  lock.unlock();
  if (taken) {
    begin_to_lead_instead(visitor);
  } else {
    begin_to_lead(visitor);
  }
}

// A lead that is handed to a thread that sleeps stands still until that one is awake, and all
// others queue up behind it. So it is free meanwhile for whoever comes, unless the one who waits
// was passed over for long.
void Relay::release_to_waiter() noexcept {
  std::lock_guard lock(mutex_);
  Waiter* const waiter = waiters_.front();
  if (waiter == nullptr) {
    someone_waits_.store(false, std::memory_order_relaxed);
    held_.store(false, std::memory_order_seq_cst);
  } else if (!waiter->patient) {
    grant_to(*waiter);
  } else {
    // Until that one has tried again, nobody needs to be told anything.
    someone_waits_.store(false, std::memory_order_relaxed);
    waiter->woken = true;
    held_.store(false, std::memory_order_seq_cst);
    waiter->signal.notify_one();  // under the lock: the waiter is gone soon after it
  }
}

// With mutex_ held.
void Relay::grant_to(Waiter& waiter) noexcept {
  waiter.unlink();
  someone_waits_.store(!waiters_.empty(), std::memory_order_relaxed);
  waiter.granted = true;
  waiter.signal.notify_one();
}

// The section was taken: this thread has been away while others led. Waits until it leads again.
void Relay::come_back() noexcept {
  acquire(this_visitor);
  blocked_.fetch_sub(1, std::memory_order_relaxed);
}

// The life of a thread that does not lead. `self` is nullptr for the thread of run().
void Relay::follow(Follower* self) noexcept {
  std::unique_lock lock(mutex_);
  while (!over_) {
    if (!watched_) {
      watched_ = true;
      lock.unlock();
      const bool leads = watch();
      lock.lock();
      watched_ = false;
      if (!leads) continue;
      if (idle_followers_ == 0) {
        add_follower();
      } else {
        followers_signal_.notify_one();
      }
      lock.unlock();
      loop_.lead();
      lock.lock();
      continue;
    }
    ++idle_followers_;
    const bool may_end = self != nullptr && idle_followers_ > kIdleFollowersKept;
    bool timed_out = false;
    if (may_end) {
      timed_out = followers_signal_.wait_for(lock, kIdleFollowerLife) == std::cv_status::timeout;
    } else {
      followers_signal_.wait(lock);
    }
    --idle_followers_;
    if (timed_out && watched_) break;
  }
  if (self != nullptr) self->finished = true;
}

// Looks at the section every tick. True: this thread has taken the loop's and is the loop now.
// False: the relay is over.
bool Relay::watch() noexcept {
  const timespec tick{0, kTickNs};
  Section seen = 0;
  uint32_t idle_ticks = 0;
  uint32_t entered_ticks = 0;
  while (true) {
    const Section now = section_.load(std::memory_order_acquire);
    const bool same = now == seen;
    const bool entered = (now & kStateMask) == kEntered;
    entered_ticks = same && entered ? entered_ticks + 1 : 0;
    if (entered_ticks > 0 &&
        (entered_ticks >= kRunningTicksMax ||
         !is_running(leader_.load(std::memory_order_relaxed))) &&
        take(now)) {
      begin_to_lead_instead(nullptr);
      if (loop_thread_ == this_thread_id()) return true;
      loop_.leave_to_loop();
      release();
    }
    idle_ticks = same && !entered ? idle_ticks + 1 : 0;
    seen = now;

    uint32_t state = kTicking;
    if (idle_ticks < kIdleTicksMax) {
      futex_wait(watcher_, kTicking, &tick);
    } else if (watcher_.compare_exchange_strong(state, kSleeping, std::memory_order_seq_cst)) {
      if (section_.load(std::memory_order_seq_cst) == seen)
        futex_wait(watcher_, kSleeping, nullptr);
      state = kSleeping;
      watcher_.compare_exchange_strong(state, kTicking, std::memory_order_seq_cst);
      idle_ticks = 0;
    }
    if (watcher_.load(std::memory_order_seq_cst) == kOver) return false;
  }
}

void Relay::wake_watcher() noexcept {
  uint32_t state = kSleeping;
  if (watcher_.compare_exchange_strong(state, kTicking, std::memory_order_seq_cst)) {
    futex_wake(watcher_);
  }
}

// With mutex_ held. Where no thread is to be had, calls that block hold up the reactor until one
// comes back.
void Relay::add_follower() {
  join_finished();
  if (followers_.size() + 1 >= threads_max_) return;
  Follower& follower = followers_.emplace_back();
  try {
    follower.thread = std::thread([this, &follower] {
      pin();
      follow(&follower);
    });
  } catch (const std::system_error& error) {
    followers_.pop_back();
    log::warn("cannot start another thread ({}); slow calls may delay other requests",
              error.what());
  }
}

void Relay::join_finished() {
  for (auto follower = followers_.begin(); follower != followers_.end();) {
    if (!follower->finished) {
      ++follower;
      continue;
    }
    follower->thread.join();
    follower = followers_.erase(follower);
  }
}

}  // namespace dpfs
