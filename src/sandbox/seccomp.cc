// SPDX-License-Identifier: Apache-2.0
// The allow-list. Names that a machine or libseccomp does not know are left out.
#include "sandbox/seccomp.h"

#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <system_error>

#include "base/fd.h"

namespace dpfs::sandbox {
namespace {

constexpr const char* kCalls[] = {
    // Files: contents.
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev",
    "pwritev2", "lseek", "_llseek", "copy_file_range", "fallocate", "fadvise64", "fadvise64_64",
    "arm_fadvise64_64", "ftruncate", "ftruncate64", "truncate", "truncate64", "fsync", "fdatasync",
    "sync_file_range", "sync_file_range2", "syncfs", "flock",
    // Files: names and attributes.
    "openat", "openat2", "name_to_handle_at", "open_by_handle_at", "close", "dup", "fcntl",
    "fcntl64", "statx", "fstat", "fstat64", "newfstatat", "fstatat64", "statfs", "statfs64",
    "fstatfs", "fstatfs64", "faccessat", "faccessat2", "readlinkat", "getdents64", "linkat",
    "symlinkat", "unlinkat", "unlink", "renameat", "renameat2", "mkdirat", "mknodat", "fchmod",
    "fchmodat", "fchmodat2", "fchown", "fchownat", "utimensat", "utimensat_time64", "fchdir",
    "umask", "getxattr", "lgetxattr", "fgetxattr", "setxattr", "lsetxattr", "fsetxattr",
    "listxattr", "llistxattr", "flistxattr", "removexattr", "lremovexattr", "fremovexattr",
    // RocksDB's own ways to do what the calls above do.
    "access", "mkdir", "readahead", "readlink", "rename", "rmdir",
    // Whose files.
    "setfsuid", "setfsuid32", "setfsgid", "setfsgid32", "setgroups", "setgroups32", "getgroups",
    "capget", "capset", "getuid", "geteuid", "getgid", "getegid",
    // Waiting, and being told.
    "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "ppoll_time64",
    "eventfd2", "pipe2", "timerfd_create", "timerfd_settime", "timerfd_settime64", "timer_create",
    "timer_settime", "timer_settime64", "timer_delete", "io_uring_enter",
    // The VMM's socket. Its listening one was made at the start.
    "accept4", "recvmsg", "recvfrom", "sendmsg", "sendto", "getsockopt", "getsockname", "shutdown",
    // Memory. mmap and mprotect: below.
    "munmap", "mremap", "madvise", "brk",
    "membarrier",  // Threads and signals. clone and tgkill: below.
    "futex", "futex_time64", "futex_waitv", "set_robust_list", "get_robust_list", "rseq",
    "sched_yield", "sched_getaffinity", "sched_setaffinity", "getcpu", "gettid", "getpid", "exit",
    "exit_group", "restart_syscall", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
    "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_sigpending", "sigaltstack",
    "signalfd4",
    // Time, chance, and what is asked of the system.
    "clock_gettime", "clock_gettime64", "clock_getres", "clock_nanosleep", "clock_nanosleep_time64",
    "nanosleep", "gettimeofday", "time", "getrandom", "getrusage", "sysinfo", "uname", "getrlimit",
    "ugetrlimit"};

// Newer than some libseccomp. From 424 on a call has the same number on every machine.
constexpr int kNewCalls[] = {
    449,  // futex_waitv
    452,  // fchmodat2
    454,  // futex_wake
    455,  // futex_wait
    463,  // setxattrat
    464,  // getxattrat
    465,  // listxattrat
    466,  // removexattrat
    468,  // file_getattr
    469,  // file_setattr
};

// Those that tell about a file or change its flags. None reaches a device's driver: devices are
// never opened.
constexpr uint32_t kIoctls[] = {
    FS_IOC_GETFLAGS,   FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR,
    FS_IOC_GETVERSION, FIBMAP,          FIGETBSZ,          TCGETS};

constexpr uint32_t kPrctls[] = {PR_SET_NAME, PR_GET_NAME, 0x53564d41 /* PR_SET_VMA */};

class Filter {
 public:
  explicit Filter(uint32_t action) : context_(seccomp_init(action), seccomp_release) {
    if (context_ == nullptr) throw std::system_error(EINVAL, std::generic_category(), "seccomp");
  }

  scmp_filter_ctx get() const noexcept { return context_.get(); }

  // A rule for a call that the machine may lack.
  template <class... Comparisons>
  void add(uint32_t action, const char* name, Comparisons... comparisons) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number != __NR_SCMP_ERROR) add(action, number, comparisons...);
  }
  template <class... Comparisons>
  void add(uint32_t action, int number, Comparisons... comparisons) {
    const std::array<scmp_arg_cmp, sizeof...(Comparisons)> array{comparisons...};
    const int status = seccomp_rule_add_array(get(), action, number,
                                              static_cast<unsigned>(array.size()), array.data());
    // The machine, or this libseccomp, does not know the call.
    const bool unknown = status == -EDOM || status == -EINVAL || status == -EFAULT;
    if (!unknown) check(status, "seccomp_rule_add");
  }
  static void check(int status, const char* what) {
    if (status != 0) throw std::system_error(-status, std::generic_category(), what);
  }

