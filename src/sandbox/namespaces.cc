// SPDX-License-Identifier: Apache-2.0
// unshare(2), and who is who in a user namespace (user_namespaces(7)).
#include "sandbox/namespaces.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "base/fd.h"
#include "sandbox/capabilities.h"

namespace dpfs::sandbox {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void write_to(const char* path, const std::string& text) {
  const Fd fd(open(path, O_WRONLY | O_CLOEXEC));
  if (!fd || write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    fail(path);
  }
}

void map_ourselves(uid_t uid, gid_t gid) {
  write_to("/proc/self/setgroups", "deny");  // the kernel's condition
  write_to("/proc/self/uid_map", fmt::format("{} {} 1", uid, uid));
  write_to("/proc/self/gid_map", fmt::format("{} {} 1", gid, gid));
}

// Outside of the namespace, with the rights to give it more ids than our own: root has them, and
// newuidmap(1) by /etc/subuid.
class Mapper {
 public:
  explicit Mapper(const NamespaceIds& maps) : parent_(getpid()) {
    if (pipe2(go_, O_CLOEXEC) != 0) fail("pipe2");
    pid_ = fork();
    if (pid_ < 0) fail("fork");
    if (pid_ == 0) _exit(run(maps));
    ::close(go_[0]);
  }
  Mapper(const Mapper&) = delete;
  Mapper& operator=(const Mapper&) = delete;
  ~Mapper() {
    if (pid_ <= 0) return;
    ::close(go_[1]);
    waitpid(pid_, nullptr, 0);
  }

  // Once this process is in the namespace.
  void map() {
    int status = 0;
    if (write(go_[1], "!", 1) != 1 || waitpid(pid_, &status, 0) != pid_) fail("newuidmap");
    pid_ = 0;
    ::close(go_[1]);
    if (status != 0) {
      throw std::runtime_error(
          "newuidmap or newgidmap did not give us these ids; see /etc/subuid and /etc/subgid, and "
          "install the package uidmap");
    }
  }

 private:
  int run(const NamespaceIds& maps) const {
    ::close(go_[1]);
    char go = 0;
    if (read(go_[0], &go, 1) != 1) return 1;
    const bool mapped = map_with("newuidmap", "uid_map", maps.users, getuid()) &&
                        map_with("newgidmap", "gid_map", maps.groups, getgid());
    return mapped ? 0 : 1;
  }
  bool map_with(const char* program, const char* file, std::vector<IdRange> ranges,
                uint32_t self) const {
    if (ranges.empty()) ranges.push_back({self, self, 1});
    return write_map(file, ranges) || run_mapper(program, ranges);
  }
  bool write_map(const char* file, const std::vector<IdRange>& ranges) const {
    std::string lines;
    for (const IdRange& range : ranges) {
      lines += fmt::format("{} {} {}\n", range.inside, range.outside, range.count);
    }
    const Fd fd(open(fmt::format("/proc/{}/{}", parent_, file).c_str(), O_WRONLY | O_CLOEXEC));
    return fd && write(fd.get(), lines.data(), lines.size()) == static_cast<ssize_t>(lines.size());
  }
  bool run_mapper(const char* program, const std::vector<IdRange>& ranges) const {
    std::vector<std::string> words{program, std::to_string(parent_)};
    for (const IdRange& range : ranges) {
      for (const uint32_t number : {range.inside, range.outside, range.count}) {
        words.push_back(std::to_string(number));
      }
    }
    const pid_t child = fork();
    if (child == 0) {
      std::vector<char*> arguments;
      arguments.reserve(words.size() + 1);
      for (std::string& word : words) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      execvp(program, arguments.data());
      _exit(127);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
  }

  pid_t parent_;
  pid_t pid_ = -1;
  int go_[2] = {-1, -1};
};

}  // namespace

bool enter_outer_namespaces(const NamespaceIds& maps) {
  const bool administrator = Capabilities::of_this_thread().contains({CAP_SYS_ADMIN});
  if (administrator && !maps.given()) {
    if (unshare(CLONE_NEWPID) != 0) fail("unshare");
    return false;
  }
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  if (maps.given()) {
    Mapper mapper(maps);
    if (unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) fail("unshare");
    mapper.map();
  } else {
    if (unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) fail("unshare");
    try {
      map_ourselves(uid, gid);
    } catch (const std::system_error& error) {
      // There is no way back from here.
      throw std::runtime_error(fmt::format("in a new user namespace: {}", error.what()));
    }
  }
  return true;
}

void enter_inner_namespaces(bool network) {
  const int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (network ? 0 : CLONE_NEWNET);
  if (unshare(flags) != 0) fail("unshare");
}

}  // namespace dpfs::sandbox
