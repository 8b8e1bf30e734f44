// SPDX-License-Identifier: Apache-2.0
// `dpfs mount`: files through the kernel, the ways a mount ends, who may use it, what is refused.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "tests/integration/mounted.h"

namespace dpfs::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// What a file of a mount says whose daemon has gone, or is just going.
// ECANCELED: the kernel takes the queues of io_uring apart some moments later.
const auto kGone = testing::AnyOf(ENOTCONN, ECONNABORTED, ECANCELED);

int errno_of(int result) { return result < 0 ? errno : 0; }

// Of the file system itself, not of what the kernel remembers.
int errno_of_stat(int directory, const std::string& path) {
  struct statx status;
  return errno_of(statx(directory, path.c_str(), AT_EMPTY_PATH | AT_STATX_FORCE_SYNC,
                        STATX_BASIC_STATS, &status));
}

class Mount : public testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    if (!mounting_possible()) GTEST_SKIP() << "needs root and /dev/fuse";
    if (!way_.missing().empty()) GTEST_SKIP() << way_.missing();
    fs::create_directory(share_);
    fs::create_directory(mount_point_);
    write_file(share_ + "/file", "the quick brown fox");
  }
  void TearDown() override {
    // Whatever a test that failed has left.
    umount2(mount_point_.c_str(), MNT_DETACH);
  }
  std::string url() const { return "local:" + share_; }

  const OfferedWay way_{GetParam()};
  TemporaryFolder folder_;
  const std::string share_ = folder_ / "share";
  const std::string mount_point_ = folder_ / "mnt";
};

TEST_P(Mount, FilesAreThoseOfTheDirectory) {
  MountedDaemon mounted(GetParam(), url(), mount_point_);
  ASSERT_TRUE(mounted.wait_until_ready()) << mounted.process().log();
  EXPECT_EQ(read_file(mount_point_ + "/file"), "the quick brown fox");
  write_file(mount_point_ + "/new", "jumps over");
  EXPECT_EQ(read_file(share_ + "/new"), "jumps over");
  fs::create_directories(mount_point_ + "/a/b");
  fs::rename(mount_point_ + "/new", mount_point_ + "/a/b/moved");
  EXPECT_TRUE(fs::exists(share_ + "/a/b/moved"));
  EXPECT_EQ(mounted.process().end(), 0) << mounted.process().log();
  EXPECT_FALSE(is_mounted(mount_point_));
}

TEST_P(Mount, LargeWritesAndReadsArrive) {
  MountedDaemon mounted(GetParam(), url(), mount_point_);
  ASSERT_TRUE(mounted.wait_until_ready());
  std::string text;
  for (int i = 0; text.size() < 5'000'000; ++i) text += std::to_string(i) + " ";
  write_file(mount_point_ + "/large", text);
  EXPECT_EQ(read_file(share_ + "/large"), text);
  write_file(share_ + "/below", text);
  EXPECT_EQ(read_file(mount_point_ + "/below"), text);
}

