// SPDX-License-Identifier: Apache-2.0
// What this file system has to do when the server was found, or found again.
#include "backend/nfs/nfs_fs.h"
#include "backend/nfs/status.h"
#include "base/log.h"

namespace dpfs {

using nfs::LookupPath;

Op<Unit> NfsFs::reclaim() noexcept {
  restarted_ = true;
  Op<Unit> reclaiming = states_.reclaim();
  const Result<Unit> reclaimed = co_await reclaiming;
  co_return reclaimed;
}

Op<Unit> NfsFs::reopen() noexcept {
  Op<Unit> reopening = states_.reopen();
  const Result<Unit> reopened = co_await reopening;
  co_return reopened;
}

Op<Unit> NfsFs::resume() noexcept {
  Op<Unit> finding = find_root();
  const Result<Unit> found = co_await finding;
  if (!found) co_return found.error();
  if (restarted_) {
    Op<Unit> writing = write_again();
    const Result<Unit> written = co_await writing;
    if (!written) co_return written.error();
    restarted_ = false;
  }
  states_.settled();
  if (!leftovers_seen_) {
    leftovers_seen_ = true;
    remove_leftovers();
    timers_.start(look_for_leftovers_, 2 * client_.lease_ns());
  }
  co_return Unit{};
}

// Walks from the server's root to what is shared, a few names at a time.
Op<Unit> NfsFs::find_root() {
  std::string_view rest = options_.path;
  LookupPath call;
  call.recovers = true;
  bool more = true;
  while (more) {
    call.count = 0;
    while (call.count < LookupPath::kNamesMax) {
      rest.remove_prefix(std::min(rest.find_first_not_of('/'), rest.size()));
      if (rest.empty()) break;
      const std::string_view name = rest.substr(0, rest.find('/'));
      call.names[call.count++] = name;
      rest.remove_prefix(name.size());
    }
    rest.remove_prefix(std::min(rest.find_first_not_of('/'), rest.size()));
    more = !rest.empty();
    call.wanted = nfs::kObjectAttributes;
    if (!more) {
      call.wanted.add(nfs::attribute::kLeaseTime);
      call.wanted.add(nfs::attribute::kMaxread);
      call.wanted.add(nfs::attribute::kMaxwrite);
    }
    const Result<Unit> found = co_await client_.perform(call);
    if (!found) {
      if (found.error() != Errno::canceled) {
        log::error("{} has no {} for us: {}", client_.server(), options_.path,
                   nfs::describe_status(call.status()));
      }
      co_return found.error();
    }
    call.from_root = false;
    call.from = call.handle;
  }
  client_.learned(call.attributes);
  if (call.attributes.type != nfs::FileType::directory) {
    log::error("{}: {} is no directory", client_.server(), options_.path);
    co_return Errno::notdir;
  }
  if (nodes_.set_root(call.handle, call.attributes) == nullptr) co_return Errno::nomem;
  co_return Unit{};
}

// A server that has restarted may have lost what it had not stored, and the tenant would read what
// was before.
Op<Unit> NfsFs::write_again() {
  uint64_t bytes = 0;
  for (nfs::File* file = files_.next(0); file != nullptr;) {
    const uint32_t index = file->index;
    const Using keeps(*this, *file);
    Op<uint64_t> writing = write_file_again(*file);
    const Result<uint64_t> written = co_await writing;
    if (!written) co_return written.error();
    bytes += *written;
    file = files_.next(index + 1);
  }
  if (bytes > 0) log::info("{}: {} KiB written again", client_.server(), bytes / 1024);
  co_return Unit{};
}

// How many bytes; ECANCELED when the recovery begins anew. Other errors are the file's.
Op<uint64_t> NfsFs::write_file_again(nfs::File& file) {
  uint64_t bytes = 0;
  for (nfs::KeptWrite* kept = file.unstable.front(); kept != nullptr;) {
    kept->pinned = true;
    Op<uint32_t> writing = write_kept_again(file, *kept);
    const Result<uint32_t> written = co_await writing;
    kept->pinned = false;
    // Who gives up waiting for it to be stored drops all that are before it, too.
    const bool dropped = kept->dropped;
    nfs::KeptWrite* next = dropped ? file.unstable.front() : file.unstable.after(*kept);
    if (!written && written.error() != Errno::canceled && !dropped) {
      log::error("{}: {} bytes of file {} are lost with the server's restart: {}", client_.server(),
                 kept->bytes, file.index, describe(written.error()));
      nfs::Files::fail(file, written.error());
    }
    if (dropped) kept_writes_.give(*kept);
    if (written.error() == Errno::canceled) co_return Errno::canceled;
    if (written) bytes += *written;
    kept = next;
  }
  co_return bytes;
}

Op<uint32_t> NfsFs::write_kept_again(nfs::File& file, nfs::KeptWrite& kept) {
  nfs::Write call(client_);
  call.recovers = true;
  call.who = file.who;
  call.node = file.handle;
  const nfs::OpenRef writer = states_.any_writer(file.index);
  call.open = writer.get();
  uint32_t done = 0;
  while (done < kept.bytes) {
    call.offset = kept.offset + done;
    call.data = kept.view().subspan(done);
    const Result<Unit> written = co_await client_.perform(call);
    if (!written) co_return written.error();
    if (call.bytes == 0) co_return Errno::io;
    done += call.bytes;
  }
  kept.verifier = call.verifier;
  co_return done;
}

}  // namespace dpfs
