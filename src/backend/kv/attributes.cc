// SPDX-License-Identifier: Apache-2.0
// GETATTR, STATX, SETATTR, ACCESS and READLINK.
#include <sys/stat.h>
#include <unistd.h>

#include "backend/kv/clock.h"
#include "backend/kv/kv_fs.h"
#include "backend/kv/locked.h"
#include "backend/kv/privileges.h"

namespace dpfs {

using kv::Collection;
using kv::Locked;
using kv::NodeRef;
using kv::Time;
namespace attr_valid = fuse::attr_valid;

namespace {

bool allows(const kv::Inode& inode, const fuse::InHeader& who, uint32_t mask) noexcept {
  const uint32_t mode = inode.mode;
  if (who.uid == 0) return (mask & X_OK) == 0 || S_ISDIR(mode) || (mode & 0111) != 0;
  uint32_t granted = mode;
  if (who.uid == inode.uid) {
    granted = mode >> 6;
  } else if (who.gid == inode.gid) {
    granted = mode >> 3;
  }
  return (granted & 7 & mask) == mask;
}

Time time_of(bool is_now, const Time& now, uint64_t seconds, uint32_t nanoseconds) noexcept {
  if (is_now) return now;
  return {.s = static_cast<int64_t>(seconds), .ns = std::min(nanoseconds, 999'999'999u)};
}

}  // namespace

// Also of one that is removed and still in memory: somebody may have it open, or stand in it.
Op<fuse::AttrOut> KvFs::getattr(Request&, const GetattrArgs& args) {
  const auto ino = static_cast<uint64_t>(args.node);
  const Node* node = volume_->find_node(ino);
  if (node != nullptr && node->state != Node::State::unknown && volume_->is_sure() &&
      node->inode.mode != 0) {
    return attr_out(*node);
  }
  return getattr_later(ino);
}

Op<fuse::AttrOut> KvFs::getattr_later(uint64_t ino) {
  const NodeRef node = volume_->node(ino);
  if (!node) co_return Errno::nomem;
  const Result<Unit> ok = co_await volume_->load(*node);
  if (!ok) co_return ok.error();
  co_return attr_out(*node);
}

Op<fuse::StatxOut> KvFs::statx(Request&, const StatxArgs& args) {
  const auto ino = static_cast<uint64_t>(args.node);
  const Node* node = volume_->find_node(ino);
  if (node != nullptr && node->is_there() && volume_->is_sure()) return statx_out(*node);
  return statx_later(ino);
}

Op<fuse::StatxOut> KvFs::statx_later(uint64_t ino) {
  const NodeRef node = volume_->node(ino);
  if (!node) co_return Errno::nomem;
  const Result<Unit> ok = co_await volume_->load(*node);
  if (!ok && node->inode.mode == 0) co_return ok.error();
  co_return statx_out(*node);
}

Op<fuse::AttrOut> KvFs::setattr(Request&, const SetattrArgs& args) {
  return set_attributes(args.node, args.in);
}

Op<fuse::AttrOut> KvFs::set_attributes(NodeId id, fuse::SetattrIn in) {
  kv::Volume& volume = *volume_;
  const NodeRef node = node_of(id);
  if (!node) co_return Errno::nomem;
  Result<Unit> ok = co_await volume.load(*node);
  if (!ok) co_return ok.error();
  co_await node->lock.lock();
  const Locked locked(node->lock, volume.reactor());
  ok = co_await volume.load(*node);
  if (!ok) co_return ok.error();
  if ((in.valid & attr_valid::kSize) != 0) {
    if (S_ISDIR(node->inode.mode)) co_return Errno::isdir;
    if (!S_ISREG(node->inode.mode) || in.size > INT64_MAX) co_return Errno::inval;
    ok = co_await truncate(*node, in.size, (in.valid & attr_valid::kKillSuidgid) != 0);
    if (!ok) co_return ok.error();
  }
  if ((in.valid & ~(attr_valid::kSize | attr_valid::kFh | attr_valid::kLockowner |
                    attr_valid::kKillSuidgid)) != 0) {
    ok = co_await change_attributes(*node, in);
    if (!ok) co_return ok.error();
  }
  co_return attr_out(*node);
}

// The owner comes before the mode, because changing it clears bits of the mode.
Op<Unit> KvFs::change_attributes(Node& node, const fuse::SetattrIn& asked) {
  const fuse::SetattrIn in = asked;
  const Spares<kv::Change>::Lease change = volume_->new_change();
  const Spares<AclRoom>::Lease acls = acl_rooms_.take();
  if (!change || !acls) co_return Errno::nomem;
  const Time now = kv::now();
  Inode inode = node.inode;
  if ((in.valid & (attr_valid::kUid | attr_valid::kGid)) != 0) {
    if ((in.valid & attr_valid::kUid) != 0) inode.uid = in.uid;
    if ((in.valid & attr_valid::kGid) != 0) inode.gid = in.gid;
    kv::drop_privileges(*change, node.ino, inode);
  }
  if ((in.valid & attr_valid::kMode) != 0) {
    inode.mode = (inode.mode & S_IFMT) | (in.mode & 07777);
    if ((inode.flags & kv::inode_flag::kAccessAcl) != 0) {
      const Result<Unit> read = co_await read_acl(node, kv::kAccessAclName, (*acls).access);
      if (!read) co_return read;
      (*acls).access.chmod(inode.mode);
      const size_t bytes = (*acls).access.encode((*acls).access_bytes);
      (*change).write(
          {.kind = kv::Write::Kind::put,
           .key = {.collection = Collection::xattr, .object = node.ino, .name = kv::kAccessAclName},
           .value = {(*acls).access_bytes.data(), bytes}});
    }
  }
  if ((in.valid & attr_valid::kAtime) != 0) {
    inode.atime = time_of((in.valid & attr_valid::kAtimeNow) != 0, now, in.atime, in.atimensec);
  }
  if ((in.valid & attr_valid::kMtime) != 0) {
    inode.mtime = time_of((in.valid & attr_valid::kMtimeNow) != 0, now, in.mtime, in.mtimensec);
  }
  inode.ctime = now;
  // A tenant that writes back knows better when a file was changed.
  if ((in.valid & attr_valid::kCtime) != 0)
    inode.ctime = time_of(false, now, in.ctime, in.ctimensec);
  (*change).put(node, inode);
  const Result<Unit> done = co_await volume_->commit(*change);
  co_return done;
}

Op<Unit> KvFs::access(Request& request, const AccessArgs& args) {
  const fuse::InHeader who = request.header;
  const uint32_t mask = args.mask;
  const NodeRef node = node_of(args.node);
  if (!node) co_return Errno::nomem;
  const Result<Unit> ok = co_await volume_->load(*node);
  if (!ok) co_return ok;
  if (!allows(node->inode, who, mask)) co_return Errno::acces;
  co_return Unit{};
}

namespace {

// Into the tenant's memory.
class IntoView final : public kv::ValueReader {
 public:
  explicit IntoView(IoView into) noexcept : into_(into) {}
  void found(std::string_view value) noexcept override {
    bytes = static_cast<uint32_t>(into_.copy_in(value.data(), value.size()));
  }
  uint32_t bytes = 0;

 private:
  IoView into_;
};

}  // namespace

Op<uint32_t> KvFs::readlink(Request&, const ReadlinkArgs& asked) {
  const ReadlinkArgs args = asked;
  const NodeRef node = node_of(args.node);
  if (!node) co_return Errno::nomem;
  Result<Unit> ok = co_await volume_->load(*node);
  if (!ok) co_return ok.error();
  if (!S_ISLNK(node->inode.mode)) co_return Errno::inval;
  IntoView reader(args.into);
  kv::Get get{.key = {.collection = Collection::contents, .object = node->ino}, .reader = &reader};
  ok = co_await volume_->store().get({&get, 1});
  if (!ok) co_return ok.error();
  if (!get.found) co_return Errno::io;
  co_return reader.bytes;
}

}  // namespace dpfs
