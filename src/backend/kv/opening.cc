// SPDX-License-Identifier: Apache-2.0
// Open files: OPEN, RELEASE, FLUSH, FSYNC, SYNCFS.
#include <sys/stat.h>

#include <optional>

#include "backend/kv/kv_fs.h"
#include "backend/kv/locked.h"

namespace dpfs {

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
  if (is_orphan) return close_orphan(std::move(node));
  if (node->atime_kept) volume_->access_times().add(std::move(node));
  return Unit{};
}

// The last handle of a file without a name was closed.
Op<Unit> KvFs::close_orphan(NodeRef node) {
  kv::Volume& volume = *volume_;
  co_await node->lock.lock();
  const Locked locked(node->lock, volume.reactor());
  if (!node->is_there() || node->inode.nlink > 0 || node->opens > 0) co_return Unit{};
  const Result<Unit> removed = co_await volume.remove_orphan(*node);
  co_return removed;
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
