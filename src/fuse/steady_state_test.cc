// SPDX-License-Identifier: Apache-2.0
// In steady state no request calls malloc: neither one that is ready nor one that waits.
#include <gtest/gtest.h>

#include "base/count_allocations.h"
#include "base/frame_pool.h"
#include "fuse/fake_filesystem.h"
#include "fuse/fake_message.h"
#include "fuse/session.h"

namespace dpfs {
namespace {

constexpr int kRequests = 10'000;

class SteadyState : public testing::Test {
 protected:
  void SetUp() override {
    FramePool::bind(&pool_);
    FakeMessage init(fuse::Opcode::init, bytes_of(linux_init()));
    init.serve(session_);
    FakeMessage open(fuse::Opcode::open, bytes_of(fuse::OpenIn{}), 2);
    open.serve(session_);
    file_ = open.reply<fuse::OpenOut>().fh;
  }
  void TearDown() override { FramePool::bind(nullptr); }

  void expect_no_allocation(FakeMessage& message, bool waits) {
    fs_.hold(waits);
    auto once = [&] {
      message.serve_again(session_);
      while (fs_.release()) {
      }
    };
    message.serve(session_);
    while (fs_.release()) {
    }
    once();  // now the pool has its frames
    const uint64_t allocations = allocations_counted;
    const uint64_t grown = pool_.grown();
    for (int i = 0; i < kRequests; ++i) once();
    EXPECT_EQ(allocations_counted, allocations);
    EXPECT_EQ(pool_.grown(), grown);
    EXPECT_EQ(message.error(), Errno::none);
    EXPECT_EQ(waits, grown > 0);
  }

  FramePool pool_;
  FakeFileSystem fs_;
  SessionCounters counters_;
  Session session_{fs_, "test", {}, counters_};
  uint64_t file_ = 0;
};

TEST(CountAllocations, SeesOperatorNewAndMalloc) {
  if (!kCountsAllocations) GTEST_SKIP() << "a sanitizer has its own malloc";
  const uint64_t before = allocations_counted;
  auto* volatile one = new int(1);
  void* volatile other = std::malloc(100);
  EXPECT_EQ(allocations_counted, before + 2);
  std::free(other);
  delete one;
}

TEST_F(SteadyState, ReadyReadCallsNoMalloc) {
  FakeMessage read(fuse::Opcode::read, bytes_of(fuse::ReadIn{.fh = file_, .size = 4096}), 2);
  expect_no_allocation(read, false);
}

TEST_F(SteadyState, WaitingReadCallsNoMalloc) {
  FakeMessage read(fuse::Opcode::read, bytes_of(fuse::ReadIn{.fh = file_, .size = 4096}), 2);
  expect_no_allocation(read, true);
}

TEST_F(SteadyState, ReadyGetattrCallsNoMalloc) {
  FakeMessage getattr(fuse::Opcode::getattr, bytes_of(fuse::GetattrIn{}), 2);
  expect_no_allocation(getattr, false);
}

TEST_F(SteadyState, WaitingLookupCallsNoMalloc) {
  FakeMessage lookup(fuse::Opcode::lookup, text_of("file"));
  expect_no_allocation(lookup, true);
}

}  // namespace
}  // namespace dpfs
