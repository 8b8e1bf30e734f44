// SPDX-License-Identifier: Apache-2.0
// Making, renaming and removing names in the local back end.
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/local/local_fs.h"
#include "backend/local/system.h"

namespace dpfs {

using local::Pinned;

namespace {

// A name that comes and goes between two looks of ours is tried again so many times.
constexpr int kCreateTriesMax = 8;

}  // namespace

// Usually the tenant's kernel has applied the umask already.
uint32_t LocalFs::mode_for(uint32_t mode, uint32_t umask) const noexcept {
  return (negotiated_.flags & fuse::init_flag::kDontMask) != 0 ? mode & ~umask : mode;
}

Op<fuse::EntryOut> LocalFs::entry_of_new(const local::Directory& directory,
                                         const Name& name) noexcept {
  local::Stat stat;
  const Result<local::Nodes::Found> found = nodes_.look_up_new(directory, name, stat);
  if (!found) return found.error();
  return entry_out(*found, stat);
}

Op<fuse::EntryOut> LocalFs::mkdir(Request& request, const MkdirArgs& args) {
  const Pinned parent = nodes_.pin_parent(args.parent, args.name);
  if (!parent) return parent.error();
  const mode_t mode = mode_for(args.mode, args.umask) & 07777;
  const Result<Unit> ok = reactor_.blocking([&] {
    return identity_.as(request.header.uid, request.header.gid, [&] {
      return local::done([&] { return ::mkdirat(parent.fd(), args.name.c_str(), mode); });
    });
  });
  if (!ok) return ok.error();
  return entry_of_new(parent, args.name);
}

Op<fuse::EntryOut> LocalFs::mknod(Request& request, const MknodArgs& args) {
  const Pinned parent = nodes_.pin_parent(args.parent, args.name);
  if (!parent) return parent.error();
  const mode_t mode = mode_for(args.mode, args.umask);
  const Result<Unit> ok = reactor_.blocking([&] {
    return identity_.as(request.header.uid, request.header.gid, [&] {
      return local::done([&] {
        return ::mknodat(parent.fd(), args.name.c_str(), mode, static_cast<dev_t>(args.rdev));
      });
    });
  });
  if (!ok) return ok.error();
  return entry_of_new(parent, args.name);
}

Op<fuse::EntryOut> LocalFs::symlink(Request& request, const SymlinkArgs& args) {
  const Pinned parent = nodes_.pin_parent(args.parent, args.name);
  if (!parent) return parent.error();
  const Result<Unit> ok = reactor_.blocking([&] {
    return identity_.as(request.header.uid, request.header.gid, [&] {
      return local::done([&] { return ::symlinkat(args.target, parent.fd(), args.name.c_str()); });
    });
  });
  if (!ok) return ok.error();
  return entry_of_new(parent, args.name);
}

Op<fuse::EntryOut> LocalFs::link(Request&, const LinkArgs& args) {
  const Pinned node = nodes_.pin(args.node);
  if (!node) return node.error();
  const Pinned parent = nodes_.pin_parent(args.new_parent, args.new_name);
  if (!parent) return parent.error();
  const Result<Unit> ok = reactor_.blocking([&] {
    const Result<Unit> linked = local::done(
        [&] { return ::linkat(node.fd(), "", parent.fd(), args.new_name.c_str(), AT_EMPTY_PATH); });
    // Without CAP_DAC_READ_SEARCH the way leads through /proc.
    if (linked || linked.error() != Errno::noent) return linked;
    const local::FdName name(node.fd());
    return local::done([&] {
      return ::linkat(nodes_.proc_fd(), name.c_str(), parent.fd(), args.new_name.c_str(),
                      AT_SYMLINK_FOLLOW);
    });
  });
  if (!ok) return ok.error();
  local::Stat stat;
  const Result<local::Nodes::Found> found = nodes_.look_up(parent, args.new_name, stat, true);
  if (!found) return found.error();
  return entry_out(*found, stat);
}

Op<Unit> LocalFs::unlink(Request&, const UnlinkArgs& args) {
  const Pinned parent = nodes_.pin_parent(args.parent, args.name);
  if (!parent) return parent.error();
  return reactor_.blocking(
      [&] { return local::done([&] { return ::unlinkat(parent.fd(), args.name.c_str(), 0); }); });
}

Op<Unit> LocalFs::rmdir(Request&, const UnlinkArgs& args) {
  const Pinned parent = nodes_.pin_parent(args.parent, args.name);
  if (!parent) return parent.error();
  return reactor_.blocking([&] {
    return local::done([&] { return ::unlinkat(parent.fd(), args.name.c_str(), AT_REMOVEDIR); });
  });
}

Op<Unit> LocalFs::rename2(Request&, const RenameArgs& args) {
  const Pinned parent = nodes_.pin_parent(args.parent, args.name);
  if (!parent) return parent.error();
  const Pinned new_parent = nodes_.pin_parent(args.new_parent, args.new_name);
  if (!new_parent) return new_parent.error();
  const Result<Unit> ok = reactor_.blocking([&] {
    return local::done([&] {
      return ::renameat2(parent.fd(), args.name.c_str(), new_parent.fd(), args.new_name.c_str(),
                         args.flags);
    });
  });
  if (!ok) return ok;
  nodes_.moved_to(new_parent, args.new_name);
  if ((args.flags & RENAME_EXCHANGE) != 0) nodes_.moved_to(parent, args.name);
  return ok;
}

Op<CreateOut> LocalFs::create(Request& request, const CreateArgs& args) {
  if ((args.flags & O_TMPFILE) == O_TMPFILE) return Errno::opnotsupp;
  const Pinned parent = nodes_.pin_parent(args.parent, args.name);
  if (!parent) return parent.error();
  Result<CreateOut> out = Errno::noent;
  for (int i = 0; i < kCreateTriesMax && !out && out.error() == Errno::noent; ++i) {
    out = create_new(request, parent, args);
    if (out || out.error() != Errno::exist || (args.flags & O_EXCL) != 0) return out;
    out = create_existing(parent, args);
  }
  return out;
}

// Always exclusively: O_CREAT alone would open whatever is there, be it a FIFO.
Result<CreateOut> LocalFs::create_new(Request& request, const local::Directory& directory,
                                      const CreateArgs& args) noexcept {
  const int flags = (host_flags(args.flags) & ~O_TRUNC) | O_CREAT | O_EXCL;
  const uint32_t mode = mode_for(args.mode, args.umask) & 07777;
  local::Seen seen;
  const Result<int> fd = nodes_.opening([&]() -> Result<int> {
    const Result<int> created = identity_.as(request.header.uid, request.header.gid, [&] {
      return local::open_beneath(directory.fd, args.name.c_str(), flags, mode);
    });
    if (!created) return created;
    if (const Result<Unit> ok = local::stat_fd(*created, seen.stat); !ok) {
      ::close(*created);
      return ok.error();
    }
    seen.handle.read(*created);
    return created;
  });
  if (!fd) return fd.error();
  seen.fd.reset(*fd);
  const Result<local::Nodes::Found> found = nodes_.add_created(directory, args.name, seen);
  if (!found) {
    nodes_.close(std::move(seen.fd));
    return found.error();
  }
  const Result<fuse::OpenOut> open = hand_out(found->node, std::move(seen.fd));
  if (!open) {
    nodes_.forget(found->node, 1);
    return open.error();
  }
  return CreateOut{.entry = entry_out(*found, seen.stat), .open = *open};
}

Result<CreateOut> LocalFs::create_existing(const local::Directory& directory,
                                           const CreateArgs& args) noexcept {
  local::Stat stat;
  const Result<local::Nodes::Found> found = nodes_.look_up(directory, args.name, stat, true);
  if (!found) return found.error();
  const Result<fuse::OpenOut> open =
      open_node(found->node, host_flags(args.flags), args.open_flags);
  if (!open) {
    nodes_.forget(found->node, 1);
    return open.error();
  }
  if ((args.flags & O_TRUNC) != 0) {
    stat.stx_size = 0;
    stat.stx_blocks = 0;
  }
  return CreateOut{.entry = entry_out(*found, stat), .open = *open};
}

}  // namespace dpfs
