// SPDX-License-Identifier: Apache-2.0
// Inode flags and project ids: which of them a tenant may change.
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

class InodeFlags : public LocalFsHarness, public testing::Test {
 protected:
  explicit InodeFlags(LocalOptions options = {}) : LocalFsHarness(std::move(options)) {
    host_write("file", "");
    file_ = node("file");
    handle_ = open(file_, O_RDONLY);
  }
  ~InodeFlags() override {
    const Fd fd(::open((share / "file").c_str(), O_RDONLY));
    int none = 0;
    ::ioctl(fd.get(), FS_IOC_SETFLAGS, &none);
  }
  void SetUp() override {
    const Fd fd(::open((share / "file").c_str(), O_RDONLY));
    int flags = 0;
    if (::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) {
      GTEST_SKIP() << "the file system of " << share << " has no inode flags";
    }
  }
  template <class T>
  Result<IoctlDone> get(uint32_t command, T& value, size_t room = sizeof(T)) {
    const iovec part{&value, room};
    return call(&LocalFs::ioctl, {.node = file_,
                                  .handle = handle_,
                                  .flags = 0,
                                  .command = command,
                                  .argument = 0,
                                  .from = {},
                                  .into = IoView({&part, 1})});
  }
  template <class T>
  Errno set(uint32_t command, T value, size_t bytes = sizeof(T)) {
    const iovec part{&value, bytes};
    return call(&LocalFs::ioctl, {.node = file_,
                                  .handle = handle_,
                                  .flags = 0,
                                  .command = command,
                                  .argument = 0,
                                  .from = IoView({&part, 1}),
                                  .into = {}})
        .error();
  }
  uint32_t flags() {
    uint32_t value = 0;
    const Result<IoctlDone> done = get(FS_IOC_GETFLAGS, value);
    EXPECT_TRUE(done);
    EXPECT_EQ(done->bytes, sizeof value);
    return value;
  }

  NodeId file_{};
  Handle handle_{};
};

TEST_F(InodeFlags, AreToldAndChanged) {
  const uint32_t before = flags();
  EXPECT_EQ(set(FS_IOC_SETFLAGS, before | FS_NODUMP_FL | FS_NOATIME_FL), Errno::none);
  EXPECT_EQ(flags(), before | FS_NODUMP_FL | FS_NOATIME_FL);
}

TEST_F(InodeFlags, OfADirectoryToo) {
  std::filesystem::create_directory(share / "d");
  file_ = node("d");
  handle_ = open_directory(file_);
  const uint32_t before = flags();
  EXPECT_EQ(set(FS_IOC_SETFLAGS, before | FS_NODUMP_FL), Errno::none);
  EXPECT_EQ(flags(), before | FS_NODUMP_FL);
}

TEST_F(InodeFlags, ImmutableIsForTheSuperuser) {
  const uint32_t before = flags();
  request().header.uid = 1000;
  EXPECT_EQ(set(FS_IOC_SETFLAGS, before | FS_IMMUTABLE_FL), Errno::perm);
  EXPECT_EQ(set(FS_IOC_SETFLAGS, before | FS_APPEND_FL), Errno::perm);
  request().header.uid = fuse::kInvalidUidGid;
  EXPECT_EQ(set(FS_IOC_SETFLAGS, before | FS_IMMUTABLE_FL), Errno::perm);
  EXPECT_EQ(flags(), before);
  if (::geteuid() != 0) GTEST_SKIP() << "the superuser's part needs root";
  request().header.uid = 0;
  EXPECT_EQ(set(FS_IOC_SETFLAGS, before | FS_IMMUTABLE_FL), Errno::none);
  EXPECT_EQ(flags(), before | FS_IMMUTABLE_FL);
  request().header.uid = 1000;
  EXPECT_EQ(set(FS_IOC_SETFLAGS, before), Errno::perm);
}

TEST_F(InodeFlags, AppendOnlyFileIsOpenedForAppending) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_EQ(set(FS_IOC_SETFLAGS, flags() | FS_APPEND_FL), Errno::none);
  EXPECT_EQ(call(&LocalFs::open, {.node = file_, .flags = O_WRONLY}).error(), Errno::perm);
  const Handle handle = open(file_, O_WRONLY | O_APPEND);
  write(file_, handle, 0, "one ", {.open = O_WRONLY | O_APPEND});
  write(file_, handle, 0, "two", {.open = O_WRONLY | O_APPEND});
  EXPECT_EQ(host_read("file"), "one two");
  const Result<CreateOut> out = call(&LocalFs::create, {.parent = NodeId::root,
                                                        .name = name_of("file"),
                                                        .flags = O_WRONLY | O_APPEND,
                                                        .mode = 0600,
                                                        .umask = 0});
  EXPECT_TRUE(out) << describe(out.error());
}

