// SPDX-License-Identifier: Apache-2.0
// What several tenants can do together whose file systems hang below: fill their queues, their
// hiprio queues, and io_uring's workers with requests that never come back. The other device of
// their reactor is served all the same.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "driver/tenant.h"
#include "tests/integration/daemon.h"
#include "tests/integration/slow_filesystem.h"

namespace dpfs::test {
namespace {

using driver::Call;

constexpr int kHung = 4;

class HungDevices : public testing::Test {
 protected:
  void SetUp() override {
    if (!SlowFileSystem::possible()) GTEST_SKIP() << "needs root and /dev/fuse";
    std::filesystem::create_directory(folder_ / "slow");
    std::filesystem::create_directory(folder_ / "share");
    write_file(folder_ / "share/file", "content");
    slow_.emplace(folder_ / "slow");
    std::string config = "poll_us = 0\n" + device("healthy", folder_ / "share");
    for (int i = 0; i < kHung; ++i) config += device(hung_tag(i), folder_ / "slow");
    write_file(folder_ / "config.toml", config);
    daemon_.emplace(std::vector<std::string>{"serve", "--config", folder_ / "config.toml"});
    ASSERT_TRUE(daemon_->wait_until_ready()) << daemon_->log();
    healthy_.emplace(socket("healthy"), options());
    ASSERT_TRUE(healthy_->mount.init());
    for (int i = 0; i < kHung; ++i) {
      hung_.push_back(std::make_unique<driver::Tenant>(socket(hung_tag(i)), options()));
      ASSERT_TRUE(hung_.back()->mount.init());
    }
  }
  void TearDown() override {
    if (!slow_) return;
    slow_->release();
    hung_.clear();
    healthy_.reset();
    if (daemon_ && daemon_->running()) {
      EXPECT_EQ(daemon_->end(), 0) << daemon_->log();
    }
    daemon_.reset();
    slow_.reset();
  }

  std::string socket(const std::string& tag) const { return folder_ / (tag + ".sock"); }
  std::string device(const std::string& tag, const std::string& path) const {
    return "[[device]]\ntag = \"" + tag + "\"\nsocket = \"" + socket(tag) +
           "\"\nurl = \"local:" + path + "\"\n";
  }
  static std::string hung_tag(int i) { return "hung" + std::to_string(i); }
  static driver::TenantOptions options() {
    driver::TenantOptions options;
    options.device.memory_size = 4 << 20;
    options.device.queue_size = 512;
    options.client.calls_per_queue = 80;
    options.client.data_size = 4096;
    options.client.timeout_ms = 10'000;
    options.client.sleep = true;
    return options;
  }
  // Lookups that never come back, on one of the tenant's queues.
  static void look_up_what_is_stuck(driver::Tenant& tenant, int lookups, uint32_t queue) {
    for (int i = 0; i < lookups; ++i) {
      Call* call = tenant.client.take(queue);
      ASSERT_NE(call, nullptr);
      driver::request::lookup(*call, {1, "stuck"});
      ASSERT_TRUE(tenant.client.submit(*call));
    }
  }
  void expect_that_the_other_is_served() {
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(healthy_->mount.getattr(1));
    const auto entry = healthy_->mount.lookup({1, "file"});
    ASSERT_TRUE(entry);
    const auto file = healthy_->mount.open(entry->nodeid, O_RDWR);
    ASSERT_TRUE(file);
    std::vector<std::byte> bytes(7);
    ASSERT_TRUE(healthy_->mount.read(*file, 0, bytes));
    ASSERT_TRUE(healthy_->mount.fsync(*file));
    ASSERT_TRUE(healthy_->mount.release(*file));
  }

  TemporaryFolder folder_;
  std::optional<SlowFileSystem> slow_;
  std::optional<Daemon> daemon_;
  std::optional<driver::Tenant> healthy_;
  std::vector<std::unique_ptr<driver::Tenant>> hung_;
};

TEST_F(HungDevices, AllButOneHangAndThatOneIsServed) {
  for (const auto& tenant : hung_) {
    look_up_what_is_stuck(*tenant, 40, 1);
    expect_that_the_other_is_served();
  }
  EXPECT_GT(slow_->waiting(), 0u);
}

TEST_F(HungDevices, HiprioQueuesFullOfWhatHangsHoldUpNobodyElse) {
  for (const auto& tenant : hung_) look_up_what_is_stuck(*tenant, 70, 0);
  EXPECT_TRUE(eventually([this] { return slow_->waiting() > 0; }));
  expect_that_the_other_is_served();
}

TEST_F(HungDevices, SyncsThatHangLeaveWorkersForOthers) {
  for (const auto& tenant : hung_) {
    const auto file = tenant->mount.open(tenant->mount.lookup({1, "slow"})->nodeid, O_RDONLY);
    ASSERT_TRUE(file);
    for (int i = 0; i < 30; ++i) {
      Call* call = tenant->client.take();
      driver::request::fsync(*call, *file, false);
      ASSERT_TRUE(tenant->client.submit(*call));
    }
  }
  // One waits there, the others for its inode.
  EXPECT_TRUE(eventually([this] { return slow_->waiting() > 0; }));
  expect_that_the_other_is_served();
}

}  // namespace
}  // namespace dpfs::test
