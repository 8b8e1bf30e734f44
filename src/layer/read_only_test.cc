// SPDX-License-Identifier: Apache-2.0
// What a read-only device refuses, and what it lets through.
#include "layer/read_only.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <unistd.h>

#include "fuse/fake_filesystem.h"

namespace dpfs {
namespace {

class ReadOnlyTest : public testing::Test {
 protected:
  Errno open_with(uint32_t flags, uint32_t open_flags = 0) {
    const Op<fuse::OpenOut> op = layer.open(
        request, {.node = FakeFileSystem::kFile, .flags = flags, .open_flags = open_flags});
    return op.take().error();
  }
  Errno access_with(uint32_t mask) {
    const Op<Unit> op = layer.access(request, {.node = FakeFileSystem::kFile, .mask = mask});
    return op.take().error();
  }
  Errno ioctl_with(uint32_t command) {
    IoctlArgs args{};
    args.node = FakeFileSystem::kFile;
    args.command = command;
    const Op<IoctlDone> op = layer.ioctl(request, args);
    return op.take().error();
  }
  Request request;
  FakeFileSystem below;
  ReadOnlyLayer layer{below};
};

constexpr bool reads = false;
constexpr bool changes = true;

TEST_F(ReadOnlyTest, EveryOperationThatChangesIsRefusedAndReachesNobody) {
#define DPFS_OP(name, Args, Out, effect)                \
  if (effect) {                                         \
    const Op<Out> op = layer.name(request, Args{});     \
    ASSERT_TRUE(op.ready()) << #name;                   \
    EXPECT_EQ(op.take().error(), Errno::rofs) << #name; \
  }
#include "fuse/ops.def"
  EXPECT_EQ(below.calls, 0u);
}

TEST_F(ReadOnlyTest, OpeningForReadingIsLetThrough) {
  EXPECT_EQ(open_with(O_RDONLY), Errno::none);
  EXPECT_EQ(open_with(O_RDONLY | O_NOFOLLOW | O_NOATIME), Errno::none);
}

TEST_F(ReadOnlyTest, OpeningForWritingIsRefused) {
  for (const uint32_t flags : {O_WRONLY, O_RDWR, O_ACCMODE, O_RDONLY | O_TRUNC, O_WRONLY | O_APPEND,
                               O_RDWR | O_TRUNC | O_DIRECT}) {
    EXPECT_EQ(open_with(flags), Errno::rofs) << flags;
  }
  EXPECT_EQ(below.calls, 0u);
}

TEST_F(ReadOnlyTest, OpeningThatWouldTakeSetIdBitsAwayIsRefused) {
  EXPECT_EQ(open_with(O_RDONLY, fuse::open_in_flag::kKillSuidgid), Errno::rofs);
  EXPECT_EQ(below.calls, 0u);
}

TEST_F(ReadOnlyTest, NobodyMayWrite) {
  EXPECT_EQ(access_with(R_OK), Errno::none);
  EXPECT_EQ(access_with(R_OK | X_OK), Errno::none);
  EXPECT_EQ(access_with(W_OK), Errno::rofs);
  EXPECT_EQ(access_with(R_OK | W_OK), Errno::rofs);
}

TEST_F(ReadOnlyTest, IoctlsThatOnlyAskAreLetThrough) {
  for (const uint32_t command : {FS_IOC_GETFLAGS, FS_IOC32_GETFLAGS, FS_IOC_GETVERSION,
                                 FS_IOC_FSGETXATTR, FS_IOC_GETFSLABEL}) {
    EXPECT_EQ(ioctl_with(command), Errno::none) << command;
  }
}

TEST_F(ReadOnlyTest, OtherIoctlsAreRefused) {
  for (const uint32_t command : {FS_IOC_SETFLAGS, FS_IOC32_SETFLAGS, FS_IOC_SETVERSION,
                                 FS_IOC_FSSETXATTR, FS_IOC_SETFSLABEL, FICLONE, FITRIM}) {
    EXPECT_EQ(ioctl_with(command), Errno::rofs) << command;
  }
  for (const uint32_t command : {0u, 1u, 0x5401u /* TCGETS */, 0x8004587du /* ..._SHUTDOWN */}) {
    EXPECT_EQ(ioctl_with(command), Errno::notty) << command;
  }
  EXPECT_EQ(below.calls, 0u);
}

TEST_F(ReadOnlyTest, LocksAreLetThrough) {
  EXPECT_TRUE(layer.setlk(request, LockArgs{}).take());
  EXPECT_TRUE(layer.setlkw(request, LockArgs{}).take());
}

TEST_F(ReadOnlyTest, LookingAndForgettingAreLetThrough) {
  const Op<fuse::EntryOut> found =
      layer.lookup(request, {.parent = NodeId::root, .name = Name("file", 4)});
  EXPECT_TRUE(found.take());
  const Op<Unit> forgotten = layer.forget(request, {.node = FakeFileSystem::kFile, .lookups = 1});
  EXPECT_TRUE(forgotten.take());
  EXPECT_EQ(below.lookups_lost, 1u);
}

TEST_F(ReadOnlyTest, NothingIsKeptToBeWrittenLater) {
  Negotiated negotiated{.flags = fuse::init_flag::kWritebackCache | fuse::init_flag::kAsyncRead};
  layer.begin(negotiated);
  EXPECT_EQ(negotiated.flags, fuse::init_flag::kAsyncRead);
  layer.end();
}

}  // namespace
}  // namespace dpfs
