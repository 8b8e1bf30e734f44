// SPDX-License-Identifier: Apache-2.0
// The responder's file system: names and nodes.
#include "responder/tree.h"

#include <algorithm>
#include <utility>

namespace dpfs::responder {

namespace {

timespec now() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return time;
}

// Calls `part(name)` for each component until it says false.
template <class Part>
void for_each_component(std::string_view path, Part&& part) {
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0 && !part(path.substr(0, slash))) return;
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
}

}  // namespace

void Node::write(uint64_t offset, nfs::Bytes from, nfs::Stable how) {
  if (prepared) {
    const uint64_t end = offset + from.size();
    if (end > contents.size()) contents.resize(end);
  } else if (how == nfs::Stable::unstable) {
    if (!stable) stable = contents;
    contents.write(offset, from);
  } else {
    change_contents([&](Contents& all) { all.write(offset, from); });
  }
  touch_contents();
}

void Node::lose_unstable() {
  if (!stable) return;
  contents = *std::exchange(stable, std::nullopt);
  touch_contents();
}

void Node::touch_contents() {
  modified = changed = now();
  ++change;
}

void Node::touch_attributes() {
  changed = now();
  ++change;
}

Tree::Tree() : root_(new_node(nfs::FileType::directory)) {
  root_->links = 2;
  root_->parent = root_->fileid;
}

NodePointer Tree::new_node(nfs::FileType type) {
  auto node = std::make_shared<Node>();
  node->fileid = next_fileid_++;
  node->type = type;
  if (type == nfs::FileType::directory) node->mode = 0755;
  node->accessed = node->modified = node->changed = node->created = now();
  nodes_.emplace(node->fileid, node);
  return node;
}

NodePointer Tree::find(uint64_t fileid) const {
  const auto found = nodes_.find(fileid);
  return found == nodes_.end() ? nullptr : found->second;
}

uint64_t Tree::allocated_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [fileid, node] : nodes_) bytes += node->contents.allocated_bytes();
  return bytes;
}

NodePointer Tree::create(Node& directory, std::string_view name, nfs::FileType type) {
  NodePointer node = new_node(type);
  link(directory, name, node);
  return node;
}

void Tree::link(Node& directory, std::string_view name, const NodePointer& node) {
  const uint64_t cookie = directory.next_cookie++;
  directory.entries.emplace(name, Entry{node, cookie});
  directory.names_by_cookie.emplace(cookie, name);
  ++node->links;
  if (node->is_directory()) {
    node->links = 2;
    node->parent = directory.fileid;
    ++directory.links;
  }
  node->touch_attributes();
  directory.touch_contents();
}

void Tree::unlink(Node& directory, std::string_view name) {
  const auto found = directory.entries.find(name);
  if (found == directory.entries.end()) return;
  const Entry entry = found->second;
  directory.names_by_cookie.erase(entry.cookie);
  directory.entries.erase(found);
  if (entry.node->is_directory()) {
    --directory.links;
    entry.node->links = 0;
  } else {
    --entry.node->links;
  }
  entry.node->touch_attributes();
  directory.touch_contents();
  if (entry.node->links == 0) nodes_.erase(entry.node->fileid);
}

void Tree::rename(Node& from, std::string_view name, Node& to, std::string_view new_name) {
  const NodePointer node = from.entries.find(name)->second.node;
  const auto replaced = to.entries.find(new_name);
  if (replaced != to.entries.end()) {
    if (replaced->second.node == node) return;  // two names of one file: nothing happens
    unlink(to, new_name);
  }
  link(to, new_name, node);
  unlink(from, name);
  if (!node->is_directory()) return;
  nodes_.emplace(node->fileid, node);  // unlink() has taken it for one that is going
  node->links =
      2 + static_cast<uint32_t>(std::ranges::count_if(
              node->entries, [](const auto& entry) { return entry.second.node->is_directory(); }));
}

bool Tree::is_below(const Node& node, const Node& ancestor) const {
  uint64_t at = node.fileid;
  while (at != ancestor.fileid) {
    if (at == root_->fileid) return false;
    const NodePointer directory = find(at);
    if (directory == nullptr) return false;
    at = directory->parent;
  }
  return true;
}

NodePointer Tree::at(std::string_view path) const {
  NodePointer node = root_;
  for_each_component(path, [&](std::string_view name) {
    const auto entry = node->entries.find(name);
    node = entry == node->entries.end() ? nullptr : entry->second.node;
    return node != nullptr;
  });
  return node;
}

NodePointer Tree::make_directories(std::string_view path) {
  NodePointer node = root_;
  for_each_component(path, [&](std::string_view name) {
    const auto entry = node->entries.find(name);
    node = entry == node->entries.end() ? create(*node, name, nfs::FileType::directory)
                                        : entry->second.node;
    return true;
  });
  return node;
}

void Tree::lose_unstable() {
  for (const auto& [fileid, node] : nodes_) node->lose_unstable();
}

}  // namespace dpfs::responder
