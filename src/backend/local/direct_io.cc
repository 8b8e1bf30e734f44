// SPDX-License-Identifier: Apache-2.0
// Reads and writes of the local back end that pass the host's page cache by.
#include <sys/uio.h>
#include <unistd.h>

#include "backend/local/local_fs.h"
#include "backend/local/system.h"

namespace dpfs {

using local::AlignedBuffer;
using local::DirectFile;
using local::OpenFile;
using local::OpenFileRef;

// Whether the request goes past the page cache, by file.direct. That is opened when it is first
// wanted: a tenant can ask for O_DIRECT at any time (fcntl(2)).
bool LocalFs::goes_direct(OpenFile& file, uint64_t offset, size_t bytes) noexcept {
  if (file.direct.state == DirectFile::State::untried) {
    DirectFile opened =
        reactor_.blocking([&] { return local::open_direct(nodes_.proc_fd(), file.fd.get()); });
    if (file.direct.state == DirectFile::State::untried) {
      file.direct = std::move(opened);
    } else {
      nodes_.close(std::move(opened.fd));  // another request was quicker
    }
  }
  return bytes > 0 && bytes <= AlignedBuffer::kBytes && file.direct.takes(offset, bytes);
}

// Appending needs the end of the file in one step with the write. What comes from the tenant's page
// cache is not what its program wrote.
bool LocalFs::goes_direct(OpenFile& file, const WriteArgs& args) noexcept {
  if ((args.flags & (O_DIRECT | O_APPEND)) != O_DIRECT) return false;
  if ((args.write_flags & fuse::write_flag::kCache) != 0) return false;
  if (!goes_direct(file, args.offset, args.from.size())) return false;
  return (args.flags & O_DSYNC) == 0 || file.direct.synchronous;
}

// By io_uring throughout, since it waits for the disk. Whatever the file system refuses is done
// through the page cache: the tenant has been told that it may use O_DIRECT as it likes.
Op<uint32_t> LocalFs::read_direct(OpenFileRef file, ReadArgs args) {
  const local::Spares<Iovecs>::Lease room = iovecs_.take();
  if (!room) co_return Errno::nomem;
  std::span<iovec> parts = args.into.to_iovecs(*room);
  std::optional<local::Spares<AlignedBuffer>::Lease> buffer;
  if (!file->direct.takes(parts)) {
    buffer.emplace(aligned_.take());
    if (!*buffer) {
      Op<uint32_t> cached = read_later(std::move(file), args, 0);
      const Result<uint32_t> all = co_await cached;
      co_return all;
    }
    (*room)[0] = {(**buffer).bytes, args.into.size()};
    parts = std::span(*room).first(1);
  }
  FileIoOp io(reactor_, FileIo::Kind::readv, file->direct.fd.get(), parts, args.offset);
  const int32_t got = co_await io;
  const auto bytes = static_cast<uint32_t>(std::max(got, 0));
  if (buffer) {
    IoView into = args.into;
    into.copy_in((**buffer).bytes, bytes);
  }
  if (bytes == args.into.size()) co_return bytes;
  if (got < 0 && got != -EINVAL && got != -EINTR) co_return to_errno(-got);
  const Result<bool> end = at_end(*file, args.offset + bytes);
  if (end && *end) co_return bytes;
  Op<uint32_t> rest = read_later(std::move(file), args, bytes);
  const Result<uint32_t> all = co_await rest;
  co_return all;
}

Op<fuse::WriteOut> LocalFs::write_direct(OpenFileRef file, WriteArgs args) {
  const local::Spares<Iovecs>::Lease room = iovecs_.take();
  if (!room) co_return Errno::nomem;
  std::span<iovec> parts = args.from.to_iovecs(*room);
  std::optional<local::Spares<AlignedBuffer>::Lease> buffer;
  if (!file->direct.takes(parts)) {
    buffer.emplace(aligned_.take());
    if (!*buffer) co_return write_cached(*file, args, 0);
    IoView from = args.from;
    (*room)[0] = {(**buffer).bytes, from.copy_out((**buffer).bytes, from.size())};
    parts = std::span(*room).first(1);
  }
  FileIoOp io(reactor_, FileIo::Kind::writev, file->direct.fd.get(), parts, args.offset);
  const int32_t put = co_await io;
  if (put < 0 && put != -EINVAL && put != -EINTR) co_return to_errno(-put);
  const auto bytes = static_cast<uint32_t>(std::max(put, 0));
  if (bytes == args.from.size()) co_return fuse::WriteOut{.size = bytes, .padding = 0};
  const Result<fuse::WriteOut> all = write_cached(*file, args, bytes);
  co_return all;
}

}  // namespace dpfs
