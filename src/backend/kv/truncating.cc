// SPDX-License-Identifier: Apache-2.0
// A file gets another size.
#include <algorithm>

#include "backend/kv/clock.h"
#include "backend/kv/garbage.h"
#include "backend/kv/kv_fs.h"
#include "backend/kv/privileges.h"

namespace dpfs {

using kv::Change;
using kv::Collection;
namespace inode_flag = kv::inode_flag;

namespace {

uint64_t pages_of(uint64_t bytes) noexcept { return (bytes + kv::kPageBytes - 1) / kv::kPageBytes; }

}  // namespace

Op<Unit> KvFs::truncate(Node& node, uint64_t size, bool drops_privileges) {
  if ((node.inode.flags & inode_flag::kShrinking) != 0) {
    const Result<Unit> finished = co_await finish_shrinking(node);
    if (!finished) co_return finished;
  }
  const bool in_line = (node.inode.flags & inode_flag::kInline) != 0;
  if (!in_line && (size < node.inode.size || (node.inode.flags & inode_flag::kBehindEnd) != 0)) {
    const Result<Unit> shrunk = co_await shrink(node, size, drops_privileges);
    co_return shrunk;
  }
  const Spares<Change>::Lease change = volume_->new_change();
  if (!change) co_return Errno::nomem;
  Inode inode = node.inode;
  if (in_line && inode.stored > 0 && size < inode.size) {
    const kv::Key key{.collection = Collection::contents, .object = node.ino};
    if (size == 0) {
      (*change).write({.kind = kv::Write::Kind::erase, .key = key});
      (*change).bytes -= static_cast<int64_t>(inode.stored);
      inode.stored = 0;
    } else if (size < kv::kInlineBytes) {
      (*change).write(
          {.kind = kv::Write::Kind::cut, .key = key, .number = static_cast<int64_t>(size)});
    }
  }
  inode.size = size;
  inode.mtime = inode.ctime = kv::now();
  if (drops_privileges) kv::drop_privileges(*change, node.ino, inode);
  (*change).put(node, inode);
  const Result<Unit> done = co_await volume_->commit(*change);
  co_return done;
}

// What lies behind the new end goes with the new size, or, when that is too much for one commit, or
// chunks are not part of it, after it: nothing is lost by a daemon that dies in between. Until then
// the inode says so.
Op<Unit> KvFs::shrink(Node& node, uint64_t size, bool drops_privileges) {
  const Spares<Change>::Lease change = volume_->new_change();
  if (!change) co_return Errno::nomem;
  Inode inode = node.inode;
  const bool behind_end = (inode.flags & inode_flag::kBehindEnd) != 0;
  kv::PageDrop drop{.ino = node.ino,
                    .end_page = behind_end ? UINT64_MAX : pages_of(inode.size),
                    .from_page = pages_of(size)};
  if (inode.stored == 0) {
    drop.last = true;
  } else if (!volume_->store().traits().remote) {
    const Result<Unit> planned = co_await kv::drop_pages(*volume_, drop, *change);
    if (!planned) co_return planned;
    cut_last_chunk(node, size, *change);
  }
  inode.size = size;
  inode.mtime = inode.ctime = kv::now();
  if (drops_privileges) kv::drop_privileges(*change, node.ino, inode);
  account_dropped(drop, *change, inode);
  (*change).put(node, inode);
  const Result<Unit> done = co_await volume_->commit(*change);
  if (!done || drop.last) co_return done;
  const Result<Unit> finished = co_await finish_shrinking(node);
  co_return finished;
}

// Adds to `change` that nothing of the chunk with the file's end lies behind that.
void KvFs::cut_last_chunk(const Node& node, uint64_t size, Change& change) const noexcept {
  const auto within = static_cast<uint32_t>(size % volume_->chunk_bytes());
  if (within == 0) return;
  change.write({.kind = kv::Write::Kind::cut,
                .key = {.collection = Collection::chunk,
                        .object = node.ino,
                        .number = size / volume_->chunk_bytes()},
                .number = within});
}

void KvFs::account_dropped(const kv::PageDrop& drop, Change& change, Inode& inode) noexcept {
  const uint64_t bytes = std::min(drop.dropped * kv::kPageBytes, inode.stored);
  inode.stored -= bytes;
  change.bytes -= static_cast<int64_t>(bytes);
  inode.flags &= ~inode_flag::kShrinking;
  if (!drop.last) {
    inode.flags |= inode_flag::kShrinking;
    return;
  }
  inode.flags &= ~inode_flag::kBehindEnd;
  if (inode.size == 0) inode.flags |= inode_flag::kInline;
}

Op<Unit> KvFs::finish_shrinking(Node& node) {
  const Spares<Change>::Lease change = volume_->new_change();
  if (!change) co_return Errno::nomem;
  kv::PageDrop drop{.ino = node.ino, .from_page = pages_of(node.inode.size)};
  while (!drop.last) {
    (*change).clear();
    const bool first = drop.from_page == pages_of(node.inode.size);
    const Result<Unit> planned = co_await kv::drop_pages(*volume_, drop, *change);
    if (!planned) co_return planned;
    if (first) cut_last_chunk(node, node.inode.size, *change);
    Inode inode = node.inode;
    account_dropped(drop, *change, inode);
    (*change).put(node, inode);
    const Result<Unit> done = co_await volume_->commit(*change);
    if (!done) co_return done;
  }
  co_return Unit{};
}

}  // namespace dpfs
