// SPDX-License-Identifier: Apache-2.0
// IndexedRows: found by number and by what they are, through all that a table goes through.
#include "fuse/indexed_rows.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <unordered_map>
#include <vector>

namespace dpfs {
namespace {

struct Row : IndexedRow {
  uint64_t key;
  uint64_t hash() const noexcept { return hash_of(key); }
  // Bad on purpose: buckets have several rows.
  static uint64_t hash_of(uint64_t key) noexcept { return key * 3; }
};

struct Table : IndexedRows<Row> {
  Row* add(uint64_t key) {
    Row* row = take();
    row->key = key;
    index(*row);
    return row;
  }
  Row* get(uint64_t key) {
    return find(Row::hash_of(key), [key](const Row& row) { return row.key == key; });
  }
};

TEST(IndexedRows, TheFirstIsTheRoot) {
  Table table;
  EXPECT_EQ(Table::id_of(*table.take()), NodeId::root);
  EXPECT_NE(Table::id_of(*table.take()), NodeId::root);
}

TEST(IndexedRows, WhatNeverWasIsNotFound) {
  Table table;
  EXPECT_EQ(table.find(NodeId{0}), nullptr);
  EXPECT_EQ(table.find(NodeId::root), nullptr);
  EXPECT_EQ(table.get(5), nullptr);
  table.add(5);
  EXPECT_EQ(table.find(NodeId{0}), nullptr);
  EXPECT_EQ(table.find(NodeId{2}), nullptr);  // of generation 0
  EXPECT_EQ(table.find(NodeId{UINT64_MAX}), nullptr);
  EXPECT_EQ(table.find(NodeId{uint64_t{1} << 32 | 5000}), nullptr);
}

TEST(IndexedRows, ARowIsFoundByWhatItIsOnceItIsIndexed) {
  Table table;
  Row* row = table.take();
  row->key = 7;
  EXPECT_EQ(table.get(7), nullptr);
  table.index(*row);
  EXPECT_EQ(table.get(7), row);
  table.unindex(*row);
  table.unindex(*row);  // again, to no effect
  EXPECT_EQ(table.get(7), nullptr);
  EXPECT_EQ(table.find(Table::id_of(*row)), row);
}

TEST(IndexedRows, ARowThatIsGivenBackComesUnderAnotherNumber) {
  Table table;
  table.add(1);
  Row* row = table.add(2);
  const NodeId old = Table::id_of(*row);
  table.give(*row);
  EXPECT_EQ(table.find(old), nullptr);
  EXPECT_EQ(table.get(2), nullptr);
  EXPECT_EQ(table.add(3), row);
  EXPECT_NE(Table::id_of(*row), old);
  EXPECT_EQ(table.find(old), nullptr);
}

TEST(IndexedRows, RowsKeepTheirPlaces) {
  Table table;
  Row* first = table.add(0);
  for (uint64_t key = 1; key < 10'000; ++key) table.add(key);
  EXPECT_EQ(table.get(0), first);
  EXPECT_EQ(table.find(NodeId::root), first);
}

TEST(IndexedRows, ClearBeginsAnew) {
  Table table;
  for (uint64_t key = 0; key < 5000; ++key) table.add(key);
  table.clear();
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.get(7), nullptr);
  EXPECT_EQ(table.find(NodeId::root), nullptr);
  EXPECT_EQ(Table::id_of(*table.add(7)), NodeId::root);
}

// Beside a std::unordered_map, while it grows over several splits and shrinks again.
TEST(IndexedRows, RandomOnesAreAsInAMap) {
  std::mt19937_64 random(4711);
  Table table;
  std::unordered_map<uint64_t, NodeId> model;
  std::set<NodeId> ids;
  for (int step = 0; step < 60'000; ++step) {
    const uint64_t key = random() % 20'000;
    const auto found = model.find(key);
    Row* row = table.get(key);
    ASSERT_EQ(row != nullptr, found != model.end());
    if (row == nullptr) {
      const NodeId id = Table::id_of(*table.add(key));
      ASSERT_TRUE(ids.insert(id).second) << "a number is given once";
      model.emplace(key, id);
    } else if (random() % 3 == 0) {
      ASSERT_EQ(Table::id_of(*row), found->second);
      table.give(*row);
      ASSERT_EQ(table.find(found->second), nullptr);
      model.erase(found);
    }
    ASSERT_EQ(table.size(), model.size());
  }
  for (const auto& [key, id] : model) {
    ASSERT_EQ(table.get(key), table.find(id));
    ASSERT_EQ(table.get(key)->key, key);
  }
}

}  // namespace
}  // namespace dpfs
