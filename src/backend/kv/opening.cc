// SPDX-License-Identifier: Apache-2.0
// Open files: OPEN, RELEASE, FLUSH, FSYNC, SYNCFS.
#include <sys/stat.h>

#include <optional>

#include "backend/kv/kv_fs.h"
#include "backend/kv/locked.h"

namespace dpfs {

using kv::Change;
using kv::Locked;
using kv::NodeRef;

Result<fuse::OpenOut> KvFs::hand_out(NodeRef node) noexcept {
  Node& opened = *node;
  const std::optional<Handle> handle = files_.insert(NodeId{opened.ino}, std::move(node));
  if (!handle) return Errno::nfile;
  ++opened.opens;
  const bool directory = S_ISDIR(opened.inode.mode);
  return fuse::OpenOut{
      .fh = static_cast<uint64_t>(*handle),
      .open_flags = directory ? negotiated_.cache.directory_flags : negotiated_.cache.file_flags};
}

Op<fuse::OpenOut> KvFs::open(Request&, const OpenArgs& args) {
  const auto ino = static_cast<uint64_t>(args.node);
  Node* node = volume_->find_node(ino);
  if (node == nullptr || !node->is_there() || node->leaving || !volume_->is_sure()) {
    return open_later(ino);
  }
  if (S_ISDIR(node->inode.mode)) return Errno::isdir;
  return hand_out(volume_->node(ino));
}

Op<fuse::OpenOut> KvFs::open_later(uint64_t ino) {
  NodeRef node = volume_->node(ino);
  if (!node) co_return Errno::nomem;
  // Not while its last name is being removed: an open file stays.
  co_await node->lock.lock();
  const Locked locked(node->lock, volume_->reactor());
  const Result<Unit> ok = co_await volume_->load_to_read(*node);
  if (!ok) co_return ok.error();
  if (S_ISDIR(node->inode.mode)) co_return Errno::isdir;
  co_return hand_out(std::move(node));
}

Op<Unit> KvFs::release(Request&, const ReleaseArgs& args) {
  if (files_.find(args.handle, args.node) == nullptr) return Errno::badf;
  locks_.drop_handle(static_cast<uint64_t>(args.node), args.handle);
  return close(args.handle, args.node);
}

Op<Unit> KvFs::releasedir(Request&, const ReleaseArgs& args) {
  if (files_.find(args.handle, args.node) == nullptr) return Errno::badf;
  return close(args.handle, args.node);
}

Op<Unit> KvFs::close(Handle handle, NodeId id) {
  NodeRef* found = files_.find(handle, id);
  NodeRef node = std::move(*found);
  files_.remove(handle, id);
  --node->opens;
  const bool is_orphan = node->opens == 0 && node->is_there() && node->inode.nlink == 0;
  if (!is_orphan && !node->atime_kept) return Unit{};
  return close_later(std::move(node));
}

// The last handle of a file without a name was closed; or somebody has read, and the time has to be
// written down.
Op<Unit> KvFs::close_later(NodeRef node) {
  kv::Volume& volume = *volume_;
  co_await node->lock.lock();
  const Locked locked(node->lock, volume.reactor());
  if (!node->is_there()) co_return Unit{};
  if (node->inode.nlink == 0) {
    if (node->opens > 0) co_return Unit{};
    const Result<Unit> removed = co_await volume.remove_orphan(*node);
    co_return removed;
  }
  if (!node->atime_kept) co_return Unit{};
  const Spares<Change>::Lease change = volume.new_change();
  if (!change) co_return Errno::nomem;
  (*change).put(*node, node->inode);
  // That a file was read is worth a try, not an error.
  [[maybe_unused]] const Result<Unit> done = co_await volume.commit(*change);
  co_return Unit{};
}

// One for each close(2). What was written is in the store already.
Op<Unit> KvFs::flush(Request&, const FlushArgs& args) {
  if (files_.find(args.handle, args.node) == nullptr) return Errno::badf;
  locks_.drop_owner(static_cast<uint64_t>(args.node), args.lock_owner);
  return Unit{};
}

Op<Unit> KvFs::fsync(Request&, const FsyncArgs& args) {
  if (files_.find(args.handle, args.node) == nullptr) return Errno::badf;
  return sync();
}

Op<Unit> KvFs::fsyncdir(Request&, const FsyncArgs& args) {
  if (files_.find(args.handle, args.node) == nullptr) return Errno::badf;
  return sync();
}

Op<Unit> KvFs::syncfs(Request&, const NodeArgs&) { return sync(); }

Op<Unit> KvFs::sync() {
  if (!volume_->is_sure()) {
    const Result<Unit> sure = co_await volume_->make_sure();
    if (!sure) co_return sure;
  }
  const Result<Unit> done = co_await volume_->sync();
  co_return done;
}

}  // namespace dpfs
