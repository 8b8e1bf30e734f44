// SPDX-License-Identifier: Apache-2.0
// The table of nodes, and the cache of their descriptors.
#include "backend/local/node_table.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "backend/local/descriptor_cache.h"

namespace dpfs::local {
namespace {

NodeKey key(uint64_t ino, uint64_t birth = 7) {
  return {.ino = ino, .birth = birth, .dev = 1, .mount = 0};
}

FileHandle handle_of_size(uint32_t size, uint8_t fill) {
  FileHandle handle;
  handle.size = size;
  handle.type = 3;
  std::memset(handle.bytes, fill, size);
  return handle;
}

TEST(NodeTable, FirstRowIsTheRoot) {
  NodeTable table;
  EXPECT_EQ(NodeTable::id_of(*table.insert(key(2), S_IFDIR, {})), NodeId::root);
  EXPECT_NE(NodeTable::id_of(*table.insert(key(3), S_IFDIR, {})), NodeId::root);
}

TEST(NodeTable, ManyRowsAreFoundByKeyAndById) {
  constexpr uint64_t kRows = 100'000;
  NodeTable table;
  std::vector<NodeId> ids;
  for (uint64_t ino = 0; ino < kRows; ++ino) {
    ids.push_back(NodeTable::id_of(*table.insert(key(ino), S_IFREG, handle_of_size(8, ino & 255))));
  }
  EXPECT_EQ(std::set<NodeId>(ids.begin(), ids.end()).size(), kRows);
  for (uint64_t ino = 0; ino < kRows; ++ino) {
    ASSERT_EQ(NodeTable::id_of(*table.find(key(ino))), ids[ino]);
    ASSERT_EQ(table.find(ids[ino])->key.ino, ino);
  }
  EXPECT_EQ(table.find(key(kRows)), nullptr);
  EXPECT_EQ(table.find(key(5, 8)), nullptr);
  for (uint64_t ino = 0; ino < kRows; ino += 2) table.erase(*table.find(ids[ino]));
  for (uint64_t ino = 0; ino < kRows; ++ino) {
    ASSERT_EQ(table.find(key(ino)) != nullptr, ino % 2 == 1);
    ASSERT_EQ(table.find(ids[ino]) != nullptr, ino % 2 == 1);
  }
  EXPECT_EQ(table.size(), kRows / 2);
}

TEST(NodeTable, ErasedRowIsUsedAgainUnderAnotherId) {
  NodeTable table;
  table.insert(key(2), S_IFDIR, {});
  NodeRow* row = table.insert(key(3), S_IFREG, {});
  const NodeId old = NodeTable::id_of(*row);
  table.erase(*row);
  NodeRow* again = table.insert(key(3), S_IFREG, {});
  EXPECT_EQ(again, row);
  EXPECT_EQ(table.find(old), nullptr);
  EXPECT_NE(NodeTable::id_of(*again), old);
}

TEST(NodeTable, RetiredRowIsFoundByIdOnly) {
  NodeTable table;
  NodeRow* row = table.insert(key(3), S_IFREG, {});
  table.retire(*row);
  EXPECT_EQ(table.find(key(3)), nullptr);
  EXPECT_EQ(table.find(NodeTable::id_of(*row)), row);
  NodeRow* next = table.insert(key(3), S_IFREG, {});
  EXPECT_EQ(table.find(key(3)), next);
  table.erase(*row);
  EXPECT_EQ(table.find(key(3)), next);
}

TEST(NodeTable, HandlesOfAllSizesAreKept) {
  NodeTable table;
  std::vector<NodeId> ids;
  for (uint32_t size = 0; size <= FileHandle::kBytesMax; ++size) {
    ids.push_back(NodeTable::id_of(
        *table.insert(key(size), S_IFREG, handle_of_size(size, static_cast<uint8_t>(size)))));
  }
  for (const uint32_t size : {100u, 40u, 128u}) {
    table.erase(*table.find(ids[size]));
    ids[size] = NodeTable::id_of(
        *table.insert(key(size), S_IFREG, handle_of_size(size, static_cast<uint8_t>(size))));
  }
  for (uint32_t size = 0; size <= FileHandle::kBytesMax; ++size) {
    const NodeRow& row = *table.find(ids[size]);
    EXPECT_TRUE(table.has_handle(row, handle_of_size(size, static_cast<uint8_t>(size)))) << size;
    if (size > 0) {
      EXPECT_FALSE(table.has_handle(row, handle_of_size(size, 222))) << size;
    }
  }
}

TEST(NodeTable, ClearBeginsAnew) {
  NodeTable table;
  for (uint64_t ino = 0; ino < 5000; ++ino) table.insert(key(ino), S_IFREG, {});
  table.clear();
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.find(key(7)), nullptr);
  EXPECT_EQ(NodeTable::id_of(*table.insert(key(2), S_IFDIR, {})), NodeId::root);
}

TEST(DescriptorCache, WhatIsUsedStaysAndTheRestGoes) {
  DescriptorCache cache(3);
  std::vector<uint32_t> slots;
  for (int i = 0; i < 3; ++i) slots.push_back(cache.add(100 + i, 10 + static_cast<uint32_t>(i)));
  for (const uint32_t slot : slots) EXPECT_EQ(cache.unpin(slot).fd, -1);
  EXPECT_EQ(cache.evict().fd, 100);
  cache.pin(slots[1]);
  EXPECT_EQ(cache.evict().fd, 102);
  EXPECT_EQ(cache.evict().fd, -1);  // the other one is pinned
  EXPECT_EQ(cache.fd(slots[1]), 101);
}

TEST(DescriptorCache, PinnedOnesMayExceedTheLimitUntilUnpinned) {
  DescriptorCache cache(1);
  const uint32_t first = cache.add(100, 10);
  const uint32_t second = cache.add(101, 11);
  EXPECT_TRUE(cache.over_limit());
  EXPECT_EQ(cache.evict().fd, -1);
  const DescriptorCache::Evicted evicted = cache.unpin(second);
  EXPECT_EQ(evicted.fd, 101);
  EXPECT_EQ(evicted.node, 11u);
  EXPECT_EQ(cache.unpin(first).fd, -1);
}

TEST(DescriptorCache, OrphanIsClosedByItsLastUser) {
  DescriptorCache cache(4);
  const uint32_t slot = cache.add(100, 10);
  EXPECT_EQ(cache.orphan(slot), -1);
  const DescriptorCache::Evicted evicted = cache.unpin(slot);
  EXPECT_EQ(evicted.fd, 100);
  EXPECT_EQ(evicted.node, kNoIndex);
  EXPECT_EQ(cache.open(), 0u);
}

}  // namespace
}  // namespace dpfs::local
