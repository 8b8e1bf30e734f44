// SPDX-License-Identifier: Apache-2.0
// In steady state no layer calls malloc, also where it has to look into what goes through it.
#include <gtest/gtest.h>

#include "base/count_allocations.h"
#include "fuse/fake_filesystem.h"
#include "fuse/fake_message.h"
#include "layer/id_map_layer.h"
#include "layer/xattr_map_layer.h"

namespace dpfs {
namespace {

IdMaps maps() {
  IdMaps maps;
  maps.uids.add("map:0:1000:1000");
  return maps;
}

class SteadyLayers : public testing::Test {
 protected:
  void SetUp() override {
    FramePool::bind(&pool_);
    FakeMessage(fuse::Opcode::init, bytes_of(linux_init())).serve(session_);
    FakeMessage open(fuse::Opcode::opendir, bytes_of(fuse::OpenIn{}), 1);
    open.serve(session_);
    directory_ = open.reply<fuse::OpenOut>().fh;
  }
  void TearDown() override { FramePool::bind(nullptr); }

  void expect_no_allocation(FakeMessage message, bool waits) {
    if (!kCountsAllocations) GTEST_SKIP() << "a sanitizer has its own malloc";
    fs_.hold(waits);
    const auto once = [&] {
      message.serve_again(session_);
      fs_.release_all();
    };
    message.serve(session_);
    fs_.release_all();
    once();  // now there are frames and room
    const uint64_t allocations = allocations_counted;
    for (int i = 0; i < 1000; ++i) once();
    EXPECT_EQ(allocations_counted, allocations);
    EXPECT_EQ(message.error(), Errno::none);
  }
  FakeMessage list() const {
    return FakeMessage(fuse::Opcode::readdirplus,
                       bytes_of(fuse::ReadIn{.fh = directory_, .size = 512}), 1);
  }
  static FakeMessage names() {
    return FakeMessage(fuse::Opcode::listxattr, bytes_of(fuse::GetxattrIn{.size = 64}), 2);
  }

  FramePool pool_;
  FakeFileSystem fs_;
  IdMapLayer owners_{fs_, maps()};
  XattrMapLayer names_{owners_, XattrMap::parse(":map::user.guest.:")};
  SessionCounters counters_;
  Session session_{names_, "test", {}, counters_};
  uint64_t directory_ = 0;
};

TEST_F(SteadyLayers, ReadyListing) { expect_no_allocation(list(), false); }
TEST_F(SteadyLayers, WaitingListing) { expect_no_allocation(list(), true); }
TEST_F(SteadyLayers, ReadyNames) { expect_no_allocation(names(), false); }
TEST_F(SteadyLayers, WaitingNames) { expect_no_allocation(names(), true); }

}  // namespace
}  // namespace dpfs
