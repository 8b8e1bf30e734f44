// SPDX-License-Identifier: Apache-2.0
// Locks of fcntl(2) and flock(2) on a server.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "backend/nfs/nfs_fs_harness.h"

namespace dpfs::nfs {

namespace {

class NfsLocks : public testing::Test, public NfsFsHarness {
 protected:
  NfsLocks() : file_(open_file("file", "contents")) {}
  ~NfsLocks() override { release(file_); }

  // As another client of the server's would have it.
  void lock_by_somebody_else(LockType type, uint64_t begin, uint64_t last) {
    server.with([&](responder::World& world) {
      responder::Client* other = world.state.find_client("other", true);
      if (other == nullptr) {
        other = &world.state.new_client("other", Verifier{});
        other->confirmed = true;
        other->renewed_ms = world.now_ms();
      }
      const responder::NodePointer node = world.tree.at(path("file"));
      responder::State& state =
          world.state.new_state(responder::State::Kind::lock, *other, "owner", node);
      world.state.lock({.state = &state, .type = type, .begin = begin, .last = last});
    });
  }
  void unlock_by_somebody_else() {
    server.with([&](responder::World& world) {
      world.state.remove(*world.state.find_client("other", true));
    });
  }
  std::vector<std::pair<uint64_t, uint64_t>> on_server() {
    std::vector<std::pair<uint64_t, uint64_t>> ranges;
    server.with([&](responder::World& world) {
      for (const auto& range : world.state.locks(*world.tree.at(path("file")))) {
        ranges.emplace_back(range.begin, range.last);
      }
    });
    std::ranges::sort(ranges);
    return ranges;
  }
  LockArgs args(uint64_t owner, uint32_t type) { return args(owner, type, Range()); }
  LockArgs args(uint64_t owner, uint32_t type, const Range& range) {
    return {.node = file_.node,
            .handle = file_.handle,
            .owner = owner,
            .start = range.start,
            .end = range.end,
            .type = type,
            .pid = 77,
            .flock = false};
  }
  using Ranges = std::vector<std::pair<uint64_t, uint64_t>>;
  File file_;
};

TEST_F(NfsLocks, OwnersOfOneTenantExcludeEachOther) {
  EXPECT_TRUE(lock(file_, 1, F_WRLCK, {.start = 0, .end = 9}));
  EXPECT_EQ(lock(file_, 2, F_WRLCK, {.start = 9, .end = 9}).error(), Errno::again);
  EXPECT_EQ(lock(file_, 2, F_RDLCK, {.start = 0, .end = 0}).error(), Errno::again);
  EXPECT_TRUE(lock(file_, 2, F_WRLCK, {.start = 10, .end = 19}));
  EXPECT_TRUE(lock(file_, 1, F_UNLCK));
  EXPECT_TRUE(lock(file_, 2, F_WRLCK, {.start = 9, .end = 9}));
  EXPECT_TRUE(lock(file_, 2, F_UNLCK));
  EXPECT_TRUE(on_server().empty());
}

TEST_F(NfsLocks, SharedLocksDoNotExcludeEachOther) {
  EXPECT_TRUE(lock(file_, 1, F_RDLCK));
  EXPECT_TRUE(lock(file_, 2, F_RDLCK));
  EXPECT_EQ(lock(file_, 2, F_WRLCK).error(), Errno::again);
  EXPECT_TRUE(lock(file_, 1, F_UNLCK));
  EXPECT_TRUE(lock(file_, 2, F_WRLCK));
  EXPECT_TRUE(lock(file_, 2, F_UNLCK));
}

TEST_F(NfsLocks, UnlockingTheMiddleLeavesTheEnds) {
  EXPECT_TRUE(lock(file_, 1, F_WRLCK, {.start = 0, .end = 29}));
  EXPECT_TRUE(lock(file_, 1, F_UNLCK, {.start = 10, .end = 19}));
  EXPECT_EQ(on_server(), (Ranges{{0, 9}, {20, 29}}));
  EXPECT_TRUE(lock(file_, 1, F_UNLCK));
  EXPECT_TRUE(on_server().empty());
}

TEST_F(NfsLocks, ToTheEndOfTheFileWhereverItIs) {
  EXPECT_TRUE(lock(file_, 1, F_WRLCK, {.start = 5, .end = INT64_MAX}));
  EXPECT_EQ(on_server(), (Ranges{{5, UINT64_MAX}}));
  EXPECT_TRUE(lock(file_, 1, F_UNLCK));
}

TEST_F(NfsLocks, UnlockingWhatIsNotLockedIsNoError) { EXPECT_TRUE(lock(file_, 1, F_UNLCK)); }

TEST_F(NfsLocks, OthersLocksAreTold) {
  lock_by_somebody_else(LockType::write, 10, 19);
  Result<fuse::LkOut> told = call(&NfsFs::getlk, args(1, F_RDLCK));
  ASSERT_TRUE(told) << describe(told.error());
  EXPECT_EQ(told->lk.type, static_cast<uint32_t>(F_WRLCK));
  EXPECT_EQ(told->lk.start, 10u);
  EXPECT_EQ(told->lk.end, 19u);
  told = call(&NfsFs::getlk, args(1, F_RDLCK, {.start = 20, .end = 30}));
  ASSERT_TRUE(told) << describe(told.error());
  EXPECT_EQ(told->lk.type, static_cast<uint32_t>(F_UNLCK));
  EXPECT_EQ(lock(file_, 1, F_RDLCK).error(), Errno::again);
  unlock_by_somebody_else();
}

TEST_F(NfsLocks, OurOwnLocksAreToldWithWhoHasThem) {
  EXPECT_TRUE(lock(file_, 1, F_WRLCK, {.start = 0, .end = 4}));
  const Result<fuse::LkOut> told = call(&NfsFs::getlk, args(2, F_WRLCK));
  ASSERT_TRUE(told) << describe(told.error());
  EXPECT_EQ(told->lk.type, static_cast<uint32_t>(F_WRLCK));
  EXPECT_EQ(told->lk.end, 4u);
  EXPECT_EQ(told->lk.pid, 1u);
  EXPECT_TRUE(lock(file_, 1, F_UNLCK));
}

TEST_F(NfsLocks, WhoWaitsGetsTheLockWhenItIsFree) {
  lock_by_somebody_else(LockType::write, 0, UINT64_MAX);
  Answer<Unit> waiting = start(&NfsFs::setlkw, args(1, F_WRLCK));
  ASSERT_TRUE(server.wait_for_executed(Operation::lock, 2));
  EXPECT_FALSE(waiting.is_there());
  unlock_by_somebody_else();
  EXPECT_TRUE(waiting.get());
  EXPECT_TRUE(lock(file_, 1, F_UNLCK));
}

TEST_F(NfsLocks, WhoWaitsForAnotherOwnerOfTheTenantGetsTheLock) {
  EXPECT_TRUE(lock(file_, 1, F_WRLCK));
  Answer<Unit> waiting = start(&NfsFs::setlkw, args(2, F_WRLCK));
  ASSERT_TRUE(server.wait_for_executed(Operation::lock, 2));
  EXPECT_TRUE(lock(file_, 1, F_UNLCK));
  EXPECT_TRUE(waiting.get());
  EXPECT_TRUE(lock(file_, 2, F_UNLCK));
}

TEST_F(NfsLocks, WhoWaitsCanBeInterrupted) {
  lock_by_somebody_else(LockType::write, 0, UINT64_MAX);
  request().header.unique = 5;
  Answer<Unit> waiting = start(&NfsFs::setlkw, args(1, F_WRLCK));
  ASSERT_TRUE(server.wait_for_executed(Operation::lock, 1));
  on_reactor([&] { fs().interrupt(5); });
  EXPECT_EQ(waiting.get().error(), Errno::intr);
  EXPECT_EQ(on_server(), (Ranges{{0, UINT64_MAX}}));
  unlock_by_somebody_else();
}

TEST_F(NfsLocks, WhoWaitsIsSentAwayWhenTheQueuesStop) {
  lock_by_somebody_else(LockType::write, 0, UINT64_MAX);
  Answer<Unit> waiting = start(&NfsFs::setlkw, args(1, F_WRLCK));
  ASSERT_TRUE(server.wait_for_executed(Operation::lock, 1));
  on_reactor([&] { fs().end_waits(); });
  EXPECT_EQ(waiting.get().error(), Errno::nolck);
  unlock_by_somebody_else();
}

TEST_F(NfsLocks, FlushGivesUpTheLocksOfItsOwnerOnly) {
  EXPECT_TRUE(lock(file_, 1, F_WRLCK, {.start = 0, .end = 9}));
  EXPECT_TRUE(lock(file_, 2, F_WRLCK, {.start = 10, .end = 19}));
  EXPECT_TRUE(call(&NfsFs::flush, {.node = file_.node, .handle = file_.handle, .lock_owner = 1}));
  EXPECT_EQ(on_server(), (Ranges{{10, 19}}));
  EXPECT_TRUE(lock(file_, 2, F_UNLCK));
}

TEST_F(NfsLocks, FlushByAnotherOpenFileGivesUpTheOwnersLocks) {
  EXPECT_TRUE(lock(file_, 1, F_WRLCK));
  const File second{file_.node, open(file_.node)};
  EXPECT_TRUE(call(&NfsFs::flush, {.node = second.node, .handle = second.handle, .lock_owner = 1}));
  release(second);
  EXPECT_TRUE(on_server().empty());
}

TEST_F(NfsLocks, FlockAndFcntlOfTheSameNumberAreDifferentOwners) {
  LockArgs whole = args(1, F_WRLCK);
  whole.flock = true;
  EXPECT_TRUE(call(&NfsFs::setlk, whole));
  whole.type = F_UNLCK;
  EXPECT_TRUE(call(&NfsFs::setlk, whole));
  EXPECT_TRUE(on_server().empty());
}

TEST_F(NfsLocks, ReleaseGivesUpFlock) {
  const File second{file_.node, open(file_.node)};
  LockArgs whole = args(9, F_WRLCK);
  whole.handle = second.handle;
  whole.flock = true;
  EXPECT_TRUE(call(&NfsFs::setlk, whole));
  EXPECT_TRUE(
      call(&NfsFs::release, {.node = second.node, .handle = second.handle, .drops_flock = true}));
  EXPECT_TRUE(on_server().empty());
}

TEST_F(NfsLocks, WhatWasWrittenUnderALockIsStoredBeforeItIsGivenUp) {
  EXPECT_TRUE(lock(file_, 1, F_WRLCK));
  write(file_, 0, "CONTENTS");
  EXPECT_TRUE(lock(file_, 1, F_UNLCK));
  EXPECT_EQ(server.stable_contents(path("file")), "CONTENTS");
}

TEST_F(NfsLocks, TheAnswerToALockMayBeLost) {
  server.drop_after({.operation = Operation::lock});
  EXPECT_TRUE(lock(file_, 1, F_WRLCK));
  server.drop_after({.operation = Operation::locku});
  EXPECT_TRUE(lock(file_, 1, F_UNLCK));
  EXPECT_EQ(server.executed(Operation::lock), 1u);
  EXPECT_TRUE(on_server().empty());
}

TEST_F(NfsLocks, OwnersThatAreGoneLeaveNothingOnTheServer) {
  for (uint64_t owner = 1; owner <= 20; ++owner) {
    EXPECT_TRUE(lock(file_, owner, F_WRLCK));
    EXPECT_TRUE(
        call(&NfsFs::flush, {.node = file_.node, .handle = file_.handle, .lock_owner = owner}));
  }
  EXPECT_EQ(server.executed(Operation::free_stateid), 20u);
}

TEST_F(NfsLocks, NonsenseIsRefused) {
  EXPECT_FALSE(lock(file_, 1, F_WRLCK, {.start = 10, .end = 5}));
  EXPECT_TRUE(on_server().empty());
}

}  // namespace

}  // namespace dpfs::nfs
