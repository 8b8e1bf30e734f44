// SPDX-License-Identifier: Apache-2.0
// What is in force while a daemon serves, as the host's /proc shows it.
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "tests/integration/attacked_daemon.h"

namespace dpfs::test {
namespace {

using driver::Tenant;

class Sandbox : public testing::Test {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "a sanitizer needs what the sandbox takes away";
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    std::filesystem::create_directory(folder_ / "share");
    write_file(folder_ / "share/file", "text");
  }

  std::vector<std::string> serve(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"serve", "--socket", socket(), "--tag", "share"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    arguments.push_back("local:" + (folder_ / "share"));
    return arguments;
  }
  std::string socket() const { return folder_ / "s"; }

  static std::string proc(const Daemon& daemon, const std::string& name) {
    return "/proc/" + std::to_string(daemon.serving_pid()) + "/" + name;
  }
  // A line of /proc/PID/status, without its name.
  static std::string status(const Daemon& daemon, const std::string& name) {
    std::ifstream file(proc(daemon, "status"));
    std::string line;
    while (std::getline(file, line)) {
      if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
    }
    return "";
  }
  static uint64_t capabilities(const Daemon& daemon, const std::string& name) {
    return std::stoull(status(daemon, name), nullptr, 16);
  }
  static bool has_own(const Daemon& daemon, const std::string& name) {
    const std::string ns = "ns/" + name;
    return std::filesystem::read_symlink(proc(daemon, ns)) !=
           std::filesystem::read_symlink("/proc/self/" + ns);
  }
  static driver::TenantOptions small() {
    driver::TenantOptions options;
    options.device.memory_size = 4 << 20;
    options.client.data_size = 64 << 10;
    options.client.sleep = true;
    return options;
  }
  // The file is read and another one written through the device.
  void expect_served() const {
    Tenant tenant(socket(), small());
    ASSERT_TRUE(tenant.mount.init());
    const Result<fuse::EntryOut> file = tenant.mount.lookup({1, "file"});
    ASSERT_TRUE(file);
    EXPECT_EQ(file->attr.size, 4u);
    EXPECT_TRUE(tenant.mount.open(file->nodeid, O_RDONLY));
    EXPECT_TRUE(tenant.mount.opendir(1));
  }

  static constexpr uint64_t kUsed = 1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE |
                                    1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_FOWNER |
                                    1ull << CAP_FSETID | 1ull << CAP_SETGID | 1ull << CAP_SETUID |
                                    1ull << CAP_MKNOD | 1ull << CAP_SETFCAP;

