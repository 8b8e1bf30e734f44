// SPDX-License-Identifier: Apache-2.0
// The options of a share, through the kernel: what a mount shows, and what is on the host.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/integration/mounted.h"

namespace dpfs::test {
namespace {

namespace fs = std::filesystem;

int errno_of(int result) { return result < 0 ? errno : 0; }

struct stat stat_of(const std::string& path) {
  struct stat status{};
  EXPECT_EQ(errno_of(lstat(path.c_str(), &status)), 0) << path;
  return status;
}

// The names of a file's extended attributes, each with a '|' behind it.
std::string xattrs_of(const std::string& path) {
  std::array<char, 4096> names{};
  const ssize_t size = listxattr(path.c_str(), names.data(), names.size());
  EXPECT_GE(size, 0) << path;
  std::string list(names.data(), size < 0 ? 0 : static_cast<size_t>(size));
  for (char& c : list) c = c == '\0' ? '|' : c;
  return list;
}

std::string xattr_of(const std::string& path, const char* name) {
  std::array<char, 4096> value{};
  const ssize_t size = getxattr(path.c_str(), name, value.data(), value.size());
  return {value.data(), size < 0 ? 0 : static_cast<size_t>(size)};
}

int set_xattr(const std::string& path, const char* name, const std::string& value) {
  return errno_of(setxattr(path.c_str(), name, value.data(), value.size(), 0));
}

// Users and groups of the calling thread's file accesses.
class ActingAs {
 public:
  ActingAs(uid_t uid, gid_t gid) {
    setfsgid(gid);
    setfsuid(uid);
  }
  ~ActingAs() {
    setfsuid(0);
    setfsgid(0);
  }
};

class Share : public testing::Test {
 protected:
  void SetUp() override {
    if (!mounting_possible()) GTEST_SKIP() << "needs root and /dev/fuse";
    fs::create_directory(host_);
    fs::create_directory(mount_);
    chmod(folder_.path().c_str(), 0755);
    chmod(host_.c_str(), 0777);
    write_file(host_ + "/file", "text");
  }
  void mount(std::vector<std::string> options) {
    mounted_ = std::make_unique<MountedDaemon>(Way::read_write, "local:" + host_, mount_,
                                               std::move(options));
    ASSERT_TRUE(mounted_->wait_until_ready()) << mounted_->process().log();
  }

