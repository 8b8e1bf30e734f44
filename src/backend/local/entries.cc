// SPDX-License-Identifier: Apache-2.0
// Linking, renaming and removing names in the local back end.
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/local/local_fs.h"
#include "backend/local/system.h"

namespace dpfs {

using local::Pinned;

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

Op<Unit> LocalFs::remove(const UnlinkArgs& args, int flags) noexcept {
  const Pinned parent = nodes_.pin_parent(args.parent, args.name);
  if (!parent) return parent.error();
  Pinned last = nodes_.pin_last_name(parent, args.name);
  const Result<Unit> ok = reactor_.blocking([&] {
    return local::done([&] { return ::unlinkat(parent.fd(), args.name.c_str(), flags); });
  });
  if (ok) nodes_.keep_orphan(std::move(last));
  return ok;
}

Op<Unit> LocalFs::unlink(Request&, const UnlinkArgs& args) { return remove(args, 0); }
Op<Unit> LocalFs::rmdir(Request&, const UnlinkArgs& args) { return remove(args, AT_REMOVEDIR); }

Op<Unit> LocalFs::rename2(Request& request, const RenameArgs& args) {
  const Pinned parent = nodes_.pin_parent(args.parent, args.name);
  if (!parent) return parent.error();
  const Pinned new_parent = nodes_.pin_parent(args.new_parent, args.new_name);
  if (!new_parent) return new_parent.error();
  Pinned replaced = (args.flags & (RENAME_EXCHANGE | RENAME_NOREPLACE)) == 0
                        ? nodes_.pin_last_name(new_parent, args.new_name)
                        : Pinned(Errno::noent);
  const auto rename = [&] {
    return local::done([&] {
      return ::renameat2(parent.fd(), args.name.c_str(), new_parent.fd(), args.new_name.c_str(),
                         args.flags);
    });
  };
  const Result<Unit> ok = reactor_.blocking([&]() -> Result<Unit> {
    if ((args.flags & RENAME_WHITEOUT) == 0) return rename();
    // The whiteout is something new. But the user may move what is there by rights that only the
    // tenant's kernel knows.
    const local::Creator who{.uid = request.header.uid, .gid = request.header.gid};
    const Result<Unit> as_user = identity_.as(who, rename);
    return !as_user && as_user.error() == Errno::perm ? rename() : as_user;
  });
  if (!ok) return ok;
  nodes_.keep_orphan(std::move(replaced));
  nodes_.moved_to(new_parent, args.new_name);
  if ((args.flags & RENAME_EXCHANGE) != 0) nodes_.moved_to(parent, args.name);
  return ok;
}

}  // namespace dpfs
