// SPDX-License-Identifier: Apache-2.0
// Handles: only the one that was given finds its file, and only while it is open.
#include "fuse/handle_table.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

namespace dpfs {
namespace {

constexpr NodeId kNode{2};
constexpr NodeId kOther{3};

uint64_t number(Handle handle) { return static_cast<uint64_t>(handle); }

TEST(HandleTable, HandleFindsItsFile) {
  HandleTable<int> table;
  const Handle first = *table.insert(kNode, 11);
  const Handle second = *table.insert(kNode, 22);
  EXPECT_EQ(*table.find(first, kNode), 11);
  EXPECT_EQ(*table.find(second, kNode), 22);
  EXPECT_EQ(table.size(), 2u);
}

TEST(HandleTable, ZeroIsNobodysHandle) {
  HandleTable<int> table;
  EXPECT_NE(number(*table.insert(kNode, 1)), 0u);
  EXPECT_EQ(table.find(Handle{0}, kNode), nullptr);
}

TEST(HandleTable, HandleOfAnotherNodeFindsNothing) {
  HandleTable<int> table;
  const Handle handle = *table.insert(kNode, 1);
  EXPECT_EQ(table.find(handle, kOther), nullptr);
  EXPECT_FALSE(table.remove(handle, kOther));
  EXPECT_NE(table.find(handle, kNode), nullptr);
}

TEST(HandleTable, ForgedHandleFindsNothing) {
  HandleTable<int> table;
  const uint64_t real = number(*table.insert(kNode, 1));
  for (int bit = 0; bit < 64; ++bit) {
    EXPECT_EQ(table.find(Handle{real ^ (uint64_t{1} << bit)}, kNode), nullptr) << bit;
  }
  EXPECT_EQ(table.find(Handle{UINT64_MAX}, kNode), nullptr);
}

TEST(HandleTable, RemovedHandleFindsNothingAlsoWhenItsSlotIsUsedAgain) {
  HandleTable<int> table;
  const Handle before = *table.insert(kNode, 1);
  EXPECT_TRUE(table.remove(before, kNode));
  EXPECT_EQ(table.find(before, kNode), nullptr);
  EXPECT_FALSE(table.remove(before, kNode));
  const Handle after = *table.insert(kNode, 2);
  EXPECT_EQ(static_cast<uint32_t>(number(before)), static_cast<uint32_t>(number(after)));
  EXPECT_EQ(table.find(before, kNode), nullptr);
  EXPECT_EQ(*table.find(after, kNode), 2);
}

TEST(HandleTable, NumbersDoNotComeBackSoon) {
  HandleTable<int> table;
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    const Handle handle = *table.insert(kNode, i);
    EXPECT_TRUE(seen.insert(number(handle)).second);
    table.remove(handle, kNode);
  }
}

TEST(HandleTable, ValueKeepsItsPlaceWhileTheTableGrows) {
  HandleTable<int> table;
  const Handle handle = *table.insert(kNode, 1);
  int* const place = table.find(handle, kNode);
  for (int i = 0; i < 10000; ++i) EXPECT_TRUE(table.insert(kNode, i));
  EXPECT_EQ(table.find(handle, kNode), place);
}

TEST(HandleTable, ClosedFileIsDestroyedAtOnce) {
  HandleTable<std::shared_ptr<int>> table;
  const auto value = std::make_shared<int>(1);
  const Handle handle = *table.insert(kNode, value);
  EXPECT_EQ(value.use_count(), 2);
  table.remove(handle, kNode);
  EXPECT_EQ(value.use_count(), 1);
}

TEST(HandleTable, ClearClosesAllAndTheirHandlesStayInvalid) {
  HandleTable<int> table;
  const Handle first = *table.insert(kNode, 1);
  const Handle second = *table.insert(kOther, 2);
  table.clear();
  EXPECT_EQ(table.size(), 0u);
  EXPECT_TRUE(table.insert(kNode, 3));
  EXPECT_TRUE(table.insert(kOther, 4));
  EXPECT_EQ(table.find(first, kNode), nullptr);
  EXPECT_EQ(table.find(second, kOther), nullptr);
}

TEST(HandleTable, FullTableGivesNoHandleUntilOneIsClosed) {
  HandleTable<char> table;
  std::optional<Handle> last;
  for (uint32_t i = 0; i < HandleTable<char>::kHandlesMax; ++i) last = table.insert(kNode, 'x');
  ASSERT_TRUE(last);
  EXPECT_FALSE(table.insert(kNode, 'y'));
  table.remove(*last, kNode);
  EXPECT_TRUE(table.insert(kNode, 'z'));
}

}  // namespace
}  // namespace dpfs
