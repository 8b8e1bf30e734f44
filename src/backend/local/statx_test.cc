// SPDX-License-Identifier: Apache-2.0
// STATX, and how long a tenant may believe what it was told.
#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

INSTANTIATE_TEST_SUITE_P(Both, LocalFsTest, testing::Bool(), mode_name);

TEST_P(LocalFsTest, StatxTellsTheBirth) {
  host_write("file", "text");
  struct statx host{};
  ASSERT_EQ(::statx(AT_FDCWD, (share / "file").c_str(), 0, STATX_BASIC_STATS | STATX_BTIME, &host),
            0);
  const NodeId file = node("file");
  const Handle handle = open(file, O_RDONLY);
  for (const bool has_handle : {false, true}) {
    const Result<fuse::StatxOut> out = call(&LocalFs::statx, {.node = file,
                                                              .has_handle = has_handle,
                                                              .handle = handle,
                                                              .flags = AT_STATX_DONT_SYNC,
                                                              .mask = STATX_BTIME});
    ASSERT_TRUE(out) << describe(out.error());
    EXPECT_EQ(out->stat.mask, host.stx_mask & (STATX_BASIC_STATS | STATX_BTIME));
    EXPECT_EQ(out->stat.btime.tv_sec, host.stx_btime.tv_sec);
    EXPECT_EQ(out->stat.btime.tv_nsec, host.stx_btime.tv_nsec);
    EXPECT_EQ(out->stat.size, 4u);
    EXPECT_EQ(out->stat.ino, host.stx_ino);
    EXPECT_EQ(out->stat.mode, host.stx_mode);
    EXPECT_EQ(out->stat.dev_major, 0u);  // the tenant's kernel has a device of its own
    EXPECT_EQ(out->attr_valid, 1u);
  }
}

TEST_P(LocalFsTest, StatxRefusesWhatCannotBe) {
  StatxArgs args{.node = NodeId::root, .has_handle = false, .handle = {}, .flags = 0, .mask = 0};
  args.flags = AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC;
  EXPECT_EQ(call(&LocalFs::statx, args).error(), Errno::inval);
  args.flags = 0;
  args.node = NodeId{77};
  EXPECT_EQ(call(&LocalFs::statx, args).error(), Errno::stale);
  args.has_handle = true;
  EXPECT_EQ(call(&LocalFs::statx, args).error(), Errno::badf);
}

TEST_P(LocalFsTest, CachePolicyIsTheSessions) {
  Negotiated negotiated;
  negotiated.cache = CachePolicy::always();
  negotiated.cache.entry_valid_ms = 1500;
  begin_with(negotiated);
  host_write("file", "");
  const Result<fuse::EntryOut> entry = look_up(NodeId::root, "file");
  EXPECT_EQ(entry->entry_valid, 1u);
  EXPECT_EQ(entry->entry_valid_nsec, 500'000'000u);
  EXPECT_EQ(entry->attr_valid, 86'400u);
  const Result<fuse::OpenOut> file =
      call(&LocalFs::open, {.node = NodeId{entry->nodeid}, .flags = O_RDONLY});
  EXPECT_NE(file->open_flags & fuse::open_flag::kKeepCache, 0u);
  const Result<fuse::OpenOut> directory =
      call(&LocalFs::opendir, {.node = NodeId::root, .flags = O_RDONLY});
  EXPECT_EQ(directory->open_flags, fuse::open_flag::kKeepCache | fuse::open_flag::kCacheDir);
  negotiated.cache = CachePolicy::never();
  begin_with(negotiated);
  const NodeId again = node("file");
  EXPECT_NE(call(&LocalFs::open, {.node = again, .flags = O_RDONLY})->open_flags &
                fuse::open_flag::kDirectIo,
            0u);
  EXPECT_EQ(call(&LocalFs::getattr, {.node = again})->attr_valid, 0u);
}

}  // namespace
}  // namespace dpfs::local
