// SPDX-License-Identifier: Apache-2.0
// The reactor: who runs what, and that a slow call holds up nobody else.
#include "io/reactor.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <future>
#include <list>
#include <string>
#include <thread>

#include "base/op.h"
#include "io/reactor_harness.h"

namespace dpfs {
namespace {

Fd file_with(std::string_view text) {
  char path[] = "/tmp/dpfs_reactor_test_XXXXXX";
  Fd fd(mkstemp(path));
  unlink(path);
  EXPECT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return fd;
}

// A call that ends when it is told to.
class SlowCall {
 public:
  int run() {
    entered_.set_value();
    released_.get_future().wait();
    return 42;
  }
  void wait_until_entered() { entered_.get_future().wait(); }
  void release() { released_.set_value(); }

 private:
  std::promise<void> entered_;
  std::promise<void> released_;
};

Detached read_into(Reactor& reactor, int fd, std::span<const iovec> buffers,
                   std::promise<int>& result) {
  const int32_t n = co_await FileIoOp(reactor, FileIo::Kind::readv, fd, buffers, 4);
  result.set_value(n);
}

void expect_that_a_file_is_read(const Reactor::Options& options) {
  RunningReactor running(options);
  const Fd file = file_with("the quick brown fox");
  char buffer[6] = {};
  const iovec parts[] = {{buffer, 2}, {buffer + 2, 3}};
  std::promise<int> result;
  running.reactor.post([&] { read_into(running.reactor, file.get(), parts, result); });
  EXPECT_EQ(result.get_future().get(), 5);
  EXPECT_STREQ(buffer, "quick");
}

TEST(Reactor, ReadsAFileWithIoUring) { expect_that_a_file_is_read({}); }

TEST(Reactor, ReadsAFileWithThreadsWhereIoUringIsForbidden) {
  expect_that_a_file_is_read({.io_uring = false});
}

TEST(Reactor, TellsAWatchThatItsDescriptorIsReadable) {
  struct Signal final : Watch {
    void ready() noexcept override { seen.set_value(); }
    std::promise<void> seen;
  };
  RunningReactor running;
  const Fd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Signal signal;
  running.call([&] { EXPECT_TRUE(running.reactor.watch(event.get(), signal)); });
  const uint64_t one = 1;
  ASSERT_EQ(write(event.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  signal.seen.get_future().wait();
  running.call([&] { running.reactor.unwatch(event.get(), signal); });
}

TEST(Relay, QuickCallStaysOnItsThread) {
  RunningReactor running;
  running.call([&] {
    const std::thread::id before = std::this_thread::get_id();
    EXPECT_EQ(running.reactor.blocking([] { return std::this_thread::get_id(); }), before);
    EXPECT_EQ(std::this_thread::get_id(), before);
  });
}

TEST(Relay, SlowCallDelaysNobodyElse) {
  RunningReactor running;
  SlowCall slow;
  std::promise<int> result;
  running.reactor.post(
      [&] { result.set_value(running.reactor.blocking([&] { return slow.run(); })); });
  slow.wait_until_entered();
  running.call([] {});  // would hang if the reactor did
  slow.release();
  EXPECT_EQ(result.get_future().get(), 42);
  running.call([] {});
}

TEST(Relay, ManySlowCallsComeBackOneAtATime) {
  constexpr int kCalls = 20;
  RunningReactor running;
  SlowCall slow[kCalls];
  std::atomic<int> inside{0};
  int done = 0;
  std::promise<void> all_done;
  for (SlowCall& call : slow) {
    running.reactor.post([&] {
      running.reactor.blocking([&] { return call.run(); });
      EXPECT_EQ(inside.fetch_add(1), 0);
      std::this_thread::yield();
      EXPECT_EQ(inside.fetch_sub(1), 1);
      if (++done == kCalls) all_done.set_value();
    });
    call.wait_until_entered();
  }
  running.call([] {});
  for (SlowCall& call : slow) call.release();
  all_done.get_future().wait();
}

TEST(Relay, CallsThatAreAboutAsLongAsATickLoseNothing) {
  constexpr int kTasks = 400;
  RunningReactor running;
  int done = 0;
  std::promise<void> all_done;
  for (int i = 0; i < kTasks; ++i) {
    running.reactor.post([&, i] {
      running.reactor.blocking([i] { return usleep(static_cast<useconds_t>(i % 5 * 300)); });
      if (++done == kTasks) all_done.set_value();
    });
  }
  all_done.get_future().wait();
}

// ---- Visitors -----------------------------------------------------------------------------------

// A thread that is the reactor now and then.
class Guest final : public Visitor {
 public:
  Guest(Reactor& reactor, std::function<void(Guest&)> body)
      : reactor_(reactor), thread_([this, body = std::move(body)] { body(*this); }) {}
  ~Guest() { thread_.join(); }
  void blocked() noexcept override { ++times_blocked; }
  void visit(const std::function<void()>& task) {
    const Reactor::Visit visit(reactor_, *this);
    task();
  }
  int times_blocked = 0;  // the reactor's

 private:
  Reactor& reactor_;
  std::thread thread_;
};

TEST(Visit, IsTheReactorAloneHoweverManyCome) {
  constexpr int kGuests = 8;
  constexpr int kVisits = 2000;
  RunningReactor running;
  int inside = 0;  // neither atomic nor locked: the sanitizer would tell
  int visits = 0;
  {
    std::list<Guest> guests;
    for (int i = 0; i < kGuests; ++i) {
      guests.emplace_back(running.reactor, [&](Guest& guest) {
        for (int n = 0; n < kVisits; ++n) {
          guest.visit([&] {
            EXPECT_EQ(++inside, 1);
            ++visits;
            EXPECT_EQ(--inside, 0);
          });
        }
      });
    }
    for (int i = 0; i < 200; ++i) running.call([&] { EXPECT_EQ(inside, 0); });
  }
  running.call([&] { EXPECT_EQ(visits, kGuests * kVisits); });
}

TEST(Visit, SlowCallDelaysNeitherOtherVisitorsNorTheLoop) {
  RunningReactor running;
  SlowCall slow;
  int result = 0;
  Guest first(running.reactor, [&](Guest& guest) {
    guest.visit([&] { result = running.reactor.blocking([&] { return slow.run(); }); });
  });
  slow.wait_until_entered();
  {
    Guest second(running.reactor, [&](Guest& guest) {
      guest.visit([&] { EXPECT_EQ(first.times_blocked, 1) << "it was told before others came"; });
    });
  }
  running.call([&] { EXPECT_EQ(result, 0); });
  slow.release();
  while (running.says([&] { return result; }) != 42) {
  }
}

TEST(Visit, SlowCallOfTheLoopDelaysNoVisitor) {
  RunningReactor running;
  SlowCall slow;
  std::promise<int> result;
  running.reactor.post(
      [&] { result.set_value(running.reactor.blocking([&] { return slow.run(); })); });
  slow.wait_until_entered();
  {
    Guest guest(running.reactor, [](Guest& self) { self.visit([] {}); });
  }
  running.call([] {});  // there is a loop
  slow.release();
  EXPECT_EQ(result.get_future().get(), 42);
  {
    Guest guest(running.reactor, [](Guest& self) { self.visit([] {}); });
  }
  running.call([] {});
}

TEST(Visit, CallsOfVisitorsAndOfTheLoopThatAreAboutAsLongAsATickLoseNothing) {
  constexpr int kGuests = 6;
  constexpr int kEach = 60;
  RunningReactor running;
  int done = 0;
  std::promise<void> all_posted_done;
  int posted_done = 0;
  {
    std::list<Guest> guests;
    for (int g = 0; g < kGuests; ++g) {
      guests.emplace_back(running.reactor, [&, g](Guest& guest) {
        for (int i = 0; i < kEach; ++i) {
          guest.visit([&] {
            running.reactor.blocking(
                [&] { return usleep(static_cast<useconds_t>((i + g) % 5 * 300)); });
            ++done;
          });
        }
      });
    }
    for (int i = 0; i < kEach; ++i) {
      running.reactor.post([&, i] {
        running.reactor.blocking([i] { return usleep(static_cast<useconds_t>(i % 5 * 300)); });
        if (++posted_done == kEach) all_posted_done.set_value();
      });
    }
    all_posted_done.get_future().wait();
  }
  running.call([&] { EXPECT_EQ(done, kGuests * kEach); });
}

// What a visitor begins, the loop ends.
TEST(Visit, OperationsThatAVisitorHasStartedAreCompleted) {
  RunningReactor running;
  const Fd file = file_with("the quick brown fox");
  for (int i = 0; i < 50; ++i) {
    char buffer[6] = {};
    const iovec parts[] = {{buffer, 5}};
    std::promise<int> result;
    Guest guest(running.reactor, [&](Guest& self) {
      self.visit([&] { read_into(running.reactor, file.get(), parts, result); });
    });
    EXPECT_EQ(result.get_future().get(), 5);
    EXPECT_STREQ(buffer, "quick");
  }
}

Detached count_on_next_turn(Reactor& reactor, std::promise<void>& done) {
  NextTurn turn(reactor);
  co_await turn;
  done.set_value();
}

TEST(Visit, WhatAVisitorMakesReadyRuns) {
  RunningReactor running;
  for (int i = 0; i < 50; ++i) {
    std::promise<void> done;
    Guest guest(running.reactor, [&](Guest& self) {
      self.visit([&] { count_on_next_turn(running.reactor, done); });
    });
    done.get_future().wait();
  }
}

TEST(Relay, FramesGoBackToTheirReactorsPoolWhoeverLeads) {
  RunningReactor running;
  const Fd file = file_with("the quick brown fox");
  char buffer[8];
  const iovec parts[] = {{buffer, 5}};
  auto read_once = [&] {
    std::promise<int> result;
    running.reactor.post([&] { read_into(running.reactor, file.get(), parts, result); });
    EXPECT_EQ(result.get_future().get(), 5);
  };
  read_once();
  uint64_t grown = 0;
  running.call([&] { grown = running.reactor.frames().grown(); });
  SlowCall slow;
  std::promise<void> back;
  running.reactor.post([&] {
    running.reactor.blocking([&] { return slow.run(); });
    back.set_value();
  });
  slow.wait_until_entered();
  for (int i = 0; i < 10; ++i) read_once();
  slow.release();
  back.get_future().wait();
  running.call([&] { EXPECT_EQ(running.reactor.frames().grown(), grown); });
}

}  // namespace
}  // namespace dpfs
