// SPDX-License-Identifier: Apache-2.0
// Relay: the threads that take turns at being one reactor, so that a call that blocks holds up only
// itself.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "base/list.h"

namespace dpfs {

class Reactor;

// Leader and followers. One thread leads (is the reactor). Around a call that may block it enters a
// section; quick calls leave it again and nobody has noticed. One follower looks at the section
// every kTick: when it finds the same one twice, it takes the lead and goes on with the reactor's
// loop. The thread that was blocked comes back, finds its section taken, and waits for the lead,
// which whoever has it hands over at the end of its turn; then it goes on in the middle of what it
// was doing. Never do two threads run reactor code at once.
//
// Why so: handing every call to a pool costs two thread switches for each, also when the call would
// have taken 300 ns; Linux offers no way to ask "only if it doesn't block" for most calls (nor for
// buffered writes on ext4). An idle relay has no timer: the watching follower sleeps until a
// section is entered.
class Relay {
 public:
  using Section = uint64_t;

  Relay(Reactor& reactor, uint32_t threads_max, int cpu) noexcept;
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  // Makes the calling thread the first leader, starts followers; returns when the reactor is over
  // and all threads have come back.
  void run();

  Section enter() noexcept;
  void leave(Section section) noexcept;

  // For the leader, at the end of a turn: hands the lead to a thread that waits for it. True when
  // it did: the caller leads no more.
  bool hand_over() noexcept;
  // Changes whenever another thread has led: iterators of a turn begun before are stale.
  uint64_t changes() const noexcept { return changes_; }
  // How many threads are inside a section that was taken from them.
  uint32_t blocked() const noexcept { return blocked_.load(std::memory_order_relaxed); }

 private:
  // Whom the lead is given back to: lies on the stack of the thread that waits.
  struct Returner : ListLink<> {
    std::condition_variable granted_signal;
    bool granted = false;
  };

  void follow();
  bool watch() noexcept;
  bool take(Section section) noexcept;
  void lead() noexcept;
  void add_follower();

  Reactor& reactor_;
  const uint32_t threads_max_;
  const int cpu_;

  // section number << 2 | SectionState
  std::atomic<uint64_t> section_{0};
  std::atomic<uint32_t> watcher_sleeps_{
      0};  // a futex: 1 while the watching follower sleeps without a timer
  std::atomic<uint32_t> blocked_{0};
  std::atomic<bool> someone_returns_{false};
  uint64_t changes_ = 0;  // the leader's

  std::mutex mutex_;  // of what follows
  std::condition_variable followers_signal_;
  List<Returner> returners_;
  std::vector<std::thread> threads_;
  uint32_t idle_followers_ = 0;
  bool watched_ = false;
  bool over_ = false;
};

}  // namespace dpfs
