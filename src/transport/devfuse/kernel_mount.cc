// SPDX-License-Identifier: Apache-2.0
// mount(2) with a /dev/fuse descriptor, and fusermount3's protocol.
#include "transport/devfuse/kernel_mount.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace dpfs::devfuse {
namespace {

constexpr const char* kFusermount = "fusermount3";
constexpr int kNoSuchProgram = 127;

mode_t root_mode(const std::string& directory) {
  // Not what the kernel remembers of a mount that has died.
  struct statx status;
  if (statx(AT_FDCWD, directory.c_str(), AT_STATX_FORCE_SYNC, STATX_TYPE, &status) != 0) {
    const Errno why = last_errno();
    throw std::runtime_error(
        fmt::format("'{}': {}{}", directory, describe(why),
                    why == Errno::notconn
                        ? fmt::format("; a mount that has died is there: dpfs umount {}", directory)
                        : ""));
  }
  if (!S_ISDIR(status.stx_mode)) {
    throw std::runtime_error(fmt::format("'{}' is no directory to mount on", directory));
  }
  return status.stx_mode & S_IFMT;
}

Fd mount_directly(const std::string& directory, const MountOptions& options) {
  Fd device(open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!device) {
    const Errno why = last_errno();
    throw std::runtime_error(fmt::format("cannot open /dev/fuse: {}{}", describe(why),
                                         why == Errno::noent ? "; try: modprobe fuse" : ""));
  }
  std::string data = fmt::format("fd={},rootmode={:o},user_id={},group_id={},default_permissions",
                                 device.get(), root_mode(directory), getuid(), getgid());
  if (options.allow_other) data += ",allow_other";
  if (options.max_read_bytes > 0) data += fmt::format(",max_read={}", options.max_read_bytes);
  for (const std::string& option : options.kernel_options) data += "," + option;
  const std::string type = "fuse." + options.subtype;
  if (::mount(options.fsname.c_str(), directory.c_str(), type.c_str(), options.flags,
              data.c_str()) != 0) {
    const Errno why = last_errno();
    throw std::runtime_error(fmt::format("cannot mount on '{}': {}", directory, describe(why)));
  }
  return device;
}

// ---- fusermount3 --------------------------------------------------------------------------------

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == ',' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

struct FlagName {
  unsigned long flag;
  const char* name;
};
constexpr FlagName kFlagNames[] = {
    {MS_NOEXEC, "noexec"},   {MS_SYNCHRONOUS, "sync"},      {MS_DIRSYNC, "dirsync"},
    {MS_NOATIME, "noatime"}, {MS_NODIRATIME, "nodiratime"},
};

std::string fusermount_options(const MountOptions& options) {
  std::string text = (options.flags & MS_RDONLY) != 0 ? "ro" : "rw";
  // It adds nosuid and nodev by itself.
  for (const FlagName& each : kFlagNames) {
    if ((options.flags & each.flag) != 0) text += std::string(",") + each.name;
  }
  text += ",default_permissions";
  if (options.allow_other) text += ",allow_other";
  if (options.max_read_bytes > 0) text += fmt::format(",max_read={}", options.max_read_bytes);
  text += ",fsname=" + escaped(options.fsname) + ",subtype=" + escaped(options.subtype);
  return text;
}

// Runs fusermount3. The exit code; kNoSuchProgram when it is not installed.
int run_fusermount(std::vector<std::string> arguments, int comm_fd) noexcept {
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    // Signals are blocked in the daemon; fusermount3 should end by ^C.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (comm_fd >= 0) {
      fcntl(comm_fd, F_SETFD, 0);
      setenv("_FUSE_COMMFD", std::to_string(comm_fd).c_str(), 1);
    } else {
      // The kernel's words come from us; fusermount3's would come twice.
      const int nothing = open("/dev/null", O_WRONLY);
      if (nothing >= 0) dup2(nothing, STDERR_FILENO);
    }
    std::vector<char*> argv{const_cast<char*>(kFusermount)};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    execvp(kFusermount, argv.data());
    _exit(kNoSuchProgram);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Fd receive_descriptor(const Fd& socket) noexcept {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) <= 0) return Fd();
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return Fd();
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return Fd(fd);
}

Fd mount_by_fusermount(const std::string& directory, const MountOptions& options) {
  root_mode(directory);  // for its messages
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::runtime_error(fmt::format("cannot make a socket: {}", describe(last_errno())));
  }
  const Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  const int status =
      run_fusermount({"-o", fusermount_options(options), "--", directory}, theirs.get());
  if (status == kNoSuchProgram) {
    throw std::runtime_error(
        "only root can mount without fusermount3, and it is not installed; try: apt install fuse3");
  }
  Fd device = status == 0 ? receive_descriptor(ours) : Fd();
  if (!device) {
    throw std::runtime_error(fmt::format("fusermount3 could not mount on '{}'", directory));
  }
  return device;
}

// The kernel's escapes of mountinfo: \040 and its like. proc_pid_mountinfo(5)
std::string unescaped(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

// user_id= of a FUSE mount's options.
std::optional<uid_t> user_of(const std::string& options) {
  constexpr std::string_view kUser = "user_id=";
  std::istringstream each(options);
  for (std::string option; std::getline(each, option, ',');) {
    if (!option.starts_with(kUser)) continue;
    return static_cast<uid_t>(std::strtoul(option.c_str() + kUser.size(), nullptr, 10));
  }
  return std::nullopt;
}

}  // namespace

Fd mount_at(const std::string& directory, const MountOptions& options) {
  return geteuid() == 0 ? mount_directly(directory, options)
                        : mount_by_fusermount(directory, options);
}

Result<Unit> unmount(const std::string& directory, bool lazily) noexcept {
  if (umount2(directory.c_str(), UMOUNT_NOFOLLOW | (lazily ? MNT_DETACH : 0)) == 0) return Unit{};
  const Errno why = last_errno();
  if (why != Errno::perm || geteuid() == 0) return why;
  const int status = run_fusermount(lazily ? std::vector<std::string>{"-u", "-z", "--", directory}
                                           : std::vector<std::string>{"-u", "--", directory},
                                    -1);
  if (status == 0) return Unit{};
  const bool may = status != kNoSuchProgram && mounted_at(directory).user == getuid();
  return may ? Errno::busy : Errno::perm;
}

MountPoint mounted_at(const std::string& directory) {
  std::ifstream file("/proc/self/mountinfo");
  MountPoint found;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string skipped;
    std::string where;
    words >> skipped >> skipped >> skipped >> skipped >> where;
    if (unescaped(where) != directory) continue;
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::string options;
    std::istringstream(line.substr(dash + 3)) >> found.type >> skipped >> options;  // the top one
    found.user = user_of(options);
  }
  return found;
}

}  // namespace dpfs::devfuse
