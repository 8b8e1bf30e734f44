// SPDX-License-Identifier: Apache-2.0
// What new objects get: their permissions, groups and labels; and files without a name.
#include <sys/xattr.h>

#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

namespace init_flag = fuse::init_flag;

struct AclEntry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id;
};
// As the kernel keeps it (acl(5)): owner, group and others, and one more group.
std::string acl_of(uint16_t owner, uint16_t group, uint16_t other, uint16_t named_group) {
  const AclEntry entries[] = {{0x01, owner, UINT32_MAX},
                              {0x04, group, UINT32_MAX},
                              {0x08, named_group, 4242},
                              {0x10, 7, UINT32_MAX},
                              {0x20, other, UINT32_MAX}};
  const uint32_t version = 2;
  std::string acl(reinterpret_cast<const char*>(&version), sizeof version);
  acl.append(reinterpret_cast<const char*>(entries), sizeof entries);
  return acl;
}

class Creations : public LocalFsTest {
 protected:
  uint32_t mode_of(const std::string& path) {
    struct stat stat{};
    EXPECT_EQ(::lstat((share / path).c_str(), &stat), 0) << path;
    return stat.st_mode & 07777;
  }
  Result<CreateOut> create(NodeId parent, std::string_view name, uint32_t mode, uint32_t umask) {
    return call(&LocalFs::create, {.parent = parent,
                                   .name = name_of(name),
                                   .flags = O_RDWR | O_EXCL,
                                   .mode = S_IFREG | mode,
                                   .umask = umask});
  }
  Result<CreateOut> tmpfile(uint32_t flags = O_RDWR) {
    return call(
        &LocalFs::tmpfile,
        {.parent = NodeId::root, .flags = flags | O_TMPFILE, .mode = S_IFREG | 0640, .umask = 0});
  }
  Result<fuse::EntryOut> link(NodeId file, std::string_view name) {
    return call(&LocalFs::link,
                {.node = file, .new_parent = NodeId::root, .new_name = name_of(name)});
  }
  void label(const char* name, std::string& value) {
    label_ = {value.data(), value.size()};
    request().creation.context_name = name_of(name);
    request().creation.context = IoView({&label_, 1});
  }
  std::string label_on(const std::string& path) {
    char value[100] = {};
    const ssize_t size =
        ::lgetxattr((share / path).c_str(), "security.dpfs_test", value, sizeof value);
    return size < 0 ? describe(last_errno()) : std::string(value, static_cast<size_t>(size));
  }

 private:
  iovec label_{};
};

INSTANTIATE_TEST_SUITE_P(Both, Creations, testing::Bool(), mode_name);

// ---- Permissions --------------------------------------------------------------------------------

TEST_P(Creations, UmaskIsAppliedToEverythingWhenTheTenantLeavesItToUs) {
  begin_with(init_flag::kDontMask);
  ASSERT_TRUE(create(NodeId::root, "f", 0666, 027));
  ASSERT_TRUE(call(&LocalFs::mkdir,
                   {.parent = NodeId::root, .name = name_of("d"), .mode = 0777, .umask = 022}));
  ASSERT_TRUE(call(&LocalFs::mknod, {.parent = NodeId::root,
                                     .name = name_of("p"),
                                     .mode = S_IFIFO | 0666,
                                     .rdev = 0,
                                     .umask = 077}));
  ASSERT_TRUE(create(NodeId::root, "open", 0666, 0));
  EXPECT_EQ(mode_of("f"), 0640u);
  EXPECT_EQ(mode_of("d"), 0755u);
  EXPECT_EQ(mode_of("p"), 0600u);
  EXPECT_EQ(mode_of("open"), 0666u);
}

TEST_P(Creations, UmaskIsLeftAloneWhenTheTenantHasAppliedIt) {
  ASSERT_TRUE(create(NodeId::root, "f", 0666, 027));
  EXPECT_EQ(mode_of("f"), 0666u);
}

TEST_P(Creations, DefaultAclTakesThePlaceOfTheUmask) {
  std::filesystem::create_directory(share / "d");
  const std::string acl = acl_of(7, 5, 5, 6);
  if (::setxattr((share / "d").c_str(), "system.posix_acl_default", acl.data(), acl.size(), 0) !=
      0) {
    GTEST_SKIP() << "the file system of " << share << " has no ACLs";
  }
  ASSERT_NE(begin_with(init_flag::kDontMask | init_flag::kPosixAcl) & init_flag::kPosixAcl, 0u);
  const NodeId d = node("d");
  ASSERT_TRUE(create(d, "f", 0666, 077));
  EXPECT_EQ(mode_of("d/f"), 0664u);  // by the mask entry, which is 7
  ASSERT_TRUE(
      call(&LocalFs::mkdir, {.parent = d, .name = name_of("sub"), .mode = 0777, .umask = 077}));
  EXPECT_EQ(::getxattr((share / "d/sub").c_str(), "system.posix_acl_default", nullptr, 0),
            static_cast<ssize_t>(acl.size()));
}

