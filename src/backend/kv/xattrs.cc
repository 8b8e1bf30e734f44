// SPDX-License-Identifier: Apache-2.0
// Extended attributes, and among them POSIX ACLs, which change modes.
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>

#include "backend/kv/clock.h"
#include "backend/kv/kv_fs.h"
#include "backend/kv/locked.h"

namespace dpfs {

using kv::Change;
using kv::Collection;
using kv::Locked;
using kv::NodeRef;
namespace inode_flag = kv::inode_flag;

namespace {

// linux/limits.h: the longest value, and the longest list of names.
constexpr size_t kValueBytesMax = 64 * 1024;
constexpr size_t kNamesBytesMax = 64 * 1024;

kv::Key key_of(const kv::Node& node, std::string_view name) noexcept {
  return {.collection = Collection::xattr, .object = node.ino, .name = name};
}

bool is_acl(std::string_view name) noexcept {
  return name == kv::kAccessAclName || name == kv::kDefaultAclName;
}

uint32_t flag_of(std::string_view name) noexcept {
  if (name == kv::kAccessAclName) return inode_flag::kAccessAcl;
  if (name == kv::kDefaultAclName) return inode_flag::kDefaultAcl;
  if (name == "security.capability") return inode_flag::kCapability;
  return 0;
}

// Those that Linux's file systems keep (xattr(7)).
bool is_kept(std::string_view name) noexcept {
  for (const std::string_view prefix : {"user.", "trusted.", "security."}) {
    if (name.starts_with(prefix)) return name.size() > prefix.size();
  }
  return is_acl(name);
}

// A value as it is, or only its length.
class ValueInto final : public kv::ValueReader {
 public:
  explicit ValueInto(IoView into) noexcept : into_(into) {}
  void found(std::string_view value) noexcept override {
    bytes = static_cast<uint32_t>(value.size());
    if (into_.empty()) return;
    if (into_.size() < value.size()) {
      too_long = true;
      return;
    }
    into_.copy_in(value.data(), value.size());
  }
  uint32_t bytes = 0;
  bool too_long = false;

 private:
  IoView into_;
};

class AclReader final : public kv::ValueReader {
 public:
  explicit AclReader(kv::PosixAcl& acl) noexcept : acl_(acl) {}
  void found(std::string_view value) noexcept override { decoded = acl_.decode(value); }
  Result<Unit> decoded = Unit{};

 private:
  kv::PosixAcl& acl_;
};

// Names, each with its NUL; or only how long they are together.
class NamesInto final : public kv::ScanReader {
 public:
  NamesInto(IoView into, bool sees_all) noexcept
      : into_(into), counts_only_(into.empty()), sees_all_(sees_all) {}
  bool found(const kv::Key& key, std::string_view) noexcept override {
    if (!sees_all_ && key.name.starts_with("trusted.")) return true;
    const size_t size = key.name.size() + 1;
    bytes += static_cast<uint32_t>(size);
    if (counts_only_) return true;
    too_long = into_.size() < size;
    if (too_long) return false;
    into_.copy_in(key.name.data(), size - 1);
    into_.fill(0, 1);
    return true;
  }
  uint32_t bytes = 0;
  bool too_long = false;

