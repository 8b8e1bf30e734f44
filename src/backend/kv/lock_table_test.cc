// SPDX-License-Identifier: Apache-2.0
// The lock table: fcntl(2) and flock(2) of several sessions, waits, and how they end.
#include "backend/kv/lock_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>

#include "backend/kv/lock_wait.h"
#include "base/op.h"
#include "io/reactor_harness.h"

namespace dpfs::kv {
namespace {

constexpr uint64_t kFile = 5;
constexpr uint64_t kOtherFile = 6;

LockArgs range(uint32_t type, uint64_t owner, uint64_t start = 0, uint64_t end = INT64_MAX) {
  return {.node = NodeId{1},
          .handle = Handle{owner + 1000},
          .owner = owner,
          .start = start,
          .end = end,
          .type = type,
          .pid = static_cast<uint32_t>(owner + 100),
          .flock = false};
}
LockArgs write(uint64_t owner, uint64_t start = 0, uint64_t end = INT64_MAX) {
  return range(F_WRLCK, owner, start, end);
}
LockArgs read(uint64_t owner, uint64_t start = 0, uint64_t end = INT64_MAX) {
  return range(F_RDLCK, owner, start, end);
}
LockArgs unlock(uint64_t owner, uint64_t start = 0, uint64_t end = INT64_MAX) {
  return range(F_UNLCK, owner, start, end);
}
LockArgs flock_of(uint64_t handle, uint32_t type) {
  LockArgs args = range(type, 4711);  // the owner's number does not count
  args.handle = Handle{handle};
  args.flock = true;
  return args;
}

// Something that waits. "": still; "ok", or what it ended with.
struct Waiter {
  std::string end;
  int turn = 0;  // when it was served, counted from 1
};

Detached wait_for(Waiter& waiter, int& served, LockSession& session, uint64_t unique,
                  uint64_t inode, LockArgs args) {
  LockWait wait(session, unique, inode, args);
  const Result<Unit> result = co_await wait;
  waiter.end = result ? "ok" : describe(result.error());
  waiter.turn = ++served;
}

class LockTableTest : public testing::Test {
 protected:
  ~LockTableTest() override {
    on([&] {
      here_.reset();
      there_.reset();
    });
    reactor_.turn();
    for (const Waiter& waiter : waiters_) EXPECT_NE(waiter.end, "");
    EXPECT_EQ(table_.locks(), 0u);
    EXPECT_EQ(table_.files(), 0u);
  }

  void on(const std::function<void()>& task) { reactor_.call(task); }
  Errno set(std::optional<LockSession>& session, const LockArgs& args, uint64_t inode = kFile) {
    Errno why = Errno::none;
    on([&] { why = session->set(inode, args).error(); });
    reactor_.turn();
    return why;
  }
  Waiter& wait(std::optional<LockSession>& session, uint64_t unique, const LockArgs& args,
               uint64_t inode = kFile) {
    Waiter& waiter = waiters_.emplace_back();
    on([&] { wait_for(waiter, served_, *session, unique, inode, args); });
    reactor_.turn();
    return waiter;
  }
  fuse::FileLock test(std::optional<LockSession>& session, const LockArgs& args) {
    Result<fuse::LkOut> found = Errno::io;
    on([&] { found = session->test(kFile, args); });
    EXPECT_TRUE(found);
    return found->lk;
  }

