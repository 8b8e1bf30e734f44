// SPDX-License-Identifier: Apache-2.0
// The local back end's beginning and end, and what concerns the file system as a whole.
#include "backend/local/local_fs.h"

#include <sys/vfs.h>
#include <unistd.h>

#include "backend/local/system.h"

namespace dpfs {

using local::Pinned;

LocalFs::LocalFs(Reactor& reactor, const LocalOptions& options)
    : reactor_(reactor),
      options_(options),
      nodes_(reactor, {.path = options.path,
                       .descriptors_max = options.descriptors_max,
                       .file_handles = options.file_handles}),
      files_(nodes_) {}

LocalFs::~LocalFs() { files_.clear(); }

void LocalFs::begin(Negotiated& negotiated) {
  // What would have to be done here for them is not done yet.
  negotiated.flags &= ~(fuse::init_flag::kHandleKillpriv | fuse::init_flag::kPosixAcl |
                        fuse::init_flag::kPosixLocks | fuse::init_flag::kFlockLocks |
                        fuse::init_flag::kSubmounts | fuse::init_flag::kPassthrough |
                        fuse::init_flag::kMapAlignment | fuse::init_flag::kSecurityCtx |
                        fuse::init_flag::kCreateSuppGroup | fuse::init_flag::kAllowIdmap);
  negotiated_ = negotiated;
}

void LocalFs::end() noexcept {
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

Op<Unit> LocalFs::syncfs(Request&, const NodeArgs& args) {
  if (!nodes_.knows(args.node)) return Errno::stale;
  const int fd = nodes_.root_fd();
  return reactor_.blocking([fd] { return local::done([fd] { return ::syncfs(fd); }); });
}

}  // namespace dpfs
