// SPDX-License-Identifier: Apache-2.0
// ForgottenNodes: nodes that a tenant has forgotten and may ask for again by their number.
#pragma once

#include <cstdint>

#include "backend/local/node_table.h"

namespace dpfs::local {

// A list through rows of the node table, in the order in which they were forgotten. It is what
// keeps handles of name_to_handle_at(2) and of an NFS server in the tenant good after the tenant's
// kernel has dropped the inode. Bounded by its user.
class ForgottenNodes {
 public:
  explicit ForgottenNodes(NodeTable& table) noexcept : table_(table) {}
  ForgottenNodes(const ForgottenNodes&) = delete;
  ForgottenNodes& operator=(const ForgottenNodes&) = delete;

  uint32_t size() const noexcept { return size_; }
  void add(NodeRow& row) noexcept {
    row.forgotten = true;
    row.kept = {.older = newest_, .newer = kNoIndex};
    (newest_ != kNoIndex ? table_.at(newest_).kept.newer : oldest_) = row.index;
    newest_ = row.index;
    ++size_;
  }
  // The row is wanted again, or goes for good. It has no lookups then.
  void take(NodeRow& row) noexcept {
    const auto [older, newer] = row.kept;
    (newer != kNoIndex ? table_.at(newer).kept.older : newest_) = older;
    (older != kNoIndex ? table_.at(older).kept.newer : oldest_) = newer;
    row.forgotten = false;
    row.lookups = 0;
    --size_;
  }
  // Not when there is none.
  NodeRow& oldest() noexcept { return table_.at(oldest_); }
  // After the table has been cleared.
  void clear() noexcept {
    oldest_ = newest_ = kNoIndex;
    size_ = 0;
  }

 private:
  NodeTable& table_;
  uint32_t oldest_ = kNoIndex;
  uint32_t newest_ = kNoIndex;
  uint32_t size_ = 0;
};

}  // namespace dpfs::local
