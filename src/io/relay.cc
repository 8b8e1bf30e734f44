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
  pin_this_thread(cpu_);
  {
    std::lock_guard lock(mutex_);
    add_follower();
  }
  begin_to_lead();
  loop_.lead();
  follow(nullptr);
  while (!followers_.empty()) {
    followers_.front().thread.join();
    followers_.pop_front();
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

void Relay::keep_threads() noexcept {
  std::lock_guard lock(mutex_);
  keeps_threads_ = true;
}

bool Relay::hand_over() noexcept {
  if (!someone_returns_.load(std::memory_order_acquire)) return false;
  std::lock_guard lock(mutex_);
  Returner* returner = returners_.pop_front();
  someone_returns_.store(!returners_.empty(), std::memory_order_relaxed);
  if (returner == nullptr) return false;
  returner->granted = true;
  returner->granted_signal.notify_one();  // under the lock: the returner is gone soon after it
  return true;
}

// The section was taken: this thread has been away while others led. Waits until it leads again.
void Relay::come_back() noexcept {
  std::unique_lock lock(mutex_);
  // A leader that is inside a section itself can hand over nothing, but need not: its section can
  // be taken.
  const Section current = section_.load(std::memory_order_acquire);
  if ((current & kStateMask) != kEntered || !take(current)) {
    Returner self;
    returners_.push_back(self);
    someone_returns_.store(true, std::memory_order_release);
    loop_.wake();
    self.granted_signal.wait(lock, [&self] { return self.granted; });
  }
  blocked_.fetch_sub(1, std::memory_order_relaxed);
  begin_to_lead();
}

void Relay::begin_to_lead() noexcept {
  ++changes_;
  leader_.store(this_thread_id(), std::memory_order_relaxed);
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
      begin_to_lead();
      loop_.lead();
      lock.lock();
      continue;
    }
    ++idle_followers_;
    const bool may_end = self != nullptr && idle_followers_ > kIdleFollowersKept && !keeps_threads_;
    bool timed_out = false;
    if (may_end) {
      timed_out = followers_signal_.wait_for(lock, kIdleFollowerLife) == std::cv_status::timeout;
    } else {
      followers_signal_.wait(lock);
    }
    --idle_followers_;
    if (timed_out && watched_ && !keeps_threads_) break;
  }
  if (self != nullptr) self->finished = true;
}

// Looks at the section every tick. True: this thread has taken it and leads. False: the relay is
// over.
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
      return true;
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
      pin_this_thread(cpu_);
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
