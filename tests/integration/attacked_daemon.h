// SPDX-License-Identifier: Apache-2.0
// A daemon with two devices on one reactor, of which one is attacked. Whatever the attack, the
// other's tenant is served, the next tenant of the attacked one is too, and nothing is leaked.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "driver/tenant.h"
#include "tests/integration/daemon.h"

namespace dpfs::test {

class AttackedDaemon : public testing::Test {
 protected:
  // What the attacked device serves: a folder of this machine.
  virtual std::string attacked_url() { return "local:" + (folder_ / "share"); }

  virtual uint64_t descriptors_max() { return 0; }

  void SetUp() override {
    std::filesystem::create_directory(folder_ / "share");
    write_file(folder_ / "share/file", "the quick brown fox");
    write_file(folder_ / "config.toml",
               "poll_us = 0\n" + device("attacked", attacked_url()) + device("healthy", "null:"));
    daemon_.emplace(Daemon::Options{.arguments = {"serve", "--config", folder_ / "config.toml"},
                                    .descriptors_max = descriptors_max()});
    ASSERT_TRUE(daemon_->wait_until_ready()) << daemon_->log();
    healthy_.emplace(socket("healthy"), small());
    ASSERT_TRUE(healthy_->mount.init());
    // A first tenant lets the daemon open what it keeps open.
    {
      driver::Tenant first(socket("attacked"), small());
      ASSERT_TRUE(first.mount.init());
    }
    descriptors_ = settled_descriptors();
  }

  void TearDown() override {
    if (!daemon_ || !healthy_) return;
    attacker_.reset();
    ASSERT_TRUE(daemon_->running()) << daemon_->log();
    EXPECT_TRUE(healthy_->mount.getattr(1)) << "the other device";
    {
      driver::Tenant next(socket("attacked"), small());
      EXPECT_TRUE(next.mount.init()) << "the attacked device's next tenant";
      EXPECT_TRUE(next.mount.getattr(1));
    }
    EXPECT_TRUE(eventually([this] { return daemon_->descriptors() == descriptors_; }))
        << daemon_->descriptors() << " descriptors, " << descriptors_ << " before";
    healthy_.reset();
    EXPECT_EQ(daemon_->end(), 0) << daemon_->log();
  }

  std::string socket(const std::string& tag) const { return folder_ / (tag + ".sock"); }
  std::string device(const std::string& tag, const std::string& url) const {
    return "[[device]]\ntag = \"" + tag + "\"\nsocket = \"" + socket(tag) + "\"\nurl = \"" + url +
           "\"\n";
  }
  static driver::TenantOptions small() {
    driver::TenantOptions options;
    options.device.memory_size = 4 << 20;
    options.client.calls_per_queue = 8;
    options.client.data_size = 64 << 10;
    options.client.timeout_ms = 10'000;
    options.client.sleep = true;
    return options;
  }
  // The attacker, brought up and mounted as it should be.
  driver::Tenant& attacker() { return attacker(small()); }
  driver::Tenant& attacker(const driver::TenantOptions& options) {
    if (!attacker_) {
      attacker_.emplace(socket("attacked"), options);
      EXPECT_TRUE(attacker_->mount.init());
    }
    return *attacker_;
  }
  driver::VhostUserConnection connect() {
    return driver::VhostUserConnection::connect(socket("attacked"));
  }
  // How many there are when the VMM before has gone and all of its own are closed.
  size_t settled_descriptors() {
    EXPECT_TRUE(eventually([this] { return daemon_->has_logged("attacked: the VMM has gone"); }));
    size_t least = daemon_->descriptors();
    for (int i = 0; i < 10; ++i) {
      usleep(2000);
      least = std::min(least, daemon_->descriptors());
    }
    return least;
  }
  bool logged_eventually(const std::string& text) {
    return eventually([&] { return daemon_->has_logged(text); });
  }

  TemporaryFolder folder_;
  std::optional<Daemon> daemon_;
  std::optional<driver::Tenant> healthy_;
  std::optional<driver::Tenant> attacker_;
  size_t descriptors_ = 0;
};

}  // namespace dpfs::test
