// SPDX-License-Identifier: Apache-2.0
// Identity: for the length of one call, new files belong to the tenant's user.
#pragma once

#include <linux/capability.h>
#include <sys/types.h>

#include <cstdint>

#include "base/result.h"

namespace dpfs::local {

// Whom something new shall belong to, and one more group that the user is in.
struct Creator {
  static constexpr uint32_t kNobody = UINT32_MAX;  // no id; no further group

  uint32_t uid;
  uint32_t gid;
  uint32_t group = kNobody;
};

// Who we are, found out at the start. Linux keeps file system ids (setfsuid(2)), groups and
// capabilities for each thread, so taking on another's is safe inside one call of
// Reactor::blocking().
class Identity {
 public:
  Identity() noexcept;

  // Calls `create`, which gives a Result, as `who`. The tenant's kernel has checked already whether
  // they may; it knows groups that we don't, so a refusal is tried again with CAP_DAC_OVERRIDE.
  // (The one group that it may tell us decides whether a set-group-id bit stays.) EPERM where those
  // ids do not exist here (user namespaces), or are none. Without the right to change ids,
  // everything is created as ourselves.
  template <class F>
  auto as(const Creator& who, F create) const noexcept -> decltype(create()) {
    if (who.uid == Creator::kNobody || who.gid == Creator::kNobody) return Errno::perm;
    if (!may_change_ || (who.uid == uid_ && who.gid == gid_)) return create();
    Scope scope(*this, who);
    if (!scope.entered()) return Errno::perm;
    auto result = create();
    if (!result && result.error() == Errno::acces && scope.override_access()) result = create();
    return result;
  }

  bool has_capability(uint32_t capability) const noexcept {
    return (capabilities_[capability / 32].effective >> capability % 32 & 1) != 0;
  }

 private:
  class Scope {
   public:
    Scope(const Identity& own, const Creator& who) noexcept;
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope();
    bool entered() const noexcept { return entered_; }
    bool override_access() noexcept;

   private:
    const Identity& own_;
    bool entered_;
    bool overrides_ = false;
    bool has_group_ = false;
  };

  uint32_t uid_;
  uint32_t gid_;
  bool may_change_ = false;
  __user_cap_data_struct capabilities_[_LINUX_CAPABILITY_U32S_3] = {};
};

}  // namespace dpfs::local
