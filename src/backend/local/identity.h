// SPDX-License-Identifier: Apache-2.0
// Identity: for the length of one call, new files belong to the tenant's user.
#pragma once

#include <linux/capability.h>
#include <sys/types.h>

#include <cstdint>

#include "base/result.h"

namespace dpfs::local {

// Who we are, found out at the start. Linux keeps file system ids (setfsuid(2)) and capabilities
// for each thread, so taking on another's is safe inside one call of Reactor::blocking().
class Identity {
 public:
  Identity() noexcept;

  // Calls `create`, which gives a Result, as `uid` and `gid`. The tenant's kernel has checked
  // already whether they may; it knows groups that we don't, so a refusal is tried again with
  // CAP_DAC_OVERRIDE. EPERM where those ids do not exist here (user namespaces). Without the right
  // to change ids, everything is created as ourselves.
  template <class F>
  auto as(uint32_t uid, uint32_t gid, F create) const noexcept -> decltype(create()) {
    if (!may_change_ || (uid == uid_ && gid == gid_)) return create();
    Scope scope(*this, uid, gid);
    if (!scope.entered()) return Errno::perm;
    auto result = create();
    if (!result && result.error() == Errno::acces && scope.override_access()) result = create();
    return result;
  }

 private:
  class Scope {
   public:
    Scope(const Identity& own, uint32_t uid, uint32_t gid) noexcept;
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope();
    bool entered() const noexcept { return entered_; }
    bool override_access() noexcept;

   private:
    const Identity& own_;
    bool entered_;
    bool overrides_ = false;
  };

  uint32_t uid_;
  uint32_t gid_;
  bool may_change_ = false;
  __user_cap_data_struct capabilities_[_LINUX_CAPABILITY_U32S_3] = {};
};

}  // namespace dpfs::local
