// SPDX-License-Identifier: Apache-2.0
// Attributes, owners and extended attributes in the local back end.
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

// Of the calling thread.
void give_up_fowner() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
  ASSERT_EQ(::syscall(SYS_capget, &header, data), 0);
  data[0].effective &= ~(1u << CAP_FOWNER);
  ASSERT_EQ(::syscall(SYS_capset, &header, data), 0);
}

INSTANTIATE_TEST_SUITE_P(Both, LocalFsTest, testing::Bool(), mode_name);

TEST_P(LocalFsTest, SetattrChangesWhatIsValid) {
  host_write("file", "0123456789");
  const NodeId file = node("file");
  SetattrArgs args{.node = file, .in = {}};
  args.in.valid = fuse::attr_valid::kMode | fuse::attr_valid::kSize | fuse::attr_valid::kMtime;
  args.in.mode = S_IFREG | 0751;
  args.in.size = 4;
  args.in.mtime = 1'000'000'000;
  args.in.mtimensec = 123'456'789;
  const Result<fuse::AttrOut> out = call(&LocalFs::setattr, args);
  ASSERT_TRUE(out) << describe(out.error());
  EXPECT_EQ(out->attr.mode, S_IFREG | 0751u);
  EXPECT_EQ(out->attr.size, 4u);
  EXPECT_EQ(out->attr.mtime, 1'000'000'000u);
  EXPECT_EQ(out->attr.mtimensec, 123'456'789u);
  EXPECT_NE(out->attr.atime, 1'000'000'000u);
  EXPECT_EQ(host_read("file"), "0123");
}

TEST_P(LocalFsTest, SetattrByHandleTruncatesAnUnlinkedFile) {
  host_write("file", "0123456789");
  const NodeId file = node("file");
  const Handle handle = open(file);
  ASSERT_TRUE(call(&LocalFs::unlink, {.parent = NodeId::root, .name = name_of("file")}));
  SetattrArgs args{.node = file, .in = {}};
  args.in.valid = fuse::attr_valid::kSize | fuse::attr_valid::kFh;
  args.in.fh = static_cast<uint64_t>(handle);
  args.in.size = 3;
  ASSERT_TRUE(call(&LocalFs::setattr, args));
  EXPECT_EQ(read(file, handle, 0, 10), "012");
}

TEST_P(LocalFsTest, ChangedOwnerKeepsTheModeThatCameWithIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  host_write("file", "");
  SetattrArgs args{.node = node("file"), .in = {}};
  args.in.valid = fuse::attr_valid::kMode | fuse::attr_valid::kUid | fuse::attr_valid::kGid;
  args.in.mode = 04755;
  args.in.uid = 12;
  args.in.gid = 34;
  const Result<fuse::AttrOut> out = call(&LocalFs::setattr, args);
  ASSERT_TRUE(out);
  EXPECT_EQ(out->attr.mode, S_IFREG | 04755u);
  EXPECT_EQ(out->attr.uid, 12u);
  EXPECT_EQ(out->attr.gid, 34u);
}

TEST_P(LocalFsTest, NewFilesBelongToTheTenantsUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  // A directory that they may write by a group we do not know of: their kernel has checked.
  std::filesystem::create_directory(share / "team");
  request().header.uid = 1234;
  request().header.gid = 5678;
  const NodeId team = node("team");
  const Result<fuse::EntryOut> directory =
      call(&LocalFs::mkdir, {.parent = team, .name = name_of("d"), .mode = 0750, .umask = 0});
  ASSERT_TRUE(directory) << describe(directory.error());
  EXPECT_EQ(directory->attr.uid, 1234u);
  EXPECT_EQ(directory->attr.gid, 5678u);
  const Result<CreateOut> file =
      call(&LocalFs::create,
           {.parent = team, .name = name_of("f"), .flags = O_RDWR, .mode = 0400, .umask = 0});
  ASSERT_TRUE(file);
  EXPECT_EQ(file->entry.attr.uid, 1234u);
  const std::string target = "f";
  const Result<fuse::EntryOut> link =
      call(&LocalFs::symlink,
           {.parent = team, .name = name_of("l"), .target = target.c_str(), .target_size = 1});
  ASSERT_TRUE(link);
  EXPECT_EQ(link->attr.gid, 5678u);
  request().header.uid = 0;
  request().header.gid = 0;
  const Result<fuse::EntryOut> ours =
      call(&LocalFs::mkdir, {.parent = team, .name = name_of("root"), .mode = 0750, .umask = 0});
  ASSERT_TRUE(ours);
  EXPECT_EQ(ours->attr.uid, 0u);
}

TEST_P(LocalFsTest, ChangesByUsersDropSetUserIdBits) {
  Negotiated negotiated;
  negotiated.flags = fuse::init_flag::kHandleKillprivV2;
  on_reactor([&] { fs().begin(negotiated); });
  ASSERT_NE(negotiated.flags, 0u);
  host_write("tool", "0123456789");
  const NodeId tool = node("tool");
  const Handle handle = open(tool);
  char text[] = "x";
  const iovec part{text, 1};
  const auto mode_after = [&](const std::function<void()>& change) {
    EXPECT_EQ(::chmod((share / "tool").c_str(), 06755), 0);
    change();
    return call(&LocalFs::getattr, {.node = tool})->attr.mode & 07777;
  };
  const auto write_with = [&](uint32_t write_flags) {
    EXPECT_TRUE(call(&LocalFs::write, {.node = tool,
                                       .handle = handle,
                                       .offset = 0,
                                       .flags = 0,
                                       .write_flags = write_flags,
                                       .from = IoView({&part, 1})}));
  };
  const auto truncate_with = [&](uint32_t valid) {
    SetattrArgs args{.node = tool, .in = {}};
    args.in.valid = fuse::attr_valid::kSize | valid;
    args.in.size = 3;
    EXPECT_TRUE(call(&LocalFs::setattr, args));
  };
  EXPECT_EQ(mode_after([&] { write_with(fuse::write_flag::kKillSuidgid); }), 0755u);
  EXPECT_EQ(mode_after([&] { truncate_with(fuse::attr_valid::kKillSuidgid); }), 0755u);
  EXPECT_EQ(mode_after([&] {
              EXPECT_TRUE(call(&LocalFs::open, {.node = tool,
                                                .flags = O_WRONLY | O_TRUNC,
                                                .open_flags = fuse::open_in_flag::kKillSuidgid}));
            }),
            0755u);
  if (::geteuid() != 0) GTEST_SKIP() << "the superuser's part needs root";
  EXPECT_EQ(mode_after([&] { write_with(0); }), 06755u);
  EXPECT_EQ(mode_after([&] { truncate_with(0); }), 06755u);
  EXPECT_EQ(mode_after([&] { open(tool, O_WRONLY | O_TRUNC); }), 06755u);
}

TEST_P(LocalFsTest, UserThatDoesNotExistHereIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  request().header.uid = UINT32_MAX;
  EXPECT_EQ(call(&LocalFs::mkdir,
                 {.parent = NodeId::root, .name = name_of("d"), .mode = 0750, .umask = 0})
                .error(),
            Errno::perm);
}

TEST_P(LocalFsTest, UmaskIsAppliedOnlyWhenTheTenantLeavesItToUs) {
  Negotiated negotiated;
  negotiated.flags = fuse::init_flag::kDontMask;
  on_reactor([&] { fs().begin(negotiated); });
  const Result<fuse::EntryOut> out = call(
      &LocalFs::mkdir, {.parent = NodeId::root, .name = name_of("d"), .mode = 0777, .umask = 027});
  ASSERT_TRUE(out);
  EXPECT_EQ(out->attr.mode, S_IFDIR | 0750u);
}

TEST_P(LocalFsTest, ExtendedAttributesAreKept) {
  host_write("file", "");
  if (::setxattr((share / "file").c_str(), "user.probe", "1", 1, 0) != 0) {
    GTEST_SKIP() << "the file system of " << share << " has no user.* attributes";
  }
  const NodeId file = node("file");
  std::string value = "some value";
  const iovec parts[] = {{value.data(), 4}, {value.data() + 4, 6}};
  const auto set = [&](uint32_t flags) {
    return call(
               &LocalFs::setxattr,
               {.node = file, .name = name_of("user.test"), .flags = flags, .value = IoView(parts)})
        .error();
  };
  const auto get = [&](const char* name, size_t room) {
    std::string buffer(room, '\0');
    const iovec part{buffer.data(), buffer.size()};
    const Result<uint32_t> bytes =
        call(&LocalFs::getxattr, {.node = file, .name = name_of(name), .into = IoView({&part, 1})});
    return bytes ? std::to_string(*bytes) + ":" + buffer.c_str() : describe(bytes.error());
  };
  EXPECT_EQ(set(XATTR_REPLACE), Errno::nodata);
  EXPECT_EQ(set(XATTR_CREATE), Errno::none);
  EXPECT_EQ(set(XATTR_CREATE), Errno::exist);
  EXPECT_EQ(get("user.test", 100), "10:some value");
  EXPECT_EQ(get("user.test", 0), "10:");
  EXPECT_EQ(get("user.test", 5), describe(Errno::range));
  EXPECT_EQ(get("user.none", 100), describe(Errno::nodata));

  std::string names(100, '\0');
  const iovec part{names.data(), names.size()};
  const Result<uint32_t> bytes =
      call(&LocalFs::listxattr, {.node = file, .into = IoView({&part, 1})});
  ASSERT_TRUE(bytes);
  names.resize(*bytes);
  EXPECT_NE(names.find("user.test"), std::string::npos);
  ASSERT_TRUE(call(&LocalFs::removexattr, {.node = file, .name = name_of("user.test")}));
  EXPECT_EQ(get("user.test", 100), describe(Errno::nodata));
}

TEST_P(LocalFsTest, TrustedAttributesAreListedForTheSuperuserOnly) {
  host_write("file", "");
  const auto put = [&](const char* name) {
    return ::setxattr((share / "file").c_str(), name, "1", 1, 0) == 0;
  };
  if (!put("user.a") || !put("trusted.b") || !put("user.c")) GTEST_SKIP() << "needs root";
  const NodeId file = node("file");
  const auto list = [&](uint32_t uid, size_t room) {
    request().header.uid = uid;
    std::string names(room, '?');
    const iovec part{names.data(), names.size()};
    const Result<uint32_t> bytes =
        call(&LocalFs::listxattr, {.node = file, .into = IoView({&part, 1})});
    if (!bytes) return std::string(describe(bytes.error()));
    return room == 0 ? std::to_string(*bytes) : names.substr(0, *bytes);
  };
  EXPECT_NE(list(0, 1000).find("trusted.b"), std::string::npos);
  EXPECT_NE(list(fuse::kInvalidUidGid, 1000).find("trusted.b"), std::string::npos);
  EXPECT_EQ(list(1000, 1000), std::string("user.a\0user.c\0", 14));
  EXPECT_EQ(list(1000, 14), std::string("user.a\0user.c\0", 14));
  EXPECT_EQ(list(1000, 13), describe(Errno::range));
  EXPECT_EQ(list(1000, 0), "14");
}

TEST_P(LocalFsTest, StatfsHasOneBlockSize) {
  const Result<fuse::StatfsOut> out = call(&LocalFs::statfs, {.node = NodeId::root});
  ASSERT_TRUE(out);
  EXPECT_EQ(out->st.bsize, out->st.frsize);
  EXPECT_EQ(uint64_t{out->st.frsize} * out->st.blocks, std::filesystem::space(share).capacity);
}

TEST_P(LocalFsTest, AccessFollowsTheMode) {
  host_write("file", "");
  ::chmod((share / "file").c_str(), 0640);
  const NodeId file = node("file");
  const auto access = [&](uint32_t uid, uint32_t gid, uint32_t mask) {
    request().header.uid = uid;
    request().header.gid = gid;
    return call(&LocalFs::access, {.node = file, .mask = mask}).error();
  };
  EXPECT_EQ(access(0, 0, R_OK | W_OK), Errno::none);
  EXPECT_EQ(access(0, 0, X_OK), Errno::acces);
  EXPECT_EQ(access(1000, ::getegid(), R_OK), Errno::none);
  EXPECT_EQ(access(1000, ::getegid(), W_OK), Errno::acces);
  EXPECT_EQ(access(1000, 1000, R_OK), Errno::acces);
  EXPECT_EQ(access(1000, 1000, F_OK), Errno::none);
}

TEST_P(LocalFsTest, AccessTimeThatIsNotOursToLeaveAloneKeepsNobodyFromOpening) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  host_write("file", "text");
  ASSERT_EQ(::chown((share / "file").c_str(), 1000, 1000), 0);
  const NodeId file = node("file");
  on_reactor(give_up_fowner);
  const Handle handle = open(file, O_RDONLY | O_NOATIME);
  EXPECT_EQ(read(file, handle, 0, 100), "text");
}

}  // namespace
}  // namespace dpfs::local
