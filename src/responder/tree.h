// SPDX-License-Identifier: Apache-2.0
// The responder's file system: a tree of nodes in memory.
#pragma once

#include <cstdint>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "backend/nfs/nfs4.h"
#include "responder/contents.h"

namespace dpfs::responder {

struct Node;
// A request holds the nodes that it works on, so that one it removes itself is still there.
using NodePointer = std::shared_ptr<Node>;

struct Entry {
  NodePointer node;
  uint64_t cookie = 0;  // READDIR's; stays with the entry
};

struct Node {
  uint64_t fileid = 0;
  nfs::FileType type = nfs::FileType::regular;
  uint32_t mode = 0644;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t links = 0;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  uint64_t change = 1;
  timespec accessed{};
  timespec modified{};
  timespec changed{};
  timespec created{};

  Contents contents;
  // What a restart falls back to, where something has been written UNSTABLE since the last COMMIT.
  std::optional<Contents> stable;
  // The contents are the prepared bytes, whatever is written.
  bool prepared = false;
  std::string target;                      // of a symbolic link
  std::optional<nfs::Verifier> exclusive;  // of the OPEN that made it
  std::map<std::string, std::string, std::less<>> xattrs;

  uint64_t parent = 0;  // of a directory
  std::map<std::string, Entry, std::less<>> entries;
  std::map<uint64_t, std::string> names_by_cookie;
  uint64_t next_cookie = 3;  // 0 to 2 are reserved: RFC 8881, section 18.23.3

  bool is_directory() const noexcept { return type == nfs::FileType::directory; }
  bool is_regular() const noexcept { return type == nfs::FileType::regular; }

  void write(uint64_t offset, nfs::Bytes from, nfs::Stable how);
  // Changes what is stable as well, as all but UNSTABLE writes do.
  template <class Change>
  void change_contents(Change&& make) {
    make(contents);
    if (stable) make(*stable);
  }
  void commit() { stable.reset(); }
  // What a restart does to it.
  void lose_unstable();
  void touch_contents();    // contents or entries have been changed
  void touch_attributes();  // something else has
};

class Tree {
 public:
  Tree();

  const NodePointer& root() const noexcept { return root_; }
  // nullptr: there is no such node any more.
  NodePointer find(uint64_t fileid) const;
  size_t nodes() const noexcept { return nodes_.size(); }
  uint64_t allocated_bytes() const;

  // The name is free.
  NodePointer create(Node& directory, std::string_view name, nfs::FileType type);
  void link(Node& directory, std::string_view name, const NodePointer& node);
  // Without its last name a node is gone: nobody finds it. A directory is empty.
  void unlink(Node& directory, std::string_view name);
  // The target is not there, or may be replaced: the caller has looked.
  void rename(Node& from, std::string_view name, Node& to, std::string_view new_name);
  // Node that is gone is found again while its handle is kept: see Compound's `preserve_unlinked`.
  void keep(const NodePointer& node) { nodes_.emplace(node->fileid, node); }
  void drop(uint64_t fileid) { nodes_.erase(fileid); }
  // Whether `node` is `ancestor`, or lies below it.
  bool is_below(const Node& node, const Node& ancestor) const;
  // By path from the root; nullptr where there is nothing.
  NodePointer at(std::string_view path) const;
  // Like mkdir -p: the directory at that path.
  NodePointer make_directories(std::string_view path);

  void lose_unstable();

 private:
  NodePointer new_node(nfs::FileType type);

  uint64_t next_fileid_ = 1;
  std::unordered_map<uint64_t, NodePointer> nodes_;
  NodePointer root_;
};

}  // namespace dpfs::responder
