// SPDX-License-Identifier: Apache-2.0
// How a node gets its row, its descriptor and its end.
#include "backend/local/nodes.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <new>
#include <stdexcept>

#include "base/log.h"

namespace dpfs::local {
namespace {

// An eighth of what the process may open: there are tenants' open files as well, and other devices.
uint32_t default_descriptors_max() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 64;
  return static_cast<uint32_t>(std::clamp<rlim_t>(limit.rlim_cur / 8, 4, 1024));
}

Fd open_at_start(const std::string& path, int flags) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (fd) return fd;
  const Errno why = last_errno();
  const char* advice = "check it";
  if (why == Errno::noent) advice = "create it, or correct the path";
  if (why == Errno::notdir) advice = "give a directory";
  if (why == Errno::acces || why == Errno::perm) {
    advice = "run as a user who may read it";
  }
  throw std::runtime_error(
      fmt::format("local: cannot open directory '{}': {}; {}", path, describe(why), advice));
}

}  // namespace

Nodes::Nodes(Reactor& reactor, const Options& options)
    : reactor_(reactor),
      want_handles_(options.file_handles),
      cache_(options.descriptors_max != 0 ? options.descriptors_max : default_descriptors_max()) {
  // Listing it must be possible, so that a directory we cannot share is found now and not by the
  // tenant.
  {
    const Fd readable = open_at_start(options.path, O_RDONLY | O_DIRECTORY);
  }
  root_.fd = open_at_start(options.path, O_PATH | O_DIRECTORY);
  proc_fd_ = open_at_start("/proc/self/fd", O_PATH | O_DIRECTORY);

  Stat& stat = root_.stat;
  if (const Result<Unit> ok = stat_fd(root_.fd.get(), stat); !ok) {
    throw std::runtime_error(
        fmt::format("local: cannot stat '{}': {}", options.path, describe(ok.error())));
  }
  if (want_handles_) root_.handle.read(root_.fd.get());
  MountTable::Mount mount =
      explore_mount(root_.fd.get(), stat, root_.handle, proc_fd_.get(), want_handles_);
  if (!mount.has_handles) {
    root_.handle.size = 0;
  }
  if (want_handles_ && !mount.has_handles) {
    log::info(
        "local: '{}' is served without file handles (its file system has none, or "
        "CAP_DAC_READ_SEARCH is missing)",
        options.path);
  }
  const uint64_t birth = birth_of(stat);
  root_.mount = mounts_.add(std::move(mount));
  root_.key = key_of(stat, birth != 0 ? birth : root_.handle.hash(), root_.mount);
  mounts_.use(root_.mount);  // for as long as we live
  add_root();
  if (table_.find(NodeId::root) == nullptr) throw std::bad_alloc();
}

Nodes::~Nodes() { start_over(); }

void Nodes::add_root() noexcept {
  NodeRow* row = table_.insert(root_.key, S_IFDIR, root_.handle);
  if (row == nullptr) return;
  mounts_.use(root_.mount);
  row->lookups = 1;                                          // never forgotten
  row->descriptor = cache_.add(root_.fd.get(), row->index);  // and always pinned
}

void Nodes::start_over() noexcept {
  NodeRow* root = table_.find(NodeId::root);
  if (root == nullptr) return;
  // The root's descriptor stays where it is; all other rows go at once.
  const uint32_t slot = root->descriptor;
  while (true) {
    const DescriptorCache::Evicted evicted = cache_.take_any_but(slot);
    if (evicted.fd < 0) break;
    ::close(evicted.fd);
  }
  orphans_ = 0;
  mounts_.keep_only(root_.mount, 2);  // the root's row, and us
  places_.clear();
  table_.clear();
  forgotten_.clear();
  forgotten_max_ = 0;
  root = table_.insert(root_.key, S_IFDIR, root_.handle);
  if (root == nullptr) return;
  root->lookups = 1;
  root->descriptor = slot;
}

int Nodes::take_evicted(const DescriptorCache::Evicted& evicted) noexcept {
  if (evicted.node != kNoIndex) table_.at(evicted.node).descriptor = kNoIndex;
  return evicted.fd;
}

void Nodes::unpin(uint32_t slot) noexcept {
  const DescriptorCache::Evicted evicted = cache_.unpin(slot);
  if (evicted.fd >= 0) close(Fd(take_evicted(evicted)));
}

