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
  // The loop. Returns when Relay::hand_over() has given the lead away, or after Relay::finish().
  virtual void lead() noexcept = 0;
  // From any thread: the loop shall come to its next turn soon.
  virtual void wake() noexcept = 0;

 protected:
  ~RelayedLoop() = default;
};

// Leader and followers. One thread leads: it is the reactor. Around a call that may block it enters
// a section; after a quick call it leaves it again and nobody has noticed. One follower looks at
// the section every tick: when it finds the same one twice, it takes the lead and goes on with the
// loop. The thread that was blocked comes back, finds its section taken, and waits for the lead,
// which whoever has it hands over at the end of its turn; then it goes on in the middle of what it
// was doing. Never do two threads run reactor code at once.
//
// A thread that is running, not sleeping, inside its section (it copies much, spins on a lock, or
// waits for a processor) is given more time: to take over from it helps little and costs it
// processor time.
//
// Why so: handing every call to a pool costs two thread switches for each, also when the call would
// have taken 300 ns, and Linux offers no way to ask "only if it doesn't block" for most calls (nor
// for buffered writes on ext4). An idle relay has no timer: the watching follower sleeps until a
// section is entered.
//
// Memory order: what a leader wrote is published by its section (release) and seen by whoever takes
// it (acquire); a lead that is handed over goes through mutex_.
class Relay {
 public:
  using Section = uint64_t;

  // At most `threads_max` threads, all on `cpu` unless that is negative.
  Relay(RelayedLoop& loop, uint32_t threads_max, int cpu) noexcept;
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  // Makes the calling thread the first leader; returns after finish(), when all threads have come
  // back.
  void run();
  // For the leader: the loop is over. Only while blocked() is 0.
  void finish() noexcept;

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

  // For the leader: from now on no thread ends before finish(), however long it has nothing to do.
  void keep_threads() noexcept;

  // For the leader, at the end of a turn: gives the lead to a thread that has come back. True when
  // it did: the caller leads no more.
  bool hand_over() noexcept;
  // Changes whenever another thread has led: a turn that was begun before is over.
  uint64_t changes() const noexcept { return changes_; }
  // How many threads are inside a section that was taken from them.
  uint32_t blocked() const noexcept { return blocked_.load(std::memory_order_relaxed); }

 private:
  // A section is its number << 2, and its state. A number is never used again.
  static constexpr Section kStateMask = 3;
  static constexpr Section kEntered = 1;
  static constexpr Section kTaken = 2;
  // States of watcher_, a futex.
  static constexpr uint32_t kTicking = 0;
  static constexpr uint32_t kSleeping = 1;
  static constexpr uint32_t kOver = 2;

  struct Returner : ListLink<> {  // lies on the stack of the thread that waits
    std::condition_variable granted_signal;
    bool granted = false;
  };
  struct Follower {
    std::thread thread;
    bool finished = false;
  };

  Section number_of_next_section() const noexcept {
    return (section_.load(std::memory_order_relaxed) | kStateMask) + 1;
  }
  void follow(Follower* self) noexcept;
  bool watch() noexcept;
  bool take(Section section) noexcept;
  void begin_to_lead() noexcept;
  void come_back() noexcept;
  void wake_watcher() noexcept;
  void add_follower();
  void join_finished();

  RelayedLoop& loop_;
  const uint32_t threads_max_;
  const int cpu_;

  alignas(64) std::atomic<Section> section_{0};
  alignas(64) std::atomic<uint32_t> watcher_{kTicking};
  std::atomic<uint32_t> blocked_{0};
  std::atomic<int> leader_{0};  // the leading thread's id
  std::atomic<bool> someone_returns_{false};
  uint64_t changes_ = 0;  // the leader's

  std::mutex mutex_;  // of what follows
  std::condition_variable followers_signal_;
  List<Returner> returners_;
  std::list<Follower> followers_;
  uint32_t idle_followers_ = 0;
  bool watched_ = false;
  bool keeps_threads_ = false;
  bool over_ = false;
};

}  // namespace dpfs
