// SPDX-License-Identifier: Apache-2.0
// What the filter lets through and what it ends a process for. Each call is really made.
#include "sandbox/seccomp.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "sandbox/in_child.h"

namespace dpfs::sandbox {
namespace {

constexpr int kKilled = 1000 + SIGSYS;

class Seccomp : public testing::Test {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "a sanitizer makes calls of its own";
  }
  static int confined(const std::function<void()>& body, OtherCalls action = OtherCalls::kill,
                      Network network = Network::sockets_only) {
    return in_child([&] {
      forbid_other_calls(action, network);
      body();
      return 0;
    });
  }
  static void expect_killed(const char* what, const std::function<void()>& body) {
    EXPECT_EQ(confined(body), kKilled) << what;
  }
  static void expect_allowed(const char* what, const std::function<void()>& body) {
    EXPECT_EQ(confined(body), 0) << what;
  }
};

TEST_F(Seccomp, ProgramsAndProcessesAreNotStarted) {
  expect_killed("execve", [] { execl("/bin/true", "true", nullptr); });
  expect_killed("execveat", [] { syscall(SYS_execveat, -1, "/bin/true", nullptr, nullptr, 0); });
  expect_killed("fork", [] { syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr); });
#ifdef SYS_vfork
  expect_killed("vfork", [] { syscall(SYS_vfork); });
#endif
}

TEST_F(Seccomp, TheWayOutOfANamespaceIsClosed) {
  expect_killed("mount", [] { syscall(SYS_mount, "none", "/", "tmpfs", 0, nullptr); });
  expect_killed("umount2", [] { syscall(SYS_umount2, "/", 0); });
  expect_killed("pivot_root", [] { syscall(SYS_pivot_root, ".", "."); });
  expect_killed("chroot", [] { syscall(SYS_chroot, "/"); });
  expect_killed("unshare", [] { unshare(CLONE_NEWUSER); });
  expect_killed("setns", [] { setns(0, 0); });
  expect_killed("move_mount", [] { syscall(SYS_move_mount, -1, "", -1, "", 0); });
  expect_killed("open_tree", [] { syscall(SYS_open_tree, -1, "/", 1); });
}

TEST_F(Seccomp, NoConnectionsAreMade) {
  expect_killed("socket", [] { socket(AF_UNIX, SOCK_STREAM, 0); });
  expect_killed("connect", [] { syscall(SYS_connect, 0, nullptr, 0); });
  expect_killed("bind", [] { syscall(SYS_bind, 0, nullptr, 0); });
}

TEST_F(Seccomp, NewRingsAreRefusedSinceTheirOperationsAreNotSeen) {
  expect_killed("io_uring_setup", [] { syscall(SYS_io_uring_setup, 8, nullptr); });
  expect_killed("io_uring_register", [] { syscall(SYS_io_uring_register, 0, 0, nullptr, 0); });
}

TEST_F(Seccomp, OtherProcessesAreLeftAlone) {
  expect_killed("kill", [] { kill(getppid(), 0); });
  expect_killed("tgkill of another", [] { syscall(SYS_tgkill, 1, 1, 0); });
  expect_killed("ptrace", [] { syscall(SYS_ptrace, 0, 0, 0, 0); });
  expect_killed("process_vm_readv", [] { syscall(SYS_process_vm_readv, 1, 0, 0, 0, 0, 0); });
  expect_killed("pidfd_open", [] { syscall(SYS_pidfd_open, 1, 0); });
  expect_allowed("tgkill of ourselves", [] { syscall(SYS_tgkill, getpid(), gettid(), 0); });
}

