// SPDX-License-Identifier: Apache-2.0
// Lookups: from a name in a directory to the node, and from a node to itself and its parent.
#include <limits.h>

#include <new>

#include "backend/local/nodes.h"

namespace dpfs::local {

Result<Nodes::Found> Nodes::look_up(const Directory& directory, const Name& name, Stat& stat,
                                    bool keep) noexcept {
  const Result<Unit> ok =
      reactor_.blocking([&] { return stat_name(directory.fd, name.c_str(), stat); });
  if (!ok) return ok.error();
  // Known, and by its birth it is the same inode: nearly always so.
  const uint16_t mount = mounts_.find(MountTable::id_of(stat));
  if ((stat.stx_mask & STATX_BTIME) != 0 && mount != MountTable::kNone) {
    NodeRow* row = table_.find(key_of(stat, birth_of(stat), mount));
    if (row != nullptr) {
      if (row->handle_size == 0 && !remember_place(*row, directory, name)) return Errno::nomem;
      count_lookup(*row);
      return found(*row, directory);
    }
  }
  return look_again(directory, name, stat, keep);
}

Result<Nodes::Found> Nodes::look_up_new(const Directory& directory, const Name& name,
                                        Stat& stat) noexcept {
  return look_again(directory, name, stat, true);
}

Result<int> Nodes::see(int directory, const char* name, Seen& seen) noexcept {
  return opening([&]() -> Result<int> {
    const Result<int> fd = open_beneath(directory, name, O_PATH);
    if (!fd) return fd;
    if (const Result<Unit> ok = stat_fd(*fd, seen.stat); !ok) {
      ::close(*fd);
      return ok.error();
    }
    if (want_handles_) seen.handle.read(*fd);
    return fd;
  });
}

// By a descriptor of its own, so that the attributes and the handle are of one inode whatever
// happens to the name meanwhile.
Result<Nodes::Found> Nodes::look_again(const Directory& directory, const Name& name, Stat& stat,
                                       bool keep) noexcept {
  Seen seen;
  const Result<int> opened = see(directory.fd, name.c_str(), seen);
  if (!opened) return opened.error();
  seen.fd.reset(*opened);
  stat = seen.stat;
  const Result<NodeRow*> entered = enter(seen);
  if (!entered) {
    close(std::move(seen.fd));
    return entered.error();
  }
  NodeRow& row = **entered;
  const Found out = found(row, directory);
  if (row.handle_size == 0) {
    remember_place(row, directory, name);
    keep = true;
  }
  if (keep) give_descriptor(row, seen.fd);
  close(std::move(seen.fd));
  trim();
  return out;
}

Result<Nodes::Found> Nodes::add_created(const Directory& directory, const Name& name,
                                        Seen& seen) noexcept {
  const Result<NodeRow*> entered = enter(seen);
  if (!entered) return entered.error();
  NodeRow& row = **entered;
  const Found out = found(row, directory);
  if (row.handle_size == 0) {
    if (name.size() > 0) remember_place(row, directory, name);
    // Not O_PATH, but it does for all that we do with a node's descriptor.
    Fd copy(::fcntl(seen.fd.get(), F_DUPFD_CLOEXEC, 0));
    if (copy) give_descriptor(row, copy);
  }
  trim();
  return out;
}

Nodes::Found Nodes::found(const NodeRow& row, const Directory& directory) noexcept {
  const NodeRow* above = row.type == S_IFDIR ? table_.find(directory.node) : nullptr;
  return {.node = NodeTable::id_of(row),
          .generation = row.key.birth,
          .begins_mount = above != nullptr && above->key.mount != row.key.mount};
}

// The row of what was seen, with one lookup more. Does not block once the mount is known.
Result<NodeRow*> Nodes::enter(Seen& seen) noexcept {
  const Result<uint16_t> mount = mount_of(seen);
  if (!mount) return mount.error();
  if (!mounts_.at(*mount).has_handles) seen.handle.size = 0;
  uint64_t birth = birth_of(seen.stat);
  if (birth == 0 && seen.handle.size != 0) birth = seen.handle.hash();
  const NodeKey key = key_of(seen.stat, birth, *mount);
  NodeRow* row = table_.find(key);
  if (row != nullptr && !table_.has_handle(*row, seen.handle)) {
    // The same number, used again within one tick of the clock.
    table_.retire(*row);
    row = nullptr;
  }
  if (row == nullptr) {
    row = table_.insert(key, local::type_of(seen.stat), seen.handle);
    if (row == nullptr) return Errno::nomem;
    mounts_.use(*mount);
  }
  count_lookup(*row);
  return row;
}

Result<uint16_t> Nodes::mount_of(Seen& seen) noexcept {
  const uint64_t id = MountTable::id_of(seen.stat);
  while (true) {
    uint16_t known = mounts_.find(id);
    if (known != MountTable::kNone) return known;
    MountTable::Mount mount = reactor_.blocking([&] {
      return explore_mount(seen.fd.get(), seen.stat, seen.handle, proc_fd_.get(), want_handles_);
    });
    if (!mount.fd) {
      if (!evict_some()) return Errno::mfile;
      continue;
    }
    known = mounts_.find(id);  // another request may have been quicker
    if (known == MountTable::kNone) known = mounts_.add(std::move(mount));
    if (known == MountTable::kNone) return Errno::nfile;
    return known;
  }
}

bool Nodes::remember_place(const NodeRow& row, const Directory& directory,
                           const Name& name) noexcept {
  try {
    places_.remember(row.index, directory.node, name.view());
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void Nodes::give_descriptor(NodeRow& row, Fd& fd) noexcept {
  if (row.descriptor != kNoIndex) return;
  const uint32_t slot = cache_.add(fd.get(), row.index);
  if (slot == kNoIndex) return;
  fd.release();
  row.descriptor = slot;
  trim();  // while this one is pinned, so that another one goes
  unpin(slot);
}

void Nodes::moved_to(const Directory& directory, const Name& name) noexcept {
  if (places_.empty()) return;
  Stat stat;
  const Result<Unit> ok =
      reactor_.blocking([&] { return stat_name(directory.fd, name.c_str(), stat); });
  if (!ok) return;
  const uint16_t mount = mounts_.find(MountTable::id_of(stat));
  if (mount == MountTable::kNone) return;
  NodeRow* row = table_.find(key_of(stat, birth_of(stat), mount));
  if (row != nullptr && row->handle_size == 0) remember_place(*row, directory, name);
}

// ---- Without a name -----------------------------------------------------------------------------

Result<Nodes::Found> Nodes::look_up_self(NodeId node, Stat& stat) noexcept {
  const Pinned pinned = pin(node);
  if (!pinned) return pinned.error();
  const Result<Unit> ok = reactor_.blocking([&] { return stat_fd(pinned.fd(), stat); });
  if (!ok) return ok.error();
  NodeRow* row = table_.find(node);
  if (row == nullptr) return Errno::stale;
  count_lookup(*row);
  // Whether a mount begins here is for whoever looks at it from above.
  return Found{.node = node, .generation = row->key.birth, .begins_mount = false};
}

Result<Nodes::Found> Nodes::look_up_parent(NodeId node, Stat& stat) noexcept {
  if (node == NodeId::root) return look_up_self(node, stat);
  const Pinned pinned = pin(node);
  if (!pinned) return pinned.error();
  if (pinned.type() != S_IFDIR) return Errno::notdir;
  Seen seen;
  const Result<int> opened = opening([&] { return see_parent(pinned.fd(), seen); });
  if (!opened) return opened.error();
  seen.fd.reset(*opened);
  stat = seen.stat;
  const Result<NodeRow*> entered = enter(seen);
  close(std::move(seen.fd));
  if (!entered) return entered.error();
  NodeRow& row = **entered;
  const Found out{
      .node = NodeTable::id_of(row), .generation = row.key.birth, .begins_mount = false};
  if (row.handle_size != 0 || places_.find(row.index) != nullptr) return out;
  forget(out.node, 1);  // nobody could find it again
  return Errno::stale;
}

// Inside blocking(). A directory may have been moved out of the shared one; what lies above it
// there is nobody's business. So the parent counts only when the root lies above it, or is it.
Result<int> Nodes::see_parent(int directory, Seen& seen) noexcept {
  constexpr int kDepthMax = PATH_MAX / 2;
  constexpr int kFlags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  const auto up = [](int fd) { return checked([fd] { return ::openat(fd, "..", kFlags); }); };
  const Result<int> opened = up(directory);
  if (!opened) return opened;
  Fd parent(*opened);
  if (const Result<Unit> ok = stat_fd(parent.get(), seen.stat); !ok) return ok.error();
  if (want_handles_) seen.handle.read(parent.get());

  const auto same = [](const Stat& a, const Stat& b) {
    return a.stx_ino == b.stx_ino && MountTable::id_of(a) == MountTable::id_of(b);
  };
  Fd above;
  Stat at = seen.stat;
  for (int depth = 0; depth < kDepthMax; ++depth) {
    if (same(at, root_.stat)) return parent.release();
    const Result<int> next = up(above ? above.get() : parent.get());
    if (!next) return next;
    above.reset(*next);
    const Stat below = at;
    if (const Result<Unit> ok = stat_fd(above.get(), at); !ok) return ok.error();
    if (same(at, below)) break;  // the top of everything
  }
  return Errno::stale;
}

}  // namespace dpfs::local
