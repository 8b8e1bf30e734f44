// SPDX-License-Identifier: Apache-2.0
// What a tenant does with regular files of the local back end, from OPEN to RELEASE.
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backend/local/local_fs.h"
#include "backend/local/system.h"

namespace dpfs {

using local::OpenFile;
using local::OpenFileRef;

// Only flags that mean the same for any opener. O_DIRECT is left out: see local::DirectFile.
// O_APPEND belongs to each write: see write_flags_for().
int LocalFs::host_flags(uint32_t flags) const noexcept {
  constexpr int kKept = O_ACCMODE | O_TRUNC | O_DSYNC | O_SYNC | O_NOATIME;
  int host = static_cast<int>(flags) & kKept;
  // The tenant's cache reads the rest of pages it writes.
  if (writes_back() && (host & O_ACCMODE) == O_WRONLY) host = (host & ~O_ACCMODE) | O_RDWR;
  return host;
}

// RWF_... of one write. Whether a file is appended to can change while it is open (fcntl(2)), and
// what comes from the tenant's page cache has a place of its own, also where the file's last writer
// appends. A tenant that writes back knows itself where the end is.
int LocalFs::write_flags_for(const WriteArgs& args) const noexcept {
  if ((args.write_flags & fuse::write_flag::kCache) != 0) return 0;
  int flags = 0;
  if ((args.flags & O_APPEND) != 0 && !writes_back()) flags |= RWF_APPEND;
  if ((args.flags & O_SYNC) == O_SYNC) {
    flags |= RWF_SYNC;
  } else if ((args.flags & O_DSYNC) != 0) {
    flags |= RWF_DSYNC;
  }
  return flags;
}

// Whether set-user-id bits are ours to drop when `who` changes a file. Linux says so itself for
// OPEN, WRITE and SETATTR; elsewhere its superuser stands for those who may keep them.
bool LocalFs::drops_suid_for(const Request& who) const noexcept {
  return (negotiated_.flags & fuse::init_flag::kHandleKillprivV2) != 0 && who.header.uid != 0;
}

Result<fuse::OpenOut> LocalFs::open_node(NodeId node, int flags, uint32_t open_flags) noexcept {
  const Result<int> opened = nodes_.open(node, flags);
  if (!opened) return opened.error();
  Fd fd(*opened);
  if ((open_flags & fuse::open_in_flag::kKillSuidgid) != 0) {
    const Result<Unit> ok = reactor_.blocking([&] { return local::drop_suid(fd.get()); });
    if (!ok) {
      nodes_.close(std::move(fd));
      return ok.error();
    }
  }
  return hand_out(node, std::move(fd));
}

// A handle for the tenant.
Result<fuse::OpenOut> LocalFs::hand_out(NodeId node, Fd fd) noexcept {
  std::optional<local::Pinned> pinned;
  if (nodes_.needs_pin(node)) {
    pinned.emplace(nodes_.pin(node));
    if (!*pinned) {
      nodes_.close(std::move(fd));
      return pinned->error();
    }
  }
  const Result<Handle> handle = files_.add(node, std::move(fd), std::move(pinned));
  if (!handle) return handle.error();
  fuse::OpenOut out{};
  out.fh = static_cast<uint64_t>(*handle);
  // The host's kernel orders writes to one file; the tenant's need not.
  out.open_flags = fuse::open_flag::kParallelDirectWrites | negotiated_.cache.file_flags;
  return out;
}

// With the flags that the tenant gave.
Result<fuse::OpenOut> LocalFs::open_file(NodeId node, uint32_t flags,
                                         uint32_t open_flags) noexcept {
  int host = host_flags(flags);
  Result<fuse::OpenOut> out = open_node(node, host, open_flags);
  if (out.error() == Errno::perm && (host & O_NOATIME) != 0) {
    // That is for a file's owner to ask for. The tenant's user may be, for all we know, but we are
    // not, and have no right to stand in for it.
    host &= ~O_NOATIME;
    out = open_node(node, host, open_flags);
  }
  if (out || out.error() != Errno::perm || (flags & O_APPEND) == 0) return out;
  // An inode that can only be appended to (chattr +a) asks who opens it for a promise.
  const Result<fuse::OpenOut> appending = open_node(node, host | O_APPEND, open_flags);
  if (!appending) return appending;
  fuse::OpenOut made = *appending;
  // Whole pages that a tenant writes back have their place, and would be appended here.
  if (writes_back()) made.open_flags |= fuse::open_flag::kDirectIo;
  return made;
}

Op<fuse::OpenOut> LocalFs::open(Request&, const OpenArgs& args) {
  return open_file(args.node, args.flags, args.open_flags);
}

Op<Unit> LocalFs::release(Request&, const ReleaseArgs& args) {
  if (args.drops_flock) {
    OpenFile* file = files_.find(args.handle, args.node);
    if (file == nullptr) return Errno::badf;
    // A request that still uses the file would keep the lock with it.
    const OpenFileRef open(files_, *file);
    reactor_.blocking([&] { return ::flock(open->fd.get(), LOCK_UN); });
  }
  const Result<Unit> closed = files_.close(args.handle, args.node);
  if (closed) locks_.drop(args.node, args.handle);
  return closed;
}

Op<uint32_t> LocalFs::read(Request&, const ReadArgs& args) {
  OpenFile* found = files_.find(args.handle, args.node);
  if (found == nullptr) return Errno::badf;
  OpenFileRef file(files_, *found);
  if ((args.flags & O_DIRECT) != 0 && negotiated_.direct_io &&
      goes_direct(*file, args.offset, args.into.size())) {
    return read_direct(std::move(file), args);
  }
  if (!file->no_wait) return read_waiting(std::move(file), args);

  iovec room[IOV_MAX];
  const std::span<iovec> parts = args.into.to_iovecs(room);
  // RWF_NOWAIT is about the file; the tenant's memory may still have to be waited for.
  const Result<ssize_t> got = reactor_.blocking([&] {
    return local::checked([&] {
      return ::preadv2(file->fd.get(), parts.data(), static_cast<int>(parts.size()),
                       static_cast<off_t>(args.offset), RWF_NOWAIT);
    });
  });
  if (!got) {
    if (got.error() == Errno::again) return read_later(std::move(file), args, 0);
    if (got.error() != Errno::opnotsupp) return got.error();
    file->no_wait = false;
    return read_waiting(std::move(file), args);
  }
  const auto bytes = static_cast<uint32_t>(*got);
  if (bytes == args.into.size() || bytes == 0) return bytes;

  // The end of the file, or of what the page cache has.
  const Result<bool> end = at_end(*file, args.offset + bytes);
  if (!end) return end.error();
  if (*end) return bytes;
  return read_later(std::move(file), args, bytes);
}

// A tenant takes a short answer for the end of the file, so it has to be the end. What fails
// halfway fails.
Result<bool> LocalFs::at_end(OpenFile& file, uint64_t offset) noexcept {
  struct stat stat;
  const Result<Unit> ok =
      reactor_.blocking([&] { return local::done([&] { return ::fstat(file.fd.get(), &stat); }); });
  if (!ok) return ok.error();
  return offset >= static_cast<uint64_t>(stat.st_size);
}

Op<uint32_t> LocalFs::read_later(OpenFileRef file, ReadArgs args, uint32_t bytes) {
  const local::Spares<Iovecs>::Lease room = iovecs_.take();
  if (!room) co_return Errno::nomem;
  while (bytes < args.into.size()) {
    const IoView rest = args.into.rest(bytes);
    FileIoOp io(reactor_, FileIo::Kind::readv, file->fd.get(), rest.to_iovecs(*room),
                args.offset + bytes);
    const int32_t got = co_await io;
    if (got == -EINTR) continue;
    if (got < 0) co_return to_errno(-got);
    if (got == 0) break;
    bytes += static_cast<uint32_t>(got);
    if (bytes == args.into.size()) break;
    const Result<bool> end = at_end(*file, args.offset + bytes);
    if (!end) co_return end.error();
    if (*end) break;
  }
  co_return bytes;
}

// Where the file system cannot say whether it would have to wait (tmpfs, network file systems).
Result<uint32_t> LocalFs::read_waiting(OpenFileRef file, const ReadArgs& args) noexcept {
  iovec room[IOV_MAX];
  uint32_t bytes = 0;
  while (bytes < args.into.size()) {
    const std::span<iovec> parts = args.into.rest(bytes).to_iovecs(room);
    const Result<ssize_t> got = reactor_.blocking([&] {
      return local::checked([&] {
        return ::preadv(file->fd.get(), parts.data(), static_cast<int>(parts.size()),
                        static_cast<off_t>(args.offset + bytes));
      });
    });
    if (!got) return got.error();
    if (*got == 0) break;
    bytes += static_cast<uint32_t>(*got);
  }
  return bytes;
}

Op<fuse::WriteOut> LocalFs::write(Request&, const WriteArgs& args) {
  OpenFile* found = files_.find(args.handle, args.node);
  if (found == nullptr) return Errno::badf;
  const OpenFileRef file(files_, *found);
  if ((args.write_flags & fuse::write_flag::kKillSuidgid) != 0) {
    const Result<Unit> ok = reactor_.blocking([&] { return local::drop_suid(file->fd.get()); });
    if (!ok) return ok.error();
  }
  if (negotiated_.direct_io && goes_direct(*file, args)) return write_direct(file, args);
  return write_cached(*file, args, 0);
}

namespace {

// The plainest call that will do: one page from one piece of memory is what most writes are, and
// the kernel has the least to look at then.
ssize_t write_at(int fd, std::span<const iovec> parts, uint64_t offset, int flags) noexcept {
  const auto at = static_cast<off_t>(offset);
  if (flags == 0 && parts.size() == 1) {
    return ::pwrite(fd, parts.front().iov_base, parts.front().iov_len, at);
  }
  return ::pwritev2(fd, parts.data(), static_cast<int>(parts.size()), at, flags);
}

}  // namespace

// `bytes` of it are written already. Of what a tenant's program writes, a part that fits is the
// answer. Of what a tenant's cache writes back, Linux takes any answer but an error for the whole.
Result<fuse::WriteOut> LocalFs::write_cached(OpenFile& file, const WriteArgs& args,
                                             uint32_t bytes) noexcept {
  const int flags = write_flags_for(args);
  const bool from_cache = (args.write_flags & fuse::write_flag::kCache) != 0;
  iovec room[IOV_MAX];
  while (bytes < args.from.size()) {
    const std::span<iovec> parts = args.from.rest(bytes).to_iovecs(room);
    const Result<ssize_t> put = reactor_.blocking([&] {
      return local::checked(
          [&] { return write_at(file.fd.get(), parts, args.offset + bytes, flags); });
    });
    if (!put && (bytes == 0 || from_cache)) return put.error();
    if (!put || *put == 0) break;
    bytes += static_cast<uint32_t>(*put);
  }
  if (from_cache && bytes < args.from.size()) return Errno::io;
  return fuse::WriteOut{.size = bytes, .padding = 0};
}

// One for each close() in the tenant. Network file systems write back then, and say what went
// wrong.
Op<Unit> LocalFs::flush(Request&, const FlushArgs& args) {
  OpenFile* found = files_.find(args.handle, args.node);
  if (found == nullptr) return Errno::badf;
  const OpenFileRef file(files_, *found);
  locks_.drop(args.node, args.lock_owner);
  if (nodes_.flush_is_idle(args.node)) return Unit{};
  const Result<int> closed = nodes_.opening([&]() -> Result<int> {
    const Result<int> copy =
        local::checked([&] { return ::fcntl(file->fd.get(), F_DUPFD_CLOEXEC, 0); });
    if (!copy) return copy;
    if (::close(*copy) != 0 && errno != EINTR) return last_errno();
    return 0;
  });
  if (!closed) return closed.error();
  return Unit{};
}

Op<Unit> LocalFs::fsync(Request&, const FsyncArgs& args) {
  OpenFile* file = files_.find(args.handle, args.node);
  if (file == nullptr) return Errno::badf;
  return sync_later(OpenFileRef(files_, *file), args.data_only);
}

Op<Unit> LocalFs::sync_later(OpenFileRef file, bool data_only) {
  const FileIo::Kind kind = data_only ? FileIo::Kind::fdatasync : FileIo::Kind::fsync;
  while (true) {
    FileIoOp io(reactor_, kind, file->fd.get());
    const int32_t result = co_await io;
    if (result == -EINTR) continue;
    if (result < 0) co_return to_errno(-result);
    co_return Unit{};
  }
}

Op<Unit> LocalFs::fallocate(Request& request, const FallocateArgs& args) {
  OpenFile* found = files_.find(args.handle, args.node);
  if (found == nullptr) return Errno::badf;
  const OpenFileRef file(files_, *found);
  const bool drops_suid = drops_suid_for(request);
  return reactor_.blocking([&]() -> Result<Unit> {
    if (drops_suid) {
      if (const Result<Unit> ok = local::drop_suid(file->fd.get()); !ok) return ok;
    }
    return local::done([&] {
      return ::fallocate(file->fd.get(), static_cast<int>(args.mode),
                         static_cast<off_t>(args.offset), static_cast<off_t>(args.length));
    });
  });
}

Op<fuse::LseekOut> LocalFs::lseek(Request&, const LseekArgs& args) {
  OpenFile* found = files_.find(args.handle, args.node);
  if (found == nullptr) return Errno::badf;
  // Anything else the tenant knows itself. (Our descriptor's own position means nothing.)
  if (args.whence != SEEK_DATA && args.whence != SEEK_HOLE) return Errno::inval;
  const OpenFileRef file(files_, *found);
  const Result<off_t> offset = reactor_.blocking([&] {
    return local::checked([&] {
      return ::lseek(file->fd.get(), static_cast<off_t>(args.offset),
                     static_cast<int>(args.whence));
    });
  });
  if (!offset) return offset.error();
  return fuse::LseekOut{.offset = static_cast<uint64_t>(*offset)};
}

Op<fuse::CopyFileRangeOut> LocalFs::copy_file_range(Request& request,
                                                    const CopyFileRangeArgs& args) {
  OpenFile* found_in = files_.find(args.handle_in, args.node_in);
  OpenFile* found_out = files_.find(args.handle_out, args.node_out);
  if (found_in == nullptr || found_out == nullptr) return Errno::badf;
  const OpenFileRef in(files_, *found_in);
  const OpenFileRef out(files_, *found_out);
  const bool drops_suid = drops_suid_for(request);
  const Result<ssize_t> copied = reactor_.blocking([&]() -> Result<ssize_t> {
    if (drops_suid) {
      if (const Result<Unit> ok = local::drop_suid(out->fd.get()); !ok) return ok.error();
    }
    return local::checked([&] {
      auto offset_in = static_cast<off_t>(args.offset_in);
      auto offset_out = static_cast<off_t>(args.offset_out);
      return ::copy_file_range(in->fd.get(), &offset_in, out->fd.get(), &offset_out, args.length,
                               static_cast<unsigned>(args.flags));
    });
  });
  if (!copied) return copied.error();
  return fuse::CopyFileRangeOut{static_cast<uint64_t>(*copied)};
}

}  // namespace dpfs
