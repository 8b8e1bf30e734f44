// SPDX-License-Identifier: Apache-2.0
// Locks: between a tenant's processes, between tenants, with the host's programs, and their end.
#include <sys/file.h>

#include <atomic>
#include <future>

#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

constexpr uint64_t kAlice = 0xa11ce;
constexpr uint64_t kBob = 0xb0b;

// What a program of the host holds, by fcntl(2) or flock(2), until it dies.
class HostLock {
 public:
  explicit HostLock(const std::filesystem::path& path) : fd_(::open(path.c_str(), O_RDWR)) {}
  bool range(short type, off_t start, off_t bytes) {
    struct flock lock{};
    lock.l_type = type;
    lock.l_start = start;
    lock.l_len = bytes;
    return ::fcntl(fd_.get(), F_OFD_SETLK, &lock) == 0;
  }
  bool whole(int operation) { return ::flock(fd_.get(), operation | LOCK_NB) == 0; }

 private:
  Fd fd_;
};

class LocksTest : public LocalFsTest {
 protected:
  LocksTest() {
    host_write("file", "content");
    file_ = node("file");
    handle_ = open(file_);
  }
  LockArgs range(uint64_t owner, uint32_t type, uint64_t start = 0, uint64_t end = INT64_MAX) {
    return {.node = file_,
            .handle = handle_,
            .owner = owner,
            .start = start,
            .end = end,
            .type = type,
            .pid = static_cast<uint32_t>(owner & 0xffff),
            .flock = false};
  }
  LockArgs whole(Handle handle, uint32_t type) {
    return {.node = file_,
            .handle = handle,
            .owner = 1,
            .start = 0,
            .end = INT64_MAX,
            .type = type,
            .pid = 0,
            .flock = true};
  }
  Errno set(const LockArgs& args) {
    const Result<Unit> done = call(&LocalFs::setlk, args);
    return done ? Errno::none : done.error();
  }
  fuse::FileLock test(const LockArgs& args) {
    const Result<fuse::LkOut> out = call(&LocalFs::getlk, args);
    EXPECT_TRUE(out);
    return out ? out->lk : fuse::FileLock{};
  }
  void flush(uint64_t owner) {
    EXPECT_TRUE(call(&LocalFs::flush, {.node = file_, .handle = handle_, .lock_owner = owner}));
  }

  NodeId file_;
  Handle handle_;
};

// A SETLKW that waits, with a request of its own.
class Waiting {
 public:
  Waiting(LocalFsHarness& harness, uint64_t unique, const LockArgs& args) {
    request_.header.unique = unique;
    harness.on_reactor(
        [&] { LocalFsHarness::answer_later(harness.fs().setlkw(request_, args), promise_); });
  }
  bool waits() {
    return answer_.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready;
  }
  Errno answer() {
    const Result<Unit> done = answer_.get();
    return done ? Errno::none : done.error();
  }

 private:
  Request request_;
  std::promise<Result<Unit>> promise_;
  std::future<Result<Unit>> answer_ = promise_.get_future();
};

// ---- Ranges, by fcntl(2) ------------------------------------------------------------------------

TEST_P(LocksTest, TwoOwnersCannotBothHoldARange) {
  EXPECT_EQ(set(range(kAlice, F_WRLCK, 0, 9)), Errno::none);
  EXPECT_EQ(set(range(kBob, F_WRLCK, 9, 9)), Errno::again);
  EXPECT_EQ(set(range(kBob, F_RDLCK, 9, 9)), Errno::again);
  EXPECT_EQ(set(range(kBob, F_WRLCK, 10, 19)), Errno::none);
  EXPECT_EQ(set(range(kAlice, F_UNLCK, 0, 9)), Errno::none);
  EXPECT_EQ(set(range(kBob, F_WRLCK, 0, 9)), Errno::none);
}

TEST_P(LocksTest, ReadersShare) {
  EXPECT_EQ(set(range(kAlice, F_RDLCK)), Errno::none);
  EXPECT_EQ(set(range(kBob, F_RDLCK)), Errno::none);
  EXPECT_EQ(set(range(kBob, F_WRLCK)), Errno::again);
  EXPECT_EQ(set(range(kAlice, F_UNLCK)), Errno::none);
  EXPECT_EQ(set(range(kBob, F_WRLCK)), Errno::none);
}

TEST_P(LocksTest, LocksOfOneOwnerMergeAcrossItsOpenFiles) {
  EXPECT_EQ(set(range(kAlice, F_WRLCK, 0, 99)), Errno::none);
  LockArgs other = range(kAlice, F_UNLCK, 50, 99);
  other.handle = open(file_, O_RDONLY);
  EXPECT_EQ(set(other), Errno::none);
  EXPECT_EQ(set(range(kBob, F_WRLCK, 50, 99)), Errno::none);
  EXPECT_EQ(set(range(kBob, F_WRLCK, 49, 49)), Errno::again);
}

