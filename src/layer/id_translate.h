// SPDX-License-Identifier: Apache-2.0
// Translating the ids inside of what travels between a tenant and a back end.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "fuse/args.h"
#include "layer/id_map.h"

namespace dpfs {

inline void to_guest(const IdMaps& maps, fuse::Attr& attr) noexcept {
  attr.uid = maps.uids.to_guest(attr.uid);
  attr.gid = maps.gids.to_guest(attr.gid);
}
inline void to_guest(const IdMaps& maps, fuse::EntryOut& out) noexcept { to_guest(maps, out.attr); }
inline void to_guest(const IdMaps& maps, fuse::AttrOut& out) noexcept { to_guest(maps, out.attr); }
inline void to_guest(const IdMaps& maps, CreateOut& out) noexcept { to_guest(maps, out.entry); }
inline void to_guest(const IdMaps& maps, fuse::StatxOut& out) noexcept {
  out.stat.uid = maps.uids.to_guest(out.stat.uid);
  out.stat.gid = maps.gids.to_guest(out.stat.gid);
}

// Of a READDIRPLUS reply, in place. Ends at the first entry that is not whole.
void listing_to_guest(const IdMaps& maps, std::span<char> listing) noexcept;

// Whether the extended attribute of that name is an access control list, which names users and
// groups.
bool is_acl(std::string_view xattr) noexcept;
// Of a list as Linux's extended attributes have it (include/uapi/linux/posix_acl_xattr.h), in
// place. EINVAL: it is none. EPERM: it names somebody who is forbidden.
Result<Unit> acl_to_host(const IdMaps& maps, std::span<char> acl) noexcept;
// What is no list stays as it is.
void acl_to_guest(const IdMaps& maps, std::span<char> acl) noexcept;

}  // namespace dpfs
