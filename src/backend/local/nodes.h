// SPDX-License-Identifier: Apache-2.0
// Nodes: from a tenant's node id to the inode on the host, and back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "backend/local/descriptor_cache.h"
#include "backend/local/forgotten_nodes.h"
#include "backend/local/mount_table.h"
#include "backend/local/node_table.h"
#include "backend/local/places.h"
#include "fuse/args.h"
#include "io/reactor.h"

namespace dpfs::local {

class Nodes;

// Where names are looked up: an open directory, and which node it is.
struct Directory {
  int fd;
  NodeId node;
};

// A node's descriptor (nearly always O_PATH), open for as long as this lives; or why there is none.
class Pinned {
 public:
  Pinned(Errno why) noexcept : error_(why) {}
  Pinned(Pinned&& other) noexcept
      : nodes_(std::exchange(other.nodes_, nullptr)),
        slot_(other.slot_),
        fd_(other.fd_),
        node_(other.node_),
        type_(other.type_),
        error_(other.error_) {}
  Pinned& operator=(Pinned&&) = delete;
  ~Pinned();

  explicit operator bool() const noexcept { return nodes_ != nullptr; }
  Errno error() const noexcept { return error_; }
  int fd() const noexcept { return fd_; }
  NodeId node() const noexcept { return node_; }
  uint16_t type() const noexcept { return type_; }
  operator Directory() const noexcept { return {fd_, node_}; }

 private:
  friend class Nodes;
  Pinned(Nodes& nodes, uint32_t slot, int fd, NodeId node, uint16_t type) noexcept
      : nodes_(&nodes), slot_(slot), fd_(fd), node_(node), type_(type) {}

  Nodes* nodes_ = nullptr;
  uint32_t slot_ = 0;
  int fd_ = -1;
  NodeId node_{};
  uint16_t type_ = 0;
  Errno error_ = Errno::none;
};

// What one look at an object has told: all three are of the same inode.
struct Seen {
  Fd fd;
  Stat stat;
  FileHandle handle;
};

// Descriptors do not grow with nodes. Where the file system has file handles, a node is a handle,
// and a bounded number of nodes have a descriptor as well. Where it has none (overlay without
// nfs_export, some FUSE file systems), or we may not use them (no CAP_DAC_READ_SEARCH), a node is
// where it was last seen: its parent and its name. When its descriptor has left the cache, it is
// looked for there and compared, and is ESTALE when something else has taken the place. So there a
// node that was renamed or replaced behind our back is lost until the tenant looks it up again
// (which Linux does on ESTALE), the deepest path is PATH_MAX long, and open files keep their
// descriptor beyond the cache's bound. (And where a file's birth changes when it is first written,
// as on overlay, it becomes another node then.)
//
// A node stays reachable for a tenant that has looked it up when somebody on the host moves it out
// of the shared directory, as an open file would. One whose last name a tenant takes away stays
// reachable for it, too: half of the descriptors may be for such nodes.
//
// Every method may run other requests of the reactor meanwhile (Reactor::blocking).
class Nodes {
 public:
  struct Options {
    std::string path;
    uint32_t descriptors_max = 0;  // 0: by RLIMIT_NOFILE
    bool file_handles = true;      // false: do as if no file system had them
  };
  struct Found {
    NodeId node;
    uint64_t generation;  // differs when the inode's number is used again
    bool begins_mount;    // a directory on another mount than the one it was found in
  };

  // Throws std::runtime_error, with what to do, when the directory cannot be shared.
  Nodes(Reactor& reactor, const Options& options);
  Nodes(const Nodes&) = delete;
  Nodes& operator=(const Nodes&) = delete;
  ~Nodes();

  // ESTALE for a node that is not known, or no longer there.
  Pinned pin(NodeId node) noexcept {
    NodeRow* row = table_.find(node);
    if (row == nullptr) return Errno::stale;
    if (row->descriptor == kNoIndex) return pin_slowly(node);
    return pin_cached(*row);
  }
  // The same for a directory in which `name` is to be used; ENOTDIR when it is none.
  Pinned pin_parent(NodeId node, const Name& name) noexcept {
    // The session has seen to this. But it is what keeps a tenant inside, so it is cheap at twice
    // the price.
    if (!is_component(name.view())) return Errno::inval;
    Pinned pinned = pin(node);
    if (pinned && pinned.type() != S_IFDIR) return Errno::notdir;
    return pinned;
  }

  // Counts one lookup of the object called `name`, and says how it is now. `keep`: it will be used
  // soon (not so when a whole directory is listed).
  Result<Found> look_up(const Directory& directory, const Name& name, Stat& stat,
                        bool keep) noexcept;
  // The same for a name that has just been given to a new inode: never takes it for an old one.
  Result<Found> look_up_new(const Directory& directory, const Name& name, Stat& stat) noexcept;
  // The same for a new file whose descriptor, for reading and writing, is seen.fd; it stays the
  // caller's. `name` is empty when it has none yet (O_TMPFILE).
  Result<Found> add_created(const Directory& directory, const Name& name, Seen& seen) noexcept;
  // The same for a node by its number alone, which the tenant may have forgotten: see keep().
  Result<Found> look_up_self(NodeId node, Stat& stat) noexcept;
  // The same for the directory that `node`, a directory, lies in. ESTALE when that is outside of
  // the shared one. The root's is the root.
  Result<Found> look_up_parent(NodeId node, Stat& stat) noexcept;
  void forget(NodeId node, uint64_t lookups) noexcept;
  // The node called `name` when it has no other name, before that is taken away; or nothing.
  Pinned pin_last_name(const Directory& directory, const Name& name) noexcept;
  // It has lost that name. The tenant may still use it, as a working directory say, and a handle is
  // worth nothing once the inode has gone: the descriptor that holds it stays.
  void keep_orphan(Pinned orphan) noexcept;
  // From now on the last `nodes_max` forgotten nodes keep their number, so that look_up_self()
  // finds them as long as the inode exists, and a lookup by name gives the same number again. Only
  // those that have a file handle and lie on the root's mount (others would keep an administrator
  // from unmounting theirs).
  void keep_forgotten(uint32_t nodes_max) noexcept { forgotten_max_ = nodes_max; }
  // After a rename: `name` is a node's new place.
  void moved_to(const Directory& directory, const Name& name) noexcept;