TEST_F(Seccomp, MemoryDoesNotBecomeExecutable) {
  expect_killed("mmap", [] {
    syscall(SYS_mmap, nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  });
  expect_killed("mprotect", [] {
    void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(page, 4096, PROT_READ | PROT_EXEC);
  });
}

TEST_F(Seccomp, OfRequestsToFilesOnlyThoseForFlagsPass) {
  expect_allowed("FS_IOC_GETFLAGS", [] {
    int flags = 0;
    ioctl(0, FS_IOC_GETFLAGS, &flags);
  });
  expect_killed("TIOCSTI", [] { ioctl(0, TIOCSTI, "x"); });
  expect_killed("TIOCSTI with bits that the kernel ignores",
                [] { syscall(SYS_ioctl, 0, uint64_t{TIOCSTI} | uint64_t{1} << 32, "x"); });
}

TEST_F(Seccomp, LimitsAreAskedForAndNotSet) {
  expect_allowed("getrlimit", [] {
    rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
  });
  expect_killed("setrlimit", [] {
    rlimit limit{};
    setrlimit(RLIMIT_CORE, &limit);
  });
}

TEST_F(Seccomp, ThreadsAreStartedAndSynchronise) {
  expect_allowed("a thread", [] {
    int value = 0;
    std::thread([&value] { value = 1; }).join();
    if (value != 1) _exit(1);
  });
}

TEST_F(Seccomp, ExtendedAttributesByDescriptorPassThoughLibseccompIsOlder) {
  expect_allowed("setxattrat", [] { syscall(463, -1, "", 0, nullptr, nullptr, 0); });
  expect_allowed("removexattrat", [] { syscall(466, -1, "", 0, nullptr); });
}

TEST_F(Seccomp, FileCallsPass) {
  expect_allowed("files", [] {
    struct stat status;
    struct statx more;
    const int fd = openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
    fstat(fd, &status);
    statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &more);
    if (fchownat(fd, "nothing here", 0, 0, AT_SYMLINK_NOFOLLOW) == 0) _exit(1);
    syscall(SYS_openat2, -1, "", nullptr, 0);
    syscall(SYS_open_by_handle_at, -1, nullptr, 0);
    close(fd);
  });
}

TEST_F(Seccomp, LogLetsTheCallThrough) {
  EXPECT_EQ(confined([] { _exit(getpgid(0) > 0 ? 7 : 8); }, OtherCalls::log), 7);
}

TEST_F(Seccomp, TrapSendsASignal) {
  EXPECT_EQ(in_child([] {
              std::signal(SIGSYS, [](int) { _exit(42); });
              forbid_other_calls(OtherCalls::trap, Network::sockets_only);
              getpgid(0);
              return 0;
            }),
            42);
}

TEST_F(Seccomp, ConnectionsAreForWhoHasAServer) {
  const auto connect_to_nobody = [](int family, int type) {
    return [family, type] {
      const int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      sockaddr address{};
      address.sa_family = AF_UNSPEC;
      [[maybe_unused]] const int connected = connect(fd, &address, sizeof address);
      _exit(7);
    };
  };
  constexpr auto kTcp = Network::tcp_clients;
  EXPECT_EQ(confined(connect_to_nobody(AF_INET, SOCK_STREAM), OtherCalls::kill, kTcp), 7);
  EXPECT_EQ(confined(connect_to_nobody(AF_INET6, SOCK_STREAM), OtherCalls::kill, kTcp), 7);
  EXPECT_NE(confined(connect_to_nobody(AF_INET, SOCK_DGRAM), OtherCalls::kill, kTcp), 7);
  EXPECT_NE(confined(connect_to_nobody(AF_UNIX, SOCK_STREAM), OtherCalls::kill, kTcp), 7);
  EXPECT_NE(confined(connect_to_nobody(AF_INET, SOCK_STREAM)), 7);
}

TEST_F(Seccomp, NoneIsNoFilter) {
  EXPECT_EQ(confined([] { getpgid(0); }, OtherCalls::allow), 0);
}

TEST_F(Seccomp, NewPrivilegesAreRuledOut) {
  EXPECT_EQ(in_child([] {
              forbid_other_calls(OtherCalls::log, Network::sockets_only);
              return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
            }),
            1);
}

TEST(SeccompFilter, IsMadeForBothMachines) {
  for (const char* machine : {"x86_64", "aarch64"}) {
    const size_t length = filter_of(machine, OtherCalls::kill).size();
    EXPECT_GT(length, 100u) << machine;
    EXPECT_LT(length, 4096u) << machine;  // BPF_MAXINSNS
  }
}

}  // namespace
}  // namespace dpfs::sandbox