TEST_P(Creations, AclOfOneOutsideTheGroupTakesTheGroupBit) {
  host_write("f", "");
  const std::string probe = acl_of(6, 4, 4, 6);
  if (::setxattr((share / "f").c_str(), "system.posix_acl_access", probe.data(), probe.size(), 0) !=
      0) {
    GTEST_SKIP() << "the file system of " << share << " has no ACLs";
  }
  begin_with(init_flag::kSetxattrExt | init_flag::kPosixAcl | init_flag::kDontMask);
  const NodeId file = node("f");
  std::filesystem::create_directory(share / "d");
  const NodeId directory = node("d");
  const auto set = [&](NodeId to, const char* name, uint32_t setxattr_flags) {
    std::string acl = acl_of(7, 5, 5, 6);
    const iovec part{acl.data(), acl.size()};
    EXPECT_TRUE(call(&LocalFs::setxattr, {.node = to,
                                          .name = name_of(name),
                                          .flags = 0,
                                          .setxattr_flags = setxattr_flags,
                                          .value = IoView({&part, 1})}));
  };
  const uint32_t kills = fuse::setxattr_flag::kAclKillSgid;
  ::chmod((share / "f").c_str(), 02755);
  set(file, "system.posix_acl_access", kills);
  EXPECT_EQ(mode_of("f") & S_ISGID, 0u);
  if (::geteuid() != 0) GTEST_SKIP() << "the rest needs root";
  ::chmod((share / "f").c_str(), 02755);
  set(file, "system.posix_acl_access", 0);
  EXPECT_NE(mode_of("f") & S_ISGID, 0u);
  ::chmod((share / "d").c_str(), 02755);
  set(directory, "system.posix_acl_default", kills);
  EXPECT_NE(mode_of("d") & S_ISGID, 0u);
}

// ---- Groups -------------------------------------------------------------------------------------

TEST_P(Creations, GroupThatTheUserIsInKeepsTheBitThatNeedsIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  std::filesystem::create_directory(share / "team");
  ASSERT_EQ(::chown((share / "team").c_str(), 1000, 4242), 0);
  ASSERT_EQ(::chmod((share / "team").c_str(), 02777), 0);
  begin_with(init_flag::kCreateSuppGroup);
  request().header.uid = 1234;
  request().header.gid = 5678;
  const NodeId team = node("team");
  ASSERT_TRUE(create(team, "stranger", 02755, 0));
  EXPECT_EQ(mode_of("team/stranger"), 0755u);
  request().creation.group = 4242;
  const Result<CreateOut> out = create(team, "member", 02755, 0);
  ASSERT_TRUE(out);
  EXPECT_EQ(out->entry.attr.gid, 4242u);
  EXPECT_EQ(out->entry.attr.uid, 1234u);
  EXPECT_EQ(mode_of("team/member"), 02755u);
  request().creation.group = Creation::kNoGroup;
  ASSERT_TRUE(create(team, "stranger again", 02755, 0));
  EXPECT_EQ(mode_of("team/stranger again"), 0755u);
}

TEST_P(Creations, WhiteoutIsTheUsers) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  host_write("f", "");
  const auto move = [&](const char* from, const char* to) {
    return call(&LocalFs::rename2, {.parent = NodeId::root,
                                    .name = name_of(from),
                                    .new_parent = NodeId::root,
                                    .new_name = name_of(to),
                                    .flags = RENAME_WHITEOUT})
        .error();
  };
  request().header.uid = 1234;
  request().header.gid = 5678;
  const Errno why = move("f", "g");
  if (why == Errno::inval) GTEST_SKIP() << "the file system of " << share << " has no whiteouts";
  EXPECT_EQ(why, Errno::none) << describe(why);
  struct stat stat{};
  ASSERT_EQ(::lstat((share / "f").c_str(), &stat), 0);
  EXPECT_TRUE(S_ISCHR(stat.st_mode));
  EXPECT_EQ(stat.st_uid, 1234u);
  EXPECT_EQ(stat.st_gid, 5678u);
  // The tenant's kernel has let them, whoever it is that owns what is moved.
  ::chmod(share.c_str(), 01777);
  host_write("h", "");
  EXPECT_EQ(move("h", "i"), Errno::none);
}

TEST_P(Creations, NobodyCreatesNothing) {
  request().header.uid = fuse::kInvalidUidGid;
  EXPECT_EQ(create(NodeId::root, "f", 0644, 0).error(), Errno::perm);
  request().header.uid = ::geteuid();
  request().header.gid = fuse::kInvalidUidGid;
  EXPECT_EQ(create(NodeId::root, "f", 0644, 0).error(), Errno::perm);
}

// ---- Labels -------------------------------------------------------------------------------------

