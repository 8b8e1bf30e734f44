// SPDX-License-Identifier: Apache-2.0
// fsync: what the server has taken is to be on its stable storage (RFC 8881, sections 18.3, 18.32).
#include "backend/nfs/nfs_fs.h"
#include "base/log.h"

namespace dpfs {

using nfs::OpenRef;

void NfsFs::drop_first(nfs::File& file) noexcept {
  nfs::KeptWrite& kept = *file.unstable.pop_front();
  if (kept.pinned) {
    kept.dropped = true;
  } else {
    kept_writes_.give(kept);
  }
}

// Stores what was acknowledged so far. An error, too, when somebody else who does so fails
// meanwhile.
Op<Unit> NfsFs::store(nfs::File& file) {
  if (file.unstable.empty()) co_return Unit{};
  const uint32_t before = file.errors;
  co_await file.storing.lock();
  Op<Unit> storing = store_kept(file);
  const Result<Unit> stored = co_await storing;
  file.storing.unlock(reactor_);
  if (!stored) nfs::Files::fail(file, stored.error());
  if (file.errors != before) co_return file.error;
  co_return Unit{};
}

// For who has it open: what went wrong since he was last told, whoever has found out (as Linux's
// errseq_t has it).
Op<Unit> NfsFs::store_for(OpenRef open, nfs::File& file) {
  Op<Unit> storing = store(file);
  [[maybe_unused]] const Result<Unit> stored = co_await storing;
  if (open->errors_told == file.errors) co_return Unit{};
  open->errors_told = file.errors;
  co_return file.error;
}

Op<Unit> NfsFs::store_kept(nfs::File& file) {
  if (file.unstable.empty()) co_return Unit{};
  const uint64_t last = next_write_ - 1;
  nfs::Commit commit;
  commit.who = file.who;
  commit.node = file.handle;
  Result<Unit> done = co_await client_.perform(commit);
  if (!done) {
    // They cannot be stored. Who asks is told, and it is not tried for ever.
    while (!file.unstable.empty() && file.unstable.front()->number <= last) drop_first(file);
    co_return done.error();
  }
  Errno why = Errno::none;
  // From the first that the server may have lost, all are sent again: the later ones lie over it.
  bool again = false;
  while (!file.unstable.empty() && (again || file.unstable.front()->number <= last)) {
    nfs::KeptWrite& kept = *file.unstable.front();
    again = again || kept.verifier != commit.verifier;
    if (again) {
      nfs::Write call(client_);
      call.who = file.who;
      call.node = file.handle;
      const nfs::OpenRef writer = states_.any_writer(file.index);
      call.open = writer.get();
      call.stable = nfs::Stable::file_sync;
      uint32_t written = 0;
      while (written < kept.bytes && why == Errno::none) {
        call.offset = kept.offset + written;
        call.data = kept.view().subspan(written);
        done = co_await client_.perform(call);
        why = done ? (call.bytes == 0 ? Errno::io : Errno::none) : done.error();
        if (done) written += call.bytes;
      }
    }
    drop_first(file);
  }
  if (again) ++file.resends;
  if (why != Errno::none) co_return why;
  co_return Unit{};
}

// Before something that a write which is sent again later would undo.
Op<Unit> NfsFs::settle(NodeId node) {
  nfs::NodeRow* row = nodes_.find(node);
  if (row == nullptr || row->file == nfs::kNoFile) co_return Unit{};
  nfs::File& file = files_.at(row->file);
  if (file.unstable.empty()) co_return Unit{};
  const Using keeps(*this, file);
  Op<Unit> storing = store(file);
  const Result<Unit> stored = co_await storing;
  co_return stored;
}

Op<Unit> NfsFs::nfs_syncfs(Request&, NodeArgs) {
  Errno why = Errno::none;
  for (nfs::File* file = files_.next(0); file != nullptr;) {
    const uint32_t index = file->index;
    const Using keeps(*this, *file);
    Op<Unit> storing = store(*file);
    const Result<Unit> stored = co_await storing;
    if (!stored) why = stored.error();
    file = files_.next(index + 1);
  }
  if (why != Errno::none) co_return why;
  co_return Unit{};
}

}  // namespace dpfs