 private:
  IoView into_;
  const bool counts_only_;
  const bool sees_all_;
};

}  // namespace

bool KvFs::keeps_xattr(std::string_view name) const noexcept {
  return is_kept(name) && (options_.posix_acls || !is_acl(name));
}

// No list where there is none.
Op<Unit> KvFs::read_acl(Node& node, std::string_view name, kv::PosixAcl& acl) {
  AclReader reader(acl);
  acl.clear();
  kv::Get get{.key = key_of(node, name), .reader = &reader};
  const Result<Unit> got = co_await volume_->store().get({&get, 1});
  if (!got) co_return got;
  co_return reader.decoded ? Result<Unit>(Unit{}) : Result<Unit>(Errno::io);
}

Op<uint32_t> KvFs::getxattr(Request&, const GetxattrArgs& args) {
  if (!options_.xattrs) return Errno::nosys;
  if (!keeps_xattr(args.name.view())) return Errno::opnotsupp;
  const Node* node = volume_->find_node(static_cast<uint64_t>(args.node));
  if (node != nullptr && node->is_there() && volume_->is_sure()) {
    const uint32_t flag = flag_of(args.name.view());
    const uint32_t needed = flag != 0 ? flag : inode_flag::kXattrs;
    if ((node->inode.flags & needed) == 0) return Errno::nodata;
  }
  return get_xattr(args);
}

Op<uint32_t> KvFs::get_xattr(GetxattrArgs args) {
  const NodeRef node = node_of(args.node);
  if (!node) co_return Errno::nomem;
  Result<Unit> ok = co_await volume_->load(*node);
  if (!ok) co_return ok.error();
  if ((node->inode.flags & inode_flag::kXattrs) == 0) co_return Errno::nodata;
  ValueInto reader(args.into);
  kv::Get get{.key = key_of(*node, args.name.view()), .reader = &reader};
  ok = co_await volume_->store().get({&get, 1});
  if (!ok) co_return ok.error();
  if (!get.found) co_return Errno::nodata;
  if (reader.too_long) co_return Errno::range;
  co_return reader.bytes;
}

Op<uint32_t> KvFs::listxattr(Request& request, const ListxattrArgs& args) {
  if (!options_.xattrs) return Errno::nosys;
  const uint32_t uid = request.header.uid;
  return list_xattrs(args, uid == 0 || uid == fuse::kInvalidUidGid);
}

Op<uint32_t> KvFs::list_xattrs(ListxattrArgs args, bool sees_all) {
  const NodeRef node = node_of(args.node);
  if (!node) co_return Errno::nomem;
  const Result<Unit> ok = co_await volume_->load(*node);
  if (!ok) co_return ok.error();
  if ((node->inode.flags & inode_flag::kXattrs) == 0) co_return 0u;
  NamesInto names(args.into, sees_all);
  const kv::Scan scan{.collection = Collection::xattr, .object = node->ino};
  const Result<bool> scanned = co_await volume_->store().scan(scan, names);
  if (!scanned) co_return scanned.error();
  if (names.too_long) co_return Errno::range;
  co_return names.bytes;
}

Op<Unit> KvFs::setxattr(Request&, const SetxattrArgs& args) {
  if (!options_.xattrs) return Errno::nosys;
  if (args.value.size() > kValueBytesMax) return Errno::toobig;
  if (!keeps_xattr(args.name.view())) return Errno::opnotsupp;
  return is_acl(args.name.view()) ? set_acl(args) : set_xattr(args);
}

// What keeps a value of that name from being set: EEXIST or ENODATA, as the flags have it, or
// ENOSPC when there would be more names than can be listed.
Op<Unit> KvFs::check_set_xattr(Node& node, std::string_view name, uint32_t flags) {
  NamesInto names(IoView(), true);
  kv::Get get{.key = key_of(node, name)};
  class Nothing final : public kv::ValueReader {
    void found(std::string_view) noexcept override {}
  } nothing;
  get.reader = &nothing;
  if ((node.inode.flags & inode_flag::kXattrs) != 0) {
    const Result<Unit> got = co_await volume_->store().get({&get, 1});
    if (!got) co_return got;
  }
  if (get.found) co_return (flags & XATTR_CREATE) != 0 ? Result<Unit>(Errno::exist) : Unit{};
  if ((flags & XATTR_REPLACE) != 0) co_return Errno::nodata;
  if ((node.inode.flags & inode_flag::kXattrs) == 0) co_return Unit{};
  const kv::Scan scan{.collection = Collection::xattr, .object = node.ino};
  const Result<bool> scanned = co_await volume_->store().scan(scan, names);
  if (!scanned) co_return scanned.error();
  if (names.bytes + name.size() + 1 > kNamesBytesMax) co_return Errno::nospc;
  co_return Unit{};
}

Op<Unit> KvFs::set_xattr(SetxattrArgs args) {
  kv::Volume& volume = *volume_;
  const NodeRef node = node_of(args.node);
  const Spares<Change>::Lease change = volume.new_change();
  if (!node || !change) co_return Errno::nomem;
  co_await node->lock.lock();
  const Locked locked(node->lock, volume.reactor());
  Result<Unit> ok = co_await volume.load(*node);
  if (!ok) co_return ok;
  const std::string_view name = args.name.view();
  ok = co_await check_set_xattr(*node, name, args.flags);
  if (!ok) co_return ok;
  Inode inode = node->inode;
  inode.flags |= inode_flag::kXattrs | flag_of(name);
  inode.ctime = kv::now();
  (*change).write(
      {.kind = kv::Write::Kind::put, .key = key_of(*node, name), .payload = args.value});
  (*change).put(*node, inode);
  ok = co_await volume.commit(*change);
  co_return ok;
}

// As fs/posix_acl.c has it: an access list is the mode, too, and one that says no more than a mode
// is none.
Op<Unit> KvFs::set_acl(SetxattrArgs args) {
  kv::Volume& volume = *volume_;
  const NodeRef node = node_of(args.node);
  const Spares<Change>::Lease change = volume.new_change();
  const Spares<AclRoom>::Lease acls = acl_rooms_.take();
  if (!node || !change || !acls) co_return Errno::nomem;
  co_await node->lock.lock();
  const Locked locked(node->lock, volume.reactor());
  Result<Unit> ok = co_await volume.load(*node);
  if (!ok) co_return ok;
  const std::string_view name = args.name.view();
  const bool is_default = name == kv::kDefaultAclName;
  if (is_default && !S_ISDIR(node->inode.mode)) co_return Errno::acces;
  if (S_ISLNK(node->inode.mode)) co_return Errno::opnotsupp;
  kv::PosixAcl& acl = (*acls).access;
  std::array<char, kv::PosixAcl::kBytesMax>& bytes = (*acls).access_bytes;
  if (args.value.size() > bytes.size()) co_return Errno::toobig;
  const size_t size = args.value.copy_out(bytes.data(), bytes.size());
  ok = acl.decode({bytes.data(), size});
  if (!ok) co_return ok;
  ok = co_await check_set_xattr(*node, name, args.flags);
  if (!ok) co_return ok;
  Inode inode = node->inode;
  inode.ctime = kv::now();
  if (!is_default && !acl.none()) {
    inode.mode = acl.mode_of(inode.mode);
    if ((args.setxattr_flags & fuse::setxattr_flag::kAclKillSgid) != 0) {
      inode.mode &= ~static_cast<uint32_t>(S_ISGID);
    }
    if (acl.is_only_a_mode()) acl.clear();
  }
  if (acl.none()) {
    inode.flags &= ~flag_of(name);
    (*change).write({.kind = kv::Write::Kind::erase, .key = key_of(*node, name)});
  } else {
    inode.flags |= inode_flag::kXattrs | flag_of(name);
    const size_t encoded = acl.encode(bytes);
    (*change).write({.kind = kv::Write::Kind::put,
                     .key = key_of(*node, name),
                     .value = {bytes.data(), encoded}});
  }
  (*change).put(*node, inode);
  ok = co_await volume.commit(*change);
  co_return ok;
}

Op<Unit> KvFs::removexattr(Request&, const RemovexattrArgs& args) {
  if (!options_.xattrs) return Errno::nosys;
  if (!keeps_xattr(args.name.view())) return Errno::opnotsupp;
  return remove_xattr(args);
}

Op<Unit> KvFs::remove_xattr(RemovexattrArgs args) {
  kv::Volume& volume = *volume_;
  const NodeRef node = node_of(args.node);
  const Spares<Change>::Lease change = volume.new_change();
  if (!node || !change) co_return Errno::nomem;
  co_await node->lock.lock();
  const Locked locked(node->lock, volume.reactor());
  Result<Unit> ok = co_await volume.load(*node);
  if (!ok) co_return ok;
  const std::string_view name = args.name.view();
  ok = co_await check_set_xattr(*node, name, XATTR_REPLACE);
  if (!ok) co_return ok;
  Inode inode = node->inode;
  inode.flags &= ~flag_of(name);
  inode.ctime = kv::now();
  (*change).write({.kind = kv::Write::Kind::erase, .key = key_of(*node, name)});
  (*change).put(*node, inode);
  ok = co_await volume.commit(*change);
  co_return ok;
}

}  // namespace dpfs
