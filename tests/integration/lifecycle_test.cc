// SPDX-License-Identifier: Apache-2.0
// The daemon's life: tenants that come and go, idleness, several devices, sockets, the end.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include "tests/integration/attacked_daemon.h"

namespace dpfs::test {
namespace {

using driver::Tenant;

class Lifecycle : public testing::Test {
 protected:
  static driver::TenantOptions small() {
    driver::TenantOptions options;
    options.device.memory_size = 4 << 20;
    options.client.calls_per_queue = 8;
    options.client.data_size = 64 << 10;
    options.client.timeout_ms = 10'000;
    options.client.sleep = true;
    return options;
  }
  std::string socket_path() const { return folder_ / "dpfs.sock"; }
  std::vector<std::string> serve(const std::string& url = "null:") const {
    return {"serve", "--socket", socket_path(), "--tag", "share", url};
  }
  bool is_served() const {
    Tenant tenant(socket_path(), small());
    return tenant.mount.init() && tenant.mount.getattr(1);
  }

  TemporaryFolder folder_;
};

TEST_F(Lifecycle, FiftyVmmsOneAfterTheOtherGetAFreshSessionEach) {
  std::filesystem::create_directory(folder_ / "share");
  write_file(folder_ / "share/file", "text");
  Daemon daemon(serve("local:" + (folder_ / "share")));
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  size_t descriptors = 0;
  for (int i = 0; i < 50; ++i) {
    Tenant tenant(socket_path(), small());
    ASSERT_EQ(tenant.mount.getattr(1).error(), Errno::io) << "no session before INIT";
    ASSERT_TRUE(tenant.mount.init());
    const Result<fuse::EntryOut> file = tenant.mount.lookup({1, "file"});
    ASSERT_TRUE(file);
    ASSERT_TRUE(tenant.mount.open(file->nodeid, 0));
    ASSERT_TRUE(tenant.mount.opendir(1));
    if (i == 1) descriptors = daemon.descriptors();
    if (i > 1) {
      ASSERT_EQ(daemon.descriptors(), descriptors) << i;
    }
    // Half of them go without stopping their rings, as when they are killed.
    if (i % 2 == 0) tenant.device.connection().close();
  }
  EXPECT_EQ(daemon.end(), 0);
}

TEST_F(Lifecycle, RingsThatStopAndStartAgainKeepTheSession) {
  Daemon daemon(serve());
  ASSERT_TRUE(daemon.wait_until_ready());
  Tenant tenant(socket_path(), small());
  ASSERT_TRUE(tenant.mount.init());
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(tenant.device.stop());
    ASSERT_TRUE(tenant.device.start());
    ASSERT_TRUE(tenant.mount.getattr(1));
  }
  ASSERT_TRUE(tenant.device.stop());
  ASSERT_TRUE(tenant.device.start());
  EXPECT_TRUE(tenant.mount.init()) << "a reboot begins a new session";
}

TEST_F(Lifecycle, IdleDeviceUsesNoCpuAndLittleMemory) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer has memory and a thread of its own";
  Daemon daemon(serve());
  ASSERT_TRUE(daemon.wait_until_ready());
  Tenant tenant(socket_path(), small());
  ASSERT_TRUE(tenant.mount.init());
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(tenant.mount.getattr(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(600));  // until it has settled
  const uint64_t before = daemon.cpu_ns();
  std::this_thread::sleep_for(std::chrono::seconds(2));
  EXPECT_EQ(daemon.cpu_ns() - before, 0u);
  EXPECT_LT(daemon.rss_bytes(), 12u << 20);
  EXPECT_TRUE(tenant.mount.getattr(1));
}

TEST_F(Lifecycle, SignalsEndItCleanlyAndRemoveTheSocket) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Daemon daemon(serve());
    ASSERT_TRUE(daemon.wait_until_ready());
    Tenant tenant(socket_path(), small());
    ASSERT_TRUE(tenant.mount.init());
    daemon.signal(signal);
    EXPECT_EQ(daemon.wait(), 0) << daemon.log();
    EXPECT_TRUE(eventually([&] { return tenant.device.connection().peer_has_closed(); }));
    EXPECT_FALSE(std::filesystem::exists(socket_path()));
  }
}

TEST_F(Lifecycle, CountersAreLoggedOnRequest) {
  Daemon daemon(serve());
  ASSERT_TRUE(daemon.wait_until_ready());
  Tenant tenant(socket_path(), small());
  ASSERT_TRUE(tenant.mount.init());
  ASSERT_TRUE(tenant.mount.getattr(1));
  daemon.signal(SIGUSR1);
  EXPECT_TRUE(eventually([&] { return daemon.has_logged("getattr"); }));
  EXPECT_TRUE(tenant.mount.getattr(1));
}

