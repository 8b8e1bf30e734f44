// SPDX-License-Identifier: Apache-2.0
// PosixAcl: a POSIX access control list, as extended attributes carry it, and how it meets modes.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"

namespace dpfs::kv {

inline constexpr std::string_view kAccessAclName = "system.posix_acl_access";
inline constexpr std::string_view kDefaultAclName = "system.posix_acl_default";

enum class AclTag : uint16_t {  // linux/posix_acl.h
  owner = 0x01,                 // ACL_USER_OBJ
  user = 0x02,
  owning_group = 0x04,  // ACL_GROUP_OBJ
  group = 0x08,
  mask = 0x10,
  other = 0x20,
};

// As it lies in the attribute (linux/posix_acl_xattr.h), little-endian.
struct AclEntry {
  AclTag tag;
  uint16_t permissions;  // 4 read, 2 write, 1 execute
  uint32_t id;           // of a named user or group; else kNoAclId
  bool operator==(const AclEntry&) const = default;
};
static_assert(sizeof(AclEntry) == 8);
inline constexpr uint32_t kNoAclId = UINT32_MAX;

// Either none, or valid as acl(5) has it: exactly one entry each for the owner, the owning group
// and others; at most one mask, which there must be where there are named users or groups; no user
// or group twice; in the order of AclTag.
//
// The rules about modes are those of Linux, fs/posix_acl.c. Whether a user gets in is not asked
// here: the tenant's kernel checks that (FUSE_POSIX_ACL).
//
// Some 4 KiB: better not in the frame of what waits.
class PosixAcl {
 public:
  // What fits 4 KiB. Linux's FUSE client sends and takes no more than a page (fuse_set_acl()).
  static constexpr uint32_t kEntriesMax = 511;
  static constexpr size_t kBytesMax = 4 + kEntriesMax * sizeof(AclEntry);

  // From an attribute's value. No bytes, or no entries, are no list: setxattr(2) of such a value
  // takes the list away. Order of ids among named users (or groups) is kept. Ids of entries that
  // have none count for nothing, as on Linux. Where it fails there is no list.
  // EINVAL: not a valid list. EOPNOTSUPP: of another version. E2BIG: more than kEntriesMax entries.
  Result<Unit> decode(std::string_view bytes) noexcept;

  bool none() const noexcept { return count_ == 0; }
  void clear() noexcept { count_ = 0; }
  std::span<const AclEntry> entries() const noexcept { return {entries_.data(), count_}; }

  // The attribute's value, and its length: 0 where there is no list. `into` has room for it.
  size_t bytes() const noexcept { return none() ? 0 : 4 + count_ * sizeof(AclEntry); }
  size_t encode(std::span<char> into) const noexcept;

  // What setting this as an access list makes of a file's mode (posix_acl_update_mode() but for the
  // set-group-id bit, about which FUSE tells: setxattr_flag::kAclKillSgid). The type and the other
  // special bits stay. Only where this is not none.
  uint32_t mode_of(uint32_t mode) const noexcept;
  // It says no more than a mode does (posix_acl_equiv_mode()): the mode is set and no list stored.
  bool is_only_a_mode() const noexcept;

  // chmod(2) of a file that has this as its access list (posix_acl_chmod()): the owner, others, and
  // the mask or, without one, the owning group get the mode's bits.
  void chmod(uint32_t mode) noexcept;

 private:
  friend struct Inherited inherit(const PosixAcl& default_acl, uint32_t mode, uint32_t umask,
                                  PosixAcl& access) noexcept;

  // The entry that a mode's bits of the group stand for: the mask, or the owning group.
  AclEntry& group_class() noexcept;

  uint32_t count_ = 0;
  std::array<AclEntry, kEntriesMax> entries_;
};

// What a new object starts with.
struct Inherited {
  uint32_t mode;
  bool default_too;  // a directory: the default list is handed on to it
};

// The making of an object of `mode` (with its type, and before the umask) in a directory that has
// `default_acl`, which may be none (posix_acl_create()): where there is a default list it is the
// new object's access list, limited by the mode, and limits the mode; the umask counts for nothing.
// Where there is none, the umask counts. Symbolic links have neither.
// `access` is the new object's list, or none when its mode says it all.
Inherited inherit(const PosixAcl& default_acl, uint32_t mode, uint32_t umask,
                  PosixAcl& access) noexcept;

}  // namespace dpfs::kv
