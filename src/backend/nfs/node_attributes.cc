// SPDX-License-Identifier: Apache-2.0
// Attributes, rights, and what is left of the file system.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "backend/nfs/nfs_fs.h"

namespace dpfs {
namespace {

using Moment = nfs::NewAttributes::Moment;
namespace valid = fuse::attr_valid;

// ACCESS4_...
constexpr uint32_t kAccessRead = 0x1;
constexpr uint32_t kAccessLookup = 0x2;
constexpr uint32_t kAccessModify = 0x4;
constexpr uint32_t kAccessExtend = 0x8;
constexpr uint32_t kAccessExecute = 0x20;

nfs::NewAttributes changes_of(const fuse::SetattrIn& in) noexcept {
  nfs::NewAttributes changed;
  if ((in.valid & valid::kMode) != 0) {
    changed.has_mode = true;
    changed.mode = in.mode & 07777;
  }
  if ((in.valid & valid::kUid) != 0) {
    changed.has_uid = true;
    changed.uid = in.uid;
  }
  if ((in.valid & valid::kGid) != 0) {
    changed.has_gid = true;
    changed.gid = in.gid;
  }
  if ((in.valid & valid::kSize) != 0) {
    changed.has_size = true;
    changed.size = in.size;
  }
  if ((in.valid & valid::kAtime) != 0) {
    changed.set_access = (in.valid & valid::kAtimeNow) != 0 ? Moment::now : Moment::given;
    changed.access = {static_cast<int64_t>(in.atime), in.atimensec};
  }
  if ((in.valid & valid::kMtime) != 0) {
    changed.set_modify = (in.valid & valid::kMtimeNow) != 0 ? Moment::now : Moment::given;
    changed.modify = {static_cast<int64_t>(in.mtime), in.mtimensec};
  }
  return changed;
}

fuse::SxTime to_statx(const nfs::Time& time) noexcept {
  return {.tv_sec = time.seconds, .tv_nsec = time.nanoseconds, .reserved = 0};
}

}  // namespace

Op<fuse::AttrOut> NfsFs::nfs_getattr(Request& request, GetattrArgs args) {
  if (const nfs::NodeRow* row = nodes_.find(args.node); row != nullptr && row->removed) {
    co_return attr_out(args.node, removed_directories_[static_cast<uint64_t>(args.node)]);
  }
  Op<nfs::FileHandle> asking = handle_of(args.node);
  const Result<nfs::FileHandle> node = co_await asking;
  if (!node) co_return node.error();
  nfs::GetAttributes call;
  call.who = credential(request);
  call.node = *node;
  const Result<Unit> done = co_await client_.perform(call);
  if (!done) co_return done.error();
  co_return attr_out(args.node, call.attributes);
}

Op<fuse::AttrOut> NfsFs::nfs_setattr(Request& request, SetattrArgs args) {
  Op<nfs::FileHandle> asking = handle_of(args.node);
  const Result<nfs::FileHandle> node = co_await asking;
  if (!node) co_return node.error();
  nfs::OpenRef open;
  if ((args.in.valid & valid::kFh) != 0) open = find_open(Handle{args.in.fh}, args.node);
  nfs::SetAttributes call(client_);
  call.changed = changes_of(args.in);
  if (call.changed.has_size || call.changed.set_modify != Moment::unchanged) {
    Op<Unit> settling = settle(args.node);
    const Result<Unit> settled = co_await settling;
    if (!settled) co_return settled.error();
  }
  call.who = credential(request);
  call.node = *node;
  if (call.changed.has_size && open && (open->access & nfs::share::kWrite) != 0) {
    if (open->lost) co_return Errno::io;
    call.open = open.get();
    call.who = open->who;  // whoever has it open for writing may truncate it
    call.changed.has_mode = false;
  }
  // The tenant's kernel lets an owner give a file to his own groups only, and takes set-group-id
  // away from a file of another group's: whoever comes so far is a member.
  const nfs::NodeRow* known = nodes_.find(args.node);
  if (call.changed.has_gid) claim(call.who, call.changed.gid);
  if ((call.changed.mode & S_ISGID) != 0 && known != nullptr) claim(call.who, known->gid);
  Op<Unit> asking_server = ask(call, *node);
  Result<Unit> done = co_await asking_server;
  if (!done) co_return done.error();
  if (nfs::NodeRow* row = nodes_.find(args.node); row != nullptr && call.changed.has_size) {
    row->cached_change = 0;
  }
  const bool given_away = call.changed.has_uid || call.changed.has_gid;
  if (given_away || (args.in.valid & valid::kKillSuidgid) != 0) {
    Op<Unit> dropping = drop_privileges(args.node, *node);
    done = co_await dropping;
    const nfs::NodeRow* row = nodes_.find(args.node);
    if (done && row != nullptr) call.attributes.mode = row->mode;
  }
  co_return attr_out(args.node, call.attributes);
}

Op<fuse::StatxOut> NfsFs::nfs_statx(Request& request, StatxArgs args) {
  Op<nfs::FileHandle> asking = handle_of(args.node);
  const Result<nfs::FileHandle> node = co_await asking;
  if (!node) co_return node.error();
  nfs::GetAttributes call;
  call.who = credential(request);
  call.node = *node;
  call.wanted.add(nfs::attribute::kTimeCreate);
  const Result<Unit> done = co_await client_.perform(call);
  if (!done) co_return done.error();
  const fuse::AttrOut attr = attr_out(args.node, call.attributes);
  fuse::StatxOut out{};
  out.attr_valid = attr.attr_valid;
  out.attr_valid_nsec = attr.attr_valid_nsec;
  fuse::Statx& stat = out.stat;
  stat.mask = STATX_BASIC_STATS;
  stat.blksize = attr.attr.blksize;
  stat.nlink = attr.attr.nlink;
  stat.uid = attr.attr.uid;
  stat.gid = attr.attr.gid;
  stat.mode = static_cast<uint16_t>(attr.attr.mode);
  stat.ino = attr.attr.ino;
  stat.size = attr.attr.size;
  stat.blocks = attr.attr.blocks;
  stat.atime = to_statx(call.attributes.access);
  stat.mtime = to_statx(call.attributes.modify);
  stat.ctime = to_statx(call.attributes.metadata);
  stat.rdev_major = call.attributes.major;
  stat.rdev_minor = call.attributes.minor;
  if (call.attributes.has.has(nfs::attribute::kTimeCreate)) {
    stat.mask |= STATX_BTIME;
    stat.btime = to_statx(call.attributes.created);
  }
  co_return out;
}

Op<fuse::StatfsOut> NfsFs::nfs_statfs(Request& request, NodeArgs args) {
  Op<nfs::FileHandle> asking = handle_of(args.node);
  const Result<nfs::FileHandle> node = co_await asking;
  if (!node) co_return node.error();
  nfs::GetAttributes call;
  call.who = credential(request);
  call.node = *node;
  call.wanted = nfs::kFileSystemAttributes;
  const Result<Unit> done = co_await client_.perform(call);
  if (!done) co_return done.error();
  constexpr uint32_t kBlockBytes = 4096;
  constexpr uint32_t kNameMax = 255;  // Linux's
  fuse::StatfsOut out{};
  out.st.bsize = out.st.frsize = kBlockBytes;
  out.st.blocks = call.attributes.space_total / kBlockBytes;
  out.st.bfree = call.attributes.space_free / kBlockBytes;
  out.st.bavail = call.attributes.space_avail / kBlockBytes;
  out.st.files = call.attributes.files_total;
  out.st.ffree = call.attributes.files_free;
  out.st.namelen =
      call.attributes.name_max != 0 ? std::min(call.attributes.name_max, kNameMax) : kNameMax;
  co_return out;
}

Op<Unit> NfsFs::nfs_access(Request& request, AccessArgs args) {
  Op<nfs::FileHandle> asking = handle_of(args.node);
  const Result<nfs::FileHandle> node = co_await asking;
  if (!node) co_return node.error();
  const nfs::NodeRow* row = nodes_.find(args.node);
  const bool directory = row != nullptr && row->type == nfs::FileType::directory;
  nfs::Access call;
  call.who = credential(request);
  call.node = *node;
  if ((args.mask & R_OK) != 0) call.wanted |= kAccessRead;
  if ((args.mask & W_OK) != 0) call.wanted |= kAccessModify | kAccessExtend;
  if ((args.mask & X_OK) != 0) call.wanted |= directory ? kAccessLookup : kAccessExecute;
  Op<Unit> asking_server = ask(call, *node);
  const Result<Unit> done = co_await asking_server;
  if (!done) co_return done.error();
  if ((call.wanted & ~call.granted) != 0) co_return Errno::acces;
  co_return Unit{};
}

// What NFS has no word for.
Op<fuse::BmapOut> NfsFs::nfs_bmap(Request&, BmapArgs) { return Errno::nosys; }
Op<IoctlDone> NfsFs::nfs_ioctl(Request&, IoctlArgs) { return Errno::notty; }
Op<fuse::PollOut> NfsFs::nfs_poll(Request&, PollArgs) { return Errno::nosys; }

}  // namespace dpfs