// ---- Sockets ------------------------------------------------------------------------------------

TEST_F(Lifecycle, SocketPathInUseIsRefusedAndItsOwnerGoesOn) {
  Daemon first(serve());
  ASSERT_TRUE(first.wait_until_ready());
  Daemon second(serve());
  EXPECT_EQ(second.wait(), 1);
  EXPECT_TRUE(second.has_logged(socket_path())) << second.log();
  EXPECT_TRUE(second.has_logged("in use"));
  EXPECT_TRUE(is_served());
  EXPECT_EQ(first.end(), 0);
}

TEST_F(Lifecycle, SocketPathInUseByABusyDeviceIsRefusedToo) {
  Daemon first(serve());
  ASSERT_TRUE(first.wait_until_ready());
  Tenant tenant(socket_path(), small());
  ASSERT_TRUE(tenant.mount.init());
  Daemon second(serve());
  EXPECT_EQ(second.wait(), 1);
  EXPECT_TRUE(second.has_logged("in use")) << second.log();
  EXPECT_TRUE(tenant.mount.getattr(1));
}

TEST_F(Lifecycle, StaleSocketIsReplaced) {
  {
    Daemon killed(serve());
    ASSERT_TRUE(killed.wait_until_ready());
    killed.signal(SIGKILL);
    EXPECT_EQ(killed.wait(), 128 + SIGKILL);
  }
  ASSERT_TRUE(std::filesystem::exists(socket_path()));
  Daemon daemon(serve());
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_TRUE(is_served());
}

TEST_F(Lifecycle, FileInTheSocketsPlaceIsRefusedAndKept) {
  write_file(socket_path(), "precious");
  Daemon daemon(serve());
  EXPECT_EQ(daemon.wait(), 1);
  EXPECT_TRUE(daemon.has_logged("no socket")) << daemon.log();
  EXPECT_EQ(std::filesystem::file_size(socket_path()), 8u);
}

TEST_F(Lifecycle, SocketInAFolderThatDoesNotExistIsRefused) {
  Daemon daemon({"serve", "--socket", folder_ / "none/dpfs.sock", "--tag", "share", "null:"});
  EXPECT_EQ(daemon.wait(), 1);
  EXPECT_TRUE(daemon.has_logged("none/dpfs.sock")) << daemon.log();
  EXPECT_TRUE(daemon.has_logged("No such file or directory"));
}

TEST_F(Lifecycle, SocketPathThatIsTooLongIsRefused) {
  Daemon daemon({"serve", "--socket", "/tmp/" + std::string(200, 's'), "--tag", "share", "null:"});
  EXPECT_EQ(daemon.wait(), 1);
  EXPECT_TRUE(daemon.has_logged("1 to 107 bytes")) << daemon.log();
}

