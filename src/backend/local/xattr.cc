// SPDX-License-Identifier: Apache-2.0
// Extended attributes of the local back end.
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "backend/local/acl.h"
#include "backend/local/local_fs.h"
#include "backend/local/system.h"
#include "backend/local/xattr_calls.h"

namespace dpfs {

using local::Pinned;

// Calls `by_path(directory, name)`, which makes one of the calls above with the node's name in
// /proc/self/fd (they refuse O_PATH otherwise); on older kernels `by_fd(fd)` with a descriptor that
// is open for reading, which only files and directories can be.
template <class ByPath, class ByFd>
Result<ssize_t> LocalFs::on_xattrs(NodeId id, ByPath by_path, ByFd by_fd) noexcept {
  const Pinned node = nodes_.pin(id);
  if (!node) return node.error();
  if (local::has_xattr_at()) {
    const local::FdName name(node.fd());
    return reactor_.blocking([&] {
      return local::checked(
          [&] { return static_cast<ssize_t>(by_path(nodes_.proc_fd(), name.c_str())); });
    });
  }
  if (node.type() != S_IFREG && node.type() != S_IFDIR) return Errno::opnotsupp;
  const int flags = node.type() == S_IFDIR ? O_RDONLY | O_DIRECTORY : O_RDONLY;
  const Result<int> opened = nodes_.open(id, flags);
  if (!opened) return opened.error();
  Fd fd(*opened);
  const Result<ssize_t> result = reactor_.blocking(
      [&] { return local::checked([&] { return static_cast<ssize_t>(by_fd(fd.get())); }); });
  nodes_.close(std::move(fd));
  return result;
}

Op<uint32_t> LocalFs::getxattr(Request&, const GetxattrArgs& args) {
  if (!options_.xattrs) return Errno::nosys;
  const local::Spares<local::XattrBuffer>::Lease buffer = xattr_buffers_.take();
  if (!buffer) return Errno::nomem;
  char* value = (*buffer).data();
  const size_t size = std::min(args.into.size(), local::kXattrBytes);
  const local::XattrArgs call{reinterpret_cast<uintptr_t>(value), static_cast<uint32_t>(size), 0};
  const char* name = args.name.c_str();
  const Result<ssize_t> bytes = on_xattrs(
      args.node,
      [&](int directory, const char* path) {
        return local::getxattr_at(directory, path, 0, name, call);
      },
      [&](int fd) { return ::fgetxattr(fd, name, value, size); });
  if (!bytes) {
    // On a mount that keeps no ACLs nobody has one. Linux takes any other answer as a refusal.
    const bool has_none = bytes.error() == Errno::opnotsupp && local::is_acl(args.name.view()) &&
                          (negotiated_.flags & fuse::init_flag::kPosixAcl) != 0;
    return has_none ? Errno::nodata : bytes.error();
  }
  IoView into = args.into;
  into.copy_in(value, static_cast<size_t>(*bytes));
  return static_cast<uint32_t>(*bytes);
}

// "trusted." names are for those who may read them, as on the host. Where ids are mapped in the
// tenant it does not say who asks; then they stay, for the sake of what root copies.
Op<uint32_t> LocalFs::listxattr(Request& request, const ListxattrArgs& args) {
  if (!options_.xattrs) return Errno::nosys;
  const local::Spares<local::XattrBuffer>::Lease buffer = xattr_buffers_.take();
  if (!buffer) return Errno::nomem;
  char* names = (*buffer).data();
  const uint32_t uid = request.header.uid;
  const bool sees_all = uid == 0 || uid == fuse::kInvalidUidGid;
  const size_t room = args.into.size();
  const size_t size = sees_all ? std::min(room, local::kXattrBytes) : local::kXattrBytes;
  const Result<ssize_t> listed = on_xattrs(
      args.node,
      [&](int directory, const char* path) {
        return local::listxattr_at(directory, path, 0, names, size);
      },
      [&](int fd) { return ::flistxattr(fd, names, size); });
  if (!listed) return listed.error();
  auto bytes = static_cast<size_t>(*listed);
  if (!sees_all) {
    bytes = local::leave_out_trusted(names, bytes);
    if (room > 0 && bytes > room) return Errno::range;
  }
  IoView into = args.into;
  into.copy_in(names, bytes);
  return static_cast<uint32_t>(bytes);
}

Op<Unit> LocalFs::setxattr(Request&, const SetxattrArgs& args) {
  if (!options_.xattrs) return Errno::nosys;
  if (args.value.size() > local::kXattrBytes) return Errno::toobig;
  const local::Spares<local::XattrBuffer>::Lease buffer = xattr_buffers_.take();
  if (!buffer) return Errno::nomem;
  char* value = (*buffer).data();
  IoView from = args.value;
  const size_t size = from.copy_out(value, from.size());
  const local::XattrArgs call{reinterpret_cast<uintptr_t>(value), static_cast<uint32_t>(size),
                              args.flags};
  const char* name = args.name.c_str();
  const Result<ssize_t> done = on_xattrs(
      args.node,
      [&](int directory, const char* path) {
        return local::setxattr_at(directory, path, 0, name, call);
      },
      [&](int fd) { return ::fsetxattr(fd, name, value, size, static_cast<int>(args.flags)); });
  if (!done) return done.error();
  // Linux says so for either ACL; a default ACL is about what will be made.
  const bool kills = (args.setxattr_flags & fuse::setxattr_flag::kAclKillSgid) != 0 &&
                     args.name.view() == "system.posix_acl_access";
  if (!kills) return Unit{};
  const Pinned node = nodes_.pin(args.node);
  if (!node) return node.error();
  return reactor_.blocking([&] { return local::drop_set_group_id(nodes_.proc_fd(), node.fd()); });
}

Op<Unit> LocalFs::removexattr(Request&, const RemovexattrArgs& args) {
  if (!options_.xattrs) return Errno::nosys;
  const char* name = args.name.c_str();
  const Result<ssize_t> done = on_xattrs(
      args.node,
      [&](int directory, const char* path) {
        return local::removexattr_at(directory, path, 0, name);
      },
      [&](int fd) { return ::fremovexattr(fd, name); });
  if (!done) return done.error();
  return Unit{};
}

}  // namespace dpfs
