// SPDX-License-Identifier: Apache-2.0
// Timers, signals and mutexes of a reactor: who goes on, in which order.
#include "io/timer.h"

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <string>
#include <thread>

#include "base/monotonic.h"
#include "base/op.h"
#include "io/async_mutex.h"
#include "io/reactor_harness.h"
#include "io/signal.h"

namespace dpfs {
namespace {

constexpr uint64_t kMillisecondNs = 1'000'000;
constexpr uint64_t kLongNs = 3'600'000 * kMillisecondNs;

// A reactor on a thread of its own, with timers.
class Waiting : public testing::Test, public RunningReactor {
 protected:
  Waiting() : RunningReactor({.io_uring = false}) {
    call([&] { timers = std::make_unique<Timers>(reactor); });
  }
  ~Waiting() override {
    call([&] { timers.reset(); });
  }
  std::unique_ptr<Timers> timers;
};

struct Ring final : Timer {
  Ring(std::string& to, char name) : rung(to), name(name) {}
  void fired() noexcept override {
    rung += name;
    if (then) then();
  }
  std::string& rung;
  char name;
  std::function<void()> then;
};

TEST_F(Waiting, TimersFireInTheOrderOfTheirMoments) {
  std::string rung;
  Ring a(rung, 'a');
  Ring b(rung, 'b');
  Ring c(rung, 'c');
  std::promise<void> done;
  c.then = [&] { done.set_value(); };
  const uint64_t begin_ns = monotonic_ns();
  call([&] {
    timers->start(c, 6 * kMillisecondNs);
    timers->start(a, 2 * kMillisecondNs);
    timers->start(b, 4 * kMillisecondNs);
  });
  done.get_future().wait();
  turn();  // the timer is done with
  EXPECT_EQ(rung, "abc");
  EXPECT_GE(monotonic_ns() - begin_ns, 6 * kMillisecondNs);
}

TEST_F(Waiting, ATimerThatIsStoppedDoesNotFire) {
  std::string rung;
  Ring a(rung, 'a');
  Ring b(rung, 'b');
  std::promise<void> done;
  b.then = [&] { done.set_value(); };
  call([&] {
    timers->start(a, kMillisecondNs);
    timers->start(b, 2 * kMillisecondNs);
    timers->stop(a);
    timers->stop(a);  // again, to no effect
  });
  done.get_future().wait();
  turn();  // the timer is done with
  EXPECT_EQ(rung, "b");
}

TEST_F(Waiting, ATimerMayBeginAnewSoonerOrLater) {
  std::string rung;
  Ring a(rung, 'a');
  Ring b(rung, 'b');
  std::promise<void> done;
  a.then = [&] { done.set_value(); };
  call([&] {
    timers->start(b, kLongNs);
    timers->start(b, kMillisecondNs);
    timers->start(a, kMillisecondNs);
    timers->start(a, 3 * kMillisecondNs);
  });
  done.get_future().wait();
  turn();  // the timer is done with
  EXPECT_EQ(rung, "ba");
}

TEST_F(Waiting, ATimerMayStartItselfAndStopAnotherWhenItFires) {
  std::string rung;
  Ring a(rung, 'a');
  Ring b(rung, 'b');
  std::promise<void> done;
  a.then = [&] {
    timers->stop(b);
    if (rung.size() < 3) {
      timers->start(a, 0);
    } else {
      done.set_value();
    }
  };
  call([&] {
    timers->start(a, kMillisecondNs);
    timers->start(b, kMillisecondNs);  // at the same moment, or just behind it
  });
  done.get_future().wait();
  turn();  // the timer is done with
  EXPECT_EQ(rung, "aaa");
}

Detached sleep(Timers& timers, uint64_t delay_ns, Sleep*& sleeping, std::promise<void>& woken) {
  Sleep sleep(timers, delay_ns);
  sleeping = &sleep;
  co_await sleep;
  sleeping = nullptr;
  woken.set_value();
}

TEST_F(Waiting, SleepEndsByItselfOrIsWoken) {
  Sleep* sleeping = nullptr;
  std::promise<void> by_itself;
  call([&] { sleep(*timers, kMillisecondNs, sleeping, by_itself); });
  by_itself.get_future().wait();
  std::promise<void> woken;
  call([&] { sleep(*timers, kLongNs, sleeping, woken); });
  call([&] { sleeping->wake(); });
  woken.get_future().wait();
}

Detached wait_for(Signal& signal, uint64_t at_most_ns, std::promise<void>& gone_on) {
  co_await signal.wait(at_most_ns);
  gone_on.set_value();
}

class Signals : public Waiting {
 protected:
  Signals() {
    call([&] { signal = std::make_unique<Signal>(reactor, *timers); });
  }
  ~Signals() override {
    call([&] { signal.reset(); });
  }
  std::unique_ptr<Signal> signal;
};

TEST_F(Signals, WhoWaitsGoesOnInATurnToCome) {
  std::promise<void> gone_on;
  std::future<void> future = gone_on.get_future();
  call([&] {
    wait_for(*signal, Signal::kForEver, gone_on);
    signal->raise();
    signal->raise();  // once is enough
    EXPECT_EQ(future.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  });
  future.wait();
}

TEST_F(Signals, RaisedBeforeItEndsTheNextWaitAtOnce) {
  std::promise<void> first;
  std::promise<void> second;
  std::future<void> later = second.get_future();
  call([&] {
    signal->raise();
    wait_for(*signal, Signal::kForEver, first);
    EXPECT_EQ(first.get_future().wait_for(std::chrono::seconds(0)), std::future_status::ready);
    wait_for(*signal, Signal::kForEver, second);
    EXPECT_EQ(later.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
    signal->raise();
  });
  later.wait();
}

TEST_F(Signals, AWaitEndsWhenItsTimeIsOver) {
  std::promise<void> gone_on;
  call([&] { wait_for(*signal, kMillisecondNs, gone_on); });
  gone_on.get_future().wait();
}

TEST_F(Signals, AWaitThatWasEndedLeavesNoTimerBehind) {
  std::promise<void> first;
  std::promise<void> second;
  std::future<void> later = second.get_future();
  call([&] {
    wait_for(*signal, 5 * kMillisecondNs, first);
    signal->raise();
  });
  first.get_future().wait();
  call([&] { wait_for(*signal, Signal::kForEver, second); });
  // Longer than the first would have waited.
  EXPECT_EQ(later.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  call([&] { signal->raise(); });
  later.wait();
}

Detached hold(AsyncMutex& mutex, Reactor& reactor, Signal& until, std::string& order, char name) {
  co_await mutex.lock();
  order += name;
  co_await until.wait(Signal::kForEver);
  order += static_cast<char>(name - 'a' + 'A');
  mutex.unlock(reactor);
}

TEST_F(Signals, AMutexIsHeldByOneAndTheOthersFollowInOrder) {
  AsyncMutex mutex;
  std::string order;
  call([&] {
    for (const char name : {'a', 'b', 'c'}) hold(mutex, reactor, *signal, order, name);
    EXPECT_EQ(order, "a");
  });
  for (const std::string_view then : {"aAb", "aAbBc", "aAbBcC"}) {
    call([&] { signal->raise(); });
    turn();
    turn();
    call([&] { EXPECT_EQ(order, then); });
  }
  call([&] {  // free again
    hold(mutex, reactor, *signal, order, 'd');
    EXPECT_EQ(order, "aAbBcCd");
    signal->raise();
  });
  turn();
  call([&] { EXPECT_EQ(order, "aAbBcCdD"); });
}

}  // namespace
}  // namespace dpfs