  RunningReactor reactor_;
  LockTable table_{reactor_.reactor};
  std::optional<LockSession> here_{table_};
  std::optional<LockSession> there_{table_};
  std::deque<Waiter> waiters_;
  int served_ = 0;
};

const std::string kGranted = "ok";
const std::string kWaits;

std::string text(Errno why) { return describe(why); }

}  // namespace

// ---- At once ------------------------------------------------------------------------------------

TEST_F(LockTableTest, ExclusiveOneExcludes) {
  EXPECT_EQ(set(here_, write(1)), Errno::none);
  EXPECT_EQ(set(here_, write(2)), Errno::again);
  EXPECT_EQ(set(there_, read(1)), Errno::again);
  EXPECT_EQ(set(here_, unlock(1)), Errno::none);
  EXPECT_EQ(set(there_, write(1)), Errno::none);
}

TEST_F(LockTableTest, FailedUpgradeLeavesTheLock) {
  EXPECT_EQ(set(here_, read(1)), Errno::none);
  EXPECT_EQ(set(there_, read(1)), Errno::none);
  EXPECT_EQ(set(here_, write(1)), Errno::again);
  EXPECT_EQ(set(there_, unlock(1)), Errno::none);
  EXPECT_EQ(set(there_, write(2)), Errno::again);
}

TEST_F(LockTableTest, GetlkTellsTheHolder) {
  EXPECT_EQ(set(here_, write(1, 10, 19)), Errno::none);
  const fuse::FileLock found = test(here_, read(2));
  EXPECT_EQ(found.type, uint32_t{F_WRLCK});
  EXPECT_EQ(found.start, 10u);
  EXPECT_EQ(found.end, 19u);
  EXPECT_EQ(found.pid, 101u);
  EXPECT_EQ(test(here_, write(1)).type, uint32_t{F_UNLCK});
  EXPECT_EQ(test(here_, write(2, 20)).type, uint32_t{F_UNLCK});
}

TEST_F(LockTableTest, GetlkTellsOfNoProcessOfAnotherSession) {
  EXPECT_EQ(set(here_, read(1, 5)), Errno::none);
  const fuse::FileLock found = test(there_, write(1));
  EXPECT_EQ(found.type, uint32_t{F_RDLCK});
  EXPECT_EQ(found.start, 5u);
  EXPECT_EQ(found.end, uint64_t{INT64_MAX});
  EXPECT_EQ(found.pid, 0u);
}

TEST_F(LockTableTest, GetlkOfFlockIsEinval) {
  on([&] { EXPECT_EQ(here_->test(kFile, flock_of(1, F_WRLCK)).error(), Errno::inval); });
}

TEST_F(LockTableTest, FlushDropsTheOwnersLocksOfThatFile) {
  EXPECT_EQ(set(here_, write(1)), Errno::none);
  EXPECT_EQ(set(here_, write(1), kOtherFile), Errno::none);
  on([&] { here_->drop_owner(kFile, 2); });
  EXPECT_EQ(set(there_, write(1)), Errno::again);
  on([&] { here_->drop_owner(kFile, 1); });
  EXPECT_EQ(set(there_, write(1)), Errno::none);
  EXPECT_EQ(set(there_, write(1), kOtherFile), Errno::again);
}

TEST_F(LockTableTest, FlushLeavesFlock) {
  EXPECT_EQ(set(here_, flock_of(4711, F_WRLCK)), Errno::none);
  on([&] { here_->drop_owner(kFile, 4711); });
  EXPECT_EQ(set(there_, flock_of(1, F_WRLCK)), Errno::again);
}

TEST_F(LockTableTest, ReleaseDropsWhatTheOpenFileHas) {
  EXPECT_EQ(set(here_, write(1, 0, 9)), Errno::none);
  EXPECT_EQ(set(here_, flock_of(1001, F_WRLCK)), Errno::none);
  on([&] { here_->drop_handle(kFile, Handle{1001}); });
  EXPECT_EQ(set(there_, write(1)), Errno::none);
  EXPECT_EQ(set(there_, flock_of(1, F_WRLCK)), Errno::none);
}

TEST_F(LockTableTest, EndOfASessionDropsItsLocksAndNoOthers) {
  EXPECT_EQ(set(here_, write(1, 0, 9)), Errno::none);
  EXPECT_EQ(set(here_, flock_of(1, F_WRLCK), kOtherFile), Errno::none);
  EXPECT_EQ(set(there_, write(1, 10, 19)), Errno::none);
  on([&] { here_->clear(); });
  EXPECT_EQ(table_.locks(), 1u);
  EXPECT_EQ(set(here_, write(1, 10, 19)), Errno::again);
}

// ---- flock --------------------------------------------------------------------------------------

TEST_F(LockTableTest, FlockIsTheOpenFiles) {
  EXPECT_EQ(set(here_, flock_of(1, F_WRLCK)), Errno::none);
  EXPECT_EQ(set(here_, flock_of(1, F_WRLCK)), Errno::none);
  EXPECT_EQ(set(here_, flock_of(2, F_RDLCK)), Errno::again);
  EXPECT_EQ(set(there_, flock_of(1, F_RDLCK)), Errno::again);
  EXPECT_EQ(set(here_, flock_of(1, F_RDLCK)), Errno::none);
  EXPECT_EQ(set(there_, flock_of(1, F_RDLCK)), Errno::none);
}

TEST_F(LockTableTest, FlockThatCannotBeChangedIsLost) {
  EXPECT_EQ(set(here_, flock_of(1, F_RDLCK)), Errno::none);
  EXPECT_EQ(set(there_, flock_of(1, F_RDLCK)), Errno::none);
  EXPECT_EQ(set(here_, flock_of(1, F_WRLCK)), Errno::again);
  EXPECT_EQ(set(there_, flock_of(1, F_WRLCK)), Errno::none);
}

TEST_F(LockTableTest, FlockThatIsLostServesWhoWaits) {
  EXPECT_EQ(set(here_, flock_of(1, F_RDLCK)), Errno::none);
  EXPECT_EQ(set(here_, flock_of(2, F_RDLCK)), Errno::none);
  Waiter& second = wait(here_, 9, flock_of(2, F_WRLCK));
  EXPECT_EQ(second.end, kWaits);
  EXPECT_EQ(set(here_, flock_of(1, F_WRLCK)), Errno::none) << "both had given up what they had";
  EXPECT_EQ(set(here_, flock_of(1, F_UNLCK)), Errno::none);
  EXPECT_EQ(second.end, kGranted);
}

// ---- Waiting ------------------------------------------------------------------------------------

TEST_F(LockTableTest, FreeLockIsReadyAtOnce) {
  EXPECT_EQ(wait(here_, 9, write(1)).end, kGranted);
  EXPECT_EQ(here_->waits(), 0u);
}

TEST_F(LockTableTest, WaitingOnesAreServedInOrder) {
  EXPECT_EQ(set(here_, write(1)), Errno::none);
  Waiter& first = wait(there_, 9, write(1));
  Waiter& second = wait(here_, 10, write(2));
  EXPECT_EQ(set(here_, unlock(1)), Errno::none);
  EXPECT_EQ(first.end, kGranted);
  EXPECT_EQ(second.end, kWaits);
  on([&] { there_->drop_owner(kFile, 1); });
  reactor_.turn();
  EXPECT_EQ(second.end, kGranted);
}

TEST_F(LockTableTest, ReadersAreServedTogetherAndPassAWaitingWriter) {
  EXPECT_EQ(set(here_, write(1, 0, 9)), Errno::none);
  EXPECT_EQ(set(here_, write(2, 10, 19)), Errno::none);
  Waiter& writer = wait(there_, 9, write(1, 0, 19));
  Waiter& reader = wait(there_, 10, read(2, 0, 4));
  Waiter& other_reader = wait(there_, 11, read(3, 0, 4));
  EXPECT_EQ(set(here_, unlock(1)), Errno::none);
  EXPECT_EQ(writer.end, kWaits);
  EXPECT_EQ(reader.end, kGranted);
  EXPECT_EQ(other_reader.end, kGranted);
  EXPECT_LT(reader.turn, other_reader.turn);
}

TEST_F(LockTableTest, DowngradeServesReaders) {
  EXPECT_EQ(set(here_, write(1)), Errno::none);
  Waiter& reader = wait(there_, 9, read(1));
  EXPECT_EQ(set(here_, read(1)), Errno::none);
  EXPECT_EQ(reader.end, kGranted);
}

TEST_F(LockTableTest, DowngradeByOneWhoWaitedServesWhoCameBefore) {
  EXPECT_EQ(set(here_, write(1, 0, 9)), Errno::none);
  EXPECT_EQ(set(there_, write(1, 10, 19)), Errno::none);
  Waiter& before = wait(there_, 9, read(2, 0, 9));
  Waiter& downgrade = wait(here_, 10, read(1, 0, 19));
  EXPECT_EQ(set(there_, unlock(1)), Errno::none);
  EXPECT_EQ(downgrade.end, kGranted);
  EXPECT_EQ(before.end, kGranted);
}

TEST_F(LockTableTest, EndOfASessionServesOthers) {
  EXPECT_EQ(set(here_, write(1)), Errno::none);
  EXPECT_EQ(set(here_, flock_of(1, F_WRLCK), kOtherFile), Errno::none);
  Waiter& first = wait(there_, 9, write(1));
  Waiter& second = wait(there_, 10, flock_of(1, F_WRLCK), kOtherFile);
  on([&] { here_.reset(); });
  reactor_.turn();
  EXPECT_EQ(first.end, kGranted);
  EXPECT_EQ(second.end, kGranted);
}

TEST_F(LockTableTest, InterruptEndsOneWait) {
  EXPECT_EQ(set(here_, write(1)), Errno::none);
  Waiter& first = wait(there_, 9, write(1));
  Waiter& second = wait(there_, 10, write(2));
  on([&] {
    here_->interrupt(9);  // of another session
    there_->interrupt(9);
  });
  reactor_.turn();
  EXPECT_EQ(first.end, text(Errno::intr));
  EXPECT_EQ(second.end, kWaits);
  EXPECT_EQ(set(here_, unlock(1)), Errno::none);
  EXPECT_EQ(second.end, kGranted);
}

TEST_F(LockTableTest, InterruptMayComeBeforeTheWait) {
  EXPECT_EQ(set(here_, write(1)), Errno::none);
  on([&] { there_->interrupt(9); });
  EXPECT_EQ(wait(there_, 9, write(1)).end, text(Errno::intr));
  EXPECT_EQ(wait(there_, 9, write(1)).end, kWaits) << "it counts once";
}

TEST_F(LockTableTest, EndOfWaitsIsEnolck) {
  EXPECT_EQ(set(here_, write(1)), Errno::none);
  Waiter& first = wait(there_, 9, write(1));
  Waiter& second = wait(here_, 9, read(2));
  on([&] { there_->end_waits(); });
  reactor_.turn();
  EXPECT_EQ(first.end, text(Errno::nolck));
  EXPECT_EQ(second.end, kWaits);
}

TEST_F(LockTableTest, ReleaseEndsWaitsThroughTheOpenFile) {
  EXPECT_EQ(set(here_, write(1)), Errno::none);
  Waiter& waiter = wait(there_, 9, write(1));
  on([&] {
    there_->drop_handle(kOtherFile, Handle{1001});
    there_->drop_handle(kFile, Handle{1001});
  });
  reactor_.turn();
  EXPECT_EQ(waiter.end, text(Errno::badf));
}

TEST_F(LockTableTest, TooManyWaitsAreEnolck) {
  EXPECT_EQ(set(here_, write(1)), Errno::none);
  for (uint64_t i = 0; i < LockSession::kWaitsMax; ++i) wait(there_, 10 + i, write(i));
  EXPECT_EQ(there_->waits(), LockSession::kWaitsMax);
  EXPECT_EQ(wait(there_, 9, write(1)).end, text(Errno::nolck));
  EXPECT_EQ(wait(here_, 9, write(2)).end, kWaits) << "other sessions have waits of their own";
}

// ---- Deadlocks ----------------------------------------------------------------------------------

TEST_F(LockTableTest, TwoWhoWaitForEachOtherAreADeadlock) {
  EXPECT_EQ(set(here_, write(1, 0, 9)), Errno::none);
  EXPECT_EQ(set(here_, write(2, 10, 19)), Errno::none);
  Waiter& first = wait(here_, 9, write(1, 10, 19));
  EXPECT_EQ(wait(here_, 10, write(2, 0, 9)).end, text(Errno::deadlk));
  EXPECT_EQ(first.end, kWaits);
}

TEST_F(LockTableTest, DeadlocksGoOverFilesAndSessions) {
  EXPECT_EQ(set(here_, write(1)), Errno::none);
  EXPECT_EQ(set(there_, write(1), kOtherFile), Errno::none);
  EXPECT_EQ(set(there_, write(2), 7), Errno::none);
  wait(here_, 9, write(1), kOtherFile);
  wait(there_, 9, write(1), 7);
  EXPECT_EQ(wait(there_, 10, write(2)).end, text(Errno::deadlk));
}

TEST_F(LockTableTest, SameNumberOfAnotherSessionClosesNoCycle) {
  EXPECT_EQ(set(here_, write(1, 0, 9)), Errno::none);
  EXPECT_EQ(set(there_, write(2, 10, 19)), Errno::none);
  wait(here_, 9, write(1, 10, 19));
  EXPECT_EQ(wait(here_, 10, write(2, 0, 9)).end, kWaits);
}

TEST_F(LockTableTest, TwoReadersWhoBothUpgradeAreADeadlock) {
  EXPECT_EQ(set(here_, read(1)), Errno::none);
  EXPECT_EQ(set(there_, read(1)), Errno::none);
  wait(here_, 9, write(1));
  EXPECT_EQ(wait(there_, 9, write(1)).end, text(Errno::deadlk));
}

TEST_F(LockTableTest, DeadlockIsFoundWhenAnotherComesIntoTheWay) {
  // 1 waits for 3, and behind 3 there is 2, who waits for 1.
  EXPECT_EQ(set(here_, write(1, 100, 109)), Errno::none);
  EXPECT_EQ(set(here_, read(2, 5, 9)), Errno::none);
  EXPECT_EQ(set(here_, read(3, 0, 9)), Errno::none);
  Waiter& first = wait(here_, 9, write(1, 0, 9));
  Waiter& second = wait(here_, 10, write(2, 100, 109));
  EXPECT_EQ(second.end, kWaits);
  EXPECT_EQ(set(here_, unlock(3)), Errno::none);
  EXPECT_EQ(first.end, text(Errno::deadlk));
  EXPECT_EQ(second.end, kWaits);
}

TEST_F(LockTableTest, FlockHasNoDeadlocks) {
  EXPECT_EQ(set(here_, flock_of(1, F_WRLCK)), Errno::none);
  EXPECT_EQ(set(here_, flock_of(2, F_WRLCK), kOtherFile), Errno::none);
  EXPECT_EQ(wait(here_, 9, flock_of(1, F_WRLCK), kOtherFile).end, kWaits);
  EXPECT_EQ(wait(here_, 10, flock_of(2, F_WRLCK)).end, kWaits);
}

}  // namespace dpfs::kv
