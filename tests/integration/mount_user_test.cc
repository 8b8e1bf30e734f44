// SPDX-License-Identifier: Apache-2.0
// `dpfs mount` by a user who is not root: through fusermount3.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/integration/mounted.h"

namespace dpfs::test {
namespace {

using testing::HasSubstr;

constexpr uid_t kNobody = 65534;

class MountByUser : public testing::Test {
 protected:
  void SetUp() override {
    if (!mounting_possible()) GTEST_SKIP() << "needs root (to become another user) and /dev/fuse";
    if (run("command -v fusermount3") != 0) GTEST_SKIP() << "needs fusermount3 (package fuse3)";
    for (const std::string& folder : {share_, mount_point_}) {
      std::filesystem::create_directory(folder);
      ASSERT_EQ(chown(folder.c_str(), kNobody, kNobody), 0);
    }
    ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
    write_file(share_ + "/file", "the quick brown fox");
    // As udev makes it everywhere: for all. It is seen by this test and its children only.
    const std::string device = folder_ / "fuse";
    ASSERT_EQ(mknod(device.c_str(), S_IFCHR | 0666, makedev(10, 229)), 0);
    ASSERT_EQ(chmod(device.c_str(), 0666), 0);
    ASSERT_EQ(mount(device.c_str(), "/dev/fuse", nullptr, MS_BIND, nullptr), 0);
    bound_ = true;
    if (as_nobody("test -r /dev/fuse && true < /dev/fuse") != 0)
      GTEST_SKIP() << "/tmp lets nobody use devices";
  }
  void TearDown() override {
    umount2(mount_point_.c_str(), MNT_DETACH);
    if (bound_) umount2("/dev/fuse", MNT_DETACH);
  }

  // The exit code of a shell's command; what it says is in said_.
  int run(const std::string& command) {
    const std::string output = folder_ / "output";
    const int status = std::system(("(" + command + ") > " + output + " 2>&1").c_str());
    std::ifstream file(output);
    std::stringstream text;
    text << file.rdbuf();
    said_ = text.str();
    return WEXITSTATUS(status);
  }
  int as_nobody(const std::string& command) {
    return run("setpriv --reuid 65534 --regid 65534 --clear-groups -- sh -c '" + command + "'");
  }
  std::string mount_command(const std::string& options = "") const {
    return program_path() + " mount " + options + " local:" + share_ + " " + mount_point_;
  }

  TemporaryFolder folder_;
  const std::string share_ = folder_ / "share";
  const std::string mount_point_ = folder_ / "mnt";
  std::string said_;
  bool bound_ = false;
};

TEST_F(MountByUser, IsForThatUserAlone) {
  ASSERT_EQ(as_nobody(mount_command("-o noatime,fsname=x")), 0) << said_;
  EXPECT_EQ(as_nobody("cat " + mount_point_ + "/file"), 0);
  EXPECT_EQ(said_, "the quick brown fox");
  EXPECT_EQ(as_nobody("echo new > " + mount_point_ + "/new"), 0) << said_;
  EXPECT_TRUE(std::filesystem::exists(share_ + "/new"));
  EXPECT_NE(run("ls " + mount_point_), 0) << "root is another user";
  EXPECT_THAT(mount_options(mount_point_), HasSubstr("user_id=65534"));
  EXPECT_THAT(mount_options(mount_point_), HasSubstr("nosuid,nodev,noatime"));
  EXPECT_EQ(as_nobody(program_path() + " umount " + mount_point_), 0) << said_;
  EXPECT_FALSE(is_mounted(mount_point_));
}

TEST_F(MountByUser, AnotherUserMayNotUnmountItAndIsToldSo) {
  ASSERT_EQ(run_program({"mount", "local:" + share_, mount_point_}, &said_), 0) << said_;
  EXPECT_EQ(as_nobody(program_path() + " umount " + mount_point_), 1);
  EXPECT_THAT(said_, HasSubstr("who mounted it may"));
  EXPECT_TRUE(is_mounted(mount_point_));
  EXPECT_EQ(run_program({"umount", mount_point_}), 0);
}

TEST_F(MountByUser, WithoutFusermountItSaysWhatToInstall) {
  EXPECT_EQ(as_nobody("PATH=/nowhere; " + mount_command()), 1);
  EXPECT_THAT(said_, HasSubstr("apt install fuse3"));
}

TEST_F(MountByUser, DirectoryOfAnotherUserIsRefused) {
  ASSERT_EQ(chown(mount_point_.c_str(), 0, 0), 0);
  EXPECT_EQ(as_nobody(mount_command()), 1);
  EXPECT_THAT(said_, HasSubstr("fusermount3 could not mount"));
}

}  // namespace
}  // namespace dpfs::test