void Nodes::trim() noexcept {
  while (cache_.over_limit()) {
    const DescriptorCache::Evicted evicted = cache_.evict();
    if (evicted.fd < 0) return;
    close(Fd(take_evicted(evicted)));
  }
}

// The process has no descriptors left. False when none of them are ours to give.
bool Nodes::evict_some() noexcept {
  std::array<Fd, 8> fds;
  size_t count = 0;
  while (count < fds.size()) {
    const DescriptorCache::Evicted evicted = cache_.evict();
    if (evicted.fd < 0) break;
    fds[count++].reset(take_evicted(evicted));
  }
  if (count == 0) return false;
  reactor_.blocking([&fds] {
    for (Fd& fd : fds) fd.reset();
    return 0;
  });
  return true;
}

// ---- Descriptors --------------------------------------------------------------------------------

Pinned Nodes::pin_slowly(NodeId node) noexcept {
  NodeRow* row = table_.find(node);
  const Result<int> opened =
      row->handle_size != 0 ? open_by_handle(*row, O_PATH) : open_by_place(*row);
  Fd fd(opened ? *opened : -1);
  row = table_.find(node);  // it may have been forgotten meanwhile
  if (row == nullptr) {
    close(std::move(fd));
    return Errno::stale;
  }
  if (!opened) {
    // Should an inode turn up with the same key, it is another one. (Without a handle, and with a
    // birth to know it by, it may well be this one in another place.)
    if (opened.error() == Errno::stale && (row->handle_size != 0 || row->key.birth == 0)) {
      table_.retire(*row);
    }
    return opened.error();
  }
  if (row->descriptor == kNoIndex) {
    row->descriptor = cache_.add(fd.get(), row->index);
    if (row->descriptor == kNoIndex) return Errno::nomem;
    fd.release();
    Pinned pinned(*this, row->descriptor, cache_.fd(row->descriptor), node, row->type);
    trim();
    return pinned;
  }
  Pinned pinned = pin_cached(*row);  // another request was quicker
  close(std::move(fd));
  return pinned;
}

Result<int> Nodes::open_by_handle(NodeRow& row, int flags) noexcept {
  FileHandle handle = table_.handle_of(row);
  const uint16_t mount = row.key.mount;
  const int mount_fd = mounts_.at(mount).fd.get();
  mounts_.use(mount);
  const Result<int> fd = opening([&] { return handle.open(mount_fd, flags); });
  close(mounts_.unuse(mount));
  return fd;
}

// Walks down from the nearest ancestor that is at hand, and compares.
Result<int> Nodes::open_by_place(const NodeRow& start) noexcept {
  const NodeKey key = start.key;
  std::string path;
  const NodeRow* row = &start;
  do {
    const Place* place = places_.find(row->index);
    if (place == nullptr || path.size() + place->name.size() + 2 > PATH_MAX) return Errno::stale;
    try {
      path.insert(0, path.empty() ? place->name : place->name + "/");
    } catch (const std::bad_alloc&) {
      return Errno::nomem;
    }
    row = table_.find(place->parent);
    if (row == nullptr) return Errno::stale;
  } while (row->descriptor == kNoIndex && row->handle_size == 0);

  const Pinned ancestor = pin(NodeTable::id_of(*row));
  if (!ancestor) return ancestor.error();
  return opening([&]() -> Result<int> {
    const Result<int> fd = open_beneath(ancestor.fd(), path.c_str(), O_PATH);
    if (!fd) {
      const Errno why = fd.error();
      return why == Errno::noent || why == Errno::notdir || why == Errno::loop ? Errno::stale : why;
    }
    Stat stat;
    const Result<Unit> ok = stat_fd(*fd, stat);
    if (ok && key_of(stat, birth_of(stat), key.mount) == key) return fd;
    ::close(*fd);
    return ok ? Errno::stale : ok.error();
  });
}

Result<int> Nodes::open(NodeId node, int flags) noexcept {
  NodeRow* row = table_.find(node);
  if (row == nullptr) return Errno::stale;
  const uint16_t wanted = (flags & O_DIRECTORY) != 0 ? S_IFDIR : S_IFREG;
  if (row->type != wanted) {
    if (wanted == S_IFDIR) return Errno::notdir;
    if (row->type == S_IFDIR) return Errno::isdir;
    return row->type == S_IFLNK ? Errno::loop : Errno::nxio;
  }
  if (row->handle_size != 0) {
    const Result<int> fd = open_by_handle(*row, flags);
    if (!fd && fd.error() == Errno::stale) {
      row = table_.find(node);
      if (row != nullptr) table_.retire(*row);
    }
    return fd;
  }
  const Pinned pinned = pin(node);
  if (!pinned) return pinned.error();
  return opening([&] {
    return checked(
        [&] { return ::openat(proc_fd_.get(), FdName(pinned.fd()).c_str(), flags | O_CLOEXEC); });
  });
}

