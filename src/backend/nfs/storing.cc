// SPDX-License-Identifier: Apache-2.0
// fsync: what the server has taken is to be on its stable storage (RFC 8881, sections 18.3, 18.32).
#include "backend/nfs/nfs_fs.h"
#include "base/log.h"

namespace dpfs {

void NfsFs::drop_first(nfs::File& file) noexcept {
  nfs::KeptWrite& kept = *file.unstable.pop_front();
  if (kept.pinned) {
    kept.dropped = true;
  } else {
    kept_writes_.give(kept);
  }
}

// Stores what was acknowledged so far, and says what went wrong with it since the last time.
Op<Unit> NfsFs::store(nfs::File& file) {
  if (file.unstable.empty() && file.error == Errno::none) co_return Unit{};
  co_await file.storing.lock();
  Op<Unit> storing = store_kept(file);
  const Result<Unit> stored = co_await storing;
  file.storing.unlock(reactor_);
  const Errno earlier = std::exchange(file.error, Errno::none);
  if (!stored) co_return stored.error();
  if (earlier != Errno::none) co_return earlier;
  co_return Unit{};
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
  ++file.users;
  Op<Unit> storing = store(file);
  const Result<Unit> stored = co_await storing;
  --file.users;
  let_go(file);
  co_return stored;
}

Op<Unit> NfsFs::nfs_syncfs(Request&, NodeArgs) {
  Errno why = Errno::none;
  for (nfs::File* file = files_.next(0); file != nullptr;) {
    const uint32_t index = file->index;
    ++file->users;
    Op<Unit> storing = store(*file);
    const Result<Unit> stored = co_await storing;
    if (!stored) why = stored.error();
    --file->users;
    let_go(*file);
    file = files_.next(index + 1);
  }
  if (why != Errno::none) co_return why;
  co_return Unit{};
}

}  // namespace dpfs
