// SPDX-License-Identifier: Apache-2.0
// WRITE: small files in one record, larger ones in chunks.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "backend/kv/clock.h"
#include "backend/kv/found.h"
#include "backend/kv/kv_fs.h"
#include "backend/kv/locked.h"
#include "backend/kv/privileges.h"

namespace dpfs {

using kv::Change;
using kv::Collection;
using kv::Locked;
using kv::NodeRef;
using kv::PageMap;
namespace inode_flag = kv::inode_flag;

namespace {

// In one commit; no WRITE that Linux sends is longer.
constexpr uint64_t kPieceBytes = 1024 * 1024;

kv::Key contents_key(const kv::Node& node) noexcept {
  return {.collection = Collection::contents, .object = node.ino};
}

void note_written(kv::Inode& inode, uint64_t end) noexcept {
  inode.size = std::max(inode.size, end);
  inode.mtime = inode.ctime = kv::now();
}

}  // namespace

Op<fuse::WriteOut> KvFs::write(Request&, const WriteArgs& args) {
  if (files_.find(args.handle, args.node) == nullptr) return Errno::badf;
  return write_file(node_of(args.node), args);
}

Op<fuse::WriteOut> KvFs::write_file(NodeRef node, WriteArgs args) {
  kv::Volume& volume = *volume_;
  if (!node) co_return Errno::nomem;
  const uint64_t bytes = args.from.size();
  if (bytes == 0) co_return fuse::WriteOut{};
  co_await node->lock.lock();
  const Locked locked(node->lock, volume.reactor());
  Result<Unit> ok = co_await volume.load(*node);
  if (!ok) co_return ok.error();
  if (!S_ISREG(node->inode.mode)) co_return Errno::inval;
  // A tenant that writes back knows itself where the end is; what comes from its page cache has a
  // place of its own, also where the file's last writer appends.
  const bool writes_back = (negotiated_.flags & fuse::init_flag::kWritebackCache) != 0;
  const bool from_cache = (args.write_flags & fuse::write_flag::kCache) != 0;
  uint64_t offset = args.offset;
  if ((args.flags & O_APPEND) != 0 && !writes_back && !from_cache) offset = node->inode.size;
  if (offset > INT64_MAX || bytes > INT64_MAX - offset) co_return Errno::fbig;
  const bool drops = (args.write_flags & fuse::write_flag::kKillSuidgid) != 0;
  if ((node->inode.flags & inode_flag::kShrinking) != 0) {
    ok = co_await finish_shrinking(*node);
    if (!ok) co_return ok.error();
  }
  if ((node->inode.flags & inode_flag::kInline) != 0 && offset + bytes > kv::kInlineBytes) {
    ok = co_await leave_inline(*node);
    if (!ok) co_return ok.error();
  }
  if ((node->inode.flags & inode_flag::kInline) != 0) {
    ok = co_await write_inline(*node, offset, args.from, drops);
    if (!ok) co_return ok.error();
  } else {
    uint64_t done = 0;
    while (done < bytes) {
      const uint64_t piece = std::min(kPieceBytes, bytes - done);
      ok = co_await write_chunks(*node, offset + done, args.from.rest(done).first(piece), drops);
      if (!ok && done == 0) co_return ok.error();
      if (!ok) break;
      done += piece;
    }
    // Of what a tenant's cache writes back, Linux takes any answer but an error for the whole.
    if (done < bytes && from_cache) co_return ok.error();
    if (done < bytes) co_return fuse::WriteOut{.size = static_cast<uint32_t>(done)};
  }
  if ((args.flags & O_DSYNC) != 0) {
    ok = co_await volume.sync();
    if (!ok) co_return ok.error();
  }
  co_return fuse::WriteOut{.size = static_cast<uint32_t>(bytes)};
}

Op<Unit> KvFs::write_inline(Node& node, uint64_t offset, IoView from, bool drops_privileges) {
  const Spares<Change>::Lease change = volume_->new_change();
  if (!change) co_return Errno::nomem;
  Inode inode = node.inode;
  const uint64_t end = offset + from.size();
  // Nothing of what is there stays: no need to put the two together when it is read.
  const bool all = offset == 0 && end >= inode.size;
  (*change).write({.kind = all ? kv::Write::Kind::put : kv::Write::Kind::patch,
                   .key = contents_key(node),
                   .payload = from,
                   .number = static_cast<int64_t>(offset)});
  if (inode.stored == 0) {
    inode.stored = kv::kPageBytes;
    (*change).bytes += kv::kPageBytes;
  }
  if (drops_privileges) kv::drop_privileges(*change, node.ino, inode);
  note_written(inode, end);
  (*change).put(node, inode);
  const Result<Unit> done = co_await volume_->commit(*change);
  co_return done;
}

namespace {

// A small file's contents, to be written elsewhere.
class ContentsCopy final : public kv::ValueReader {
 public:
  void found(std::string_view value) noexcept override {
    size = value.copy(bytes.data(), bytes.size());
  }
  std::array<char, kv::kInlineBytes> bytes;
  size_t size = 0;
};

}  // namespace

// It becomes too large for one record: what it has is the beginning of its first chunk from now on.
Op<Unit> KvFs::leave_inline(Node& node) {
  const Spares<Change>::Lease change = volume_->new_change();
  if (!change) co_return Errno::nomem;
  Inode inode = node.inode;
  inode.flags &= ~inode_flag::kInline;
  ContentsCopy contents;
  std::array<char, PageMap::kBytes> map_room;
  if (inode.stored > 0) {
    kv::Get get{.key = contents_key(node), .reader = &contents};
    const Result<Unit> got = co_await volume_->store().get({&get, 1});
    if (!got) co_return got;
    (*change).write({.kind = kv::Write::Kind::erase, .key = contents_key(node)});
    (*change).write({.kind = kv::Write::Kind::put,
                     .key = {.collection = Collection::chunk, .object = node.ino, .number = 0},
                     .value = {contents.bytes.data(), contents.size}});
    PageMap map;
    map.set(0, 1);
    (*change).write({.kind = kv::Write::Kind::put,
                     .key = {.collection = Collection::pages, .object = node.ino, .number = 0},
                     .value = encode(map, map_room)});
  }
  (*change).put(node, inode);
  const Result<Unit> done = co_await volume_->commit(*change);
  co_return done;
}

Op<Unit> KvFs::write_chunks(Node& node, uint64_t offset, IoView from, bool drops_privileges) {
  const Spares<Change>::Lease change = volume_->new_change();
  if (!change) co_return Errno::nomem;
  Inode inode = node.inode;
  const uint32_t chunk_bytes = volume_->chunk_bytes();
  const uint64_t end = offset + from.size();
  const Result<Unit> marked = co_await mark_pages(node, offset, from.size(), *change, inode);
  if (!marked) co_return marked;
  for (const kv::Piece piece : kv::pieces_of(offset, from.size(), chunk_bytes)) {
    const uint64_t at = piece.number * chunk_bytes + piece.begin;
    // Nothing of what is there stays.
    const bool all =
        piece.begin == 0 && (piece.count == chunk_bytes || at + piece.count >= inode.size);
    (*change).write(
        {.kind = all ? kv::Write::Kind::put : kv::Write::Kind::patch,
         .key = {.collection = Collection::chunk, .object = node.ino, .number = piece.number},
         .payload = from.first(piece.count),
         .number = static_cast<int64_t>(piece.begin)});
    from.skip(piece.count);
  }
  if (drops_privileges) kv::drop_privileges(*change, node.ino, inode);
  note_written(inode, end);
  (*change).put(node, inode);
  const Result<Unit> done = co_await volume_->commit(*change);
  co_return done;
}

// Adds to `change` that those pages are stored, where they were not yet.
Op<Unit> KvFs::mark_pages(const Node& node, uint64_t offset, uint64_t bytes, Change& change,
                          Inode& inode) {
  for (const kv::Piece piece : kv::pages_touched(offset, bytes)) {
    const kv::Key key{.collection = Collection::pages, .object = node.ino, .number = piece.number};
    kv::Found<PageMap> found;
    // Where nothing was ever stored there is no record either.
    if (inode.stored > 0) {
      kv::Get get{.key = key, .reader = &found};
      const Result<Unit> got = co_await volume_->store().get({&get, 1});
      if (!got) co_return got;
      if (found.why(get) == Errno::io) co_return Errno::io;
    }
    const uint32_t added = found.value.set(static_cast<uint32_t>(piece.begin),
                                           static_cast<uint32_t>(piece.begin + piece.count));
    if (added > 0) {
      std::array<char, PageMap::kBytes> room;
      change.write({.kind = kv::Write::Kind::put,
                    .key = key,
                    .value = change.keep(encode(found.value, room))});
      inode.stored += uint64_t{added} * kv::kPageBytes;
      change.bytes += int64_t{added} * kv::kPageBytes;
    }
  }
  co_return Unit{};
}

}  // namespace dpfs
