// SPDX-License-Identifier: Apache-2.0
// Places: where a node was last seen, for file systems that have no file handles.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "fuse/ids.h"

namespace dpfs::local {

struct Place {
  NodeId parent;
  std::string name;
};

// Only nodes without a file handle have a row here, by the number of their row in the node table.
class Places {
 public:
  void remember(uint32_t node, NodeId parent, std::string_view name) {
    Place& place = places_[node];
    place.parent = parent;
    if (place.name != name) place.name = name;
  }
  void forget(uint32_t node) noexcept { places_.erase(node); }
  const Place* find(uint32_t node) const noexcept {
    const auto at = places_.find(node);
    return at == places_.end() ? nullptr : &at->second;
  }
  bool empty() const noexcept { return places_.empty(); }
  void clear() noexcept { places_.clear(); }

 private:
  std::unordered_map<uint32_t, Place> places_;
};

}  // namespace dpfs::local
