// SPDX-License-Identifier: Apache-2.0
// What makes something new: MKNOD, MKDIR, SYMLINK, CREATE, TMPFILE, LINK.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "backend/kv/clock.h"
#include "backend/kv/kv_fs.h"
#include "backend/kv/locked.h"

namespace dpfs {

using kv::Change;
using kv::Collection;
using kv::Entry;
using kv::Locked;
using kv::NodeRef;
namespace inode_flag = kv::inode_flag;

namespace {

constexpr uint32_t kLinksMax = 1u << 30;

void put_xattr(Change& change, uint64_t ino, std::string_view name, std::string_view value,
               IoView payload = {}) noexcept {
  change.write({.kind = kv::Write::Kind::put,
                .key = {.collection = Collection::xattr, .object = ino, .name = name},
                .value = value,
                .payload = payload});
}

uint8_t type_of(uint32_t mode) noexcept { return static_cast<uint8_t>(IFTODT(mode)); }

}  // namespace

// Of a directory that gets a name, or loses one.
void KvFs::touch_names(Inode& directory, int64_t entries, const kv::Time& now) noexcept {
  directory.entries = static_cast<uint64_t>(static_cast<int64_t>(directory.entries) + entries);
  directory.mtime = directory.ctime = now;
}

// The inode of what is to be made, and in `change` what belongs to it.
Op<Unit> KvFs::prepare_new(Request& request, Node& directory, New what, Node& node, Change& change,
                           AclRoom& acls, Inode& inode) {
  const Inode& parent = directory.inode;
  const bool is_directory = S_ISDIR(what.mode);
  acls.directory.clear();
  if ((parent.flags & inode_flag::kDefaultAcl) != 0 && !S_ISLNK(what.mode)) {
    const Result<Unit> read = co_await read_acl(directory, kv::kDefaultAclName, acls.directory);
    if (!read) co_return read;
  }
  const bool masked_here = (negotiated_.flags & fuse::init_flag::kDontMask) != 0;
  const kv::Inherited inherited =
      kv::inherit(acls.directory, what.mode, masked_here ? what.umask & 0777 : 0, acls.access);
  inode = {};
  inode.mode = inherited.mode;
  inode.uid = request.header.uid;
  inode.gid = request.header.gid;
  if ((parent.mode & S_ISGID) != 0) {
    inode.gid = parent.gid;
    if (is_directory) inode.mode |= S_ISGID;
  }
  inode.nlink = is_directory ? 2 : 1;
  inode.rdev = what.rdev;
  inode.atime = inode.mtime = inode.ctime = inode.btime = kv::now();
  if (is_directory) {
    inode.parent = directory.ino;
    inode.next_cookie = kv::kFirstCookie;
  } else {
    inode.flags |= inode_flag::kInline;
  }
  if (!acls.access.none()) {
    inode.flags |= inode_flag::kXattrs | inode_flag::kAccessAcl;
    const size_t bytes = acls.access.encode(acls.access_bytes);
    put_xattr(change, node.ino, kv::kAccessAclName, {acls.access_bytes.data(), bytes});
  }
  if (inherited.default_too) {
    inode.flags |= inode_flag::kXattrs | inode_flag::kDefaultAcl;
    const size_t bytes = acls.directory.encode(acls.default_bytes);
    put_xattr(change, node.ino, kv::kDefaultAclName, {acls.default_bytes.data(), bytes});
  }
  if (request.creation.context_name.size() > 0) {
    inode.flags |= inode_flag::kXattrs;
    put_xattr(change, node.ino, request.creation.context_name.view(), {}, request.creation.context);
  }
  if (!what.target.empty()) {
    inode.size = what.target.size();
    change.write({.kind = kv::Write::Kind::put,
                  .key = {.collection = Collection::contents, .object = node.ino},
                  .value = what.target});
  }
  ++change.inodes;
  co_return Unit{};
}

Op<Unit> KvFs::make(Request& request, NodeId parent, Name name, New what, NodeRef& made) {
  kv::Volume& volume = *volume_;
  const NodeRef directory = node_of(parent);
  if (!directory) co_return Errno::nomem;
  co_await directory->lock.lock();
  const Locked locked(directory->lock, volume.reactor());
  const Result<Unit> ok = co_await load_directory(*directory);
  if (!ok) co_return ok;
  const Result<Unit> done = co_await make_locked(request, *directory, name, what, made);
  co_return done;
}

Op<Unit> KvFs::make_locked(Request& request, Node& directory, Name name, New what, NodeRef& made) {
  kv::Volume& volume = *volume_;
  const Result<Entry> there = co_await volume.find_name(directory, name.view());
  if (there) co_return Errno::exist;
  if (there.error() != Errno::noent) co_return there.error();
  const Result<uint64_t> ino = co_await volume.new_ino();
  if (!ino) co_return ino.error();
  NodeRef node = volume.node(*ino);
  const Spares<Change>::Lease change = volume.new_change();
  const Spares<AclRoom>::Lease acls = acl_rooms_.take();
  if (!node || !change || !acls) co_return Errno::nomem;
  Inode inode;
  const Result<Unit> prepared =
      co_await prepare_new(request, directory, what, *node, *change, *acls, inode);
  if (!prepared) co_return prepared;
  Inode parent = directory.inode;
  const Entry entry{.ino = node->ino, .cookie = parent.next_cookie++, .type = type_of(inode.mode)};
  touch_names(parent, 1, inode.ctime);
  if (S_ISDIR(inode.mode)) ++parent.nlink;
  (*change).put_name(directory, name.view(), entry);
  (*change).put(directory, parent);
  (*change).put(*node, inode);
  const Result<Unit> done = co_await volume.commit(*change);
  if (done) made = std::move(node);
  co_return done;
}

Op<fuse::EntryOut> KvFs::make_entry(Request& request, NodeId parent, Name name, New what) {
  NodeRef made;
  const Result<Unit> done = co_await make(request, parent, name, what, made);
  if (!done) co_return done.error();
  co_return entry_out(*made);
}

Op<fuse::EntryOut> KvFs::mkdir(Request& request, const MkdirArgs& args) {
  return make_entry(request, args.parent, args.name,
                    {.mode = S_IFDIR | (args.mode & 07777), .umask = args.umask});
}

Op<fuse::EntryOut> KvFs::mknod(Request& request, const MknodArgs& args) {
  const uint32_t type = (args.mode & S_IFMT) == 0 ? S_IFREG : args.mode & S_IFMT;
  if (type == S_IFDIR || type == S_IFLNK || IFTODT(type) == DT_UNKNOWN) return Errno::inval;
  return make_entry(request, args.parent, args.name,
                    {.mode = type | (args.mode & 07777), .umask = args.umask, .rdev = args.rdev});
}

Op<fuse::EntryOut> KvFs::symlink(Request& request, const SymlinkArgs& args) {
  return make_entry(request, args.parent, args.name,
                    {.mode = S_IFLNK | 0777, .target = {args.target, args.target_size}});
}

Op<CreateOut> KvFs::create(Request& request, const CreateArgs& args) {
  return create_file(request, args);
}

// What is there already is opened, unless that is excluded.
Op<CreateOut> KvFs::create_file(Request& request, CreateArgs args) {
  kv::Volume& volume = *volume_;
  NodeRef node;
  {
    const NodeRef directory = node_of(args.parent);
    if (!directory) co_return Errno::nomem;
    co_await directory->lock.lock();
    const Locked locked(directory->lock, volume.reactor());
    const Result<Unit> ok = co_await load_directory(*directory);
    if (!ok) co_return ok.error();
    const New what{.mode = S_IFREG | (args.mode & 07777), .umask = args.umask};
    const Result<Unit> made = co_await make_locked(request, *directory, args.name, what, node);
    if (!made && (made.error() != Errno::exist || (args.flags & O_EXCL) != 0)) {
      co_return made.error();
    }
    if (!made) {
      const Result<Entry> entry = co_await volume.find_name(*directory, args.name.view());
      if (!entry) co_return entry.error();
      node = volume.node(entry->ino);
      if (!node) co_return Errno::nomem;
      const Result<Unit> there = co_await volume.load(*node);
      if (!there) co_return there.error();
    }
  }
  if (S_ISDIR(node->inode.mode)) co_return Errno::isdir;
  if (!S_ISREG(node->inode.mode)) co_return Errno::inval;
  if ((args.flags & O_TRUNC) != 0 && node->inode.size > 0) {
    co_await node->lock.lock();
    const Locked locked(node->lock, volume.reactor());
    const Result<Unit> cut = co_await truncate(*node, 0, true);
    if (!cut) co_return cut.error();
  }
  const fuse::EntryOut entry = entry_out(*node);
  const Result<fuse::OpenOut> open = hand_out(std::move(node));
  if (!open) co_return open.error();
  co_return CreateOut{entry, *open};
}

Op<CreateOut> KvFs::tmpfile(Request& request, const TmpfileArgs& args) {
  return create_nameless(request, args);
}

Op<CreateOut> KvFs::create_nameless(Request& request, TmpfileArgs args) {
  kv::Volume& volume = *volume_;
  const NodeRef directory = node_of(args.parent);
  if (!directory) co_return Errno::nomem;
  Result<Unit> ok = co_await load_directory(*directory);
  if (!ok) co_return ok.error();
  const Result<uint64_t> ino = co_await volume.new_ino();
  if (!ino) co_return ino.error();
  NodeRef node = volume.node(*ino);
  const Spares<Change>::Lease change = volume.new_change();
  const Spares<AclRoom>::Lease acls = acl_rooms_.take();
  if (!node || !change || !acls) co_return Errno::nomem;
  Inode inode;
  const New what{.mode = S_IFREG | (args.mode & 07777), .umask = args.umask};
  ok = co_await prepare_new(request, *directory, what, *node, *change, *acls, inode);
  if (!ok) co_return ok.error();
  inode.nlink = 0;
  (*change).put_nameless(*node, inode);
  ok = co_await volume.commit(*change);
  if (!ok) co_return ok.error();
  const fuse::EntryOut entry = entry_out(*node);
  const Result<fuse::OpenOut> open = hand_out(std::move(node));
  if (!open) co_return open.error();
  co_return CreateOut{entry, *open};
}

Op<fuse::EntryOut> KvFs::link(Request&, const LinkArgs& args) { return add_name(args); }

Op<fuse::EntryOut> KvFs::add_name(LinkArgs args) {
  kv::Volume& volume = *volume_;
  const NodeRef directory = node_of(args.new_parent);
  const NodeRef node = node_of(args.node);
  const Spares<Change>::Lease change = volume.new_change();
  if (!directory || !node || !change) co_return Errno::nomem;
  Result<Unit> ok = co_await volume.load(*node);
  if (!ok) co_return ok.error();
  if (S_ISDIR(node->inode.mode)) co_return Errno::perm;
  co_await directory->lock.lock();
  const Locked directory_locked(directory->lock, volume.reactor());
  ok = co_await load_directory(*directory);
  if (!ok) co_return ok.error();
  co_await node->lock.lock();
  const Locked node_locked(node->lock, volume.reactor());
  ok = co_await volume.load(*node);
  if (!ok) co_return ok.error() == Errno::stale ? Errno::noent : ok.error();
  if (node->inode.nlink >= kLinksMax) co_return Errno::mlink;
  const Result<Entry> there = co_await volume.find_name(*directory, args.new_name.view());
  if (there) co_return Errno::exist;
  if (there.error() != Errno::noent) co_return there.error();
  Inode inode = node->inode;
  inode.ctime = kv::now();
  if (inode.nlink++ == 0) (*change).erase_orphan(*node);
  Inode parent = directory->inode;
  const Entry entry{.ino = node->ino, .cookie = parent.next_cookie++, .type = type_of(inode.mode)};
  touch_names(parent, 1, inode.ctime);
  (*change).put_name(*directory, args.new_name.view(), entry);
  (*change).put(*directory, parent);
  (*change).put(*node, inode);
  ok = co_await volume.commit(*change);
  if (!ok) co_return ok.error();
  co_return entry_out(*node);
}

}  // namespace dpfs
