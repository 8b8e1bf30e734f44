// SPDX-License-Identifier: Apache-2.0
// ACLs to and from bytes.
#include "tests/posix/cases/acl_blob.h"

#include <sys/xattr.h>

#include <cstring>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

constexpr uint32_t kVersion = 2;

}  // namespace

std::string acl_blob(const Acl& acl) {
  std::string bytes(reinterpret_cast<const char*>(&kVersion), sizeof kVersion);
  for (const AclEntry& entry : acl) {
    bytes.append(reinterpret_cast<const char*>(&entry), sizeof entry);
  }
  return bytes;
}

std::string acl_text(const Acl& acl) {
  std::string text;
  for (const AclEntry& entry : acl) {
    constexpr const char* kTags[] = {"u:", "U:", "g:", "G:", "m:", "o:"};
    int tag = 0;
    while ((entry.tag >> tag) != 1) ++tag;
    text += kTags[tag] + (entry.id == kNoId ? "" : std::to_string(entry.id) + ":") +
            std::to_string(entry.permissions) + " ";
  }
  return text;
}

void set_acl(const std::string& path, const char* which, const Acl& acl) {
  const std::string blob = acl_blob(acl);
  const int result = setxattr(path.c_str(), which, blob.data(), blob.size(), 0);
  if (result != 0 && errno == EOPNOTSUPP) skip("no POSIX ACLs here");
  WORKS(result);
}

Acl get_acl(const std::string& path, const char* which) {
  char bytes[4096];
  const ssize_t size = getxattr(path.c_str(), which, bytes, sizeof bytes);
  if (size < 0 && errno == ENODATA) return {};
  WORKS(size);
  Acl acl;
  for (size_t at = sizeof kVersion; at + sizeof(AclEntry) <= static_cast<size_t>(size);
       at += sizeof(AclEntry)) {
    AclEntry entry;
    memcpy(&entry, bytes + at, sizeof entry);
    acl.push_back(entry);
  }
  return acl;
}

}  // namespace dpfs::posix