TEST_P(LocksTest, HostProgramsSeeThemAndAreSeen) {
  HostLock host(share / "file");
  EXPECT_EQ(set(range(kAlice, F_WRLCK, 0, 9)), Errno::none);
  EXPECT_FALSE(host.range(F_WRLCK, 5, 1));
  EXPECT_TRUE(host.range(F_WRLCK, 10, 10));
  EXPECT_EQ(set(range(kAlice, F_WRLCK, 0, 15)), Errno::again);
  EXPECT_EQ(set(range(kAlice, F_UNLCK)), Errno::none);
  EXPECT_TRUE(host.range(F_WRLCK, 0, 0));
}

TEST_P(LocksTest, OwnerInTheWayIsNamed) {
  EXPECT_EQ(test(range(kBob, F_WRLCK)).type, static_cast<uint32_t>(F_UNLCK));
  EXPECT_EQ(set(range(kAlice, F_WRLCK, 5, 9)), Errno::none);
  EXPECT_EQ(set(range(3, F_RDLCK, 50, 59)), Errno::none);
  const fuse::FileLock lock = test(range(kBob, F_RDLCK));
  EXPECT_EQ(lock.type, static_cast<uint32_t>(F_WRLCK));
  EXPECT_EQ(lock.start, 5u);
  EXPECT_EQ(lock.end, 9u);
  EXPECT_EQ(lock.pid, kAlice & 0xffff);
  // Nobody is in its own way.
  EXPECT_EQ(test(range(kAlice, F_WRLCK, 0, 20)).type, static_cast<uint32_t>(F_UNLCK));
  const fuse::FileLock to_the_end = [&] {
    EXPECT_EQ(set(range(kAlice, F_WRLCK, 100)), Errno::none);
    return test(range(kBob, F_WRLCK, 60));
  }();
  EXPECT_EQ(to_the_end.end, static_cast<uint64_t>(INT64_MAX));
}

TEST_P(LocksTest, FlushEndsWhatItsOwnerHoldsAndNothingElse) {
  EXPECT_EQ(set(range(kAlice, F_WRLCK, 0, 9)), Errno::none);
  EXPECT_EQ(set(range(kBob, F_WRLCK, 10, 19)), Errno::none);
  flush(kAlice);
  EXPECT_EQ(fs().lock_owners(), 1u);
  EXPECT_EQ(set(range(3, F_WRLCK, 0, 9)), Errno::none);
  EXPECT_EQ(set(range(3, F_WRLCK, 10, 19)), Errno::again);
}

TEST_P(LocksTest, OpenFilesOwnLocksEndWithIt) {
  const Handle other = open(file_);
  LockArgs args = range(kAlice, F_WRLCK);
  args.handle = other;
  EXPECT_EQ(set(args), Errno::none);
  EXPECT_EQ(set(range(kBob, F_WRLCK)), Errno::again);
  release(file_, other);
  EXPECT_EQ(set(range(kBob, F_WRLCK)), Errno::none);
  EXPECT_EQ(fs().lock_owners(), 1u);
}

TEST_P(LocksTest, SessionsEndIsTheEndOfItsLocks) {
  EXPECT_EQ(set(range(kAlice, F_WRLCK)), Errno::none);
  EXPECT_EQ(set(whole(handle_, F_WRLCK)), Errno::none);
  on_reactor([&] {
    fs().end();
    Negotiated negotiated;
    fs().begin(negotiated);
  });
  HostLock host(share / "file");
  EXPECT_TRUE(host.range(F_WRLCK, 0, 0));
  EXPECT_TRUE(host.whole(LOCK_EX));
}

TEST_P(LocksTest, UnknownHandleHoldsNothing) {
  LockArgs args = range(kAlice, F_WRLCK);
  args.handle = Handle{12345};
  EXPECT_EQ(set(args), Errno::badf);
  EXPECT_EQ(call(&LocalFs::getlk, args).error(), Errno::badf);
  EXPECT_EQ(call(&LocalFs::setlkw, args).error(), Errno::badf);
}

// ---- Whole files, by flock(2) -------------------------------------------------------------------

TEST_P(LocksTest, TwoOpenFilesCannotBothHoldAFlock) {
  const Handle other = open(file_);
  EXPECT_EQ(set(whole(handle_, F_WRLCK)), Errno::none);
  EXPECT_EQ(set(whole(other, F_RDLCK)), Errno::again);
  HostLock host(share / "file");
  EXPECT_FALSE(host.whole(LOCK_SH));
  EXPECT_EQ(set(whole(handle_, F_UNLCK)), Errno::none);
  EXPECT_TRUE(host.whole(LOCK_EX));
  EXPECT_EQ(set(whole(other, F_RDLCK)), Errno::again);
}

TEST_P(LocksTest, ReleaseEndsAFlock) {
  const Handle other = open(file_);
  EXPECT_EQ(set(whole(other, F_WRLCK)), Errno::none);
  EXPECT_TRUE(call(&LocalFs::release, {.node = file_, .handle = other, .drops_flock = true}));
  EXPECT_EQ(set(whole(handle_, F_WRLCK)), Errno::none);
}

// ---- Waiting ------------------------------------------------------------------------------------

