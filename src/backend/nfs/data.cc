// SPDX-License-Identifier: Apache-2.0
// Reading and writing.
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>

#include "backend/nfs/nfs_fs.h"

namespace dpfs {

using nfs::OpenRef;

Op<uint32_t> NfsFs::nfs_read(Request&, ReadArgs args) {
  const OpenRef open = find_open(args.handle, args.node);
  if (!open) co_return Errno::badf;
  nfs::Read call(client_);
  call.who = open->who;
  call.node = open->handle;
  call.open = open.get();
  uint32_t total = 0;
  while (total < args.into.size()) {
    if (open->lost) co_return Errno::io;
    call.data_into = args.into.rest(total).first(client_.read_bytes_max());
    call.offset = args.offset + total;
    const Result<Unit> done = co_await client_.perform(call);
    if (!done) {
      if (total > 0) break;
      co_return done.error();
    }
    total += call.bytes;
    // Fewer than were asked for are no end (RFC 8881, section 18.22.3); none at all get us nowhere.
    if (call.at_end || call.bytes == 0) break;
  }
  co_return total;
}

Op<fuse::WriteOut> NfsFs::nfs_write(Request&, WriteArgs args) {
  const OpenRef open = find_open(args.handle, args.node);
  if (!open) co_return Errno::badf;
  nfs::File& file = files_.at(open->file);
  const Using keeps(*this, file);
  uint64_t offset = args.offset;
  Errno why = Errno::none;
  // The end of the file is the server's to say; pages that the tenant's kernel kept have a place.
  if ((args.flags & O_APPEND) != 0 && (args.write_flags & fuse::write_flag::kCache) == 0) {
    nfs::GetAttributes call;
    call.who = open->who;
    call.node = open->handle;
    const Result<Unit> done = co_await client_.perform(call);
    why = done.error();
    offset = call.attributes.size;
  }
  uint32_t total = 0;
  while (why == Errno::none && total < args.from.size()) {
    if (open->lost) {
      why = Errno::io;
      break;
    }
    const IoView piece = args.from.rest(total).first(client_.write_bytes_max());
    Op<uint32_t> writing = write_piece(open, file, offset + total, piece);
    const Result<uint32_t> written = co_await writing;
    why = written.error();
    if (written) total += *written;
  }
  if (nfs::NodeRow* row = nodes_.find(args.node)) row->cached_change = 0;
  if (total > 0 && (args.write_flags & fuse::write_flag::kKillSuidgid) != 0) {
    Op<Unit> dropping = drop_privileges(args.node, open->handle);
    [[maybe_unused]] const Result<Unit> dropped = co_await dropping;
  }
  // Stored before it is acknowledged: asked for, or there is no more room to keep it.
  const bool synced = (args.flags & (O_SYNC | O_DSYNC)) != 0;
  const bool nobody_will = file.opens == 0;  // it was closed meanwhile
  if (total > 0 && (synced || nobody_will || kept_writes_.kept() > options_.unstable_bytes_max)) {
    Op<Unit> storing = store_for(open, file);
    const Result<Unit> stored = co_await storing;
    if (!stored) {
      why = stored.error();
      total = 0;
    }
  }
  if (total == 0 && why != Errno::none) co_return why;
  co_return fuse::WriteOut{.size = total, .padding = 0};
}

// At most what the server takes at once. All of it is written, or nothing is known to be.
Op<uint32_t> NfsFs::write_piece(OpenRef open, nfs::File& file, uint64_t offset, IoView from) {
  nfs::KeptWrite* kept = kept_writes_.take(from.size());
  if (kept == nullptr) co_return Errno::nomem;
  const auto bytes = static_cast<uint32_t>(from.copy_out(kept->data(), from.size()));
  kept->offset = offset;
  nfs::Write call(client_);
  call.who = open->who;
  call.node = open->handle;
  call.open = open.get();
  uint32_t done = 0;
  Errno why = Errno::none;
  bool unstable = false;
  bool mixed = false;  // stored by several servers' lives: to be sent again
  uint32_t resends = file.resends;
  while (done < bytes) {
    call.offset = offset + done;
    call.data = kept->view().subspan(done);
    const Result<Unit> written = co_await client_.perform(call);
    if (written && call.bytes == 0) why = Errno::io;
    if (!written) why = written.error();
    if (why != Errno::none) break;
    mixed = mixed || (done > 0 && call.verifier != kept->verifier);
    kept->verifier = call.verifier;
    unstable = unstable || call.committed == nfs::Stable::unstable;
    done += call.bytes;
    // What was sent again meanwhile may lie over it.
    if (resends != file.resends) done = 0;
    resends = file.resends;
  }
  // Before anything else is awaited: a server that restarts meanwhile is sent it again.
  if (mixed) kept->verifier = {};
  if (done == 0 || !unstable) {
    kept_writes_.give(*kept);
  } else {
    kept->bytes = done;
    kept->number = next_write_++;
    file.unstable.push_back(*kept);
  }
  if (file.has_locks && done > 0) {
    nfs::GetAttributes after;
    after.who = open->who;
    after.node = open->handle;
    after.wanted = {nfs::attribute::kChange};
    const Result<Unit> asked = co_await client_.perform(after);
    file.locked_change = asked ? after.attributes.change : 0;
  }
  if (done == 0 && why != Errno::none) co_return why;
  co_return done;
}

Op<Unit> NfsFs::nfs_fallocate(Request& request, FallocateArgs args) {
  const OpenRef open = find_open(args.handle, args.node);
  if (!open) co_return Errno::badf;
  const bool punches = args.mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
  if ((args.mode != 0 && !punches) || client_.minor_version() < 2 || no_allocate_) {
    co_return Errno::opnotsupp;
  }
  nfs::File& file = files_.at(open->file);
  const Using keeps(*this, file);
  Op<Unit> storing = store(file);  // what is written again later must not undo this
  Result<Unit> done = co_await storing;
  if (done) {
    nfs::Allocate call(client_);
    call.operation = punches ? nfs::Operation::deallocate : nfs::Operation::allocate;
    call.who = open->who;
    call.node = open->handle;
    call.open = open.get();
    call.offset = args.offset;
    call.length = args.length;
    done = co_await client_.perform(call);
    if (done.error() == Errno::opnotsupp) no_allocate_ = true;
  }
  if (done && request.header.uid != 0) {
    Op<Unit> dropping = drop_privileges(args.node, open->handle);
    done = co_await dropping;
  }
  if (nfs::NodeRow* row = nodes_.find(args.node)) row->cached_change = 0;
  co_return done;
}

Op<fuse::LseekOut> NfsFs::nfs_lseek(Request&, LseekArgs args) {
  const OpenRef open = find_open(args.handle, args.node);
  if (!open) co_return Errno::badf;
  if (args.whence != SEEK_DATA && args.whence != SEEK_HOLE) co_return Errno::inval;
  // Linux does without from then on: everything is data.
  if (client_.minor_version() < 2 || no_seek_) co_return Errno::nosys;
  nfs::Seek call(client_);
  call.who = open->who;
  call.node = open->handle;
  call.open = open.get();
  call.offset = args.offset;
  call.what = args.whence == SEEK_DATA ? nfs::Content::data : nfs::Content::hole;
  const Result<Unit> done = co_await client_.perform(call);
  if (done.error() == Errno::opnotsupp) {
    no_seek_ = true;
    co_return Errno::nosys;
  }
  if (!done) co_return done.error();
  // No data behind it, to the end of the file.
  if (call.at_end && call.what == nfs::Content::data) co_return Errno::nxio;
  co_return fuse::LseekOut{.offset = call.found};
}

Op<fuse::CopyFileRangeOut> NfsFs::nfs_copy_file_range(Request& request, CopyFileRangeArgs args) {
  const OpenRef from = find_open(args.handle_in, args.node_in);
  const OpenRef to = find_open(args.handle_out, args.node_out);
  if (!from || !to) co_return Errno::badf;
  // Linux copies by itself then, and asks no more.
  if (client_.minor_version() < 2 || no_copy_) co_return Errno::nosys;
  if (from->lost || to->lost) co_return Errno::io;
  nfs::File& from_file = files_.at(from->file);
  nfs::File& to_file = files_.at(to->file);
  const Using keeps_from(*this, from_file);
  const Using keeps_to(*this, to_file);
  Op<Unit> storing_from = store(from_file);
  Result<Unit> done = co_await storing_from;
  if (done) {
    Op<Unit> storing_to = store(to_file);
    done = co_await storing_to;
  }
  nfs::Copy call(client_);
  if (done) {
    call.who = to->who;
    call.from_node = from->handle;
    call.from_open = from.get();
    call.from_offset = args.offset_in;
    call.node = to->handle;
    call.open = to.get();
    call.offset = args.offset_out;
    call.length = args.length;
    done = co_await client_.perform(call);
  }
  // There is nothing to send again: it is stored at once.
  if (done && call.committed == nfs::Stable::unstable) {
    nfs::Commit commit;
    commit.who = to->who;
    commit.node = to->handle;
    done = co_await client_.perform(commit);
  }
  if (done && request.header.uid != 0) {
    Op<Unit> dropping = drop_privileges(args.node_out, to->handle);
    done = co_await dropping;
  }
  if (nfs::NodeRow* row = nodes_.find(args.node_out)) row->cached_change = 0;
  if (done.error() == Errno::opnotsupp) {
    no_copy_ = true;
    co_return Errno::nosys;
  }
  if (!done) co_return done.error();
  co_return fuse::CopyFileRangeOut{.bytes_copied = call.bytes};
}

}  // namespace dpfs
