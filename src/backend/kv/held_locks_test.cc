// SPDX-License-Identifier: Apache-2.0
// Locks that are held: merging and splitting, who is in the way, limits; and beside a model.
#include "backend/kv/held_locks.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

#include "base/count_allocations.h"

namespace dpfs::kv {
namespace {

constexpr uint64_t kEnd = uint64_t{INT64_MAX} + 1;

class HeldLocksTest : public testing::Test {
 protected:
  HeldLocksTest() {
    here_.number = 1;
    there_.number = 2;
  }
  ~HeldLocksTest() override {
    uint64_t inode = 0;
    while (locks_.drop_one_file(here_, inode)) {
    }
    while (locks_.drop_one_file(there_, inode)) {
    }
    EXPECT_EQ(locks_.locks(), 0u);
    EXPECT_EQ(locks_.files(), 0u);
  }

  LockClaim claim(uint64_t owner, uint64_t begin, uint64_t behind, bool exclusive = true) {
    return {.owner = {&here_, kInode, owner, false},
            .begin = begin,
            .behind = behind,
            .exclusive = exclusive,
            .handle = Handle{owner},
            .pid = static_cast<uint32_t>(owner)};
  }
  static LockClaim shared(LockClaim claim) {
    claim.exclusive = false;
    return claim;
  }
  LockClaim there(LockClaim claim) {
    claim.owner.session = &there_;
    return claim;
  }
  bool lock(const LockClaim& claim) {
    const Result<bool> locked = locks_.lock(claim);
    EXPECT_TRUE(locked);
    return *locked;
  }
  // As "begin-behind" of what is in a stranger's way, byte by byte up to 100.
  std::string held() {
    std::string text;
    for (uint64_t at = 0; at < 100; ++at) {
      const LockRow* found = locks_.in_the_way(claim(99, at, at + 1));
      if (found == nullptr) continue;
      text += (found->exclusive ? "w" : "r") + std::to_string(found->begin) + "-" +
              std::to_string(found->behind) + " ";
      at = found->behind - 1;
    }
    return text;
  }

