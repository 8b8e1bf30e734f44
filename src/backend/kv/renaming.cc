// SPDX-License-Identifier: Apache-2.0
// RENAME with its flags: NOREPLACE, EXCHANGE, WHITEOUT.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <optional>

#include "backend/kv/clock.h"
#include "backend/kv/kv_fs.h"
#include "backend/kv/locked.h"

namespace dpfs {

using kv::Change;
using kv::Entry;
using kv::Locked;
using kv::NodeRef;

// The nodes of a rename, and their locks, which are taken in the volume's order.
struct KvFs::Move {
  RenameArgs args;
  uint32_t uid = 0;
  uint32_t gid = 0;
  NodeRef from_directory;
  NodeRef to_directory;
  NodeRef node;
  NodeRef target;  // what has the new name now; empty: nothing
  Entry from;
  Entry to;

  bool one_directory() const noexcept { return &*from_directory == &*to_directory; }
  bool moves_directory() const noexcept { return from.type == DT_DIR; }
};

Op<Unit> KvFs::rename2(Request& request, const RenameArgs& args) {
  return rename(args, request.header.uid, request.header.gid);
}

Op<Unit> KvFs::rename(RenameArgs args, uint32_t uid, uint32_t gid) {
  constexpr uint32_t kKnown = RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT;
  if ((args.flags & ~kKnown) != 0) co_return Errno::inval;
  if ((args.flags & RENAME_EXCHANGE) != 0 &&
      (args.flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) != 0) {
    co_return Errno::inval;
  }
  kv::Volume& volume = *volume_;
  Reactor& reactor = volume.reactor();
  Move move{.args = args,
            .uid = uid,
            .gid = gid,
            .from_directory = node_of(args.parent),
            .to_directory = node_of(args.new_parent)};
  if (!move.from_directory || !move.to_directory) co_return Errno::nomem;
  // What is no directory has no place among those that are locked first.
  Result<Unit> ok = co_await load_directory(*move.from_directory);
  if (ok) ok = co_await load_directory(*move.to_directory);
  if (!ok) co_return ok;
  co_await volume.tree_lock().lock();
  const Locked tree_locked(volume.tree_lock(), reactor);
  co_await move.from_directory->lock.lock();
  const Locked from_locked(move.from_directory->lock, reactor);
  std::optional<Locked> to_locked;
  if (!move.one_directory()) {
    co_await move.to_directory->lock.lock();
    to_locked.emplace(move.to_directory->lock, reactor);
  }
  const Result<Unit> found = co_await find_both(move);
  if (!found) co_return found;
  if (move.target && &*move.node == &*move.target) co_return Unit{};  // two names of one file
  // Directories before others, and those in the order of their numbers.
  Node* first = &*move.node;
  Node* second = move.target ? &*move.target : nullptr;
  if (second != nullptr) {
    const bool first_is_directory = move.from.type == DT_DIR;
    const bool second_is_directory = move.to.type == DT_DIR;
    const bool swapped =
        first_is_directory != second_is_directory ? second_is_directory : second->ino < first->ino;
    if (swapped) std::swap(first, second);
  }
  co_await first->lock.lock();
  const Locked first_locked(first->lock, reactor);
  std::optional<Locked> second_locked;
  if (second != nullptr) {
    co_await second->lock.lock();
    second_locked.emplace(second->lock, reactor);
  }
  ok = co_await volume.load(*move.node);
  if (!ok) co_return ok;
  if (move.target) {
    ok = co_await volume.load(*move.target);
    if (!ok) co_return ok;
  }
  if ((args.flags & RENAME_EXCHANGE) != 0) {
    ok = co_await exchange(move);
  } else {
    ok = co_await replace(move);
  }
  co_return ok;
}

// Both directories are locked: what is under the two names, and whether it may be so.
Op<Unit> KvFs::find_both(Move& move) {
  kv::Volume& volume = *volume_;
  Result<Unit> ok = co_await load_directory(*move.from_directory);
  if (ok) ok = co_await load_directory(*move.to_directory);
  if (!ok) co_return ok;
  const Result<Entry> from = co_await volume.find_name(*move.from_directory, move.args.name.view());
  if (!from) co_return from.error();
  const Result<Entry> to = co_await volume.find_name(*move.to_directory, move.args.new_name.view());
  if (!to && to.error() != Errno::noent) co_return to.error();
  const bool exchanges = (move.args.flags & RENAME_EXCHANGE) != 0;
  if (exchanges && !to) co_return Errno::noent;
  if ((move.args.flags & RENAME_NOREPLACE) != 0 && to) co_return Errno::exist;
  move.from = *from;
  move.node = volume.node(from->ino);
  if (!move.node) co_return Errno::nomem;
  if (to) {
    move.to = *to;
    move.target = volume.node(to->ino);
    if (!move.target) co_return Errno::nomem;
    if (!exchanges && move.moves_directory() && to->type != DT_DIR) co_return Errno::notdir;
    if (!exchanges && !move.moves_directory() && to->type == DT_DIR) co_return Errno::isdir;
  }
  if (move.moves_directory()) {
    ok = co_await check_not_below(*move.to_directory, from->ino, Errno::inval);
    if (!ok) co_return ok;
  }
  if (to && to->type == DT_DIR) {
    ok = co_await check_not_below(*move.from_directory, to->ino,
                                  exchanges ? Errno::inval : Errno::notempty);
    if (!ok) co_return ok;
  }
  co_return Unit{};
}

// No directory may come to lie below itself. The tree is locked: no directory is moved meanwhile.
Op<Unit> KvFs::check_not_below(Node& directory, uint64_t ino, Errno why) {
  uint64_t above = directory.ino;
  constexpr uint32_t kDepthMax = 1u << 20;  // damage may be a circle
  for (uint32_t depth = 0; depth < kDepthMax; ++depth) {
    if (above == ino) co_return why;
    if (above == kv::kRootIno) co_return Unit{};
    const NodeRef node = volume_->node(above);
    if (!node) co_return Errno::nomem;
    const Result<Unit> ok = co_await volume_->load(*node);
    if (!ok) co_return ok;
    above = node->inode.parent;
  }
  co_return Errno::io;
}

// The locks of all of it are held.
Op<Unit> KvFs::exchange(Move& move) {
  const Spares<Change>::Lease change = volume_->new_change();
  if (!change) co_return Errno::nomem;
  const kv::Time now = kv::now();
  Inode from_directory = move.from_directory->inode;
  Inode to_directory = move.to_directory->inode;
  Inode node = move.node->inode;
  Inode target = move.target->inode;
  node.ctime = target.ctime = now;
  if (!move.one_directory()) {
    const int64_t subdirectories =
        (move.to.type == DT_DIR ? 1 : 0) - (move.from.type == DT_DIR ? 1 : 0);
    from_directory.nlink = static_cast<uint32_t>(from_directory.nlink + subdirectories);
    to_directory.nlink = static_cast<uint32_t>(to_directory.nlink - subdirectories);
    if (move.from.type == DT_DIR) node.parent = move.to_directory->ino;
    if (move.to.type == DT_DIR) target.parent = move.from_directory->ino;
    touch_names(to_directory, 0, now);
    (*change).put(*move.to_directory, to_directory);
  }
  touch_names(from_directory, 0, now);
  (*change).put(*move.from_directory, from_directory);
  // Each name keeps its place.
  (*change).put_name(*move.from_directory, move.args.name.view(),
                     {.ino = move.to.ino, .cookie = move.from.cookie, .type = move.to.type});
  (*change).put_name(*move.to_directory, move.args.new_name.view(),
                     {.ino = move.from.ino, .cookie = move.to.cookie, .type = move.from.type});
  (*change).put(*move.node, node);
  (*change).put(*move.target, target);
  const Result<Unit> done = co_await volume_->commit(*change);
  co_return done;
}

Op<Unit> KvFs::replace(Move& move) {
  kv::Volume& volume = *volume_;
  const bool moves_directory = move.moves_directory();
  if (move.target && move.to.type == DT_DIR && move.target->inode.entries > 0) {
    co_return Errno::notempty;
  }
  NodeRef whiteout;
  if ((move.args.flags & RENAME_WHITEOUT) != 0) {
    const Result<uint64_t> ino = co_await volume.new_ino();
    if (!ino) co_return ino.error();
    whiteout = volume.node(*ino);
    if (!whiteout) co_return Errno::nomem;
  }
  const Spares<Change>::Lease change = volume.new_change();
  if (!change) co_return Errno::nomem;
  const kv::Time now = kv::now();
  bool keeps = false;  // the target, for a while
  Inode node = move.node->inode;
  node.ctime = now;
  Inode from_directory = move.from_directory->inode;
  Inode other_directory = move.to_directory->inode;
  Inode& to_directory = move.one_directory() ? from_directory : other_directory;
  // The old name.
  if (whiteout) {
    put_whiteout(*change, *whiteout, move, now);
    touch_names(from_directory, 0, now);
  } else {
    (*change).erase_name(*move.from_directory, move.args.name.view(), move.from);
    touch_names(from_directory, -1, now);
  }
  // The new one, which keeps its place where it was there.
  Entry entry{.ino = move.from.ino, .cookie = move.to.cookie, .type = move.from.type};
  if (move.target) {
    if (move.to.type == DT_DIR) {
      remove_empty_directory(*change, *move.target, now);
      --to_directory.nlink;
    } else {
      Node& target = *move.target;
      keeps = target.opens == 0 && target.inode.nlink == 1 && volume.replaced().reserve();
      if (keeps) {
        Inode last = target.inode;
        last.ctime = now;
        last.nlink = 0;
        (*change).put_nameless(target, last);
      } else {
        drop_name(*change, target, now);
      }
    }
  } else {
    entry.cookie = to_directory.next_cookie++;
  }
  touch_names(to_directory, move.target ? 0 : 1, now);
  (*change).put_name(*move.to_directory, move.args.new_name.view(), entry);
  if (moves_directory && !move.one_directory()) {
    node.parent = move.to_directory->ino;
    --from_directory.nlink;
    ++to_directory.nlink;
  }
  (*change).put(*move.from_directory, from_directory);
  if (!move.one_directory()) (*change).put(*move.to_directory, other_directory);
  (*change).put(*move.node, node);
  const Result<Unit> done = co_await volume.commit(*change);
  if (keeps) volume.replaced().add(done ? std::move(move.target) : NodeRef());
  co_return done;
}

// What overlayfs takes for "removed here": a character device 0, 0 under the old name.
void KvFs::put_whiteout(Change& change, Node& whiteout, const Move& move,
                        const kv::Time& now) noexcept {
  Inode inode{.mode = S_IFCHR, .uid = move.uid, .gid = move.gid, .nlink = 1};
  inode.flags = kv::inode_flag::kInline;
  inode.atime = inode.mtime = inode.ctime = inode.btime = now;
  change.put(whiteout, inode);
  change.put_name(*move.from_directory, move.args.name.view(),
                  {.ino = whiteout.ino, .cookie = move.from.cookie, .type = DT_CHR});
  ++change.inodes;
}

}  // namespace dpfs