TEST_F(InodeFlags, AppendOnlyFileIsLockedForWriting) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_EQ(set(FS_IOC_SETFLAGS, flags() | FS_APPEND_FL), Errno::none);
  const Handle handle = open(file_, O_WRONLY | O_APPEND);
  for (const uint32_t type : {F_RDLCK, F_WRLCK}) {
    const Result<Unit> locked = call(&LocalFs::setlk, {.node = file_,
                                                       .handle = handle,
                                                       .owner = 1,
                                                       .start = 0,
                                                       .end = INT64_MAX,
                                                       .type = type,
                                                       .pid = 1,
                                                       .flock = false});
    EXPECT_TRUE(locked) << describe(locked.error());
  }
}

TEST_F(InodeFlags, AppendOnlyFileIsNotWrittenBackByPages) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_EQ(set(FS_IOC_SETFLAGS, flags() | FS_APPEND_FL), Errno::none);
  const auto open_flags = [this](uint32_t how) {
    const Result<fuse::OpenOut> out = call(&LocalFs::open, {.node = file_, .flags = how});
    EXPECT_TRUE(out) << describe(out.error());
    return out ? out->open_flags : 0;
  };
  EXPECT_EQ(open_flags(O_WRONLY | O_APPEND) & fuse::open_flag::kDirectIo, 0u);
  begin_with(fuse::init_flag::kWritebackCache);
  file_ = node("file");
  handle_ = open(file_, O_RDONLY);
  EXPECT_NE(open_flags(O_WRONLY | O_APPEND) & fuse::open_flag::kDirectIo, 0u);
  EXPECT_EQ(open_flags(O_RDONLY) & fuse::open_flag::kDirectIo, 0u);
}

TEST_F(InodeFlags, WhoeverATenantWithMappedIdsHasCheckedMay) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  begin_with(fuse::init_flag::kAllowIdmap);
  file_ = node("file");
  handle_ = open(file_, O_RDONLY);
  request().header.uid = fuse::kInvalidUidGid;
  EXPECT_EQ(set(FS_IOC_SETFLAGS, flags() | FS_IMMUTABLE_FL), Errno::none);
}

TEST_F(InodeFlags, OthersStayWhatTheyAre) {
  EXPECT_EQ(set(FS_IOC_SETFLAGS, flags() | FS_CASEFOLD_FL), Errno::opnotsupp);
  EXPECT_EQ(set(FS_IOC_SETFLAGS, flags() | FS_DAX_FL), Errno::opnotsupp);
  EXPECT_EQ(set(FS_IOC_SETFLAGS, flags() | FS_PROJINHERIT_FL), Errno::perm);
}

TEST_F(InodeFlags, ProjectIsToldAndStays) {
  fsxattr value{};
  const Result<IoctlDone> done = get(FS_IOC_FSGETXATTR, value);
  ASSERT_TRUE(done) << describe(done.error());
  EXPECT_EQ(done->bytes, sizeof value);
  EXPECT_EQ(set(FS_IOC_FSSETXATTR, value), Errno::none);
  value.fsx_projid += 7;
  EXPECT_EQ(set(FS_IOC_FSSETXATTR, value), Errno::perm);
  value.fsx_projid -= 7;
  value.fsx_xflags |= FS_XFLAG_PROJINHERIT;
  EXPECT_EQ(set(FS_IOC_FSSETXATTR, value), Errno::perm);
}

TEST_F(InodeFlags, AnyOtherCommandIsEnotty) {
  uint64_t value = 0;
  for (const uint32_t command : {uint32_t{FS_IOC_FIEMAP}, uint32_t{FIGETBSZ}, uint32_t{FIBMAP},
                                 uint32_t{FITRIM}, uint32_t{FIFREEZE}, 0u, UINT32_MAX}) {
    EXPECT_EQ(get(command, value).error(), Errno::notty) << command;
  }
}

TEST_F(InodeFlags, ShortArgumentsAreRefused) {
  uint32_t value = 0;
  EXPECT_EQ(get(FS_IOC_GETFLAGS, value, 3).error(), Errno::inval);
  EXPECT_EQ(set(FS_IOC_SETFLAGS, value, 3), Errno::inval);
  EXPECT_EQ(set(FS_IOC_FSSETXATTR, value), Errno::inval);
  handle_ = Handle{99};
  EXPECT_EQ(get(FS_IOC_GETFLAGS, value).error(), Errno::badf);
}

class ProjectIds : public InodeFlags {
 protected:
  ProjectIds() : InodeFlags({.path = {}, .project_ids = true}) {}
};

TEST_F(ProjectIds, ChangeWhereTheOperatorAllowsIt) {
  fsxattr value{};
  ASSERT_TRUE(get(FS_IOC_FSGETXATTR, value));
  value.fsx_projid += 7;
  const Errno why = set(FS_IOC_FSSETXATTR, value);
  if (why == Errno::opnotsupp) GTEST_SKIP() << "no project ids on the file system of " << share;
  EXPECT_EQ(why, Errno::none) << describe(why);
}

}  // namespace
}  // namespace dpfs::local
