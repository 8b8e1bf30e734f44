// SPDX-License-Identifier: Apache-2.0
// Volume: one key-value file system as this daemon has it in its hands, for all its tenants.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/kv/access_times.h"
#include "backend/kv/change.h"
#include "backend/kv/garbage.h"
#include "backend/kv/lock_table.h"
#include "backend/kv/name_cache.h"
#include "backend/kv/node_cache.h"
#include "backend/kv/ownership.h"
#include "backend/kv/records.h"
#include "backend/kv/replaced_files.h"
#include "backend/kv/small_contents.h"
#include "backend/kv/store.h"
#include "backend/kv/usage.h"
#include "base/op.h"
#include "base/spares.h"
#include "io/async_mutex.h"
#include "io/reactor.h"
#include "io/timer.h"

namespace dpfs::kv {

struct VolumeOptions {
  std::string name;  // for messages
  uint32_t nodes_max = 65'536;
  uint32_t names_max = 65'536;
  bool create = false;  // a file system, where there is none
  Ownership::Options ownership;
};

// Mounted while a session lasts: the first use claims the file system and tidies up what a daemon
// that died has left, the end of the last session gives it back. Of one reactor.
//
// Who changes something holds the locks of all nodes that are changed, taken in this order:
// tree_lock() (who locks two directories, or removes one), directories, other nodes (two of them:
// the one with the lower number first). Nobody who holds a lock of a directory but not the tree's
// waits for another directory's, so nobody waits for ever.
class Volume {
 public:
  Volume(Reactor& reactor, std::unique_ptr<Store> store, const VolumeOptions& options);
  Volume(const Volume&) = delete;
  Volume& operator=(const Volume&) = delete;
  ~Volume();

  // A session begins. Nothing is waited for.
  void attach() noexcept {
    ++sessions_;
    ++sessions_begun_;
  }
  // One ends, which has closed all it had open; of that, `nameless` have lost their last name, and
  // go. `done` is called when nothing is left to do.
  Detached detach(std::function<void()> done, std::vector<NodeRef> nameless = {}) noexcept;

  // What is in memory can be used.
  bool is_sure() const noexcept { return mounted_ && ownership_.is_sure(); }
  // Makes it so. EBUSY, EIO, ETIMEDOUT.
  Op<Unit> make_sure() { return is_sure() ? Op<Unit>(Unit{}) : make_sure_later(); }

  // ---- Nodes

  NodeRef node(uint64_t ino) noexcept { return nodes_.get(ino); }
  Node* find_node(uint64_t ino) noexcept { return nodes_.find(ino); }
  // ESTALE: there is none. A node that is gone is there to be looked at only.
  Op<Unit> load(Node& node) {
    if (is_sure() && node.state != Node::State::unknown) return state_of(node);
    return load_later(node);
  }
  // For who looks a regular file up, or opens it: a READ comes next as a rule.
  Op<Unit> load_to_read(Node& node) {
    if (!store_->traits().remote || node.state != Node::State::unknown) return load(node);
    return load_with_contents(node);
  }
  // A small file's contents, where they are in memory; nullptr where they are not.
  const std::string_view* known_contents(const Node& node) const noexcept {
    return contents_.find(node.ino);
  }
  // The entry of that name, from memory or the store. ENOENT. `directory` has been loaded.
  Op<Entry> find_name(Node& directory, std::string_view name);
  // Only what is in memory: nullptr where that is not known.
  const CachedName* known_name(const Node& directory, std::string_view name) noexcept {
    return names_.find(directory.ino, name);
  }
  AsyncMutex& tree_lock() noexcept { return tree_lock_; }

  // ---- Changes

  Spares<Change>::Lease new_change() noexcept;
  // EDQUOT: a limit of the file system. What failed has not changed anything in memory, and what it
  // may have changed in the store will be read again.
  Op<Unit> commit(Change& change);
  // Whether so much more could be stored, as far as anybody knows now. EDQUOT, ENOSPC.
  Op<Unit> check_room(uint64_t bytes);
  // For a new inode.
  Op<uint64_t> new_ino();
  // All that was committed before stays.
  Op<Unit> sync() {
    // Linux asks for it after each write that was synchronized already (O_SYNC).
    if (commits_ == 0 && commits_begun_ == synced_) return Unit{};
    return sync_store();
  }

  // ---- Files without a name

  // The last handle was closed, or the last name is gone and there is no handle: what it takes up
  // is given back, at once or soon. Its lock is held.
  Op<Unit> remove_orphan(Node& node);
  // Those whose last name was given to another file.
  ReplacedFiles& replaced() noexcept { return replaced_; }
  // To be written down sometime.
  AccessTimes& access_times() noexcept { return access_times_; }
  // Adds to a change what removes an inode that has neither names nor handles.
  void erase_inode(Change& change, Node& node, const Inode& last) noexcept;

  // Ownership::holder().
  const std::string& holder() const noexcept { return ownership_.holder(); }
  Store& store() noexcept { return *store_; }
  Reactor& reactor() noexcept { return reactor_; }
  uint32_t chunk_bytes() const noexcept { return superblock_.chunk_bytes; }
  Usage& usage() noexcept { return usage_; }
  // What is used is read again where nobody knows what a commit has done.
  Op<Unit> make_usage_sure() {
    return usage_is_sure_ || commits_ > 0 ? Op<Unit>(Unit{}) : read_usage();
  }
  LockTable& locks() noexcept { return locks_; }

 private:
  static constexpr uint64_t kUnknown = UINT64_MAX;

  static Result<Unit> state_of(const Node& node) noexcept {
    if (node.state == Node::State::gone) return Errno::stale;
    return Unit{};
  }
  Op<Unit> make_sure_later();
  Op<Unit> load_later(Node& node);
  Op<Unit> load_with_contents(Node& node);
  static void fill(Node& node, const Inode& inode, bool is_there) noexcept;
  Op<Unit> reserve(const Amount& more);
  Op<Unit> sync_store();
  Op<Unit> mount();
  Op<Unit> read_superblock();
  Op<Unit> read_usage();
  Op<Unit> remove_orphans();
  Op<Unit> remove_closed(const std::vector<NodeRef>& nameless);
  Op<Unit> unmount();
  static void set_leaving(const Change& change, bool leaving) noexcept;
  void apply(const Change& change) noexcept;
  void doubt(const Change& change) noexcept;

  Reactor& reactor_;
  Timers timers_;
  const VolumeOptions options_;
  std::unique_ptr<Store> store_;
  Ownership ownership_;
  Superblock superblock_;
  NodeCache nodes_;
  NameCache names_;
  SmallContents contents_;
  LockTable locks_;
  Usage usage_;
  bool usage_is_sure_ = false;
  uint32_t commits_ = 0;  // in flight
  uint64_t commits_begun_ = 0;
  uint64_t synced_ = kUnknown;  // all of them, when there had been so many
  GarbageCollector garbage_;
  ReplacedFiles replaced_;
  AccessTimes access_times_;
  Spares<Change> changes_;
  AsyncMutex tree_lock_;
  AsyncMutex mounting_;
  AsyncMutex leaving_;
  AsyncMutex allocating_;

  uint32_t sessions_ = 0;
  uint64_t sessions_begun_ = 0;
  bool open_ = false;  // the store is
  bool mounted_ = false;
  uint64_t mount_tries_ = 0;
  Errno mount_error_ = Errno::none;
  uint64_t next_ino_ = 0;
  uint64_t inos_end_ = 0;  // of the block
};

}  // namespace dpfs::kv