  TemporaryFolder folder_;
};

TEST_F(Sandbox, ByDefaultHasNamespacesOfItsOwnAndSeesTheShareOnly) {
  Daemon daemon(serve());
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  ASSERT_NE(daemon.serving_pid(), daemon.pid());
  for (const char* name : {"mnt", "pid", "net", "ipc", "uts"}) {
    EXPECT_TRUE(has_own(daemon, name)) << name;
  }
  EXPECT_TRUE(status(daemon, "NSpid").ends_with("\t1"));
  const std::string root = proc(daemon, "root");
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    names.insert(entry.path().filename());
  }
  EXPECT_EQ(names, (std::set<std::string>{"proc", "tmp"}));
  EXPECT_TRUE(std::filesystem::exists(root + (folder_ / "share/file")));
  EXPECT_FALSE(std::filesystem::exists(root + socket()));
  EXPECT_EQ(std::filesystem::read_symlink(proc(daemon, "cwd")), "/");
  expect_served();
  EXPECT_EQ(daemon.end(), 0) << daemon.log();
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(Sandbox, KeepsTheCapabilitiesThatAreUsedAndNoOther) {
  Daemon daemon(serve());
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  for (const char* set : {"CapEff", "CapPrm", "CapBnd"}) {
    EXPECT_EQ(capabilities(daemon, set), kUsed & capabilities(daemon, set)) << set;
  }
  EXPECT_EQ(capabilities(daemon, "CapEff"), kUsed);
  EXPECT_EQ(capabilities(daemon, "CapInh"), 0u);
  EXPECT_EQ(capabilities(daemon, "CapAmb"), 0u);
}

TEST_F(Sandbox, CapabilitiesAreChangedOnRequest) {
  Daemon daemon(serve({"--modcaps", "+sys_admin:+linux_immutable:-mknod"}));
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_EQ(capabilities(daemon, "CapEff"),
            (kUsed | 1ull << CAP_SYS_ADMIN | 1ull << CAP_LINUX_IMMUTABLE) & ~(1ull << CAP_MKNOD));
}

TEST_F(Sandbox, FilterAndNoNewPrivilegesHoldForEveryThread) {
  Daemon daemon(serve());
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  expect_served();
  size_t threads = 0;
  for (const auto& task : std::filesystem::directory_iterator(proc(daemon, "task"))) {
    std::map<std::string, std::string> fields;
    std::ifstream file(task.path() / "status");
    for (std::string line; std::getline(file, line);) {
      fields[line.substr(0, line.find(':'))] = line.substr(line.find('\t') + 1);
    }
    EXPECT_EQ(fields["Seccomp"], "2") << task.path();
    EXPECT_EQ(fields["NoNewPrivs"], "1") << task.path();
    EXPECT_EQ(std::stoull(fields["CapEff"], nullptr, 16) & ~kUsed, 0u) << task.path();
    ++threads;
  }
  EXPECT_GT(threads, 1u);
}

TEST_F(Sandbox, NoneLeavesOneProcessWithFilterAndFewCapabilities) {
  Daemon daemon(serve({"--sandbox", "none"}));
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_EQ(daemon.serving_pid(), daemon.pid());
  EXPECT_FALSE(has_own(daemon, "mnt"));
  EXPECT_EQ(status(daemon, "Seccomp"), "2");
  EXPECT_EQ(capabilities(daemon, "CapEff"), kUsed);
  expect_served();
  EXPECT_EQ(daemon.end(), 0) << daemon.log();
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(Sandbox, ChrootIsTheShareAndCannotBeLeftAgain) {
  Daemon daemon(serve({"--sandbox", "chroot"}));
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_FALSE(has_own(daemon, "mnt"));
  EXPECT_EQ(std::filesystem::read_symlink(proc(daemon, "root")), folder_ / "share");
  EXPECT_EQ(capabilities(daemon, "CapEff"), kUsed) << "without CAP_SYS_CHROOT";
  expect_served();
  EXPECT_EQ(daemon.end(), 0) << daemon.log();
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(Sandbox, SeccompNoneIsNoFilter) {
  Daemon daemon(serve({"--seccomp", "none"}));
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_EQ(status(daemon, "Seccomp"), "0");
  EXPECT_EQ(status(daemon, "NoNewPrivs"), "1");
}

TEST_F(Sandbox, WithoutHandlesLandlockConfinesFilesToo) {
  Daemon daemon(serve({"--modcaps", "-dac_read_search"}));
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  if (!daemon.has_logged("Landlock: files")) GTEST_SKIP() << "no Landlock in this kernel";
  expect_served();
}

TEST_F(Sandbox, ReadonlyShareIsAReadOnlyMount) {
  for (const bool readonly : {false, true}) {
    Daemon daemon(readonly ? serve({"--readonly"}) : serve());
    ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
    expect_served();
    std::ifstream file(proc(daemon, "mountinfo"));
    std::string line;
    while (std::getline(file, line) && line.find(" " + (folder_ / "share") + " ") == line.npos) {
    }
    EXPECT_EQ(line.find(" ro,nosuid,nodev") != line.npos, readonly) << line;
    EXPECT_EQ(daemon.end(), 0);
  }
}

TEST_F(Sandbox, SaysWhatIsInForce) {
  Daemon daemon(serve());
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_TRUE(daemon.has_logged("confined: namespaces pid mount net ipc uts; paths: only " +
                                (folder_ / "share")))
      << daemon.log();
  EXPECT_TRUE(daemon.has_logged("seccomp: kill"));
}

TEST_F(Sandbox, DescriptorLimitIsThatAskedFor) {
  Daemon daemon(serve({"--rlimit-nofile", "4321"}));
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  std::ifstream file(proc(daemon, "limits"));
  std::string line;
  while (std::getline(file, line) && !line.starts_with("Max open files")) {
  }
  EXPECT_NE(line.find(" 4321 "), std::string::npos) << line;
}

TEST_F(Sandbox, ServingProcessEndsWithItsSupervisor) {
  Daemon daemon(serve());
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  const pid_t serving = daemon.serving_pid();
  ASSERT_NE(serving, daemon.pid());
  daemon.signal(SIGKILL);
  EXPECT_EQ(daemon.wait(), 128 + SIGKILL);
  EXPECT_TRUE(eventually([&] { return kill(serving, 0) != 0; }));
}

TEST_F(Sandbox, SupervisorEndsWithTheServingProcessAndRemovesTheSocket) {
  Daemon daemon(serve());
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  ASSERT_EQ(kill(daemon.serving_pid(), SIGKILL), 0);
  EXPECT_EQ(daemon.wait(), 128 + SIGKILL);
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(Sandbox, LinkInTheSharesPathIsFollowedOnce) {
  std::filesystem::create_directory_symlink(folder_ / "share", folder_ / "link");
  Daemon daemon({"serve", "--socket", socket(), "--tag", "share", "local:" + (folder_ / "link")});
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  expect_served();
}

TEST_F(Sandbox, FolderWithSignsOfAUrlInItsNameIsServed) {
  const std::string odd = folder_ / "what?100%";
  std::filesystem::rename(folder_ / "share", odd);
  std::filesystem::create_directory_symlink(odd, folder_ / "link");
  Daemon daemon({"serve", "--socket", socket(), "--tag", "share", "local:" + (folder_ / "link")});
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  expect_served();
}

TEST_F(Sandbox, RelativePathIsServed) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  Daemon daemon({"serve", "--socket", socket(), "--tag", "share", "local:share"});
  EXPECT_TRUE(daemon.wait_until_ready()) << daemon.log();
  std::filesystem::current_path(before);
  expect_served();
}

TEST_F(Sandbox, UserNamespaceHasTheIdsThatAreGiven) {
  constexpr uid_t kOutside = 100000;
  ASSERT_EQ(chown((folder_ / "share").c_str(), kOutside, kOutside), 0);
  chmod(folder_.path().c_str(), 0755);
  Daemon daemon({"virtiofsd", "--socket-path", socket(), "--shared-dir", folder_ / "share",
                 "--uid-map", ":0:100000:65536:", "--gid-map", ":0:100000:65536:"});
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_TRUE(has_own(daemon, "user")) << daemon.log();
  Tenant tenant(socket(), small());
  ASSERT_TRUE(tenant.mount.init());
  const Result<fuse::EntryOut> made = tenant.mount.mkdir({1, "new"});
  ASSERT_TRUE(made) << describe(made.error()) << daemon.log();
  EXPECT_EQ(made->attr.uid, 0u);
  struct stat status{};
  ASSERT_EQ(stat((folder_ / "share/new").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, kOutside);
}

TEST_F(Sandbox, UserWithoutRightsIsConfinedToo) {
  constexpr int kNobody = 65534;
  for (const std::string& path : {folder_.path(), folder_ / "share", folder_ / "share/file"}) {
    ASSERT_EQ(chown(path.c_str(), kNobody, kNobody), 0);
  }
  Daemon daemon(Daemon::Options{.arguments = serve(), .user = kNobody});
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  if (daemon.has_logged("no namespaces of our own")) {
    GTEST_SKIP() << "no user namespaces for users without rights here";
  }
  for (const char* name : {"user", "mnt", "pid", "net", "ipc", "uts"}) {
    EXPECT_TRUE(has_own(daemon, name)) << name;
  }
  EXPECT_EQ(capabilities(daemon, "CapEff"), 0u);
  EXPECT_EQ(capabilities(daemon, "CapPrm"), 0u);
  EXPECT_EQ(status(daemon, "Seccomp"), "2");
  expect_served();
  // All that the tenant makes is the user's own.
  {
    Tenant tenant(socket(), small());
    ASSERT_TRUE(tenant.mount.init());
    ASSERT_TRUE(tenant.mount.mkdir({1, "new"}));
  }
  struct stat made{};
  ASSERT_EQ(stat((folder_ / "share/new").c_str(), &made), 0);
  EXPECT_EQ(made.st_uid, uid_t{kNobody});
  EXPECT_EQ(daemon.end(), 0) << daemon.log();
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(Sandbox, WithoutTheRightToMountItIsAsWithChroot) {
  Daemon daemon(Daemon::Options{.arguments = serve(), .lacks = {CAP_SYS_ADMIN}});
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_TRUE(daemon.has_logged("CAP_SYS_ADMIN is missing")) << daemon.log();
  EXPECT_EQ(std::filesystem::read_symlink(proc(daemon, "root")), folder_ / "share");
  expect_served();
  EXPECT_EQ(daemon.end(), 0);
  Daemon asked(
      Daemon::Options{.arguments = serve({"--sandbox", "namespace"}), .lacks = {CAP_SYS_ADMIN}});
  EXPECT_EQ(asked.wait(), 1);
  EXPECT_TRUE(asked.has_logged("--sandbox namespace is not possible here")) << asked.log();
}

// As AppArmor has it in some containers.
TEST_F(Sandbox, WithoutMountsItIsAsWithChrootInItsNamespaces) {
  Daemon daemon(Daemon::Options{.arguments = serve(), .forbidden_call = SYS_mount});
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_TRUE(daemon.has_logged("no root directory of our own")) << daemon.log();
  EXPECT_TRUE(has_own(daemon, "net"));
  EXPECT_EQ(std::filesystem::read_symlink(proc(daemon, "root")), folder_ / "share");
  EXPECT_EQ(capabilities(daemon, "CapEff"), kUsed);
  expect_served();
  EXPECT_EQ(daemon.end(), 0);
  Daemon asked(
      Daemon::Options{.arguments = serve({"--sandbox", "namespace"}), .forbidden_call = SYS_mount});
  EXPECT_EQ(asked.wait(), 1);
  EXPECT_TRUE(asked.has_logged("--sandbox namespace is not possible here")) << asked.log();
}

TEST_F(Sandbox, WithoutUserNamespacesLandlockIsLeftToWhoIsNotRoot) {
  Daemon daemon(Daemon::Options{.arguments = serve({"--modcaps", "-dac_read_search"}),
                                .lacks = {CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_CHOWN},
                                .forbidden_call = SYS_unshare});
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_TRUE(daemon.has_logged("only Landlock keeps us from other files")) << daemon.log();
  expect_served();
  EXPECT_EQ(daemon.end(), 0);
}

TEST_F(Sandbox, WithoutTheRightToChrootEitherLandlockIsLeft) {
  Daemon daemon(Daemon::Options{.arguments = serve({"--modcaps", "-dac_read_search"}),
                                .lacks = {CAP_SYS_ADMIN, CAP_SYS_CHROOT}});
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_TRUE(daemon.has_logged("only Landlock keeps us from other files")) << daemon.log();
  expect_served();
  EXPECT_EQ(daemon.end(), 0);
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(Sandbox, TheWholeHostMayBeServed) {
  Daemon daemon({"serve", "--socket", socket(), "--tag", "share", "local:/"});
  ASSERT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_TRUE(has_own(daemon, "mnt"));
  EXPECT_FALSE(daemon.has_logged("no root directory of our own")) << daemon.log();
}

TEST_F(Sandbox, FolderThatIsNotThereIsNamedWithWhatToDo) {
  Daemon daemon({"serve", "--socket", socket(), "--tag", "share", "local:/none/such"});
  EXPECT_EQ(daemon.wait(), 1);
  EXPECT_TRUE(daemon.has_logged("cannot open directory '/none/such'")) << daemon.log();
  EXPECT_TRUE(daemon.has_logged("create it, or correct the path"));
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(Sandbox, FileInPlaceOfAFolderIsRefused) {
  Daemon daemon(
      {"serve", "--socket", socket(), "--tag", "share", "local:" + (folder_ / "share/file")});
  EXPECT_EQ(daemon.wait(), 1);
  EXPECT_TRUE(daemon.has_logged("Not a directory")) << daemon.log();
}

TEST_F(Sandbox, ValuesThatDoNotExistAreRefusedWithThoseThatDo) {
  const std::map<std::vector<std::string>, std::string> kWrong{
      {{"--sandbox", "jail"}, "namespace, chroot or none"},
      {{"--seccomp", "maybe"}, "none, kill, log or trap"},
      {{"--modcaps", "chown"}, "+NAME or -NAME"},
      {{"--modcaps", "+everything"}, "is no capability"}};
  for (const auto& [options, expected] : kWrong) {
    Daemon daemon(serve(options));
    EXPECT_EQ(daemon.wait(), 2) << daemon.log();
    EXPECT_TRUE(daemon.has_logged(expected)) << daemon.log();
  }
}

}  // namespace
}  // namespace dpfs::test
