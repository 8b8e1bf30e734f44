// SPDX-License-Identifier: Apache-2.0
// The raw system calls: the C library's wrappers act on all threads, or hide failures.
#include "backend/local/identity.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace dpfs::local {
namespace {

// Both return the id before and fail silently; an id that cannot be (-1) only asks.
uint32_t set_fs_uid(uint32_t uid) noexcept {
  return static_cast<uint32_t>(::syscall(SYS_setfsuid, uid));
}
uint32_t set_fs_gid(uint32_t gid) noexcept {
  return static_cast<uint32_t>(::syscall(SYS_setfsgid, gid));
}
constexpr uint32_t kAsk = UINT32_MAX;

bool set_groups(size_t count, const gid_t* groups) noexcept {
  return ::syscall(SYS_setgroups, count, groups) == 0;
}

// Those in effect become `wanted`, as far as we still have them: the process may have given some up
// since it started.
bool set_effective(const __user_cap_data_struct* wanted) noexcept {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3];
  if (::syscall(SYS_capget, &header, now) != 0) return false;
  for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i) {
    now[i].effective = wanted[i].effective & now[i].permitted;
  }
  return ::syscall(SYS_capset, &header, now) == 0;
}

}  // namespace

Identity::Identity() noexcept : uid_(set_fs_uid(kAsk)), gid_(set_fs_gid(kAsk)) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  if (::syscall(SYS_capget, &header, capabilities_) != 0) return;
  const uint32_t needed = 1u << CAP_SETUID | 1u << CAP_SETGID;
  may_change_ = (capabilities_[0].effective & needed) == needed;
}

Identity::Scope::Scope(const Identity& own, const Creator& who) noexcept : own_(own) {
  // The groups we were started with are not the tenant's user's. We have capabilities instead.
  thread_local bool dropped_groups = false;
  if (!dropped_groups) dropped_groups = set_groups(0, nullptr);
  if (who.group != Creator::kNobody) has_group_ = set_groups(1, &who.group);
  set_fs_gid(who.gid);
  set_fs_uid(who.uid);  // takes CAP_DAC_OVERRIDE and its like from root
  entered_ = set_fs_uid(kAsk) == who.uid && set_fs_gid(kAsk) == who.gid;
}

Identity::Scope::~Scope() {
  set_fs_uid(own_.uid_);  // gives root its capabilities back
  set_fs_gid(own_.gid_);
  if (has_group_) set_groups(0, nullptr);
  if (overrides_) set_effective(own_.capabilities_);
}

bool Identity::Scope::override_access() noexcept {
  const uint32_t wanted = 1u << CAP_DAC_OVERRIDE;
  if ((own_.capabilities_[0].effective & wanted) == 0) return false;
  // Only those that are not about files, as setfsuid() left them, and this one more.
  const uint32_t about_files = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE |
                               1u << CAP_DAC_READ_SEARCH | 1u << CAP_FOWNER | 1u << CAP_FSETID |
                               1u << CAP_LINUX_IMMUTABLE | 1u << CAP_MKNOD;
  __user_cap_data_struct raised[_LINUX_CAPABILITY_U32S_3];
  std::copy_n(own_.capabilities_, _LINUX_CAPABILITY_U32S_3, raised);
  raised[0].effective = (raised[0].effective & ~about_files) | wanted;
  overrides_ = set_effective(raised);
  return overrides_;
}

}  // namespace dpfs::local
