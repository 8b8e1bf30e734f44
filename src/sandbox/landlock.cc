// SPDX-License-Identifier: Apache-2.0
// By raw system calls, and with what is newer than the system's header: each kernel does as much of
// it as it knows.
#include "sandbox/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/fd.h"

namespace dpfs::sandbox {
namespace {

// As the kernel's include/uapi/linux/landlock.h has it with ABI 6.
struct RulesetAttr {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
};
constexpr uint64_t kFsTruncate = 1 << 14;                      // ABI 3
constexpr uint64_t kFsIoctlDev = 1 << 15;                      // ABI 5
constexpr uint64_t kNetTcp = 1 << 0 | 1 << 1;                  // bind and connect; ABI 4
constexpr uint64_t kScopeSocketsAndSignals = 1 << 0 | 1 << 1;  // ABI 6

uint64_t all_file_rights(int abi) noexcept {
  uint64_t rights = LANDLOCK_ACCESS_FS_REFER - 1;  // all of ABI 1
  if (abi >= 2) rights |= LANDLOCK_ACCESS_FS_REFER;
  if (abi >= 3) rights |= kFsTruncate;
  if (abi >= 5) rights |= kFsIoctlDev;
  return rights;
}

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void allow(int ruleset, const std::string& folder, uint64_t rights) {
  const Fd fd(open(folder.c_str(), O_PATH | O_CLOEXEC));
  if (!fd) fail(folder.c_str());
  landlock_path_beneath_attr rule{.allowed_access = rights, .parent_fd = fd.get()};
  if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    fail("landlock_add_rule");
  }
}

}  // namespace

std::string raise_walls(const Walls& walls) {
  const auto abi = static_cast<int>(
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION));
  if (abi < 1) return "";
  RulesetAttr attr{};
  std::string in_force;
  // Without REFER (ABI 1) renaming from one folder to another would be refused everywhere.
  if (!walls.folders.empty() && abi >= 2) {
    attr.handled_access_fs = all_file_rights(abi);
    in_force += "files ";
  }
  if (!walls.tcp && abi >= 4) {
    attr.handled_access_net = kNetTcp;
    in_force += "network ";
  }
  if (abi >= 6) {
    attr.scoped = kScopeSocketsAndSignals;
    in_force += "signals ";
  }
  if (in_force.empty()) return "";
  in_force.pop_back();

  const size_t size = abi >= 6 ? sizeof attr : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
  const Fd ruleset(static_cast<int>(syscall(SYS_landlock_create_ruleset, &attr, size, 0)));
  if (!ruleset) fail("landlock_create_ruleset");
  if (attr.handled_access_fs != 0) {
    for (const std::string& folder : walls.folders) {
      allow(ruleset.get(), folder, attr.handled_access_fs);
    }
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("PR_SET_NO_NEW_PRIVS");
  if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) fail("landlock_restrict_self");
  return in_force;
}

}  // namespace dpfs::sandbox
