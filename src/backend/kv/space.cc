// SPDX-License-Identifier: Apache-2.0
// FALLOCATE: room that is promised, zeros, and holes.
#include <fcntl.h>
#include <linux/falloc.h>
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

// Never written to: it takes no room in the program's file, and no memory but for the pages that
// are read.
std::array<char, kv::kChunkBytesMax>
    kZeros;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

bool zeroes(uint32_t mode) noexcept {
  return (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0;
}
bool keeps_size(uint32_t mode) noexcept { return (mode & FALLOC_FL_KEEP_SIZE) != 0; }

}  // namespace

Op<Unit> KvFs::fallocate(Request&, const FallocateArgs& args) {
  if (files_.find(args.handle, args.node) == nullptr) return Errno::badf;
  switch (args.mode) {
    case 0:
    case FALLOC_FL_KEEP_SIZE:
    case FALLOC_FL_ZERO_RANGE:
    case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
    case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
      break;
    default:
      return Errno::opnotsupp;
  }
  if (args.length == 0) return Errno::inval;
  if (args.offset > INT64_MAX || args.length > INT64_MAX - args.offset) return Errno::fbig;
  return allocate(args);
}

Op<Unit> KvFs::allocate(FallocateArgs args) {
  kv::Volume& volume = *volume_;
  const NodeRef node = node_of(args.node);
  if (!node) co_return Errno::nomem;
  co_await node->lock.lock();
  const Locked locked(node->lock, volume.reactor());
  Result<Unit> ok = co_await volume.load(*node);
  if (!ok) co_return ok;
  if (!S_ISREG(node->inode.mode)) co_return Errno::nodev;
  if ((node->inode.flags & inode_flag::kShrinking) != 0) {
    ok = co_await finish_shrinking(*node);
    if (!ok) co_return ok;
  }
  const bool in_line = (node->inode.flags & inode_flag::kInline) != 0;
  const bool punches = (args.mode & FALLOC_FL_PUNCH_HOLE) != 0;
  if (in_line && (punches || args.offset + args.length <= kv::kInlineBytes)) {
    ok = co_await allocate_inline(*node, args);
    co_return ok;
  }
  if (in_line) {
    ok = co_await leave_inline(*node);
    if (!ok) co_return ok;
  }
  Op<Unit> op = punches ? punch_chunks(*node, args) : allocate_chunks(*node, args);
  ok = co_await std::move(op);
  co_return ok;
}

Op<Unit> KvFs::allocate_inline(Node& node, const FallocateArgs& asked) {
  const FallocateArgs args = asked;
  const Spares<Change>::Lease change = volume_->new_change();
  if (!change) co_return Errno::nomem;
  Inode inode = node.inode;
  const uint64_t end = args.offset + args.length;
  const uint64_t contents_end = std::min<uint64_t>(inode.size, kv::kInlineBytes);
  if (zeroes(args.mode) && inode.stored > 0 && args.offset < contents_end) {
    const uint64_t bytes = std::min(end, contents_end) - args.offset;
    (*change).write({.kind = kv::Write::Kind::patch,
                     .key = {.collection = Collection::contents, .object = node.ino},
                     .value = {kZeros.data(), bytes},
                     .number = static_cast<int64_t>(args.offset)});
  }
  const bool punches = (args.mode & FALLOC_FL_PUNCH_HOLE) != 0;
  if (!punches && inode.stored == 0) {
    inode.stored = kv::kPageBytes;
    (*change).bytes += kv::kPageBytes;
  }
  if (!keeps_size(args.mode)) inode.size = std::max(inode.size, end);
  inode.mtime = inode.ctime = kv::now();
  kv::drop_privileges(*change, node.ino, inode);
  (*change).put(node, inode);
  const Result<Unit> done = co_await volume_->commit(*change);
  co_return done;
}

// Group by group of pages, each with a commit of its own: what fails halfway has done a part, as
// fallocate(2) may.
Op<Unit> KvFs::allocate_chunks(Node& node, FallocateArgs args) {
  // Not for as long as it takes to find out what cannot be.
  const uint64_t end = args.offset + args.length;
  const uint64_t promised =
      ((end - 1) / kv::kPageBytes - args.offset / kv::kPageBytes + 1) * kv::kPageBytes;
  if (promised > kv::kGroupBytes && promised > node.inode.stored) {
    const Result<Unit> room = co_await volume_->check_room(promised - node.inode.stored);
    if (!room) co_return room;
  }
  for (const kv::Piece piece : kv::pieces_of(args.offset, args.length, kv::kGroupBytes)) {
    const uint64_t begin = piece.number * kv::kGroupBytes + piece.begin;
    const Result<Unit> done = co_await allocate_group(node, begin, begin + piece.count, args.mode);
    if (!done) co_return done;
  }
  co_return Unit{};
}

namespace {

// The first group of pages of which there are any.
class FirstGroup final : public kv::ScanReader {
 public:
  bool found(const kv::Key& key, std::string_view) noexcept override {
    number = key.number;
    return false;
  }
  uint64_t number = UINT64_MAX;
};

}  // namespace

