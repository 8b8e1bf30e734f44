// SPDX-License-Identifier: Apache-2.0
// Listings and access control lists, entry by entry. Fuzzed by id_translate_fuzz.cc.
#include "layer/id_translate.h"

#include <cstring>

namespace dpfs {
namespace {

// Byte-exact with Linux's posix_acl_xattr_header and posix_acl_xattr_entry, little-endian.
struct AclEntry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id;
};
static_assert(sizeof(AclEntry) == 8);
constexpr uint32_t kAclVersion = 2;
constexpr uint16_t kAclUser = 0x02;
constexpr uint16_t kAclGroup = 0x08;

bool is_acl_of_known_version(std::span<const char> acl) noexcept {
  uint32_t version = 0;
  if (acl.size() < sizeof version) return false;
  std::memcpy(&version, acl.data(), sizeof version);
  return version == kAclVersion && (acl.size() - sizeof version) % sizeof(AclEntry) == 0;
}

// Calls `visit` with each entry and stores what it has made of it, until it returns false.
template <class F>
bool each_entry(std::span<char> acl, F visit) noexcept {
  for (size_t at = sizeof(uint32_t); at < acl.size(); at += sizeof(AclEntry)) {
    AclEntry entry;
    std::memcpy(&entry, acl.data() + at, sizeof entry);
    if (!visit(entry)) return false;
    std::memcpy(acl.data() + at, &entry, sizeof entry);
  }
  return true;
}

}  // namespace

void listing_to_guest(const IdMaps& maps, std::span<char> listing) noexcept {
  while (listing.size() >= sizeof(fuse::Direntplus)) {
    fuse::Direntplus entry;
    std::memcpy(&entry, listing.data(), sizeof entry);
    const size_t size = fuse::direntplus_size(entry.dirent.namelen);
    if (size > listing.size()) return;
    if (entry.entry_out.nodeid != 0) {  // else it has no attributes
      to_guest(maps, entry.entry_out);
      std::memcpy(listing.data(), &entry, sizeof entry);
    }
    listing = listing.subspan(size);
  }
}

bool is_acl(std::string_view xattr) noexcept {
  return xattr == "system.posix_acl_access" || xattr == "system.posix_acl_default";
}

Result<Unit> acl_to_host(const IdMaps& maps, std::span<char> acl) noexcept {
  if (!is_acl_of_known_version(acl)) return Errno::inval;
  const bool allowed = each_entry(acl, [&maps](AclEntry& entry) {
    if (entry.tag != kAclUser && entry.tag != kAclGroup) return true;
    const IdMap& map = entry.tag == kAclUser ? maps.uids : maps.gids;
    const Result<uint32_t> id = map.to_host(entry.id);
    if (id) entry.id = *id;
    return static_cast<bool>(id);
  });
  if (!allowed) return Errno::perm;
  return Unit{};
}

void acl_to_guest(const IdMaps& maps, std::span<char> acl) noexcept {
  if (!is_acl_of_known_version(acl)) return;
  each_entry(acl, [&maps](AclEntry& entry) {
    if (entry.tag == kAclUser) entry.id = maps.uids.to_guest(entry.id);
    if (entry.tag == kAclGroup) entry.id = maps.gids.to_guest(entry.id);
    return true;
  });
}

}  // namespace dpfs
