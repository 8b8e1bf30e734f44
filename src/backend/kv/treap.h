// SPDX-License-Identifier: Apache-2.0
// Treap: rows of a pool in order, found, added and taken away in logarithmic time.
#pragma once

#include <cstdint>
#include <utility>

#include "backend/kv/row_pool.h"

namespace dpfs::kv {

// Where a row stands in one tree. A row may be in several, by a link for each.
struct TreapLink {
  uint32_t left = kNoRow;
  uint32_t right = kNoRow;
};

// A binary search tree that is balanced by chance (Seidel and Aragon, "Randomized Search Trees"):
// `Row::priority` is a random number that nobody outside can know, so no order of insertions,
// however malicious, makes it deep. It has no memory of its own, and is never reorganized as a
// whole.
//
// Order has, all static:
//   TreapLink& link(Row&)
//   bool before(const Row&, const Row&)         a strict order of all rows in a tree
//   void update(RowPool<Row>&, Row&)            a row's children are others now, or they are
//                                               updated: for what a row says about its subtree
//
// A tree is the number of its root, kNoRow at first, and is kept by its owner.
template <class Row, class Order>
class Treap {
 public:
  explicit Treap(RowPool<Row>& rows) noexcept : rows_(rows) {}

  void insert(uint32_t& root, uint32_t row) noexcept {
    Order::link(rows_[row]) = {};
    root = with(root, row);
  }
  // `row` is in that tree.
  void erase(uint32_t& root, uint32_t row) noexcept { root = without(root, row); }

  // The first row for which `is_before(row)` is false, where it is true for those in front of it
  // only; or kNoRow.
  template <class IsBefore>
  uint32_t first_not(uint32_t root, IsBefore is_before) noexcept {
    uint32_t found = kNoRow;
    while (root != kNoRow) {
      Row& row = rows_[root];
      if (is_before(std::as_const(row))) {
        root = Order::link(row).right;
      } else {
        found = root;
        root = Order::link(row).left;
      }
    }
    return found;
  }

 private:
  uint32_t with(uint32_t root, uint32_t fresh) noexcept {
    Row& row = rows_[fresh];
    if (root == kNoRow) {
      Order::update(rows_, row);
      return fresh;
    }
    Row& top = rows_[root];
    if (top.priority < row.priority) {
      split(root, row, Order::link(row).left, Order::link(row).right);
      Order::update(rows_, row);
      return fresh;
    }
    uint32_t& side = Order::before(row, top) ? Order::link(top).left : Order::link(top).right;
    side = with(side, fresh);
    Order::update(rows_, top);
    return root;
  }

  uint32_t without(uint32_t root, uint32_t gone) noexcept {
    DPFS_ASSERT(root != kNoRow);
    Row& top = rows_[root];
    if (root == gone) return merged(Order::link(top).left, Order::link(top).right);
    uint32_t& side =
        Order::before(rows_[gone], top) ? Order::link(top).left : Order::link(top).right;
    side = without(side, gone);
    Order::update(rows_, top);
    return root;
  }

  // Into what stands before `at` and what behind it.
  void split(uint32_t root, const Row& at, uint32_t& left, uint32_t& right) noexcept {
    if (root == kNoRow) {
      left = right = kNoRow;
      return;
    }
    Row& top = rows_[root];
    if (Order::before(top, at)) {
      left = root;
      split(Order::link(top).right, at, Order::link(top).right, right);
    } else {
      right = root;
      split(Order::link(top).left, at, left, Order::link(top).left);
    }
    Order::update(rows_, top);
  }

  uint32_t merged(uint32_t left, uint32_t right) noexcept {
    if (left == kNoRow) return right;
    if (right == kNoRow) return left;
    const bool left_on_top = rows_[left].priority > rows_[right].priority;
    Row& top = rows_[left_on_top ? left : right];
    TreapLink& link = Order::link(top);
    if (left_on_top) {
      link.right = merged(link.right, right);
    } else {
      link.left = merged(left, link.left);
    }
    Order::update(rows_, top);
    return left_on_top ? left : right;
  }

  RowPool<Row>& rows_;
};

}  // namespace dpfs::kv
