// SPDX-License-Identifier: Apache-2.0
// Records in words.
#include "backend/kv/describe.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>

#include "backend/kv/found.h"
#include "backend/kv/records.h"

namespace dpfs::kv {
namespace {

TEST(Describe, AnInodeSaysItsAttributes) {
  const Inode inode{.mode = S_IFREG | 0640, .uid = 7, .size = 12};
  std::array<char, kInodeBytes> room;
  const std::string text = describe_value(Collection::inode, encode(inode, room));
  EXPECT_NE(text.find("mode 0100640, uid 7"), std::string::npos) << text;
}

TEST(Describe, WhatCannotBeReadIsShownAsItIs) {
  EXPECT_EQ(describe_value(Collection::inode, "\x01z"), "? 017a");
}

TEST(Describe, PagesAreRanges) {
  PageMap map;
  map.set(0, 3);
  map.set(9, 10);
  map.set(1000, 1024);
  std::array<char, PageMap::kBytes> room;
  EXPECT_EQ(describe_value(Collection::pages, encode(map, room)), "28 pages: 0-2 9 1000-1023");
}

TEST(Describe, NamesHarmNoTerminal) {
  EXPECT_EQ(escaped("a\x1b[1m\\'\xff"), "a\\033[1m\\134\\047\\377");
  EXPECT_EQ(describe_value(Collection::contents, "\x1b"), "1 bytes: '\\033'");
}

TEST(Describe, CollectionsHaveNames) {
  EXPECT_EQ(collection_named("listing"), Collection::listing);
  EXPECT_EQ(collection_named("nothing"), std::nullopt);
  EXPECT_STREQ(name_of(Collection::chunk), "chunk");
}

}  // namespace
}  // namespace dpfs::kv
