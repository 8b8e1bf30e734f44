// SPDX-License-Identifier: Apache-2.0
// UNLINK and RMDIR.
#include <dirent.h>
#include <sys/stat.h>

#include "backend/kv/clock.h"
#include "backend/kv/kv_fs.h"
#include "backend/kv/locked.h"

namespace dpfs {

using kv::Change;
using kv::Entry;
using kv::Locked;
using kv::NodeRef;

// For an operation on names in it, which has its lock.
Op<Unit> KvFs::load_directory(Node& directory) {
  const Result<Unit> ok = co_await volume_->load(directory);
  if (!ok) {
    // Removed: who still stands in it finds nothing.
    const bool removed = ok.error() == Errno::stale && directory.inode.mode != 0;
    co_return removed ? Errno::noent : ok.error();
  }
  if (!S_ISDIR(directory.inode.mode)) co_return Errno::notdir;
  if (directory.inode.nlink == 0) co_return Errno::noent;
  co_return Unit{};
}

void KvFs::drop_name(Change& change, Node& node, const kv::Time& now) noexcept {
  Inode inode = node.inode;
  inode.ctime = now;
  if (inode.nlink > 0) --inode.nlink;
  if (inode.nlink > 0) return change.put(node, inode);
  leave_nameless(change, node, inode);
}

// Its last name is gone: so is it, unless somebody has it open.
void KvFs::leave_nameless(Change& change, Node& node, const Inode& last) noexcept {
  if (node.opens == 0) return volume_->erase_inode(change, node, last);
  change.put_nameless(node, last);
}

Op<Unit> KvFs::unlink(Request&, const UnlinkArgs& args) { return remove_file(args); }
Op<Unit> KvFs::rmdir(Request&, const UnlinkArgs& args) { return remove_directory(args); }

Op<Unit> KvFs::remove_file(UnlinkArgs args) {
  kv::Volume& volume = *volume_;
  const NodeRef directory = node_of(args.parent);
  const Spares<Change>::Lease change = volume.new_change();
  if (!directory || !change) co_return Errno::nomem;
  co_await directory->lock.lock();
  const Locked directory_locked(directory->lock, volume.reactor());
  Result<Unit> ok = co_await load_directory(*directory);
  if (!ok) co_return ok;
  const Result<Entry> entry = co_await volume.find_name(*directory, args.name.view());
  if (!entry) co_return entry.error();
  const NodeRef node = volume.node(entry->ino);
  if (!node) co_return Errno::nomem;
  if (entry->type == DT_DIR) co_return Errno::isdir;
  co_await node->lock.lock();
  const Locked node_locked(node->lock, volume.reactor());
  ok = co_await volume.load(*node);
  // A name of nothing, which only damage can leave, can be removed.
  if (!ok && ok.error() != Errno::stale) co_return ok;
  const kv::Time now = kv::now();
  Inode parent = directory->inode;
  touch_names(parent, -1, now);
  (*change).erase_name(*directory, args.name.view(), *entry);
  (*change).put(*directory, parent);
  if (ok) drop_name(*change, *node, now);
  ok = co_await volume.commit(*change);
  co_return ok;
}

Op<Unit> KvFs::remove_directory(UnlinkArgs args) {
  kv::Volume& volume = *volume_;
  const NodeRef directory = node_of(args.parent);
  const Spares<Change>::Lease change = volume.new_change();
  if (!directory || !change) co_return Errno::nomem;
  co_await volume.tree_lock().lock();
  const Locked tree_locked(volume.tree_lock(), volume.reactor());
  co_await directory->lock.lock();
  const Locked directory_locked(directory->lock, volume.reactor());
  Result<Unit> ok = co_await load_directory(*directory);
  if (!ok) co_return ok;
  const Result<Entry> entry = co_await volume.find_name(*directory, args.name.view());
  if (!entry) co_return entry.error();
  if (entry->type != DT_DIR) co_return Errno::notdir;
  const NodeRef node = volume.node(entry->ino);
  if (!node) co_return Errno::nomem;
  co_await node->lock.lock();
  const Locked node_locked(node->lock, volume.reactor());
  ok = co_await volume.load(*node);
  if (!ok && ok.error() != Errno::stale) co_return ok;
  if (ok && node->inode.entries > 0) co_return Errno::notempty;
  const kv::Time now = kv::now();
  Inode parent = directory->inode;
  touch_names(parent, -1, now);
  --parent.nlink;
  (*change).erase_name(*directory, args.name.view(), *entry);
  (*change).put(*directory, parent);
  if (ok) remove_empty_directory(*change, *node, now);
  ok = co_await volume.commit(*change);
  co_return ok;
}

void KvFs::remove_empty_directory(Change& change, Node& node, const kv::Time& now) noexcept {
  Inode gone = node.inode;
  gone.nlink = 0;
  gone.ctime = now;
  leave_nameless(change, node, gone);
}

}  // namespace dpfs