  // A new descriptor of a file, or, with O_DIRECTORY, of a directory. Never of anything else:
  // opening a device or a FIFO of the host would be an access to the host.
  Result<int> open(NodeId node, int flags) noexcept;
  // Calls `call`, which opens a descriptor, inside blocking(); makes room when there are too many.
  template <class F>
  Result<int> opening(F call) noexcept {
    while (true) {
      const Result<int> fd = reactor_.blocking(call);
      if (fd || (fd.error() != Errno::mfile && fd.error() != Errno::nfile)) return fd;
      if (!evict_some()) return fd;
    }
  }
  void close(Fd fd) noexcept {
    if (fd) reactor_.blocking([&fd] { return fd.reset(), 0; });
  }

  // Whether open files must keep their node's descriptor as well: see above.
  bool needs_pin(NodeId node) noexcept {
    const NodeRow* row = table_.find(node);
    return row != nullptr && row->handle_size == 0;
  }
  bool flush_is_idle(NodeId node) noexcept {
    const NodeRow* row = table_.find(node);
    return row != nullptr && mounts_.at(row->key.mount).flush_is_idle;
  }
  bool knows(NodeId node) noexcept { return table_.find(node) != nullptr; }
  // /proc/self/fd: the one way to some calls for a descriptor that was opened with O_PATH.
  int proc_fd() const noexcept { return proc_fd_.get(); }
  uint64_t root_ino() const noexcept { return root_.key.ino; }
  // A descriptor of the root that is not O_PATH.
  int root_fd() noexcept { return mounts_.at(root_.mount).fd.get(); }
  // Writes back the file system that `node` lies on, or all that anything is known of.
  Result<Unit> sync_mount(NodeId node) noexcept;
  Result<Unit> sync_all() noexcept;

  uint32_t size() const noexcept { return table_.size(); }
  uint32_t descriptors() const noexcept { return cache_.open(); }
  bool uses_handles() noexcept { return mounts_.at(root_.mount).has_handles; }
  // Forgets everything but the root. Nothing is pinned.
  void start_over() noexcept;

 private:
  friend class Pinned;

  static bool is_component(std::string_view name) noexcept {
    if (name.empty() || name == "." || name == "..") return false;
    return name.find('/') == std::string_view::npos;
  }
  Pinned pin_cached(NodeRow& row) noexcept {
    cache_.pin(row.descriptor);
    return Pinned(*this, row.descriptor, cache_.fd(row.descriptor), NodeTable::id_of(row),
                  row.type);
  }
  Pinned pin_slowly(NodeId node) noexcept;
  void unpin(uint32_t slot) noexcept;

  Result<int> open_by_handle(NodeRow& row, int flags) noexcept;
  Result<int> open_by_place(const NodeRow& row) noexcept;
  Result<int> see(int directory, const char* name, Seen& seen) noexcept;
  Result<int> see_parent(int directory, Seen& seen) noexcept;
  Result<Found> look_again(const Directory& directory, const Name& name, Stat& stat,
                           bool keep) noexcept;
  Found found(const NodeRow& row, const Directory& directory) noexcept;
  void count_lookup(NodeRow& row) noexcept {
    if (row.forgotten) forgotten_.take(row);
    ++row.lookups;
  }
  Result<NodeRow*> enter(Seen& seen) noexcept;
  Result<uint16_t> mount_of(Seen& seen) noexcept;
  bool remember_place(const NodeRow& row, const Directory& directory, const Name& name) noexcept;
  void give_descriptor(NodeRow& row, Fd& fd) noexcept;
  int take_descriptor(NodeRow& row) noexcept;
  void put_aside(NodeRow& row) noexcept;
  void erase(NodeRow& row) noexcept;
  Result<Unit> sync(uint16_t mount) noexcept;
  void trim() noexcept;
  bool evict_some() noexcept;
  int take_evicted(const DescriptorCache::Evicted& evicted) noexcept;
  void add_root() noexcept;

  Reactor& reactor_;
  const bool want_handles_;
  Fd proc_fd_;
  NodeTable table_;
  MountTable mounts_;
  DescriptorCache cache_;
  Places places_;
  ForgottenNodes forgotten_{table_};
  uint32_t forgotten_max_ = 0;
  uint32_t orphans_ = 0;

  // Of the root, to begin again with.
  struct {
    Fd fd;
    NodeKey key;
    FileHandle handle;
    Stat stat;
    uint16_t mount = 0;
  } root_;
};

inline Pinned::~Pinned() {
  if (nodes_ != nullptr) nodes_->unpin(slot_);
}

}  // namespace dpfs::local
