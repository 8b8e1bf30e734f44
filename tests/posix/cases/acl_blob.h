// SPDX-License-Identifier: Apache-2.0
// POSIX ACLs as the kernel takes them in system.posix_acl_access and _default (acl(5)).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dpfs::posix {

// Little-endian in memory, as on every machine that we run on.
struct AclEntry {
  uint16_t tag;
  uint16_t permissions;  // rwx as 4, 2, 1
  uint32_t id;

  bool operator==(const AclEntry&) const = default;
};

inline constexpr uint32_t kNoId = 0xffffffff;

inline constexpr AclEntry acl_owner(uint16_t bits) { return {0x01, bits, kNoId}; }
inline constexpr AclEntry acl_user(uint32_t uid, uint16_t bits) { return {0x02, bits, uid}; }
inline constexpr AclEntry acl_owning_group(uint16_t bits) { return {0x04, bits, kNoId}; }
inline constexpr AclEntry acl_group(uint32_t gid, uint16_t bits) { return {0x08, bits, gid}; }
inline constexpr AclEntry acl_mask(uint16_t bits) { return {0x10, bits, kNoId}; }
inline constexpr AclEntry acl_other(uint16_t bits) { return {0x20, bits, kNoId}; }

using Acl = std::vector<AclEntry>;

inline constexpr const char* kAccessAcl = "system.posix_acl_access";
inline constexpr const char* kDefaultAcl = "system.posix_acl_default";

std::string acl_blob(const Acl& acl);
std::string acl_text(const Acl& acl);

// Skips where the file system has no ACLs.
void set_acl(const std::string& path, const char* which, const Acl& acl);
// Empty where there is none.
Acl get_acl(const std::string& path, const char* which);

}  // namespace dpfs::posix