TEST_P(Creations, LabelIsOnEverythingNew) {
  if (begin_with(init_flag::kSecurityCtx) == 0) GTEST_SKIP() << "needs CAP_SYS_ADMIN, Linux 6.13";
  std::string value = "a label";
  label("security.dpfs_test", value);
  ASSERT_TRUE(create(NodeId::root, "f", 0644, 0));
  if (label_on("f") == describe(Errno::opnotsupp)) GTEST_SKIP() << "no such attributes here";
  const std::string target = "f";
  ASSERT_TRUE(call(&LocalFs::mkdir,
                   {.parent = NodeId::root, .name = name_of("d"), .mode = 0755, .umask = 0}));
  ASSERT_TRUE(call(
      &LocalFs::symlink,
      {.parent = NodeId::root, .name = name_of("l"), .target = target.c_str(), .target_size = 1}));
  ASSERT_TRUE(call(&LocalFs::mknod, {.parent = NodeId::root,
                                     .name = name_of("p"),
                                     .mode = S_IFIFO | 0600,
                                     .rdev = 0,
                                     .umask = 0}));
  const Result<CreateOut> unnamed = tmpfile();
  ASSERT_TRUE(unnamed);
  ASSERT_TRUE(link(NodeId{unnamed->entry.nodeid}, "t"));
  for (const char* name : {"f", "d", "l", "p", "t"}) EXPECT_EQ(label_on(name), value) << name;
}

TEST_P(Creations, ObjectWithoutItsLabelIsTakenAwayAgain) {
  if (begin_with(init_flag::kSecurityCtx) == 0) GTEST_SKIP() << "needs CAP_SYS_ADMIN, Linux 6.13";
  std::string value(60'000, 'x');  // more than the file system takes
  label("security.dpfs_test", value);
  EXPECT_FALSE(create(NodeId::root, "f", 0644, 0));
  EXPECT_FALSE(call(&LocalFs::mkdir,
                    {.parent = NodeId::root, .name = name_of("d"), .mode = 0755, .umask = 0}));
  EXPECT_TRUE(std::filesystem::is_empty(share));
}

TEST_P(Creations, LabelThatIsNoneIsRefused) {
  if (begin_with(init_flag::kSecurityCtx) == 0) GTEST_SKIP() << "needs CAP_SYS_ADMIN, Linux 6.13";
  std::string value = "x";
  label("trusted.overlay.opaque", value);
  EXPECT_EQ(create(NodeId::root, "f", 0644, 0).error(), Errno::inval);
  EXPECT_TRUE(std::filesystem::is_empty(share));
}

// ---- Without a name -----------------------------------------------------------------------------

TEST_P(Creations, FileWithoutANameIsWrittenAndReadAndGone) {
  const Result<CreateOut> out = tmpfile();
  if (!out && out.error() == Errno::opnotsupp) GTEST_SKIP() << "no O_TMPFILE here";
  ASSERT_TRUE(out) << describe(out.error());
  EXPECT_EQ(out->entry.attr.nlink, 0u);
  EXPECT_EQ(out->entry.attr.mode, S_IFREG | 0640u);
  const NodeId file{out->entry.nodeid};
  const Handle handle{out->open.fh};
  EXPECT_EQ(write(file, handle, 0, "text"), 4u);
  EXPECT_EQ(read(file, handle, 0, 10), "text");
  EXPECT_EQ(call(&LocalFs::getattr, {.node = file})->attr.size, 4u);
  EXPECT_TRUE(std::filesystem::is_empty(share));
  release(file, handle);
  forget(file);
}

TEST_P(Creations, FileWithoutANameGetsOne) {
  const Result<CreateOut> out = tmpfile();
  if (!out && out.error() == Errno::opnotsupp) GTEST_SKIP() << "no O_TMPFILE here";
  const NodeId file{out->entry.nodeid};
  write(file, Handle{out->open.fh}, 0, "text");
  const Result<fuse::EntryOut> linked = link(file, "named");
  ASSERT_TRUE(linked) << describe(linked.error());
  EXPECT_EQ(NodeId{linked->nodeid}, file);
  EXPECT_EQ(linked->attr.nlink, 1u);
  release(file, Handle{out->open.fh});
  EXPECT_EQ(host_read("named"), "text");
  EXPECT_EQ(read(file, open(file, O_RDONLY), 0, 10), "text");
}

TEST_P(Creations, FileThatShallNeverHaveANameGetsNone) {
  const Result<CreateOut> out = tmpfile(O_RDWR | O_EXCL);
  if (!out && out.error() == Errno::opnotsupp) GTEST_SKIP() << "no O_TMPFILE here";
  EXPECT_EQ(link(NodeId{out->entry.nodeid}, "named").error(), Errno::noent);
}

TEST_P(Creations, FileWithoutANameBelongsToTheTenantsUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  request().header.uid = 1234;
  request().header.gid = 5678;
  const Result<CreateOut> out = tmpfile();
  if (!out && out.error() == Errno::opnotsupp) GTEST_SKIP() << "no O_TMPFILE here";
  ASSERT_TRUE(out) << describe(out.error());
  EXPECT_EQ(out->entry.attr.uid, 1234u);
  EXPECT_EQ(out->entry.attr.gid, 5678u);
}

TEST_P(Creations, FileWithoutANameNeedsADirectory) {
  host_write("file", "");
  EXPECT_EQ(
      call(&LocalFs::tmpfile, {.parent = node("file"), .flags = O_RDWR, .mode = 0600}).error(),
      Errno::notdir);
}

}  // namespace
}  // namespace dpfs::local