TEST_F(Lifecycle, SocketIsForItsOwnerAndGroupOnly) {
  Daemon daemon(serve());
  ASSERT_TRUE(daemon.wait_until_ready());
  struct stat status;
  ASSERT_EQ(stat(socket_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0660u);
}

TEST_F(Lifecycle, ListeningSocketThatWasPassedInIsServed) {
  Fd listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strcpy(address.sun_path, socket_path().c_str());
  ASSERT_EQ(bind(listening.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listening.get(), 1), 0);
  Daemon daemon(
      {.arguments = {"serve", "--fd", "3", "--tag", "share", "null:"}, .pass_fd = listening.get()});
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_TRUE(is_served());
  EXPECT_TRUE(is_served());
  EXPECT_EQ(daemon.end(), 0);
  EXPECT_TRUE(std::filesystem::exists(socket_path())) << "it belongs to who made it";
}

TEST_F(Lifecycle, DescriptorThatIsNoListeningSocketIsRefused) {
  Daemon none({"serve", "--fd", "77", "--tag", "share", "null:"});
  EXPECT_EQ(none.wait(), 1);
  EXPECT_TRUE(none.has_logged("descriptor 77 is no listening socket")) << none.log();
  const Fd file(open("/dev/null", 0));
  Daemon wrong(
      {.arguments = {"serve", "--fd", "3", "--tag", "share", "null:"}, .pass_fd = file.get()});
  EXPECT_EQ(wrong.wait(), 1);
  EXPECT_TRUE(wrong.has_logged("descriptor 3 is no listening socket")) << wrong.log();
}

// ---- What is served -----------------------------------------------------------------------------

TEST_F(Lifecycle, MissingFolderIsRefused) {
  Daemon daemon(serve("local:" + (folder_ / "none")));
  EXPECT_EQ(daemon.wait(), 1);
  EXPECT_TRUE(daemon.has_logged(folder_ / "none")) << daemon.log();
  EXPECT_TRUE(daemon.has_logged("No such file or directory"));
  EXPECT_FALSE(std::filesystem::exists(socket_path()));
}

TEST_F(Lifecycle, FileInsteadOfAFolderIsRefused) {
  write_file(folder_ / "file", "text");
  Daemon daemon(serve("local:" + (folder_ / "file")));
  EXPECT_EQ(daemon.wait(), 1);
  EXPECT_TRUE(daemon.has_logged(folder_ / "file")) << daemon.log();
}

TEST_F(Lifecycle, UnreadableFolderIsRefused) {
  std::filesystem::create_directory(folder_ / "share");
  ASSERT_EQ(chmod((folder_ / "share").c_str(), 0), 0);
  Daemon daemon({.arguments = serve("local:" + (folder_ / "share")), .obeys_modes = true});
  EXPECT_EQ(daemon.wait(), 1);
  EXPECT_TRUE(daemon.has_logged(folder_ / "share")) << daemon.log();
  EXPECT_TRUE(daemon.has_logged("Permission denied")) << daemon.log();
}

TEST_F(Lifecycle, SeveralDevicesOverTwoReactorsAreServedSideBySide) {
  std::string config = "reactors = 2\n";
  for (int i = 0; i < 5; ++i) {
    const std::string number = std::to_string(i);
    config += "[[device]]\ntag = \"share" + number + "\"\nsocket = \"" + (folder_ / number) +
              "\"\nurl = \"null:?files=" + std::to_string(i + 1) + "\"\n";
  }
  write_file(folder_ / "config.toml", config);
  Daemon daemon({"serve", "--config", folder_ / "config.toml"});
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_TRUE(daemon.has_logged("5 device(s) on 2 reactor(s)"));
  std::vector<std::unique_ptr<Tenant>> tenants;
  for (int i = 0; i < 5; ++i) {
    tenants.push_back(std::make_unique<Tenant>(folder_ / std::to_string(i), small()));
    ASSERT_TRUE(tenants.back()->mount.init());
    EXPECT_EQ(tenants.back()->device.tag(), "share" + std::to_string(i));
  }
  for (uint64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(tenants[i]->mount.statfs()->files, i + 2) << "each its own";
    EXPECT_TRUE(tenants[i]->mount.lookup({1, "f" + std::to_string(i)}));
    EXPECT_FALSE(tenants[i]->mount.lookup({1, "f" + std::to_string(i + 1)}));
  }
  tenants.clear();
  EXPECT_EQ(daemon.end(), 0);
}

TEST_F(Lifecycle, EachQueueOfADeviceIsServed) {
  Daemon daemon({"serve", "--socket", socket_path(), "--tag", "share", "--queues", "8", "null:"});
  ASSERT_TRUE(daemon.wait_until_ready());
  driver::TenantOptions options = small();
  options.device.request_queues = 8;
  Tenant tenant(socket_path(), options);
  ASSERT_TRUE(tenant.mount.init());
  std::vector<driver::Call*> calls;
  for (int round = 0; round < 20; ++round) {
    for (uint32_t queue = 1; queue <= 8; ++queue) {
      driver::Call* call = tenant.client.take(queue);
      driver::request::getattr(*call, 1);
      ASSERT_TRUE(tenant.client.submit(*call));
      calls.push_back(call);
    }
    for (driver::Call* call : calls) {
      while (call->in_flight()) ASSERT_TRUE(tenant.client.wait());
      EXPECT_EQ(call->error(), Errno::none);
      tenant.client.give(*call);
    }
    calls.clear();
  }
}

TEST_F(Lifecycle, MoreQueuesThanThereAreAreNotOffered) {
  Daemon daemon({"serve", "--socket", socket_path(), "--tag", "share", "--queues", "2", "null:"});
  ASSERT_TRUE(daemon.wait_until_ready());
  driver::TenantOptions options = small();
  options.device.request_queues = 3;
  EXPECT_THROW(Tenant(socket_path(), options), std::runtime_error);
  options.device.request_queues = 2;
  Tenant tenant(socket_path(), options);
  EXPECT_TRUE(tenant.mount.init());
}

}  // namespace
}  // namespace dpfs::test