TEST_P(LocksTest, WaiterGetsTheLockWhenItIsFree) {
  EXPECT_EQ(set(range(kAlice, F_WRLCK)), Errno::none);
  Waiting bob(*this, 7, range(kBob, F_WRLCK));
  EXPECT_TRUE(bob.waits());
  flush(kAlice);
  EXPECT_EQ(bob.answer(), Errno::none);
  EXPECT_EQ(set(range(kAlice, F_WRLCK)), Errno::again);
}

TEST_P(LocksTest, WaiterForAFlockGetsItFromTheHost) {
  HostLock host(share / "file");
  ASSERT_TRUE(host.whole(LOCK_EX));
  Waiting tenant(*this, 7, whole(handle_, F_WRLCK));
  EXPECT_TRUE(tenant.waits());
  ASSERT_TRUE(host.whole(LOCK_UN));
  EXPECT_EQ(tenant.answer(), Errno::none);
  EXPECT_FALSE(host.whole(LOCK_EX));
}

TEST_P(LocksTest, InterruptEndsOneWaitAndLeavesNothingBehind) {
  HostLock host(share / "file");
  ASSERT_TRUE(host.range(F_WRLCK, 0, 0));
  Waiting bob(*this, 7, range(kBob, F_WRLCK));
  Waiting eve(*this, 8, range(3, F_WRLCK));
  EXPECT_TRUE(bob.waits());
  on_reactor([&] { fs().interrupt(7); });
  EXPECT_EQ(bob.answer(), Errno::intr);
  EXPECT_TRUE(eve.waits());
  ASSERT_TRUE(host.range(F_UNLCK, 0, 0));
  EXPECT_EQ(eve.answer(), Errno::none);
  flush(3);
  EXPECT_TRUE(host.range(F_WRLCK, 0, 0));
}

TEST_P(LocksTest, InterruptThatComesFirstIsRemembered) {
  HostLock host(share / "file");
  ASSERT_TRUE(host.range(F_WRLCK, 0, 0));
  on_reactor([&] { fs().interrupt(9); });
  Waiting bob(*this, 9, range(kBob, F_WRLCK));
  EXPECT_EQ(bob.answer(), Errno::intr);
}

TEST_P(LocksTest, InterruptsFindTheirWaitsHoweverTheyRace) {
  HostLock host(share / "file");
  ASSERT_TRUE(host.range(F_WRLCK, 0, 0));
  for (uint64_t unique = 100; unique < 200; ++unique) {
    Waiting bob(*this, unique, range(kBob, F_WRLCK));
    on_reactor([&] { fs().interrupt(unique); });
    EXPECT_EQ(bob.answer(), Errno::intr);
  }
}

TEST_P(LocksTest, StoppingEndsAllWaits) {
  HostLock host(share / "file");
  ASSERT_TRUE(host.whole(LOCK_EX));
  ASSERT_TRUE(host.range(F_WRLCK, 0, 0));
  Waiting bob(*this, 7, range(kBob, F_WRLCK));
  Waiting eve(*this, 8, whole(handle_, F_RDLCK));
  on_reactor([&] { fs().end_waits(); });
  EXPECT_EQ(bob.answer(), Errno::nolck);
  EXPECT_EQ(eve.answer(), Errno::nolck);
}

TEST_P(LocksTest, SoManyWaitAndNoMore) {
  HostLock host(share / "file");
  ASSERT_TRUE(host.range(F_WRLCK, 0, 0));
  std::vector<std::unique_ptr<Waiting>> waiters;
  for (uint64_t i = 0; i < LockWaits::kWaitsMax; ++i) {
    waiters.push_back(std::make_unique<Waiting>(*this, 1000 + i, range(1000 + i, F_WRLCK)));
  }
  Waiting one_too_many(*this, 1, range(kBob, F_WRLCK));
  EXPECT_EQ(one_too_many.answer(), Errno::nolck);
  // Others are served meanwhile.
  EXPECT_EQ(read(file_, handle_, 0, 7), "content");
  on_reactor([&] { fs().end_waits(); });
  for (const auto& waiter : waiters) EXPECT_EQ(waiter->answer(), Errno::nolck);
}

TEST_P(LocksTest, FlushWhileItsOwnerWaitsKeepsTheWaitGoing) {
  HostLock host(share / "file");
  ASSERT_TRUE(host.range(F_WRLCK, 0, 10));
  EXPECT_EQ(set(range(kBob, F_WRLCK, 100, 199)), Errno::none);
  Waiting bob(*this, 7, range(kBob, F_WRLCK, 0, 9));
  EXPECT_TRUE(bob.waits());
  flush(kBob);
  EXPECT_TRUE(host.range(F_WRLCK, 100, 100));
  ASSERT_TRUE(host.range(F_UNLCK, 0, 10));
  EXPECT_EQ(bob.answer(), Errno::none);
  EXPECT_FALSE(host.range(F_WRLCK, 0, 10));
  flush(kBob);
  EXPECT_TRUE(host.range(F_WRLCK, 0, 10));
}

INSTANTIATE_TEST_SUITE_P(, LocksTest, testing::Bool(), mode_name);

}  // namespace
}  // namespace dpfs::local
