// SPDX-License-Identifier: Apache-2.0
// LOOKUP, FORGET, GETATTR, SETATTR, ACCESS and READLINK of the local back end.
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "backend/local/local_fs.h"
#include "backend/local/system.h"

namespace dpfs {

using local::Pinned;
using local::Stat;
namespace attr_valid = fuse::attr_valid;

namespace {

constexpr uint64_t seconds_of(uint32_t ms) noexcept { return ms / 1000; }
constexpr uint32_t nanoseconds_of(uint32_t ms) noexcept { return ms % 1000 * 1'000'000; }

// The classic check, for tenants that do not check themselves (Linux does).
bool allows(const Stat& stat, const fuse::InHeader& who, uint32_t mask) noexcept {
  const uint32_t mode = stat.stx_mode;
  if (who.uid == 0) return (mask & X_OK) == 0 || S_ISDIR(mode) || (mode & 0111) != 0;
  uint32_t granted = mode;
  if (who.uid == stat.stx_uid) {
    granted = mode >> 6;
  } else if (who.gid == stat.stx_gid) {
    granted = mode >> 3;
  }
  return (granted & 7 & mask) == mask;
}

timespec time_for(uint32_t valid, uint32_t flag, uint32_t now_flag, uint64_t seconds,
                  uint32_t nanoseconds) noexcept {
  if ((valid & flag) == 0) return {0, UTIME_OMIT};
  if ((valid & now_flag) != 0) return {0, UTIME_NOW};
  return {static_cast<time_t>(seconds), static_cast<long>(nanoseconds)};
}

}  // namespace

fuse::Attr LocalFs::attr_of(const Stat& stat) const noexcept {
  return {.ino = stat.stx_ino,
          .size = stat.stx_size,
          .blocks = stat.stx_blocks,
          .atime = static_cast<uint64_t>(stat.stx_atime.tv_sec),
          .mtime = static_cast<uint64_t>(stat.stx_mtime.tv_sec),
          .ctime = static_cast<uint64_t>(stat.stx_ctime.tv_sec),
          .atimensec = stat.stx_atime.tv_nsec,
          .mtimensec = stat.stx_mtime.tv_nsec,
          .ctimensec = stat.stx_ctime.tv_nsec,
          .mode = stat.stx_mode,
          .nlink = stat.stx_nlink,
          .uid = stat.stx_uid,
          .gid = stat.stx_gid,
          .rdev = static_cast<uint32_t>(makedev(stat.stx_rdev_major, stat.stx_rdev_minor)),
          .blksize = stat.stx_blksize,
          .flags = 0};
}

fuse::AttrOut LocalFs::attr_out(const Stat& stat) const noexcept {
  return {.attr_valid = seconds_of(negotiated_.cache.attr_valid_ms),
          .attr_valid_nsec = nanoseconds_of(negotiated_.cache.attr_valid_ms),
          .dummy = 0,
          .attr = attr_of(stat)};
}

fuse::EntryOut LocalFs::entry_out(const local::Nodes::Found& found,
                                  const Stat& stat) const noexcept {
  fuse::EntryOut out{.nodeid = static_cast<uint64_t>(found.node),
                     .generation = found.generation,
                     .entry_valid = seconds_of(negotiated_.cache.entry_valid_ms),
                     .attr_valid = seconds_of(negotiated_.cache.attr_valid_ms),
                     .entry_valid_nsec = nanoseconds_of(negotiated_.cache.entry_valid_ms),
                     .attr_valid_nsec = nanoseconds_of(negotiated_.cache.attr_valid_ms),
                     .attr = attr_of(stat)};
  if (found.begins_mount && (negotiated_.flags & fuse::init_flag::kSubmounts) != 0) {
    out.attr.flags = fuse::attr_flag::kSubmount;
    // Linux gives the inode of a mount point none, and would unmount what lies there each time it
    // looks again and finds another.
    out.generation = 0;
  }
  return out;
}

Op<fuse::EntryOut> LocalFs::lookup(Request&, const LookupArgs& args) {
  if (args.name.view() == "." || args.name.view() == "..") return look_up_dots(args);
  const Pinned directory = nodes_.pin_parent(args.parent, args.name);
  if (!directory) return directory.error();
  Stat stat;
  const Result<local::Nodes::Found> found = nodes_.look_up(directory, args.name, stat, true);
  if (!found) return found.error();
  return entry_out(*found, stat);
}

// How a tenant finds a node again that it has forgotten, and what lies above it, when all it has is
// the node's number (FUSE_EXPORT_SUPPORT).
Op<fuse::EntryOut> LocalFs::look_up_dots(const LookupArgs& args) noexcept {
  if ((negotiated_.flags & fuse::init_flag::kExportSupport) == 0) return Errno::inval;
  Stat stat;
  const Result<local::Nodes::Found> found = args.name.size() == 1
                                                ? nodes_.look_up_self(args.parent, stat)
                                                : nodes_.look_up_parent(args.parent, stat);
  if (!found) return found.error();
  return entry_out(*found, stat);
}

Op<Unit> LocalFs::forget(Request&, const ForgetArgs& args) {
  nodes_.forget(args.node, args.lookups);
  return Unit{};
}

Op<fuse::AttrOut> LocalFs::getattr(Request&, const GetattrArgs& args) {
  Stat stat;
  Result<Unit> ok = Unit{};
  if (args.has_handle) {
    local::OpenFile* file = files_.find(args.handle, args.node);
    if (file == nullptr) return Errno::badf;
    const local::OpenFileRef open(files_, *file);
    ok = reactor_.blocking([&] { return local::stat_fd(open->fd.get(), stat); });
  } else {
    const Pinned node = nodes_.pin(args.node);
    if (!node) return node.error();
    ok = reactor_.blocking([&] { return local::stat_fd(node.fd(), stat); });
  }
  if (!ok) return ok.error();
  return attr_out(stat);
}

Op<fuse::AttrOut> LocalFs::setattr(Request&, const SetattrArgs& args) {
  const Pinned node = nodes_.pin(args.node);
  if (!node) return node.error();

  // A size is set through a descriptor that may write: the open file's, or one of our own.
  local::OpenFile* file = nullptr;
  if ((args.in.valid & attr_valid::kFh) != 0) {
    file = files_.find(Handle{args.in.fh}, args.node);
    if (file == nullptr) return Errno::badf;
  }
  std::optional<local::OpenFileRef> open;
  if (file != nullptr) open.emplace(files_, *file);
  Fd writable;
  int size_fd = open ? (*open)->fd.get() : -1;
  if ((args.in.valid & attr_valid::kSize) != 0 && !open) {
    if (node.type() == S_IFDIR) return Errno::isdir;
    if (node.type() != S_IFREG) return Errno::inval;
    const Result<int> opened = nodes_.open(args.node, O_WRONLY);
    if (!opened) return opened.error();
    writable.reset(*opened);
    size_fd = *opened;
  }
  Stat stat;
  const Result<Unit> ok =
      reactor_.blocking([&] { return change(node.fd(), size_fd, args.in, stat); });
  nodes_.close(std::move(writable));
  if (!ok) return ok.error();
  return attr_out(stat);
}

// Inside blocking(). The owner comes before the mode, because changing it clears bits of the mode.
Result<Unit> LocalFs::change(int fd, int size_fd, const fuse::SetattrIn& in,
                             Stat& stat) const noexcept {
  if ((in.valid & (attr_valid::kUid | attr_valid::kGid)) != 0) {
    const uid_t uid = (in.valid & attr_valid::kUid) != 0 ? in.uid : static_cast<uid_t>(-1);
    const gid_t gid = (in.valid & attr_valid::kGid) != 0 ? in.gid : static_cast<gid_t>(-1);
    const Result<Unit> ok =
        local::done([&] { return ::fchownat(fd, "", uid, gid, AT_EMPTY_PATH); });
    if (!ok) return ok;
  }
  if ((in.valid & attr_valid::kMode) != 0) {
    // There is no fchmodat() for a descriptor with O_PATH before Linux 6.6.
    const local::FdName name(fd);
    const Result<Unit> ok =
        local::done([&] { return ::fchmodat(nodes_.proc_fd(), name.c_str(), in.mode & 07777, 0); });
    if (!ok) return ok;
  }
  if ((in.valid & attr_valid::kSize) != 0) {
    if ((in.valid & attr_valid::kKillSuidgid) != 0) {
      if (const Result<Unit> ok = local::drop_suid(size_fd); !ok) return ok;
    }
    const Result<Unit> ok =
        local::done([&] { return ::ftruncate(size_fd, static_cast<off_t>(in.size)); });
    if (!ok) return ok;
  }
  const timespec times[2] = {
      time_for(in.valid, attr_valid::kAtime, attr_valid::kAtimeNow, in.atime, in.atimensec),
      time_for(in.valid, attr_valid::kMtime, attr_valid::kMtimeNow, in.mtime, in.mtimensec)};
  if ((in.valid & (attr_valid::kAtime | attr_valid::kMtime)) != 0) {
    const Result<Unit> ok = local::done([&] { return ::utimensat(fd, "", times, AT_EMPTY_PATH); });
    if (!ok) return ok;
  }
  return local::stat_fd(fd, stat);
}

Op<Unit> LocalFs::access(Request& request, const AccessArgs& args) {
  const Pinned node = nodes_.pin(args.node);
  if (!node) return node.error();
  Stat stat;
  const Result<Unit> ok = reactor_.blocking([&] { return local::stat_fd(node.fd(), stat); });
  if (!ok) return ok.error();
  if (!allows(stat, request.header, args.mask)) return Errno::acces;
  return Unit{};
}

Op<uint32_t> LocalFs::readlink(Request&, const ReadlinkArgs& args) {
  const Pinned node = nodes_.pin(args.node);
  if (!node) return node.error();
  if (node.type() != S_IFLNK) return Errno::inval;
  char target[PATH_MAX];
  const Result<ssize_t> bytes = reactor_.blocking([&] {
    return local::checked([&] { return ::readlinkat(node.fd(), "", target, sizeof target); });
  });
  if (!bytes) return bytes.error();
  IoView into = args.into;
  return static_cast<uint32_t>(into.copy_in(target, static_cast<size_t>(*bytes)));
}

}  // namespace dpfs
