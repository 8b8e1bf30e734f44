// SPDX-License-Identifier: Apache-2.0
// The local back end's beginning and end, and what concerns the file system as a whole.
#include "backend/local/local_fs.h"

#include <sys/vfs.h>
#include <unistd.h>

#include "backend/local/acl.h"
#include "backend/local/system.h"
#include "backend/local/xattr_calls.h"

namespace dpfs {

using local::Pinned;
namespace init_flag = fuse::init_flag;

LocalFs::LocalFs(Reactor& reactor, const LocalOptions& options)
    : reactor_(reactor),
      options_(options),
      nodes_(reactor, {.path = options.path,
                       .descriptors_max = options.descriptors_max,
                       .file_handles = options.file_handles}),
      files_(nodes_),
      locks_(reactor, nodes_),
      lock_waits_(reactor) {}

LocalFs::~LocalFs() {
  locks_.clear();
  files_.clear();
}

void LocalFs::begin(Negotiated& negotiated) {
  uint64_t supported = init_flag::kDoReaddirplus | init_flag::kReaddirplusAuto |
                       init_flag::kWritebackCache | init_flag::kHandleKillprivV2 |
                       init_flag::kPosixLocks | init_flag::kFlockLocks | init_flag::kDontMask |
                       init_flag::kHasIoctlDir | init_flag::kCreateSuppGroup |
                       init_flag::kAllowIdmap;
  if (options_.announce_submounts) supported |= init_flag::kSubmounts;
  supported |= nodes_.uses_handles() ? init_flag::kExportSupport : init_flag::kNoExportSupport;
  if (keeps_acls()) supported |= init_flag::kPosixAcl;
  if (keeps_labels()) supported |= init_flag::kSecurityCtx;
  negotiated.flags &= ~fuse::kPromiseFlags | supported;
  if ((negotiated.flags & init_flag::kExportSupport) != 0) {
    nodes_.keep_forgotten(options_.forgotten_max);
  }
  negotiated_ = negotiated;
}

// A tenant that checks ACLs leaves the umask to us as well, because whether it counts depends on
// the parent directory's default ACL.
bool LocalFs::keeps_acls() noexcept {
  if (!options_.xattrs || !options_.posix_acls) return false;
  const int root = nodes_.root_fd();
  return reactor_.blocking([root] { return local::has_acls(root); });
}

// Others than the host's own security module need CAP_SYS_ADMIN to set a label.
bool LocalFs::keeps_labels() const noexcept {
  return options_.xattrs && options_.security_labels && local::has_xattr_at() &&
         identity_.has_capability(CAP_SYS_ADMIN);
}

void LocalFs::end() noexcept {
  locks_.clear();
  lock_waits_.start_over();
  files_.clear();
  nodes_.start_over();
  negotiated_ = {};
}

Op<fuse::StatfsOut> LocalFs::statfs(Request&, const NodeArgs& args) {
  const Pinned node = nodes_.pin(args.node);
  if (!node) return node.error();
  struct statfs fs;
  const Result<Unit> ok =
      reactor_.blocking([&] { return local::done([&] { return ::fstatfs(node.fd(), &fs); }); });
  if (!ok) return ok.error();
  // One block size for everything: programs multiply the counts by either of the two.
  const uint64_t block_bytes = static_cast<uint64_t>(fs.f_frsize != 0 ? fs.f_frsize : fs.f_bsize);
  fuse::StatfsOut out{};
  out.st.blocks = fs.f_blocks;
  out.st.bfree = fs.f_bfree;
  out.st.bavail = fs.f_bavail;
  out.st.files = fs.f_files;
  out.st.ffree = fs.f_ffree;
  out.st.bsize = static_cast<uint32_t>(block_bytes);
  out.st.frsize = static_cast<uint32_t>(block_bytes);
  out.st.namelen = static_cast<uint32_t>(fs.f_namelen);
  return out;
}

// Linux asks once for each of its mounts. When it does not know of those inside the shared
// directory, one question is about all of them.
Op<Unit> LocalFs::syncfs(Request&, const NodeArgs& args) {
  if (!nodes_.knows(args.node)) return Errno::stale;
  if ((negotiated_.flags & fuse::init_flag::kSubmounts) != 0) return nodes_.sync_mount(args.node);
  return nodes_.sync_all();
}

}  // namespace dpfs
