// SPDX-License-Identifier: Apache-2.0
// POSIX ACLs: bytes to lists and back, and the rules of Linux's fs/posix_acl.c.
#include "backend/kv/posix_acl.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dpfs::kv {
namespace {

static_assert(std::endian::native == std::endian::little, "entries are copied as they lie");

constexpr uint32_t kVersion = 2;  // POSIX_ACL_XATTR_VERSION
constexpr uint16_t kAllPermissions = 7;

bool has_id(const AclEntry& entry) noexcept {
  return entry.tag == AclTag::user || entry.tag == AclTag::group;
}

// What may stand behind what (posix_acl_valid()).
bool in_order(std::span<const AclEntry> entries) noexcept {
  AclTag before{};
  bool named = false;
  bool has_mask = false;
  bool has_group = false;
  for (const AclEntry& entry : entries) {
    switch (entry.tag) {
      case AclTag::owner:
        if (before != AclTag{}) return false;
        break;
      case AclTag::user:
        if (before != AclTag::owner && before != AclTag::user) return false;
        named = true;
        break;
      case AclTag::owning_group:
        if (before != AclTag::owner && before != AclTag::user) return false;
        has_group = true;
        break;
      case AclTag::group:
        if (before != AclTag::owning_group && before != AclTag::group) return false;
        named = true;
        break;
      case AclTag::mask:
        if (before != AclTag::owning_group && before != AclTag::group) return false;
        has_mask = true;
        break;
      case AclTag::other:
        if (!has_group || before == AclTag::other) return false;
        break;
      default:
        return false;
    }
    before = entry.tag;
  }
  return before == AclTag::other && (has_mask || !named);
}

// Sorted first: a tenant chooses how many there are.
bool has_no_id_twice(std::span<const AclEntry> entries, AclTag tag) noexcept {
  std::array<uint32_t, PosixAcl::kEntriesMax> ids;
  size_t count = 0;
  for (const AclEntry& entry : entries) {
    if (entry.tag == tag) ids[count++] = entry.id;
  }
  const std::span<uint32_t> known(ids.data(), count);
  std::ranges::sort(known);
  return std::ranges::adjacent_find(known) == known.end();
}

bool is_valid(std::span<const AclEntry> entries) noexcept {
  for (const AclEntry& entry : entries) {
    if ((entry.permissions & ~kAllPermissions) != 0) return false;
    if (has_id(entry) && entry.id == kNoAclId) return false;
  }
  return in_order(entries) && has_no_id_twice(entries, AclTag::user) &&
         has_no_id_twice(entries, AclTag::group);
}

uint16_t owner_bits(uint32_t mode) noexcept { return (mode >> 6) & kAllPermissions; }
uint16_t group_bits(uint32_t mode) noexcept { return (mode >> 3) & kAllPermissions; }
uint16_t other_bits(uint32_t mode) noexcept { return mode & kAllPermissions; }

uint32_t with_permissions(uint32_t mode, uint32_t owner, uint32_t group, uint32_t other) noexcept {
  return (mode & ~0777u) | owner << 6 | group << 3 | other;
}

}  // namespace

Result<Unit> PosixAcl::decode(std::string_view bytes) noexcept {
  clear();
  if (bytes.empty()) return Unit{};
  uint32_t version = 0;
  if (bytes.size() < sizeof version) return Errno::inval;
  std::memcpy(&version, bytes.data(), sizeof version);
  if (version != kVersion) return Errno::opnotsupp;
  bytes.remove_prefix(sizeof version);
  if (bytes.size() % sizeof(AclEntry) != 0) return Errno::inval;
  const size_t count = bytes.size() / sizeof(AclEntry);
  if (count == 0) return Unit{};
  if (count > kEntriesMax) return Errno::toobig;
  std::memcpy(entries_.data(), bytes.data(), bytes.size());
  const std::span<AclEntry> found(entries_.data(), count);
  if (!is_valid(found)) return Errno::inval;
  for (AclEntry& entry : found) {
    if (!has_id(entry)) entry.id = kNoAclId;
  }
  count_ = static_cast<uint32_t>(count);
  return Unit{};
}

size_t PosixAcl::encode(std::span<char> into) const noexcept {
  if (none()) return 0;
  DPFS_ASSERT(into.size() >= bytes());
  std::memcpy(into.data(), &kVersion, sizeof kVersion);
  std::memcpy(into.data() + sizeof kVersion, entries_.data(), count_ * sizeof(AclEntry));
  return bytes();
}

AclEntry& PosixAcl::group_class() noexcept {
  AclEntry* group = nullptr;  // the mask stands behind the owning group
  for (AclEntry& entry : std::span<AclEntry>(entries_.data(), count_)) {
    if (entry.tag == AclTag::owning_group || entry.tag == AclTag::mask) group = &entry;
  }
  DPFS_ASSERT(group != nullptr);
  return *group;
}

uint32_t PosixAcl::mode_of(uint32_t mode) const noexcept {
  DPFS_ASSERT(!none());
  uint32_t group = 0;  // of the mask, which stands behind the owning group
  for (const AclEntry& entry : entries()) {
    if (entry.tag == AclTag::owning_group || entry.tag == AclTag::mask) group = entry.permissions;
  }
  return with_permissions(mode, entries_[0].permissions, group, entries_[count_ - 1].permissions);
}

// The three entries that every list has are the mode; any other is not.
bool PosixAcl::is_only_a_mode() const noexcept { return count_ <= 3; }

void PosixAcl::chmod(uint32_t mode) noexcept {
  if (none()) return;
  entries_[0].permissions = owner_bits(mode);
  group_class().permissions = group_bits(mode);
  entries_[count_ - 1].permissions = other_bits(mode);
}

Inherited inherit(const PosixAcl& default_acl, uint32_t mode, uint32_t umask,
                  PosixAcl& access) noexcept {
  access.clear();
  if (S_ISLNK(mode)) return {.mode = mode, .default_too = false};
  if (default_acl.none()) return {.mode = mode & ~(umask & 0777u), .default_too = false};

  std::ranges::copy(default_acl.entries(), access.entries_.begin());
  access.count_ = default_acl.count_;
  AclEntry& owner = access.entries_[0];
  AclEntry& group = access.group_class();
  AclEntry& other = access.entries_[access.count_ - 1];
  owner.permissions &= owner_bits(mode);
  group.permissions &= group_bits(mode);
  other.permissions &= other_bits(mode);
  const uint32_t limited =
      with_permissions(mode, owner.permissions, group.permissions, other.permissions);
  if (access.is_only_a_mode()) access.clear();
  return {.mode = limited, .default_too = S_ISDIR(mode)};
}

}  // namespace dpfs::kv