  static constexpr uint64_t kInode = 7;
  HeldLocks locks_;
  LocksOfSession here_;
  LocksOfSession there_;
};

}  // namespace

TEST_F(HeldLocksTest, UnlockingTheMiddleSplits) {
  lock(claim(1, 0, 30));
  EXPECT_TRUE(*locks_.unlock(claim(1, 10, 20)));
  EXPECT_EQ(held(), "w0-10 w20-30 ");
  EXPECT_EQ(here_.count, 2u);
}

TEST_F(HeldLocksTest, NeighboursOfOneTypeAreOneLock) {
  lock(claim(1, 0, 10));
  lock(claim(1, 20, 30));
  lock(claim(1, 10, 20));
  EXPECT_EQ(held(), "w0-30 ");
  EXPECT_EQ(here_.count, 1u);
}

TEST_F(HeldLocksTest, NeighboursOfTwoTypesAreTwo) {
  lock(claim(1, 0, 10));
  lock(shared(claim(1, 10, 20)));
  EXPECT_EQ(held(), "w0-10 r10-20 ");
}

TEST_F(HeldLocksTest, OtherTypeInTheMiddleMakesThree) {
  lock(claim(1, 0, 30));
  EXPECT_TRUE(lock(shared(claim(1, 10, 20)))) << "others may read there now";
  EXPECT_EQ(held(), "w0-10 r10-20 w20-30 ");
  EXPECT_FALSE(lock(claim(1, 10, 20))) << "nobody can do anything now that he could not before";
  EXPECT_EQ(held(), "w0-30 ");
}

TEST_F(HeldLocksTest, ManyAreReplacedByOne) {
  for (uint64_t i = 0; i < 40; ++i) lock(shared(claim(1, 2 * i, 2 * i + 1)));
  lock(claim(1, 5, 70));
  EXPECT_EQ(held(), "r0-1 r2-3 r4-5 w5-70 r70-71 r72-73 r74-75 r76-77 r78-79 ");
}

TEST_F(HeldLocksTest, OwnersDoNotMerge) {
  lock(shared(claim(1, 0, 10)));
  lock(shared(claim(2, 10, 20)));
  lock(shared(claim(2, 5, 8)));
  EXPECT_EQ(here_.count, 3u);
}

TEST_F(HeldLocksTest, OnlyExclusiveOnesAreInAReadersWay) {
  lock(shared(claim(1, 0, 10)));
  EXPECT_EQ(locks_.in_the_way(shared(claim(2, 0, 10))), nullptr);
  EXPECT_NE(locks_.in_the_way(claim(2, 9, 10)), nullptr);
  EXPECT_EQ(locks_.in_the_way(claim(2, 10, 11)), nullptr);
}

TEST_F(HeldLocksTest, SameNumberOfAnotherSessionIsAnotherOwner) {
  lock(claim(1, 0, 10));
  EXPECT_EQ(locks_.in_the_way(claim(1, 0, 10)), nullptr);
  const LockRow* found = locks_.in_the_way(there(claim(1, 0, 10)));
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(locks_.owner_of(*found).session, &here_);
}

TEST_F(HeldLocksTest, OwnLocksHideNobodyElses) {
  for (uint64_t i = 0; i < 1000; ++i) lock(shared(claim(1, 2 * i, 2 * i + 1)));
  lock(shared(claim(2, 1000, 3000)));
  const LockRow* found = locks_.in_the_way(claim(1, 0, kEnd));
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(locks_.owner_of(*found).number, 2u);
}

TEST_F(HeldLocksTest, FlockAndFcntlDoNotMeet) {
  lock(claim(1, 0, kEnd));
  LockClaim flock = claim(2, 0, kEnd);
  flock.owner.flock = true;
  EXPECT_EQ(locks_.in_the_way(flock), nullptr);
  lock(flock);
  EXPECT_EQ(locks_.in_the_way(claim(1, 0, 1)), nullptr);
  EXPECT_NE(locks_.in_the_way(there(flock)), nullptr);
}

TEST_F(HeldLocksTest, FilesDoNotMeet) {
  lock(claim(1, 0, kEnd));
  LockClaim elsewhere = claim(2, 0, kEnd);
  elsewhere.owner.inode = kInode + 1;
  EXPECT_EQ(locks_.in_the_way(elsewhere), nullptr);
}

TEST_F(HeldLocksTest, HandleThatWasUsedLastDropsTheOwner) {
  LockClaim first = claim(1, 0, 10);
  first.handle = Handle{70};
  lock(first);
  first.handle = Handle{71};
  lock(first);
  EXPECT_FALSE(locks_.drop(here_, kInode, Handle{70}));
  EXPECT_FALSE(locks_.drop(there_, kInode, Handle{71}));
  EXPECT_TRUE(locks_.drop(here_, kInode, Handle{71}));
  EXPECT_EQ(held(), "");
}

TEST_F(HeldLocksTest, SessionsLocksAreBounded) {
  for (uint64_t i = 0; here_.count + 2 <= HeldLocks::kLocksOfSessionMax; ++i) {
    lock(claim(1, 2 * i, 2 * i + 1));
  }
  const uint32_t full = here_.count;
  const LockClaim more = claim(1, 1u << 30, 1u << 31);
  EXPECT_EQ(locks_.lock(more).error(), Errno::nolck);
  EXPECT_EQ(here_.count, full);
  lock(there(more));
  EXPECT_TRUE(locks_.unlock(claim(1, 0, 100)));
  lock(claim(1, 1u << 29, 1u << 30));
}

TEST_F(HeldLocksTest, SplitThatWouldBeTooManyIsRefused) {
  lock(claim(1, 0, 10));
  for (uint64_t i = 0; here_.count + 2 <= HeldLocks::kLocksOfSessionMax; ++i) {
    lock(claim(2, 100 + 2 * i, 101 + 2 * i));
  }
  EXPECT_TRUE(locks_.unlock(claim(1, 4, 5)));
  EXPECT_EQ(here_.count, HeldLocks::kLocksOfSessionMax);
  EXPECT_EQ(locks_.unlock(claim(1, 2, 3)).error(), Errno::nolck);
  EXPECT_TRUE(locks_.unlock(claim(1, 0, 4)));
}

TEST_F(HeldLocksTest, NothingIsAllocatedWhereNothingIsLocked) {
  if (!kCountsAllocations) GTEST_SKIP() << "a sanitizer has a malloc of its own";
  const uint64_t before = allocations_counted_here;
  const HeldLocks idle;
  EXPECT_EQ(locks_.in_the_way(claim(1, 0, 1)), nullptr);
  EXPECT_FALSE(*locks_.unlock(claim(1, 0, 1)));
  EXPECT_EQ(allocations_counted_here, before);
}

TEST_F(HeldLocksTest, LockingAndUnlockingAgainAllocatesNothing) {
  if (!kCountsAllocations) GTEST_SKIP() << "a sanitizer has a malloc of its own";
  lock(claim(1, 0, 10));
  EXPECT_TRUE(locks_.drop(claim(1, 0, 10).owner));
  const uint64_t before = allocations_counted_here;
  for (uint64_t i = 0; i < 100; ++i) {
    lock(claim(i, 0, 10));
    lock(shared(claim(i, 4, 6)));
    EXPECT_TRUE(locks_.drop(claim(i, 0, 10).owner));
  }
  EXPECT_EQ(allocations_counted_here, before);
}

// ---- Beside a model -----------------------------------------------------------------------------

namespace {

// What each owner has at each byte: 'r', 'w' or 0.
constexpr uint64_t kBytes = 40;
constexpr size_t kOwners = 6;
using Model = std::array<std::array<char, kBytes>, kOwners>;

bool model_refuses(const Model& model, size_t owner, const LockClaim& claim) {
  for (size_t other = 0; other < kOwners; ++other) {
    for (uint64_t at = claim.begin; at < claim.behind && other != owner; ++at) {
      const char has = model[other][at];
      if (has == 'w' || (has == 'r' && claim.exclusive)) return true;
    }
  }
  return false;
}

// How many locks there are, when neighbours of one type are one.
uint32_t model_count(const Model& model) {
  uint32_t count = 0;
  for (const auto& owner : model) {
    for (uint64_t at = 0; at < kBytes; ++at) {
      if (owner[at] != 0 && (at == 0 || owner[at - 1] != owner[at])) ++count;
    }
  }
  return count;
}

}  // namespace

TEST_F(HeldLocksTest, EverythingIsAsInAModelOfBytes) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  Model model{};
  for (int round = 0; round < 20'000; ++round) {
    const size_t owner = random() % kOwners;
    const uint64_t begin = random() % kBytes;
    const uint64_t behind = begin + 1 + random() % (kBytes - begin);
    LockClaim wanted = claim(owner % 3, begin, behind, random() % 3 == 0);
    if (owner >= 3) wanted = there(wanted);
    const auto set = [&](char to) {
      std::fill(model[owner].begin() + begin, model[owner].begin() + behind, to);
    };
    switch (random() % 8) {
      case 0:
      case 1:
      case 2:
        EXPECT_TRUE(locks_.unlock(wanted));
        set(0);
        break;
      case 3:
        if (random() % 8 != 0) break;
        locks_.drop(wanted.owner);
        model[owner] = {};
        break;
      default:
        const bool refused = model_refuses(model, owner, wanted);
        ASSERT_EQ(locks_.in_the_way(wanted) != nullptr, refused) << "round " << round;
        if (refused) break;
        lock(wanted);
        set(wanted.exclusive ? 'w' : 'r');
    }
    ASSERT_EQ(locks_.locks(), model_count(model)) << "round " << round;
    ASSERT_EQ(here_.count + there_.count, locks_.locks());
  }
}

}  // namespace dpfs::kv
