// SPDX-License-Identifier: Apache-2.0
// The back end local: a directory of the host.
#pragma once

#include <limits.h>

#include <array>
#include <cstdint>
#include <string>

#include "backend/local/direct_file.h"
#include "backend/local/file_locks.h"
#include "backend/local/identity.h"
#include "backend/local/lock_wait.h"
#include "backend/local/nodes.h"
#include "backend/local/open_files.h"
#include "backend/local/spares.h"
#include "backend/local/xattr_calls.h"
#include "fuse/dirent_writer.h"
#include "fuse/filesystem.h"
#include "io/reactor.h"

namespace dpfs {

namespace local {
struct HostEntry;
}

struct LocalOptions {
  std::string path;  // the directory to share; links in this path itself are followed

  bool xattrs = true;
  // Whether a tenant that checks ACLs gets those of the host's file system (FUSE_POSIX_ACL).
  bool posix_acls = true;
  // Whether a tenant's security module may put its labels on new objects (FUSE_SECURITY_CTX).
  bool security_labels = true;
  // Whether a tenant may change project ids, by which its quota is counted perhaps.
  bool project_ids = false;
  // Whether a tenant is told where a mount begins inside the shared directory. Then Linux gives it
  // a device number of its own (st_dev), so that no two files seem to be one.
  bool announce_submounts = true;

  uint32_t descriptors_max = 0;  // kept for nodes that were used lately; 0: an eighth of
                                 // RLIMIT_NOFILE, at most 1024
  bool file_handles = true;      // false: never use them (see local::Nodes for what that costs)
  // So many nodes that a tenant has forgotten can still be named by it, some 100 bytes each. It is
  // for handles of an NFS server in the tenant (docs/fuse.md), and works with file handles only.
  uint32_t forgotten_max = 1u << 18;
};

// Shares everything below one directory, submounts included. Nothing outside of it can be reached:
// names are single components, opened beneath their directory without following links, and file
// handles come from the kernel for objects that were found this way. Devices, FIFOs and sockets can
// be made and seen, but are never opened here: their driver is the tenant's kernel.
//
// Calls that may block run inside Reactor::blocking(): metadata and buffered writes at once on the
// reactor's thread, and elsewhere only when they take long. Reads are tried without waiting and go
// through Reactor::submit() when the page cache has not got them.
//
// Made by a process that has CAP_DAC_READ_SEARCH, it uses file handles; with CAP_SETUID and
// CAP_SETGID, new files belong to the tenant's users; docs/fuse.md has more about rights. It
// expects the process's umask to be 0.
class LocalFs final : public FileSystem {
 public:
  // Throws std::runtime_error, with what to do, when the directory cannot be shared.
  LocalFs(Reactor& reactor, const LocalOptions& options);
  ~LocalFs() override;

  void begin(Negotiated& negotiated) override;
  void end() noexcept override;
  void interrupt(uint64_t unique) noexcept override;
  void end_waits() noexcept override;

#define DPFS_OP(name, Args, Out, effect) Op<Out> name(Request& request, const Args& args) override;
#include "fuse/ops.def"

  // For tests and counters.
  uint32_t nodes() const noexcept { return nodes_.size(); }
  uint32_t descriptors() const noexcept { return nodes_.descriptors(); }
  size_t open_files() const noexcept { return files_.size(); }
  uint32_t lock_owners() const noexcept { return locks_.size(); }
  bool uses_handles() noexcept { return nodes_.uses_handles(); }

 private:
  using Iovecs = std::array<iovec, IOV_MAX>;
  // What a tenant asks a new object's permissions to be.
  struct Mode {
    uint32_t mode;
    uint32_t umask;
  };

  bool keeps_acls() noexcept;
  bool keeps_labels() const noexcept;
  fuse::Attr attr_of(const local::Stat& stat) const noexcept;
  fuse::AttrOut attr_out(const local::Stat& stat) const noexcept;
  fuse::EntryOut entry_out(const local::Nodes::Found& found,
                           const local::Stat& stat) const noexcept;

  Op<fuse::EntryOut> look_up_dots(const LookupArgs& args) noexcept;

  // The tenant's kernel keeps what is written, and writes it later by pages.
  bool writes_back() const noexcept {
    return (negotiated_.flags & fuse::init_flag::kWritebackCache) != 0;
  }
  bool drops_suid_for(const Request& who) const noexcept;
  Result<fuse::OpenOut> open_node(NodeId node, int flags, uint32_t open_flags) noexcept;
  Result<fuse::OpenOut> open_file(NodeId node, uint32_t flags, uint32_t open_flags) noexcept;
  Result<fuse::OpenOut> hand_out(NodeId node, Fd fd) noexcept;
  int host_flags(uint32_t flags) const noexcept;
  int write_flags_for(const WriteArgs& args) const noexcept;
  template <class F>
  auto as_creator(const Request& request, Mode wanted, F create) const noexcept;
  template <class F>
  Op<fuse::EntryOut> make(Request& request, NodeId parent_node, const Name& name, Mode mode,
                          int remove_flags, F create) noexcept;
  Result<CreateOut> create_open(Request& request, const local::Directory& directory,
                                const Name& name, Mode mode, int flags) noexcept;
  Result<CreateOut> create_existing(const local::Directory& directory,
                                    const CreateArgs& args) noexcept;

  Op<Unit> remove(const UnlinkArgs& args, int flags) noexcept;
  Result<Unit> change(int fd, int size_fd, const fuse::SetattrIn& in,
                      local::Stat& stat) const noexcept;

  Op<uint32_t> read_later(local::OpenFileRef file, ReadArgs args, uint32_t bytes);
  Result<bool> at_end(local::OpenFile& file, uint64_t offset) noexcept;
  Result<uint32_t> read_waiting(local::OpenFileRef file, const ReadArgs& args) noexcept;
  Result<fuse::WriteOut> write_cached(local::OpenFile& file, const WriteArgs& args,
                                      uint32_t bytes) noexcept;
  bool goes_direct(local::OpenFile& file, uint64_t offset, size_t bytes) noexcept;
  bool goes_direct(local::OpenFile& file, const WriteArgs& args) noexcept;
  Op<uint32_t> read_direct(local::OpenFileRef file, ReadArgs args);
  Op<fuse::WriteOut> write_direct(local::OpenFileRef file, WriteArgs args);
  Op<Unit> sync_later(local::OpenFileRef file, bool data_only);
  Op<Unit> wait_for_lock(Request& request, local::LockOwnerRef owner, LockArgs args);
  Op<Unit> wait_for_flock(Request& request, local::OpenFileRef file, LockArgs args);
  Op<uint32_t> list(const ReaddirArgs& args, bool plus) noexcept;
  bool put(DirentWriter& writer, const local::Directory& directory, const local::HostEntry& host,
           bool plus) noexcept;
  template <class ByPath, class ByFd>
  Result<ssize_t> on_xattrs(NodeId node, ByPath by_path, ByFd by_fd) noexcept;

  Reactor& reactor_;
  const LocalOptions options_;
  const local::Identity identity_;
  local::Nodes nodes_;
  local::OpenFiles files_;
  local::FileLocks locks_;
  local::LockWaits lock_waits_;
  local::Spares<Iovecs> iovecs_;
  local::Spares<local::XattrBuffer> xattr_buffers_;
  local::Spares<local::AlignedBuffer> aligned_{local::AlignedBuffer::kMax};
  Negotiated negotiated_;
};

}  // namespace dpfs