// Only where there is something: a hole may be as long as any number says.
Op<Unit> KvFs::punch_chunks(Node& node, FallocateArgs args) {
  const uint64_t end = args.offset + args.length;
  for (uint64_t at = args.offset; at < end;) {
    FirstGroup group;
    const kv::Scan scan{.collection = Collection::pages,
                        .object = node.ino,
                        .from_number = at / kv::kGroupBytes,
                        .records_max = 1};
    const Result<bool> scanned = co_await volume_->store().scan(scan, group);
    if (!scanned) co_return scanned.error();
    if (group.number > (end - 1) / kv::kGroupBytes) break;
    at = std::max(at, group.number * kv::kGroupBytes);
    const uint64_t stop = std::min(end, (group.number + 1) * kv::kGroupBytes);
    const Result<Unit> done = co_await allocate_group(node, at, stop, args.mode);
    if (!done) co_return done;
    at = stop;
  }
  co_return Unit{};
}

// A part of a range that lies within one group of pages.
Op<Unit> KvFs::allocate_group(Node& node, uint64_t begin, uint64_t end, uint32_t mode) {
  const Spares<Change>::Lease change = volume_->new_change();
  if (!change) co_return Errno::nomem;
  Inode inode = node.inode;
  const Result<Unit> planned = co_await change_group(node, begin, end, mode, *change, inode);
  if (!planned) co_return planned;
  if (!keeps_size(mode)) {
    inode.size = std::max(inode.size, end);
  } else if (end > inode.size && (mode & FALLOC_FL_PUNCH_HOLE) == 0) {
    inode.flags |= inode_flag::kBehindEnd;
  }
  inode.mtime = inode.ctime = kv::now();
  kv::drop_privileges(*change, node.ino, inode);
  (*change).put(node, inode);
  const Result<Unit> done = co_await volume_->commit(*change);
  co_return done;
}

// Adds to `change` what becomes of a range of bytes within one group of pages.
Op<Unit> KvFs::change_group(const Node& node, uint64_t begin, uint64_t end, uint32_t mode,
                            Change& change, Inode& inode) {
  const bool punches = (mode & FALLOC_FL_PUNCH_HOLE) != 0;
  const uint64_t group_begin = begin / kv::kGroupBytes * kv::kGroupBytes;
  const kv::Key key{
      .collection = Collection::pages, .object = node.ino, .number = begin / kv::kGroupBytes};
  kv::Found<PageMap> found;
  kv::Get get{.key = key, .reader = &found};
  const Result<Unit> got = co_await volume_->store().get({&get, 1});
  if (!got) co_return got;
  if (found.why(get) == Errno::io) co_return Errno::io;
  const PageMap before = found.value;
  PageMap& map = found.value;
  // A hole is of whole pages; what is promised is of all that are touched.
  const auto first_inside =
      static_cast<uint32_t>((begin - group_begin + kv::kPageBytes - 1) / kv::kPageBytes);
  const auto end_inside = static_cast<uint32_t>((end - group_begin) / kv::kPageBytes);
  const auto first = static_cast<uint32_t>((begin - group_begin) / kv::kPageBytes);
  const auto stop =
      static_cast<uint32_t>((end - group_begin + kv::kPageBytes - 1) / kv::kPageBytes);
  int64_t pages = 0;
  if (punches) {
    if (first_inside < end_inside) pages = -int64_t{map.clear(first_inside, end_inside)};
  } else {
    pages = map.set(first, stop);
  }
  if (zeroes(mode)) zero_chunks(node, begin, end, before, map, change);
  if (pages == 0) co_return Unit{};
  std::array<char, PageMap::kBytes> room;
  if (map.none()) {
    change.write({.kind = kv::Write::Kind::erase, .key = key});
  } else {
    change.write(
        {.kind = kv::Write::Kind::put, .key = key, .value = change.keep(encode(map, room))});
  }
  inode.stored =
      static_cast<uint64_t>(static_cast<int64_t>(inode.stored) + pages * int64_t{kv::kPageBytes});
  change.bytes += pages * int64_t{kv::kPageBytes};
  co_return Unit{};
}

// Chunks that lie in the range, or of which nothing is left, go; of others that there are, a part
// becomes zeros.
void KvFs::zero_chunks(const Node& node, uint64_t begin, uint64_t end, const PageMap& before,
                       const PageMap& after, Change& change) const noexcept {
  const uint32_t chunk_bytes = volume_->chunk_bytes();
  const uint32_t chunk_pages = chunk_bytes / kv::kPageBytes;
  for (uint64_t at = begin; at < end;) {
    const uint64_t chunk = at / chunk_bytes;
    const auto within = static_cast<uint32_t>(at % chunk_bytes);
    const auto bytes = static_cast<uint32_t>(std::min<uint64_t>(chunk_bytes - within, end - at));
    const auto page = static_cast<uint32_t>(chunk * chunk_pages % PageMap::kPages);
    const kv::Key key{.collection = Collection::chunk, .object = node.ino, .number = chunk};
    if (before.any(page, page + chunk_pages)) {
      if (bytes == chunk_bytes || !after.any(page, page + chunk_pages)) {
        change.write({.kind = kv::Write::Kind::erase, .key = key});
      } else {
        change.write({.kind = kv::Write::Kind::patch,
                      .key = key,
                      .value = {kZeros.data(), bytes},
                      .number = within});
      }
    }
    at += bytes;
  }
}

}  // namespace dpfs
