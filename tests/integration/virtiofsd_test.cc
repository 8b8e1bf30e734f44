// SPDX-License-Identifier: Apache-2.0
// `dpfs virtiofsd` as libvirt and scripts use it: one VMM, then the end.
#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "tests/integration/attacked_daemon.h"
#include "transport/vhost_user/protocol.h"
#include "transport/vhost_user/server.h"

namespace dpfs::test {
namespace {

using driver::Tenant;

class Virtiofsd : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(folder_ / "share");
    write_file(folder_ / "share/file", "text");
  }
  std::vector<std::string> arguments(std::vector<std::string> more = {}) const {
    more.insert(more.begin(),
                {"virtiofsd", "--socket-path=" + socket(), "--shared-dir", folder_ / "share"});
    return more;
  }
  std::string socket() const { return folder_ / "s"; }
  static driver::TenantOptions small() {
    driver::TenantOptions options;
    options.device.memory_size = 4 << 20;
    options.client.data_size = 64 << 10;
    options.client.sleep = true;
    return options;
  }
  TemporaryFolder folder_;
};

TEST_F(Virtiofsd, EndsWithItsVmm) {
  Daemon daemon(arguments());
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  {
    Tenant tenant(socket(), small());
    ASSERT_TRUE(tenant.mount.init());
    ASSERT_TRUE(tenant.mount.lookup({1, "file"}));
  }
  EXPECT_EQ(daemon.wait(), 0) << daemon.log();
  EXPECT_TRUE(daemon.has_logged("ending: its VMM has gone"));
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(Virtiofsd, SecondOneForTheSameSocketIsRefusedAndTheFirstGoesOn) {
  Daemon first(arguments());
  ASSERT_TRUE(first.wait_until_ready()) << first.log();
  Daemon second(arguments());
  EXPECT_EQ(second.wait(), 1);
  EXPECT_TRUE(second.has_logged("in use by another process")) << second.log();
  Tenant tenant(socket(), small());
  EXPECT_TRUE(tenant.mount.init()) << first.log();
}

TEST_F(Virtiofsd, ServesTheSocketThatLibvirtPasses) {
  int listening = vhost_user::listen_at(socket()).release();
  Daemon daemon(Daemon::Options{
      .arguments = {"virtiofsd", "--fd=3", "-o", "source=" + (folder_ / "share") + ",cache=always"},
      .pass_fd = listening});
  close(listening);
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  {
    Tenant tenant(socket(), small());
    ASSERT_TRUE(tenant.mount.init());
    const Result<fuse::EntryOut> file = tenant.mount.lookup({1, "file"});
    ASSERT_TRUE(file);
    EXPECT_GT(file->entry_valid, 3600u) << "cache=always";
  }
  EXPECT_EQ(daemon.wait(), 0) << daemon.log();
}

TEST_F(Virtiofsd, TagIsOfferedOnlyWhenItWasGiven) {
  for (const bool given : {false, true}) {
    Daemon daemon(given ? arguments({"--tag", "mine"}) : arguments());
    ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
    Tenant tenant(socket(), small());
    EXPECT_EQ(tenant.device.tag(), given ? "mine" : "");
  }
}

TEST_F(Virtiofsd, WithoutXattrThereAreNone) {
  Daemon daemon(arguments());
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  Tenant tenant(socket(), small());
  ASSERT_TRUE(tenant.mount.init());
  const uint64_t file = tenant.mount.lookup({1, "file"})->nodeid;
  std::byte value[16];
  const Errno why = tenant.mount.getxattr({file, "user.x"}, value).error();
  EXPECT_TRUE(why == Errno::nosys || why == Errno::opnotsupp) << describe(why);
}

TEST_F(Virtiofsd, ReadonlyShareCannotBeChanged) {
  Daemon daemon(arguments({"--readonly"}));
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  Tenant tenant(socket(), small());
  ASSERT_TRUE(tenant.mount.init());
  EXPECT_EQ(tenant.mount.mkdir({1, "new"}).error(), Errno::rofs);
}

TEST_F(Virtiofsd, SocketBelongsToTheGroup) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const group* const other = getgrnam("daemon");
  if (other == nullptr) GTEST_SKIP() << "needs a group 'daemon'";
  const gid_t gid = other->gr_gid;
  Daemon daemon(arguments({"--socket-group", "daemon"}));
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  struct stat status{};
  ASSERT_EQ(stat(socket().c_str(), &status), 0);
  EXPECT_EQ(status.st_gid, gid);
  EXPECT_EQ(status.st_mode & 0777, 0660u);
}

TEST_F(Virtiofsd, GroupThatDoesNotExistIsRefused) {
  Daemon daemon(arguments({"--socket-group", "nobody has this"}));
  EXPECT_EQ(daemon.wait(), 1);
  EXPECT_TRUE(daemon.has_logged("there is no group 'nobody has this'")) << daemon.log();
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(Virtiofsd, WrongArgumentsSayWhatWasExpected) {
  Daemon daemon({"virtiofsd", "--shared-dir", "/srv", "--cache", "sometimes"});
  EXPECT_EQ(daemon.wait(), 2);
  EXPECT_TRUE(daemon.has_logged("auto, always, never or metadata")) << daemon.log();
}

TEST_F(Virtiofsd, UnneededOptionsAreLogged) {
  Daemon daemon(arguments({"--thread-pool-size=8"}));
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_TRUE(daemon.has_logged("--thread-pool-size changes nothing here")) << daemon.log();
}

}  // namespace
}  // namespace dpfs::test