// ---- Forgetting and syncing ---------------------------------------------------------------------

void Nodes::forget(NodeId node, uint64_t lookups) noexcept {
  NodeRow* row = table_.find(node);
  if (row == nullptr || row->forgotten || node == NodeId::root) return;
  row->lookups -= std::min(lookups, row->lookups);
  if (row->lookups > 0) return;
  // One that is not indexed, or an orphan, has lost its inode.
  const bool keeps = forgotten_max_ > 0 && row->handle_size != 0 && row->indexed && !row->orphan &&
                     row->key.mount == root_.mount;
  if (keeps) {
    put_aside(*row);
  } else {
    erase(*row);
  }
}

// The descriptor to close, or -1 when there is none or somebody still uses it.
int Nodes::take_descriptor(NodeRow& row) noexcept {
  if (row.descriptor == kNoIndex) return -1;
  const uint32_t slot = std::exchange(row.descriptor, kNoIndex);
  const int fd = cache_.orphan(slot);
  if (!row.orphan) return fd;
  row.orphan = false;
  --orphans_;
  return cache_.unpin(slot).fd;
}

// Without its descriptor: an inode that has been unlinked meanwhile goes at once.
void Nodes::put_aside(NodeRow& row) noexcept {
  Fd fd(take_descriptor(row));
  forgotten_.add(row);
  if (forgotten_.size() > forgotten_max_) erase(forgotten_.oldest());
  close(std::move(fd));
}

void Nodes::erase(NodeRow& row) noexcept {
  if (row.forgotten) forgotten_.take(row);
  const uint16_t mount = row.key.mount;
  Fd fd(take_descriptor(row));
  if (row.handle_size == 0) places_.forget(row.index);
  table_.erase(row);
  Fd mount_fd = mounts_.unuse(mount);
  close(std::move(fd));
  close(std::move(mount_fd));
}

Pinned Nodes::pin_last_name(const Directory& directory, const Name& name) noexcept {
  Stat stat;
  const Result<Unit> ok =
      reactor_.blocking([&] { return stat_name(directory.fd, name.c_str(), stat); });
  if (!ok) return ok.error();
  if (!S_ISDIR(stat.stx_mode) && stat.stx_nlink > 1) return Errno::mlink;
  const uint16_t mount = mounts_.find(MountTable::id_of(stat));
  if (mount == MountTable::kNone) return Errno::noent;
  NodeRow* row = table_.find(key_of(stat, birth_of(stat), mount));
  if (row == nullptr || row->forgotten || row->orphan) return Errno::noent;
  return pin(NodeTable::id_of(*row));
}

void Nodes::keep_orphan(Pinned orphan) noexcept {
  if (!orphan) return;
  NodeRow* row = table_.find(orphan.node_);
  if (row == nullptr || row->orphan || row->descriptor != orphan.slot_) return;
  if (orphans_ >= std::max(cache_.limit() / 2, 1u)) return;
  row->orphan = true;
  ++orphans_;
  orphan.nodes_ = nullptr;  // its pin is the row's now
}

Result<Unit> Nodes::sync_mount(NodeId node) noexcept {
  const NodeRow* row = table_.find(node);
  if (row == nullptr) return Errno::stale;
  return sync(row->key.mount);
}

Result<Unit> Nodes::sync_all() noexcept {
  Result<Unit> result = Unit{};
  for (uint16_t mount = 0; mount < mounts_.size(); ++mount) {
    if (mounts_.at(mount).users == 0) continue;
    const Result<Unit> ok = sync(mount);
    if (!ok) result = ok;
  }
  return result;
}

Result<Unit> Nodes::sync(uint16_t mount) noexcept {
  mounts_.use(mount);
  const int fd = mounts_.at(mount).fd.get();
  const Result<Unit> ok = reactor_.blocking([fd] { return done([fd] { return ::syncfs(fd); }); });
  close(mounts_.unuse(mount));
  // A mount that begins at something that is never opened has nothing but that.
  if (!ok && ok.error() == Errno::badf) return Unit{};
  return ok;
}

}  // namespace dpfs::local
