// SPDX-License-Identifier: Apache-2.0
// Relay: the threads that take turns at being one reactor, so that a call that blocks holds up only
// itself.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <thread>

#include "base/list.h"

namespace dpfs {

// What the relay's leader runs: a reactor.
class RelayedLoop {
 public:
  // The loop. Returns when Relay::end_turn() says so, or after Relay::finish().
  virtual void lead() noexcept = 0;
  // For a leader that is not the loop and is about to go: what there is to do now is the loop's.
  virtual void leave_to_loop() noexcept = 0;

 protected:
  ~RelayedLoop() = default;
};

// A thread of somebody else's that leads for as long as it has something to do.
class Visitor {
 public:
  // On the reactor, by another thread: the visitor's call takes long.
  virtual void blocked() noexcept = 0;

 protected:
  ~Visitor() = default;
};

// Leader and followers. One thread leads: what it runs is the reactor's code, and never do two
// threads run that at once. Three kinds of threads lead:
//
// The *loop* does so from its start, except while it rests (waits for events). Around a call that
// may block it enters a section; after a quick call it leaves it again and nobody has noticed. One
// follower looks at the section every tick: when it finds the same one twice, it takes the section,
// and is the loop from then on.
//
// A thread that was blocked comes back, finds its section taken, and waits for the lead; then it
// goes on in the middle of what it was doing, and is a follower after that (or the loop again, when
// it was the loop that made room).
//
// A *visitor* comes with a request that it has fetched itself, leads while it serves it, and goes.
// Its sections can be taken, too: by whoever has waited some microseconds for the lead, or by the
// watching follower, which gives the lead away again.
//
// A thread that is running, not sleeping, inside its section (it copies much, spins on a lock, or
// waits for a processor) is given more time by the watcher: to take over from it helps little and
// costs it processor time.
//
// Why so: handing every call to a pool costs two thread switches for each, also when the call would
// have taken 300 ns, and Linux offers no way to ask "only if it doesn't block" for most calls (nor
// for buffered writes on ext4). An idle relay has no timer: the watching follower sleeps until a
// section is entered.
//
// Memory order: what a leader wrote is published by its section (release) and seen by whoever takes
// it (acquire), or by held_, or goes through mutex_.
class Relay {
 public:
  using Section = uint64_t;

  // At most `threads_max` threads, all on `cpu` unless that is negative.
  Relay(RelayedLoop& loop, uint32_t threads_max, int cpu) noexcept;
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  // Makes the calling thread the loop; returns after finish(), when all threads have come back.
  void run();

  // ---- For the leader
  // -----------------------------------------------------------------------------

  Section enter() noexcept {
    const Section section = number_of_next_section() | kEntered;
    // Sequentially consistent with watch(): either we see that the watcher sleeps, or it sees the
    // section.
    section_.store(section, std::memory_order_seq_cst);
    if (watcher_.load(std::memory_order_seq_cst) == kSleeping) wake_watcher();
    return section;
  }
  void leave(Section section) noexcept {
    Section expected = section;
    if (section_.compare_exchange_strong(expected, section & ~kStateMask,
                                         std::memory_order_acq_rel)) {
      return;
    }
    come_back();
  }

  // Changes whenever another thread has led: a turn that was begun before is over.
  uint64_t changes() const noexcept { return changes_; }
  // How many threads are inside a section that was taken from them.
  uint32_t blocked() const noexcept { return blocked_.load(std::memory_order_relaxed); }

  // ---- For the loop
  // -------------------------------------------------------------------------------

  // At the end of a turn: lets others lead who wait for it. True when the caller is the loop no
  // more, and does not lead.
  bool end_turn() noexcept;
  // Around a wait for events: others may lead meanwhile.
  void rest() noexcept { release(); }
  void go_on() noexcept { acquire(nullptr); }
  // It is all over. Only while blocked() is 0 and no visitor comes any more.
  void finish() noexcept;

  // ---- For threads that are not the relay's
  // -------------------------------------------------------

  // Waits for the lead, which is the caller's then until depart(). `visitor` stays until its
  // depart() has returned.
  void visit(Visitor& visitor) noexcept;
  void depart() noexcept;

 private:
  // A section is its number << 2, and its state. A number is never used again.
  static constexpr Section kStateMask = 3;
  static constexpr Section kEntered = 1;
  static constexpr Section kTaken = 2;
  // States of watcher_, a futex.
  static constexpr uint32_t kTicking = 0;
  static constexpr uint32_t kSleeping = 1;
  static constexpr uint32_t kOver = 2;

  struct Waiter : ListLink<> {  // lies on the stack of the thread that waits for the lead
    std::condition_variable signal;
    bool may_be_loop = false;  // one of the relay's own threads
    bool woken = false;        // the lead was free; try again
    bool patient = true;       // false: it has waited long enough to be given the lead
    bool granted = false;
  };
  struct Follower {
    std::thread thread;
    bool finished = false;
  };

  Section number_of_next_section() const noexcept {
    return (section_.load(std::memory_order_relaxed) | kStateMask) + 1;
  }
  bool try_acquire() noexcept {
    bool free = false;
    return held_.compare_exchange_strong(free, true, std::memory_order_seq_cst);
  }
  void acquire(Visitor* visitor) noexcept {
    if (!try_acquire()) return wait_for_lead(visitor);
    begin_to_lead(visitor);
  }
  void release() noexcept {
    if (!someone_waits_.load(std::memory_order_relaxed)) {
      held_.store(false, std::memory_order_seq_cst);
      // Sequentially consistent with wait_for_lead(): either we see who waits, or it sees that the
      // lead is free.
      if (!someone_waits_.load(std::memory_order_seq_cst) || !try_acquire()) return;
    }
    release_to_waiter();
  }

  void pin() const noexcept;
  void follow(Follower* self) noexcept;
  bool watch() noexcept;
  bool take(Section section) noexcept;
  bool take_if_stuck(Section seen, bool may_be_loop) noexcept;
  void wait_for_lead(Visitor* visitor) noexcept;
  bool spin_for_lead() noexcept;
  void release_to_waiter() noexcept;
  void grant_to(Waiter& waiter) noexcept;
  void begin_to_lead(Visitor* visitor) noexcept;
  void begin_to_lead_instead(Visitor* visitor) noexcept;
  void come_back() noexcept;
  void wake_watcher() noexcept;
  void add_follower();
  void join_finished();

  RelayedLoop& loop_;
  const uint32_t threads_max_;
  const int cpu_;

  alignas(64) std::atomic<Section> section_{0};
  alignas(64) std::atomic<uint32_t> watcher_{kTicking};
  alignas(64) std::atomic<bool> held_{true};  // somebody leads; first of all who will run()
  std::atomic<bool> someone_waits_{false};
  std::atomic<uint32_t> blocked_{0};
  std::atomic<int> leader_{0};              // the leading thread's id
  std::atomic<Visitor*> visitor_{nullptr};  // who leads; nullptr: a thread of the relay's
  uint64_t changes_ = 0;                    // the leader's, as the next one
  int loop_thread_ = 0;                     // which thread is the loop

  std::mutex mutex_;  // of what follows
  std::condition_variable followers_signal_;
  List<Waiter> waiters_;
  std::list<Follower> followers_;
  uint32_t idle_followers_ = 0;
  bool watched_ = false;
  bool over_ = false;
};

}  // namespace dpfs
