// SPDX-License-Identifier: Apache-2.0
// Keys go to and fro, and those of one partition never are another's.
#include "backend/kv/valkey/keys.h"

#include <gtest/gtest.h>

#include "backend/kv/valkey/slot.h"

namespace dpfs::kv::valkey {
namespace {

TEST(ValkeySlot, IsWhatTheSpecificationSays) {
  EXPECT_EQ(slot_of("123456789"), 0x31c3 % kSlots);
  EXPECT_EQ(slot_of("{user1000}.following"), slot_of("user1000"));
  EXPECT_EQ(slot_of("foo{}{bar}"), crc16("foo{}{bar}") % kSlots);
  EXPECT_EQ(slot_of("foo{{bar}}zap"), slot_of("{bar"));
  EXPECT_EQ(slot_of("foo{bar}{zap}"), slot_of("bar"));
}

TEST(ValkeyKeys, AreDecodedAsTheyWereMade) {
  const Keys keys("main");
  for (const uint64_t object :
       {uint64_t{0}, uint64_t{1}, uint64_t{0x7b7d2a5b5d3f0a00}, UINT64_MAX}) {
    const Key inode{.collection = Collection::inode, .object = object};
    const Key chunk{.collection = Collection::chunk, .object = object, .number = ~object};
    Key found{};
    ASSERT_TRUE(keys.decode(Collection::inode, keys.record(inode).view(), found));
    EXPECT_EQ(found.object, object);
    ASSERT_TRUE(keys.decode(Collection::chunk, keys.record(chunk).view(), found));
    EXPECT_EQ(found.object, object);
    EXPECT_EQ(found.number, ~object);
    EXPECT_FALSE(keys.decode(Collection::entry, keys.record(inode).view(), found));
  }
}

TEST(ValkeyKeys, OfAPartitionButChunksLieInOneSlot) {
  const Keys keys("main");
  const uint16_t slot = slot_of(keys.progress().view());
  for (uint64_t object = 0; object < 1000; ++object) {
    const Key entries{.collection = Collection::entry, .object = object};
    ASSERT_EQ(slot_of(keys.record(entries).view()), slot);
    ASSERT_EQ(slot_of(keys.index(Collection::entry, object).view()), slot);
  }
}

TEST(ValkeyKeys, OfAnotherPartitionAreNotDecoded) {
  const Key chunk{.collection = Collection::chunk, .object = 1, .number = 2};
  const Key inode{.collection = Collection::inode, .object = 1};
  Key found{};
  EXPECT_FALSE(Keys("main").decode(Collection::chunk, Keys("main2").record(chunk).view(), found));
  EXPECT_FALSE(Keys("main2").decode(Collection::chunk, Keys("main").record(chunk).view(), found));
  EXPECT_FALSE(Keys("main").decode(Collection::inode, Keys("main2").record(inode).view(), found));
}

TEST(ValkeyKeys, NonsenseIsRefused) {
  const Keys keys("main");
  Key found{};
  for (const std::string_view text :
       {"", "C", "C:main",
        "C:main:", "C:main:0000000000000001:", "C:main:0000000000000001:000000000000000g",
        "C:main:0000000000000001:000000000000000A", "C:main:0000000000000001:00000000000000011"}) {
    EXPECT_FALSE(keys.decode(Collection::chunk, text, found)) << text;
  }
  EXPECT_FALSE(keys.decode(Collection::inode, "{main}I", found));
  EXPECT_FALSE(keys.decode(Collection::inode, "{main}I1234567", found));
  EXPECT_FALSE(keys.decode(Collection::inode, "{main}I123456789", found));
}

TEST(ValkeyKeys, MarksLieInTheirSlots) {
  const Keys keys("main");
  for (const uint16_t slot : {uint16_t{0}, uint16_t{1}, uint16_t{5461}, uint16_t{16383}}) {
    EXPECT_EQ(slot_of(keys.mark(slot)), slot);
  }
}

TEST(ValkeyKeys, NamesOfPartitionsHaveNoBracesOrColons) {
  EXPECT_TRUE(is_partition_name("a-B_9."));
  for (const std::string_view name : {"", "a b", "a{", "a}", "a:", "a*", "a/b", "\xc3\xa4"}) {
    EXPECT_FALSE(is_partition_name(name)) << name;
  }
  EXPECT_TRUE(is_partition_name(std::string(64, 'x')));
  EXPECT_FALSE(is_partition_name(std::string(65, 'x')));
}

}  // namespace
}  // namespace dpfs::kv::valkey
