// SPDX-License-Identifier: Apache-2.0
// Names of directories in memory: what is known, what is forgotten, what has to go.
#include "backend/kv/name_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>

#include "base/count_allocations.h"

namespace dpfs::kv {
namespace {

constexpr uint8_t kRegular = 8;  // DT_REG

CachedName file(uint64_t inode) { return {.inode = inode, .type = kRegular}; }
std::string numbered(uint64_t number) { return "name" + std::to_string(number); }

}  // namespace

TEST(NameCache, FindsWhatWasSet) {
  NameCache cache({});
  EXPECT_EQ(cache.find(1, "a"), nullptr);
  cache.set(1, "a", file(7));
  cache.set(2, "a", file(8));
  cache.set(1, "b", CachedName{});
  EXPECT_EQ(*cache.find(1, "a"), file(7));
  EXPECT_EQ(*cache.find(2, "a"), file(8));
  EXPECT_TRUE(cache.find(1, "b")->absent());
  EXPECT_EQ(cache.find(2, "b"), nullptr);
}

TEST(NameCache, LastWordCounts) {
  NameCache cache({});
  cache.set(1, "a", file(7));
  cache.set(1, "a", CachedName{});
  EXPECT_TRUE(cache.find(1, "a")->absent());
  cache.set(1, "a", file(9));
  EXPECT_EQ(*cache.find(1, "a"), file(9));
  EXPECT_EQ(cache.size(), 1u);
}

TEST(NameCache, ForgetsOneName) {
  NameCache cache({});
  cache.set(1, "a", file(7));
  cache.set(1, "b", file(8));
  cache.forget(1, "a");
  cache.forget(1, "c");
  EXPECT_EQ(cache.find(1, "a"), nullptr);
  EXPECT_EQ(*cache.find(1, "b"), file(8));
}

TEST(NameCache, NamesAreAnyBytesOfAnyLength) {
  NameCache cache({});
  for (size_t bytes = 1; bytes <= 255; ++bytes) {
    const std::string name(bytes, static_cast<char>(bytes));
    cache.set(1, name, file(bytes));
    const CachedName* found = cache.find(1, name);
    EXPECT_EQ(found != nullptr, bytes <= NameCache::kNameBytesMax) << bytes;
    if (found != nullptr) {
      EXPECT_EQ(*found, file(bytes));
    }
  }
  using namespace std::literals;
  cache.set(1, "a\0b"sv, file(3));
  EXPECT_EQ(cache.find(1, "a"), nullptr);
  EXPECT_EQ(*cache.find(1, "a\0b"sv), file(3));
}

TEST(NameCache, ForgetsADirectory) {
  NameCache cache({});
  for (uint64_t i = 0; i < 1000; ++i) cache.set(1, numbered(i), file(i + 1));
  cache.set(2, "kept", file(5));
  cache.forget_directory(1);
  for (uint64_t i = 0; i < 1000; ++i) EXPECT_EQ(cache.find(1, numbered(i)), nullptr);
  EXPECT_EQ(*cache.find(2, "kept"), file(5));
  cache.set(1, numbered(1), file(6));
  EXPECT_EQ(*cache.find(1, numbered(1)), file(6));
}

TEST(NameCache, ClearedIsEmpty) {
  NameCache cache({});
  const NameCache::Ticket ticket = cache.ticket(1, "b");
  cache.set(1, "a", file(7));
  cache.clear();
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_EQ(cache.find(1, "a"), nullptr);
  cache.fill(ticket, 1, "b", file(8));
  EXPECT_EQ(cache.find(1, "b"), nullptr) << "what was read before may be out of date";
}

// ---- Look-ups that take time --------------------------------------------------------------------

TEST(NameCache, LookUpFillsWhatIsNotKnown) {
  NameCache cache({});
  const NameCache::Ticket ticket = cache.ticket(1, "a");
  cache.fill(ticket, 1, "a", file(7));
  EXPECT_EQ(*cache.find(1, "a"), file(7));
}

TEST(NameCache, LookUpThatWasOvertakenFillsNothing) {
  NameCache cache({});
  const NameCache::Ticket ticket = cache.ticket(1, "a");
  cache.set(1, "a", file(8));
  cache.fill(ticket, 1, "a", CachedName{});
  EXPECT_EQ(*cache.find(1, "a"), file(8));
  cache.forget(1, "a");
  cache.fill(ticket, 1, "a", file(7));
  EXPECT_EQ(cache.find(1, "a"), nullptr);
}

TEST(NameCache, LookUpInAForgottenDirectoryFillsNothing) {
  NameCache cache({});
  const NameCache::Ticket ticket = cache.ticket(1, "a");
  cache.forget_directory(1);
  cache.fill(ticket, 1, "a", file(7));
  EXPECT_EQ(cache.find(1, "a"), nullptr);
}

// ---- Bounds -------------------------------------------------------------------------------------

TEST(NameCache, HasNoMoreRowsThanItMay) {
  NameCache cache({.rows = 100});
  for (uint64_t i = 0; i < 10'000; ++i) {
    cache.set(1, numbered(i), file(i + 1));
    ASSERT_EQ(*cache.find(1, numbered(i)), file(i + 1));
    ASSERT_LE(cache.size(), 100u);
  }
}

TEST(NameCache, WhatIsUsedStaysWhileOthersPassBy) {
  NameCache cache({.rows = 100});
  cache.set(1, "used", file(5));
  for (uint64_t i = 0; i < 10'000; ++i) {
    ASSERT_NE(cache.find(1, "used"), nullptr) << i;
    cache.set(1, numbered(i), file(i + 1));
  }
}

TEST(NameCache, RoomIsMadeAlsoWhereAllIsUsed) {
  NameCache cache({.rows = 100});
  for (uint64_t i = 0; i < 100; ++i) cache.set(1, numbered(i), file(1));
  for (uint64_t i = 0; i < 100; ++i) EXPECT_NE(cache.find(1, numbered(i)), nullptr);
  cache.set(1, "one more", file(2));
  EXPECT_EQ(*cache.find(1, "one more"), file(2));
}

TEST(NameCache, OneRowWillDo) {
  NameCache cache({.rows = 1});
  for (uint64_t i = 0; i < 10; ++i) {
    cache.set(1, numbered(i), file(i + 1));
    EXPECT_EQ(*cache.find(1, numbered(i)), file(i + 1));
  }
}

TEST(NameCache, FullOneAllocatesNothing) {
  if (!kCountsAllocations) GTEST_SKIP() << "a sanitizer has a malloc of its own";
  NameCache cache({.rows = 5000});
  for (uint64_t i = 0; i < 5000; ++i) cache.set(1, numbered(i), file(1));
  std::array<std::string, 200> names;
  for (uint64_t i = 0; i < names.size(); ++i) names[i] = numbered(10'000 + i);
  const uint64_t before = allocations_counted_here;
  for (uint64_t parent = 1; parent < 100; ++parent) {
    for (const std::string& name : names) cache.set(parent, name, file(1));
    cache.forget(parent, names[0]);
    cache.forget_directory(parent);
  }
  EXPECT_EQ(allocations_counted_here, before);
}

TEST(NameCache, WhatIsKnownIsTrue) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  NameCache cache({.rows = 300});
  std::map<std::pair<uint64_t, std::string>, CachedName> truth;
  uint32_t known = 0;
  for (int round = 0; round < 200'000; ++round) {
    const uint64_t parent = 1 + random() % 5;
    const std::string name = numbered(random() % 100);
    CachedName& is = truth[{parent, name}];
    switch (random() % 16) {
      case 0:
        is = random() % 2 == 0 ? CachedName{} : file(1 + random() % 1000);
        cache.set(parent, name, is);
        break;
      case 1:
        is = file(1 + random() % 1000);
        cache.forget(parent, name);
        break;
      case 2:
        if (random() % 64 != 0) break;
        cache.forget_directory(parent);
        break;
      default:
        const CachedName* found = cache.find(parent, name);
        if (found != nullptr) {
          ++known;
          ASSERT_EQ(*found, is) << "round " << round;
        } else {
          cache.fill(cache.ticket(parent, name), parent, name, is);
        }
    }
  }
  EXPECT_GT(known, 10'000u);
}

}  // namespace dpfs::kv