TEST_P(Mount, BurstGivesItsMemoryBack) {
  if (kSanitized) GTEST_SKIP() << "sanitizers have memory of their own";
  MountedDaemon mounted(GetParam(), "null:", mount_point_);
  ASSERT_TRUE(mounted.wait_until_ready());
  std::vector<std::thread> readers;
  for (int i = 0; i < 24; ++i) {
    readers.emplace_back([this, i] {
      const int fd =
          open((mount_point_ + "/f" + std::to_string(i % 16)).c_str(), O_RDONLY | O_DIRECT);
      void* buffer = aligned_alloc(4096, 1 << 20);
      for (int n = 0; n < 8; ++n) EXPECT_EQ(pread(fd, buffer, 1 << 20, n << 20), 1 << 20);
      free(buffer);
      close(fd);
    });
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_TRUE(eventually([&] { return mounted.process().rss_bytes() < 40u << 20; }))
      << mounted.process().rss_bytes();
}

TEST_P(Mount, UmountEndsTheDaemon) {
  MountedDaemon mounted(GetParam(), "null:", mount_point_);
  ASSERT_TRUE(mounted.wait_until_ready());
  ASSERT_EQ(umount(mount_point_.c_str()), 0);
  EXPECT_EQ(mounted.process().wait(), 0) << mounted.process().log();
}

TEST_P(Mount, DpfsUmountEndsTheDaemon) {
  MountedDaemon mounted(GetParam(), "null:", mount_point_);
  ASSERT_TRUE(mounted.wait_until_ready());
  EXPECT_EQ(run_program({"umount", mount_point_}), 0);
  EXPECT_EQ(mounted.process().wait(), 0) << mounted.process().log();
  std::string said;
  EXPECT_EQ(run_program({"umount", mount_point_}, &said), 1);
  EXPECT_THAT(said, HasSubstr("not mounted"));
}

TEST_P(Mount, DpfsUmountLeavesOtherMountsAlone) {
  ASSERT_EQ(mount("none", mount_point_.c_str(), "tmpfs", 0, nullptr), 0);
  std::string said;
  EXPECT_EQ(run_program({"umount", mount_point_}, &said), 1);
  EXPECT_THAT(said, HasSubstr("a mount of type tmpfs"));
  EXPECT_TRUE(is_mounted(mount_point_));
  umount(mount_point_.c_str());
}

TEST_P(Mount, BusyMountIsNotUnmountedUnlessLazily) {
  MountedDaemon mounted(GetParam(), url(), mount_point_);
  ASSERT_TRUE(mounted.wait_until_ready());
  const int fd = open((mount_point_ + "/file").c_str(), O_RDONLY);
  std::string said;
  EXPECT_EQ(run_program({"umount", mount_point_}, &said), 1);
  EXPECT_THAT(said, HasSubstr("--lazy"));
  EXPECT_EQ(run_program({"umount", "--lazy", mount_point_}), 0);
  EXPECT_FALSE(is_mounted(mount_point_));
  char byte;
  EXPECT_EQ(pread(fd, &byte, 1, 0), 1) << "the open file goes on";
  EXPECT_TRUE(mounted.process().running());
  close(fd);
  EXPECT_EQ(mounted.process().wait(), 0) << "its last user has gone";
}

// Linux does not wait for the RELEASE that frees the lock, and requests are fetched side by side.
TEST_P(Mount, LockOfAClosedFileIsFree) {
  MountedDaemon mounted(GetParam(), url(), mount_point_);
  ASSERT_TRUE(mounted.wait_until_ready());
  const std::string path = mount_point_ + "/file";
  for (int i = 0; i < 2000; ++i) {
    const Fd first(open(path.c_str(), O_RDWR));
    Fd second(open(path.c_str(), O_RDWR));
    ASSERT_EQ(errno_of(flock(second.get(), LOCK_EX)), 0);
    second.reset();
    ASSERT_EQ(errno_of(flock(first.get(), LOCK_EX | LOCK_NB)), 0) << "at " << i;
  }
}

TEST_P(Mount, SigtermEndsABusyMountAndSaysSo) {
  MountedDaemon mounted(GetParam(), url(), mount_point_);
  ASSERT_TRUE(mounted.wait_until_ready());
  const int fd = open((mount_point_ + "/file").c_str(), O_RDONLY);
  EXPECT_EQ(mounted.process().end(), 0) << mounted.process().log();
  EXPECT_TRUE(mounted.process().has_logged("in use"));
  EXPECT_FALSE(is_mounted(mount_point_));
  EXPECT_THAT(errno_of_stat(fd, ""), kGone);
  close(fd);
}

TEST_P(Mount, KilledDaemonLeavesErrorsAndNoHang) {
  MountedDaemon mounted(GetParam(), url(), mount_point_);
  ASSERT_TRUE(mounted.wait_until_ready());
  const int fd = open((mount_point_ + "/file").c_str(), O_RDONLY);
  mounted.process().signal(SIGKILL);
  EXPECT_EQ(mounted.process().wait(), 128 + SIGKILL);
  EXPECT_THAT(errno_of_stat(AT_FDCWD, mount_point_), kGone);
  EXPECT_THAT(errno_of_stat(fd, ""), kGone);
  close(fd);
  EXPECT_TRUE(eventually([&] { return errno_of_stat(AT_FDCWD, mount_point_) == ENOTCONN; }));
  std::string said;
  EXPECT_EQ(run_program({"mount", "null:", mount_point_}, &said), 1);
  EXPECT_THAT(said, HasSubstr("dpfs umount " + mount_point_));
  EXPECT_EQ(run_program({"umount", mount_point_}), 0);
}

TEST_P(Mount, BackgroundReturnsWhenItIsMounted) {
  const std::string log = folder_ / "log";
  std::string said;
  ASSERT_EQ(run_program({"mount", "--log-file", log, url(), mount_point_}, &said), 0) << said;
  EXPECT_EQ(said, "");
  EXPECT_EQ(read_file(mount_point_ + "/file"), "the quick brown fox");
  EXPECT_EQ(run_program({"umount", mount_point_}), 0);
  EXPECT_TRUE(eventually([&] {
    return read_file(log).find("unmounted, ended") != std::string::npos;
  })) << read_file(log);
}

// Such as a script's lock, which would be held for as long as the mount is there.
TEST_P(Mount, BackgroundKeepsNothingOfItsCallerOpen) {
  const std::string lock = folder_ / "lock";
  Fd inherited(open(lock.c_str(), O_RDWR | O_CREAT, 0600));  // NOLINT: not closed by exec
  ASSERT_EQ(flock(inherited.get(), LOCK_EX), 0);
  const std::string command = program_path() + " mount " + url() + " " + mount_point_;
  ASSERT_EQ(std::system(command.c_str()), 0);
  inherited.reset();
  const Fd again(open(lock.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EQ(errno_of(flock(again.get(), LOCK_EX | LOCK_NB)), 0);
  EXPECT_EQ(run_program({"umount", mount_point_}), 0);
}

// As from an inittab: what is opened first would be taken for the standard output.
TEST_P(Mount, StandardDescriptorsMayBeClosed) {
  const std::string command =
      program_path() + " mount " + url() + " " + mount_point_ + " <&- >&- 2>&-";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(read_file(mount_point_ + "/file"), "the quick brown fox");
  EXPECT_EQ(run_program({"umount", mount_point_}), 0);
}

TEST_P(Mount, BackgroundReturnsTheFailure) {
  std::string said;
  EXPECT_EQ(run_program({"mount", "local:/does/not/exist", mount_point_}, &said), 1);
  EXPECT_THAT(said, HasSubstr("/does/not/exist"));
  EXPECT_FALSE(is_mounted(mount_point_));
}

TEST_P(Mount, OptionsReachTheKernel) {
  MountedDaemon mounted(GetParam(), url(), mount_point_,
                        {"-o", "ro,noatime,noexec", "-o", "fsname=a\\,b,max_read=65536"});
  ASSERT_TRUE(mounted.wait_until_ready()) << mounted.process().log();
  const std::string options = mount_options(mount_point_);
  for (const char* option : {"ro", "noatime", "noexec", "nosuid", "nodev", "default_permissions",
                             "allow_other", "max_read=65536"}) {
    EXPECT_THAT(options, HasSubstr(option));
  }
  EXPECT_EQ(errno_of(open((mount_point_ + "/x").c_str(), O_WRONLY | O_CREAT, 0600)), EROFS);
}

TEST_P(Mount, NoallowOtherKeepsOthersOut) {
  MountedDaemon mounted(GetParam(), url(), mount_point_, {"-o", "noallow_other"});
  ASSERT_TRUE(mounted.wait_until_ready()) << mounted.process().log();
  EXPECT_THAT(mount_options(mount_point_), Not(HasSubstr("allow_other")));
}

TEST_P(Mount, WhatCannotBeIsRefusedBeforeAnythingIsMounted) {
  const auto refused = [&](std::vector<std::string> arguments, const std::string& words) {
    arguments.insert(arguments.begin(), "mount");
    std::string said;
    EXPECT_EQ(run_program(arguments, &said), 2) << said;
    EXPECT_THAT(said, HasSubstr(words));
    EXPECT_FALSE(is_mounted(mount_point_));
  };
  refused({"-o", "rw,umask=022", "null:", mount_point_}, "'umask' is no mount option");
  refused({"-o", "remount", "null:", mount_point_}, "'remount' does not make a mount");
  refused({"-o", "max_read=12", "null:", mount_point_}, "max_read=12");
  refused({"-o", "log-level=loud", "null:", mount_point_}, "loud");
  refused({"gopher:", mount_point_}, "gopher");
  refused({"null:"}, "DIR");
}

// As mount(8) calls it for a line of fstab, or a .mount unit.
TEST_P(Mount, LinkNamedMountDpfsTakesMountsCommandLine) {
  const std::string helper = folder_ / "mount.dpfs";
  fs::create_symlink(fs::absolute(program_path()), helper);
  const std::string command = helper + " " + url() + " " + mount_point_;
  EXPECT_EQ(system((command + " -n -o ro,_netdev,x-systemd.automount,log_level=warn").c_str()), 0);
  EXPECT_THAT(mount_options(mount_point_), HasSubstr("ro"));
  EXPECT_EQ(umount(mount_point_.c_str()), 0);
  EXPECT_EQ(WEXITSTATUS(system((command + " -o nonsense 2> /dev/null").c_str())), 1);
  EXPECT_EQ(system((command + " -s -o nonsense").c_str()), 0) << "sloppy";
  EXPECT_EQ(umount(mount_point_.c_str()), 0);
  EXPECT_EQ(WEXITSTATUS(system((helper + " null: /does/not/exist 2> /dev/null").c_str())), 32);
}

INSTANTIATE_TEST_SUITE_P(BothWays, Mount, testing::Values(Way::read_write, Way::io_uring),
                         [](const auto& each) { return name_of(each.param); });

}  // namespace
}  // namespace dpfs::test
