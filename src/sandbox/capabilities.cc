// SPDX-License-Identifier: Apache-2.0
// By raw system calls: the C library has none for capabilities.
#include "sandbox/capabilities.h"

#include <fmt/core.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace dpfs::sandbox {
namespace {

// By their numbers, as linux/capability.h has them.
constexpr std::array<std::string_view, 41> kNames{"chown",
                                                  "dac_override",
                                                  "dac_read_search",
                                                  "fowner",
                                                  "fsetid",
                                                  "kill",
                                                  "setgid",
                                                  "setuid",
                                                  "setpcap",
                                                  "linux_immutable",
                                                  "net_bind_service",
                                                  "net_broadcast",
                                                  "net_admin",
                                                  "net_raw",
                                                  "ipc_lock",
                                                  "ipc_owner",
                                                  "sys_module",
                                                  "sys_rawio",
                                                  "sys_chroot",
                                                  "sys_ptrace",
                                                  "sys_pacct",
                                                  "sys_admin",
                                                  "sys_boot",
                                                  "sys_nice",
                                                  "sys_resource",
                                                  "sys_time",
                                                  "sys_tty_config",
                                                  "mknod",
                                                  "lease",
                                                  "audit_write",
                                                  "audit_control",
                                                  "setfcap",
                                                  "mac_override",
                                                  "mac_admin",
                                                  "syslog",
                                                  "wake_alarm",
                                                  "block_suspend",
                                                  "audit_read",
                                                  "perfmon",
                                                  "bpf",
                                                  "checkpoint_restore"};

struct Sets {
  __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3] = {};

  bool get() noexcept {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    return ::syscall(SYS_capget, &header, words) == 0;
  }
  bool set() const noexcept {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    return ::syscall(SYS_capset, &header, words) == 0;
  }
  uint64_t effective() const noexcept {
    return words[0].effective | uint64_t{words[1].effective} << 32;
  }
};

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// What exec could give back. Without CAP_SETPCAP it stays; no_new_privs forbids its use anyway.
void shrink_bounding_set(uint64_t kept) {
  for (int number = 0; prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; ++number) {
    if (number < 64 && (kept >> number & 1) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0 && errno != EPERM) fail("PR_CAPBSET_DROP");
  }
}

}  // namespace

Capabilities Capabilities::of_this_thread() noexcept {
  Sets sets;
  return sets.get() ? of(sets.effective()) : Capabilities();
}

Capabilities Capabilities::named(std::string_view name) {
  std::string lower;
  for (const char c : name) {
    lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  if (lower.starts_with("cap_")) lower.erase(0, 4);
  for (size_t number = 0; number < kNames.size(); ++number) {
    if (kNames[number] == lower) return {static_cast<int>(number)};
  }
  throw std::invalid_argument(
      fmt::format("'{}' is no capability; see capabilities(7) for their names", name));
}

std::string Capabilities::text() const {
  std::string all;
  for (size_t number = 0; number < kNames.size(); ++number) {
    if ((bits_ >> number & 1) == 0) continue;
    if (!all.empty()) all += ' ';
    all += kNames[number];
  }
  return all.empty() ? "none" : all;
}

Capabilities changed_by(Capabilities set, std::string_view changes) {
  while (!changes.empty()) {
    const std::string_view change = changes.substr(0, changes.find(':'));
    changes.remove_prefix(std::min(change.size() + 1, changes.size()));
    if (change.empty() || (change[0] != '+' && change[0] != '-')) {
      throw std::invalid_argument(
          fmt::format("'{}': expected +NAME or -NAME, like +sys_admin:-chown", change));
    }
    const Capabilities named = Capabilities::named(change.substr(1));
    set = change[0] == '+' ? set | named : set - named;
  }
  return set;
}

void keep_only(Capabilities kept) {
  Sets sets;
  if (!sets.get()) fail("capget");
  // CAP_SETPCAP is needed for this, so it comes first.
  shrink_bounding_set(kept.bits());
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) {
    fail("PR_CAP_AMBIENT_CLEAR_ALL");
  }
  for (int word = 0; word < _LINUX_CAPABILITY_U32S_3; ++word) {
    const auto mask = static_cast<uint32_t>(kept.bits() >> (32 * word));
    sets.words[word].effective &= mask;
    sets.words[word].permitted = sets.words[word].effective;
    sets.words[word].inheritable = 0;
  }
  if (!sets.set()) fail("capset");
}

}  // namespace dpfs::sandbox