  TemporaryFolder folder_;
  const std::string host_ = folder_ / "host";
  const std::string mount_ = folder_ / "mnt";
  std::unique_ptr<MountedDaemon> mounted_;
};

TEST_F(Share, ReadonlyIsReadOnly) {
  mount({"--readonly"});
  const std::string file = mount_ + "/file";
  struct statvfs how{};
  ASSERT_EQ(errno_of(statvfs(mount_.c_str(), &how)), 0);
  EXPECT_NE(how.f_flag & ST_RDONLY, 0u);
  EXPECT_EQ(errno_of(access(file.c_str(), W_OK)), EROFS);
  // From here on it is not the kernel that refuses.
  ASSERT_EQ(errno_of(::mount("", mount_.c_str(), nullptr, MS_REMOUNT, nullptr)), 0);
  ASSERT_EQ(errno_of(access(file.c_str(), W_OK)), 0);
  for (const int flags : {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_APPEND}) {
    EXPECT_EQ(errno_of(open(file.c_str(), flags)), EROFS) << flags;
  }
  EXPECT_EQ(errno_of(open((mount_ + "/new").c_str(), O_CREAT | O_RDONLY, 0644)), EROFS);
  EXPECT_EQ(errno_of(mkdir((mount_ + "/new").c_str(), 0755)), EROFS);
  EXPECT_EQ(errno_of(symlink("x", (mount_ + "/new").c_str())), EROFS);
  EXPECT_EQ(errno_of(link(file.c_str(), (mount_ + "/new").c_str())), EROFS);
  EXPECT_EQ(errno_of(rename(file.c_str(), (mount_ + "/new").c_str())), EROFS);
  EXPECT_EQ(errno_of(unlink(file.c_str())), EROFS);
  EXPECT_EQ(errno_of(truncate(file.c_str(), 0)), EROFS);
  EXPECT_EQ(errno_of(chmod(file.c_str(), 0600)), EROFS);
  EXPECT_EQ(errno_of(utimensat(AT_FDCWD, file.c_str(), nullptr, 0)), EROFS);
  EXPECT_EQ(set_xattr(file, "user.x", "y"), EROFS);
  const Fd readable(open(file.c_str(), O_RDONLY));
  std::array<char, 8> text{};
  EXPECT_EQ(read(readable.get(), text.data(), text.size()), 4);
}

TEST_F(Share, OwnersAreTranslatedBothWays) {
  ASSERT_EQ(errno_of(chown((host_ + "/file").c_str(), 1000, 2000)), 0);
  mount({"--translate-uid=map:0:1000:10", "--translate-gid=map:0:2000:10"});
  // Of a listing (READDIRPLUS), then of a question for one.
  for (const auto& entry : fs::directory_iterator(mount_)) {
    EXPECT_EQ(stat_of(entry.path()).st_uid, 0u);
  }
  EXPECT_EQ(stat_of(mount_ + "/file").st_gid, 0u);
  ASSERT_EQ(errno_of(mkdir((mount_ + "/made").c_str(), 0755)), 0);
  EXPECT_EQ(stat_of(mount_ + "/made").st_uid, 0u);
  EXPECT_EQ(stat_of(host_ + "/made").st_uid, 1000u);
  EXPECT_EQ(stat_of(host_ + "/made").st_gid, 2000u);
  ASSERT_EQ(errno_of(chown((mount_ + "/made").c_str(), 3, 4)), 0);
  EXPECT_EQ(stat_of(mount_ + "/made").st_uid, 3u);
  EXPECT_EQ(stat_of(host_ + "/made").st_uid, 1003u);
  EXPECT_EQ(stat_of(host_ + "/made").st_gid, 2004u);
}

TEST_F(Share, EverybodyMayBeSquashedIntoOne) {
  mount({"--translate-uid=squash-guest:0:1000:4294967295",
         "--translate-gid=squash-guest:0:2000:4294967295", "--translate-uid=host:1000:7:1"});
  const ActingAs user(4711, 4712);
  ASSERT_EQ(errno_of(mkdir((mount_ + "/made").c_str(), 0755)), 0);
  EXPECT_EQ(stat_of(host_ + "/made").st_uid, 1000u);
  EXPECT_EQ(stat_of(host_ + "/made").st_gid, 2000u);
  EXPECT_EQ(stat_of(mount_ + "/made").st_uid, 7u);
}

TEST_F(Share, WhoIsForbiddenMakesNothingAndOwnsNothing) {
  mount({"--translate-uid=forbid-guest:3000:10"});
  EXPECT_EQ(errno_of(chown((mount_ + "/file").c_str(), 3001, static_cast<gid_t>(-1))), EPERM);
  const ActingAs user(3000, 3000);
  EXPECT_EQ(errno_of(mkdir((mount_ + "/made").c_str(), 0755)), EPERM);
  EXPECT_FALSE(fs::exists(host_ + "/made"));
}

TEST_F(Share, UsersInAccessControlListsAreTranslated) {
  // Version 2; the owner, user 5, the group, the mask, others.
  const auto list_for = [](uint32_t uid) {
    struct Entry {
      uint16_t tag;
      uint16_t permissions;
      uint32_t id;
    };
    const uint32_t version = 2;
    std::string list(reinterpret_cast<const char*>(&version), sizeof version);
    for (const Entry& entry : {Entry{1, 6, UINT32_MAX}, Entry{2, 4, uid}, Entry{4, 4, UINT32_MAX},
                               Entry{16, 4, UINT32_MAX}, Entry{32, 0, UINT32_MAX}}) {
      list.append(reinterpret_cast<const char*>(&entry), sizeof entry);
    }
    return list;
  };
  constexpr const char* kName = "system.posix_acl_access";
  if (set_xattr(host_ + "/file", kName, list_for(1)) != 0) GTEST_SKIP() << "no ACLs in /tmp here";
  mount({"--translate-uid=map:0:1000:10", "--posix-acl"});
  ASSERT_EQ(set_xattr(mount_ + "/file", kName, list_for(5)), 0);
  EXPECT_EQ(xattr_of(host_ + "/file", kName), list_for(1005));
  EXPECT_EQ(xattr_of(mount_ + "/file", kName), list_for(5));
}

TEST_F(Share, AttributesAreKeptUnderOtherNames) {
  if (set_xattr(host_ + "/file", "user.mine", "1") != 0) GTEST_SKIP() << "no xattrs in /tmp here";
  mount({"--xattrmap=:map::user.guest.:"});
  const std::string file = mount_ + "/file";
  EXPECT_EQ(xattrs_of(file), "");
  ASSERT_EQ(set_xattr(file, "user.theirs", "2"), 0);
  EXPECT_EQ(xattrs_of(file), "user.theirs|");
  EXPECT_EQ(xattr_of(file, "user.theirs"), "2");
  EXPECT_EQ(xattr_of(host_ + "/file", "user.guest.user.theirs"), "2");
  EXPECT_EQ(errno_of(removexattr(file.c_str(), "user.mine")), ENODATA);
  EXPECT_EQ(errno_of(removexattr(file.c_str(), "user.theirs")), 0);
  EXPECT_EQ(xattrs_of(host_ + "/file"), "user.mine|");
}

TEST_F(Share, WithoutAttributesThereAreNone) {
  mount({"--no-xattr"});
  EXPECT_EQ(set_xattr(mount_ + "/file", "user.x", "1"), EOPNOTSUPP);
}

TEST_F(Share, NothingKeptShowsChangesOfTheHostAtOnce) {
  mount({"--cache=never"});
  EXPECT_EQ(stat_of(mount_ + "/file").st_size, 4);
  write_file(host_ + "/file", "longer text");
  EXPECT_EQ(stat_of(mount_ + "/file").st_size, 11);
  EXPECT_FALSE(fs::exists(mount_ + "/late"));
  write_file(host_ + "/late", "");
  EXPECT_TRUE(fs::exists(mount_ + "/late"));
}

TEST_F(Share, AllKeptDoesNotAskAgain) {
  mount({"--cache=always"});
  EXPECT_EQ(stat_of(mount_ + "/file").st_size, 4);
  write_file(host_ + "/file", "longer text");
  EXPECT_EQ(stat_of(mount_ + "/file").st_size, 4);
}

TEST_F(Share, TimeoutsGoBeforeThePolicy) {
  mount({"-o", "cache=always,attr_timeout=0"});
  EXPECT_EQ(stat_of(mount_ + "/file").st_size, 4);
  write_file(host_ + "/file", "longer text");
  EXPECT_EQ(stat_of(mount_ + "/file").st_size, 11);
}

TEST_F(Share, DirectoryMayHaveAnyName) {
  fs::create_directory(host_ + "/100% what?");
  write_file(host_ + "/100% what?/inside", "");
  MountedDaemon mounted(Way::read_write, "local:" + host_ + "/100%25 what%3F", mount_);
  ASSERT_TRUE(mounted.wait_until_ready()) << mounted.process().log();
  EXPECT_TRUE(fs::exists(mount_ + "/inside"));
}

}  // namespace
}  // namespace dpfs::test
