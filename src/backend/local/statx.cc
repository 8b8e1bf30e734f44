// SPDX-License-Identifier: Apache-2.0
// STATX of the local back end: what GETATTR says, and when the file was made.
#include "backend/local/local_fs.h"
#include "backend/local/system.h"

namespace dpfs {

using local::Stat;

namespace {

fuse::SxTime time_of(const statx_timestamp& time) noexcept {
  return {.tv_sec = time.tv_sec, .tv_nsec = time.tv_nsec, .reserved = 0};
}

// What Linux's own inodes have as flags. Others are about the host: where a mount begins, say.
constexpr uint64_t kAttributes = STATX_ATTR_COMPRESSED | STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND |
                                 STATX_ATTR_NODUMP | STATX_ATTR_ENCRYPTED | STATX_ATTR_VERITY;
constexpr uint32_t kMask = STATX_BASIC_STATS | STATX_BTIME;

fuse::Statx statx_of(const Stat& stat) noexcept {
  fuse::Statx out{};
  out.mask = stat.stx_mask & kMask;
  out.blksize = stat.stx_blksize;
  out.attributes = stat.stx_attributes & kAttributes;
  out.nlink = stat.stx_nlink;
  out.uid = stat.stx_uid;
  out.gid = stat.stx_gid;
  out.mode = stat.stx_mode;
  out.ino = stat.stx_ino;
  out.size = stat.stx_size;
  out.blocks = stat.stx_blocks;
  out.attributes_mask = stat.stx_attributes_mask & kAttributes;
  out.atime = time_of(stat.stx_atime);
  out.btime = time_of(stat.stx_btime);
  out.ctime = time_of(stat.stx_ctime);
  out.mtime = time_of(stat.stx_mtime);
  out.rdev_major = stat.stx_rdev_major;
  out.rdev_minor = stat.stx_rdev_minor;
  return out;
}

}  // namespace

// All there is, whatever the mask asks for: it costs the same, and the tenant's kernel keeps it.
Op<fuse::StatxOut> LocalFs::statx(Request&, const StatxArgs& args) {
  const int sync = static_cast<int>(args.flags) & AT_STATX_SYNC_TYPE;
  if (sync == AT_STATX_SYNC_TYPE) return Errno::inval;
  Stat stat;
  const auto look = [&](int fd) {
    return reactor_.blocking([&] {
      return local::done(
          [&] { return ::statx(fd, "", AT_EMPTY_PATH | sync, local::kStatMask, &stat); });
    });
  };
  Result<Unit> ok = Unit{};
  if (args.has_handle) {
    local::OpenFile* file = files_.find(args.handle, args.node);
    if (file == nullptr) return Errno::badf;
    const local::OpenFileRef open(files_, *file);
    ok = look(open->fd.get());
  } else {
    const local::Pinned node = nodes_.pin(args.node);
    if (!node) return node.error();
    ok = look(node.fd());
  }
  if (!ok) return ok.error();
  const fuse::AttrOut attr = attr_out(stat);
  fuse::StatxOut out{};
  out.attr_valid = attr.attr_valid;
  out.attr_valid_nsec = attr.attr_valid_nsec;
  out.stat = statx_of(stat);
  return out;
}

}  // namespace dpfs
