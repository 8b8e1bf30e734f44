// SPDX-License-Identifier: Apache-2.0
// A mount whose file system below hangs: who asked it waits, nobody else does, and the daemon can
// be ended.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <thread>
#include <vector>

#include "tests/integration/mounted.h"
#include "tests/integration/slow_filesystem.h"

namespace dpfs::test {
namespace {

class MountHang : public testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    if (!mounting_possible()) GTEST_SKIP() << "needs root and /dev/fuse";
    if (!way_.missing().empty()) GTEST_SKIP() << way_.missing();
    std::filesystem::create_directory(below_);
    std::filesystem::create_directory(mount_point_);
    slow_.emplace(below_);
    mounted_.emplace(GetParam(), "local:" + below_, mount_point_, options());
    ASSERT_TRUE(mounted_->wait_until_ready()) << mounted_->process().log();
  }
  void TearDown() override {
    if (slow_) slow_->release();
    for (const pid_t reader : readers_) {
      kill(reader, SIGKILL);
      waitpid(reader, nullptr, 0);
    }
    mounted_.reset();
    slow_.reset();
  }
  virtual std::vector<std::string> options() { return {}; }

  // A process of its own that reads "slow", and waits below when this returns. It exits with 0 when
  // it got the bytes, else with the errno.
  pid_t start_slow_reader() {
    const size_t before = slow_->waiting();
    const std::string path = mount_point_ + "/slow";
    const pid_t reader = fork();
    if (reader == 0) {
      char bytes[SlowFileSystem::kFileBytes];
      // Not through the page cache, where the next reader would wait for this one's page.
      const int fd = open(path.c_str(), O_RDONLY | O_DIRECT);
      const ssize_t n = fd < 0 ? -1 : pread(fd, bytes, sizeof bytes, 0);
      _exit(n < 0 ? errno : n == sizeof bytes && bytes[0] == SlowFileSystem::kByte ? 0 : 255);
    }
    readers_.push_back(reader);
    EXPECT_TRUE(eventually([&] { return slow_->waiting() > before; }));
    return reader;
  }
  int status_of(pid_t reader) {
    std::erase(readers_, reader);
    int status = 0;
    waitpid(reader, &status, 0);
    return WEXITSTATUS(status);
  }
  // In a process of its own: one that waits must not hold up this one, which serves what is below.
  bool fast_is_served() {
    const std::string path = mount_point_ + "/fast";
    const pid_t reader = fork();
    if (reader == 0) {
      char bytes[SlowFileSystem::kFileBytes];
      const int fd = open(path.c_str(), O_RDONLY | O_DIRECT);
      _exit(pread(fd, bytes, sizeof bytes, 0) == sizeof bytes ? 0 : 1);
    }
    int status = -1;
    if (eventually([&] { return waitpid(reader, &status, WNOHANG) == reader; })) {
      return status == 0;
    }
    readers_.push_back(reader);
    return false;
  }

  const OfferedWay way_{GetParam()};
  TemporaryFolder folder_;
  const std::string below_ = folder_ / "below";
  const std::string mount_point_ = folder_ / "mnt";
  std::optional<SlowFileSystem> slow_;
  std::optional<MountedDaemon> mounted_;
  std::vector<pid_t> readers_;
};

TEST_P(MountHang, OthersAreServedWhileOneWaits) {
  const pid_t reader = start_slow_reader();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(fast_is_served());
  slow_->release();
  EXPECT_EQ(status_of(reader), 0);
}

TEST_P(MountHang, OthersAreServedWhileALookupWaits) {
  const std::string path = mount_point_ + "/stuck";
  std::thread stuck([&path] { EXPECT_NE(access(path.c_str(), F_OK), 0); });
  EXPECT_TRUE(eventually([this] { return slow_->waiting() > 0; }));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(fast_is_served());
  slow_->release();
  stuck.join();
}

TEST_P(MountHang, SigtermEndsItWithErrors) {
  const pid_t reader = start_slow_reader();
  mounted_->process().signal(SIGTERM);
  // The daemon waits for the file system below as long as it has patience for.
  EXPECT_NE(status_of(reader), 0) << "an error, while below it hangs still";
  EXPECT_FALSE(is_mounted(mount_point_));
  EXPECT_TRUE(mounted_->process().has_logged("stuck in the file system below"));
  // Linux ends a thread that waits for a FUSE server's answer only when the answer is there.
  slow_->release();
  EXPECT_EQ(mounted_->process().wait(), 1);
}

TEST_P(MountHang, OthersAreServedWhileManyWaitAndAfterwards) {
  std::vector<pid_t> readers;
  for (int i = 0; i < 40; ++i) {
    readers.push_back(start_slow_reader());
    ASSERT_TRUE(fast_is_served()) << i << mounted_->process().log();
  }
  slow_->release();
  for (const pid_t reader : readers) EXPECT_EQ(status_of(reader), 0);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(fast_is_served());
}

INSTANTIATE_TEST_SUITE_P(BothWays, MountHang, testing::Values(Way::read_write, Way::io_uring),
                         [](const auto& each) { return name_of(each.param); });

}  // namespace
}  // namespace dpfs::test
