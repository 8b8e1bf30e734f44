// SPDX-License-Identifier: Apache-2.0
// What makes something new in the local back end: MKDIR, MKNOD, SYMLINK, CREATE, TMPFILE.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/local/label.h"
#include "backend/local/local_fs.h"
#include "backend/local/system.h"
#include "backend/local/thread_umask.h"

namespace dpfs {

using local::Label;
using local::Pinned;

namespace {

// A name that comes and goes between two looks of ours is tried again so many times.
constexpr int kCreateTriesMax = 8;

}  // namespace

// Inside blocking(). Calls `create(mode)` as the tenant's user, with the permissions that it shall
// ask the host for. Usually the tenant's kernel has applied the umask already; where it leaves that
// to us, the host's file system does it, because it knows the default ACLs.
template <class F>
auto LocalFs::as_creator(const Request& request, Mode wanted, F create) const noexcept {
  const bool masked_here = (negotiated_.flags & fuse::init_flag::kDontMask) != 0;
  const mode_t umask = masked_here ? wanted.umask & 0777 : 0;
  const mode_t mode = local::set_thread_umask(umask) ? wanted.mode : wanted.mode & ~umask;
  const local::Creator who{
      .uid = request.header.uid, .gid = request.header.gid, .group = request.creation.group};
  return identity_.as(who, [&] { return create(mode); });
}

// `create(directory, mode)` makes what is called `name`; `remove_flags` (unlinkat(2)) take it away.
template <class F>
Op<fuse::EntryOut> LocalFs::make(Request& request, NodeId parent_node, const Name& name, Mode mode,
                                 int remove_flags, F create) noexcept {
  const Pinned parent = nodes_.pin_parent(parent_node, name);
  if (!parent) return parent.error();
  const Label label(request.creation, xattr_buffers_);
  if (!label.ok()) return label.error();
  const Result<Unit> ok = reactor_.blocking([&]() -> Result<Unit> {
    const Result<Unit> made = as_creator(request, mode, [&](mode_t permissions) {
      return local::done([&] { return create(parent.fd(), permissions); });
    });
    if (!made || !label) return made;
    const Result<Unit> labelled = label.put_on(parent.fd(), name.c_str());
    if (!labelled) ::unlinkat(parent.fd(), name.c_str(), remove_flags);
    return labelled;
  });
  if (!ok) return ok.error();
  local::Stat stat;
  const Result<local::Nodes::Found> found = nodes_.look_up_new(parent, name, stat);
  if (found) return entry_out(*found, stat);
  // Who is told that it failed shall not find it there.
  const Errno why = found.error();
  if (why == Errno::mfile || why == Errno::nfile || why == Errno::nomem) {
    reactor_.blocking([&] { return ::unlinkat(parent.fd(), name.c_str(), remove_flags); });
  }
  return why;
}

Op<fuse::EntryOut> LocalFs::mkdir(Request& request, const MkdirArgs& args) {
  const Mode mode{.mode = args.mode & 07777, .umask = args.umask};
  return make(request, args.parent, args.name, mode, AT_REMOVEDIR, [&](int parent, mode_t wanted) {
    return ::mkdirat(parent, args.name.c_str(), wanted);
  });
}

Op<fuse::EntryOut> LocalFs::mknod(Request& request, const MknodArgs& args) {
  const Mode mode{.mode = args.mode, .umask = args.umask};
  return make(request, args.parent, args.name, mode, 0, [&](int parent, mode_t wanted) {
    return ::mknodat(parent, args.name.c_str(), wanted, static_cast<dev_t>(args.rdev));
  });
}

Op<fuse::EntryOut> LocalFs::symlink(Request& request, const SymlinkArgs& args) {
  return make(request, args.parent, args.name, {}, 0, [&](int parent, mode_t) {
    return ::symlinkat(args.target, parent, args.name.c_str());
  });
}

Op<CreateOut> LocalFs::create(Request& request, const CreateArgs& args) {
  if ((args.flags & O_TMPFILE) == O_TMPFILE) return Errno::opnotsupp;
  const Pinned parent = nodes_.pin_parent(args.parent, args.name);
  if (!parent) return parent.error();
  // Always exclusively: O_CREAT alone would open whatever is there, be it a FIFO.
  const int flags = (host_flags(args.flags) & ~O_TRUNC) | O_CREAT | O_EXCL;
  const Mode mode{.mode = args.mode & 07777, .umask = args.umask};
  Result<CreateOut> out = Errno::noent;
  for (int i = 0; i < kCreateTriesMax && !out && out.error() == Errno::noent; ++i) {
    out = create_open(request, parent, args.name, mode, flags);
    if (out || out.error() != Errno::exist || (args.flags & O_EXCL) != 0) return out;
    out = create_existing(parent, args);
  }
  return out;
}

Op<CreateOut> LocalFs::tmpfile(Request& request, const TmpfileArgs& args) {
  const Pinned parent = nodes_.pin(args.parent);
  if (!parent) return parent.error();
  if (parent.type() != S_IFDIR) return Errno::notdir;
  const auto exclusively = static_cast<int>(args.flags & O_EXCL);  // it never gets a name
  const int flags = (host_flags(args.flags) & ~O_TRUNC) | O_TMPFILE | exclusively;
  const Mode mode{.mode = args.mode & 07777, .umask = args.umask};
  return create_open(request, parent, Name(), mode, flags);
}

// A new file, open for the tenant. Without a name it is an O_TMPFILE.
Result<CreateOut> LocalFs::create_open(Request& request, const local::Directory& directory,
                                       const Name& name, Mode mode, int flags) noexcept {
  const Label label(request.creation, xattr_buffers_);
  if (!label.ok()) return label.error();
  const char* path = name.size() > 0 ? name.c_str() : ".";
  local::Seen seen;
  const Result<int> fd = nodes_.opening([&]() -> Result<int> {
    const Result<int> created = as_creator(request, mode, [&](mode_t permissions) {
      return local::open_beneath(directory.fd, path, flags, permissions);
    });
    if (!created) return created;
    Fd owned(*created);
    const Result<Unit> labelled = label ? label.put_on(*created) : Unit{};
    if (!labelled) {
      if (name.size() > 0) ::unlinkat(directory.fd, path, 0);
      return labelled.error();
    }
    if (const Result<Unit> ok = local::stat_fd(*created, seen.stat); !ok) return ok.error();
    seen.handle.read(*created);
    return owned.release();
  });
  if (!fd) return fd.error();
  seen.fd.reset(*fd);
  const Result<local::Nodes::Found> found = nodes_.add_created(directory, name, seen);
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
  const Result<fuse::OpenOut> open = open_file(found->node, args.flags, args.open_flags);
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