 private:
  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
};

uint32_t action_of(OtherCalls action) {
  switch (action) {
    case OtherCalls::allow:
    case OtherCalls::kill:
      return SCMP_ACT_KILL_PROCESS;
    case OtherCalls::log:
      return SCMP_ACT_LOG;
    case OtherCalls::trap:
      return SCMP_ACT_TRAP;
  }
  return SCMP_ACT_KILL_PROCESS;
}

void add_rules(Filter& filter) {
  for (const char* name : kCalls) filter.add(SCMP_ACT_ALLOW, name);
  for (const int number : kNewCalls) filter.add(SCMP_ACT_ALLOW, number);
  for (const uint32_t request : kIoctls) {
    filter.add(SCMP_ACT_ALLOW, "ioctl", SCMP_A1_32(SCMP_CMP_EQ, request));
  }
  for (const uint32_t option : kPrctls) {
    filter.add(SCMP_ACT_ALLOW, "prctl", SCMP_A0_32(SCMP_CMP_EQ, option));
  }
  for (const char* name : {"mmap", "mmap2", "mprotect"}) {
    filter.add(SCMP_ACT_ALLOW, name, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  }
  // Threads, no processes. What clone3 is asked for lies in memory, which a filter cannot read; the
  // C library takes clone where there is no clone3.
  filter.add(SCMP_ACT_ALLOW, "clone",
             SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_NEWNS | CLONE_NEWUSER, CLONE_THREAD));
  filter.add(SCMP_ACT_ERRNO(ENOSYS), "clone3");
  const auto self = static_cast<uint32_t>(getpid());
  for (const char* name : {"tgkill", "rt_tgsigqueueinfo"}) {
    filter.add(SCMP_ACT_ALLOW, name, SCMP_A0_32(SCMP_CMP_EQ, self));
  }
  // A thread's own umask takes its own root and working directory along.
  filter.add(SCMP_ACT_ALLOW, "unshare", SCMP_A0_32(SCMP_CMP_EQ, CLONE_FS));
  // Limits may be asked for, not set.
  filter.add(SCMP_ACT_ALLOW, "prlimit64", SCMP_A0_32(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
}

// For a server that is connected to again and again.
void add_tcp_rules(Filter& filter) {
  for (const uint32_t family : {AF_INET, AF_INET6}) {
    filter.add(SCMP_ACT_ALLOW, "socket", SCMP_A0_32(SCMP_CMP_EQ, family),
               SCMP_A1_32(SCMP_CMP_MASKED_EQ, 0xff, SOCK_STREAM));
  }
  for (const char* name : {"connect", "setsockopt", "getpeername"}) {
    filter.add(SCMP_ACT_ALLOW, name);
  }
}

}  // namespace

void forbid_other_calls(OtherCalls action, Network network) {
  if (action == OtherCalls::allow) return;
  Filter filter(action_of(action));
  // For threads that a library may have started already.
  Filter::check(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1), "seccomp");
  // We run nobody else's code, so speculation needs no brake; it would cost every request.
  seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_SSB, 1);
  seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree instead of a list
  seccomp_attr_set(filter.get(), SCMP_FLTATR_API_SYSRAWRC, 1);
  add_rules(filter);
  if (network == Network::tcp_clients) add_tcp_rules(filter);
  Filter::check(seccomp_load(filter.get()), "seccomp");
}

std::vector<uint64_t> filter_of(std::string_view machine, OtherCalls action) {
  Filter filter(action_of(action));
  const uint32_t token = machine == "aarch64" ? SCMP_ARCH_AARCH64 : SCMP_ARCH_X86_64;
  if (token != seccomp_arch_native()) {
    Filter::check(seccomp_arch_add(filter.get(), token), "seccomp_arch_add");
    Filter::check(seccomp_arch_remove(filter.get(), SCMP_ARCH_NATIVE), "seccomp_arch_remove");
  }
  add_rules(filter);
  Fd file(memfd_create("filter", MFD_CLOEXEC));
  if (!file) throw std::system_error(errno, std::generic_category(), "memfd_create");
  Filter::check(seccomp_export_bpf(filter.get(), file.get()), "seccomp_export_bpf");
  std::vector<uint64_t> program(static_cast<size_t>(lseek(file.get(), 0, SEEK_END)) / 8);
  const ssize_t bytes = pread(file.get(), program.data(), program.size() * 8, 0);
  program.resize(bytes > 0 ? static_cast<size_t>(bytes) / 8 : 0);
  return program;
}

}  // namespace dpfs::sandbox
