// SPDX-License-Identifier: Apache-2.0
// The contract: records are found, walked through, and stay where they belong.
#pragma once

#include <algorithm>
#include <set>

#include "backend/kv/store_contract.h"

namespace dpfs::kv {

TEST_P(StoreContract, WhatIsNotThereIsNotFound) {
  EXPECT_EQ(client().get(inode_key(7)), std::nullopt);
  EXPECT_EQ(client().get(entry_key(7, "name")), std::nullopt);
  EXPECT_EQ(client().get(chunk_key(7, 0)), std::nullopt);
}

TEST_P(StoreContract, WhatIsPutIsFound) {
  ASSERT_EQ(client().write(put(inode_key(7), "attributes")), Errno::none);
  EXPECT_EQ(client().get(inode_key(7)), "attributes");
  ASSERT_EQ(client().write(put(inode_key(7), "others")), Errno::none);
  EXPECT_EQ(client().get(inode_key(7)), "others");
}

TEST_P(StoreContract, WhatIsErasedIsNotFound) {
  ASSERT_EQ(client().write(put(inode_key(7), "attributes")), Errno::none);
  ASSERT_EQ(client().write(erase(inode_key(7))), Errno::none);
  EXPECT_EQ(client().get(inode_key(7)), std::nullopt);
  EXPECT_EQ(client().write(erase(inode_key(7))), Errno::none);
}

TEST_P(StoreContract, AnEmptyValueIsThere) {
  ASSERT_EQ(client().write(put(entry_key(1, "empty"), "")), Errno::none);
  EXPECT_EQ(client().get(entry_key(1, "empty")), "");
}

TEST_P(StoreContract, ValuesAreAnyBytes) {
  std::string bytes;
  for (int c = 0; c < 256; ++c) bytes.push_back(static_cast<char>(c));
  bytes += "\r\n$5\r\n";
  ASSERT_EQ(client().write(put(inode_key(UINT64_MAX), bytes)), Errno::none);
  EXPECT_EQ(client().get(inode_key(UINT64_MAX)), bytes);
}

TEST_P(StoreContract, CollectionsObjectsNumbersAndNamesAreToldApart) {
  const std::vector<Key> keys = {inode_key(1),
                                 inode_key(256),
                                 {.collection = Collection::contents, .object = 1},
                                 entry_key(1, "a"),
                                 entry_key(1, "b"),
                                 entry_key(1, "aa"),
                                 entry_key(2, "a"),
                                 {.collection = Collection::xattr, .object = 1, .name = "a"},
                                 listing_key(1, 1),
                                 listing_key(1, 2),
                                 {.collection = Collection::orphan, .object = 1, .number = 1},
                                 chunk_key(1, 1),
                                 chunk_key(1, 256),
                                 chunk_key(2, 1),
                                 usage_key(1),
                                 {.collection = Collection::superblock},
                                 {.collection = Collection::allocator},
                                 {.collection = Collection::session}};
  for (size_t i = 0; i < keys.size(); ++i) {
    ASSERT_EQ(client().write(put(keys[i], std::to_string(i))), Errno::none);
  }
  for (size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(client().get(keys[i]), std::to_string(i));
}

TEST_P(StoreContract, APartOfAValueIsRead) {
  ASSERT_EQ(client().write(put(chunk_key(1, 0), "0123456789")), Errno::none);
  EXPECT_EQ(client().get(chunk_key(1, 0), 0, 4), "0123");
  EXPECT_EQ(client().get(chunk_key(1, 0), 3, 4), "3456");
  EXPECT_EQ(client().get(chunk_key(1, 0), 8, 4), "89");
  EXPECT_EQ(client().get(chunk_key(1, 0), 10, 4), "");
  EXPECT_EQ(client().get(chunk_key(1, 0), 1000), "");
  EXPECT_EQ(client().get(chunk_key(1, 0), 2, 0), "");
}

TEST_P(StoreContract, ManyRecordsAreReadAtOnce) {
  std::vector<Write> writes;
  for (uint64_t i = 0; i < 100; i += 2) writes.push_back(put(inode_key(i), "even"));
  ASSERT_EQ(client().commit({}, writes), Errno::none);
  std::vector<KeptValue> values(100);
  std::vector<Get> gets;
  for (uint64_t i = 0; i < 100; ++i) gets.push_back({.key = inode_key(i), .reader = &values[i]});
  ASSERT_EQ(client().why<Unit>([&] { return store().get(gets); }), Errno::none);
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(gets[i].found, i % 2 == 0) << i;
    EXPECT_EQ(values[i].text.has_value(), i % 2 == 0) << i;
  }
}

TEST_P(StoreContract, AScanGivesNamesOfAnyBytesInOrder) {
  std::vector<std::string> names = {std::string(1, '\0'),
                                    std::string("\0a", 2),
                                    "a",
                                    "aa",
                                    "ab",
                                    "b",
                                    "\x7f",
                                    "\x80",
                                    "\xff",
                                    "\xff\xff",
                                    "z\n",
                                    std::string(255, 'x'),
                                    std::string(255, '\xff'),
                                    "{a}"};
  std::vector<Write> writes;
  for (const std::string& name : names) writes.push_back(put(entry_key(5, name), name));
  writes.push_back(put(entry_key(4, "other"), ""));
  writes.push_back(put(entry_key(6, "other"), ""));
  ASSERT_EQ(client().commit({}, writes), Errno::none);
  std::ranges::sort(names, [](const std::string& a, const std::string& b) {
    return std::ranges::lexicographical_compare(
        a, b, {}, [](char c) { return static_cast<unsigned char>(c); },
        [](char c) { return static_cast<unsigned char>(c); });
  });
  const auto found = client().scan({.collection = Collection::entry, .object = 5});
  ASSERT_EQ(found.size(), names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(found[i].name, names[i]);
    EXPECT_EQ(found[i].value, names[i]);
    EXPECT_EQ(found[i].object, 5U);
  }
}

TEST_P(StoreContract, AScanBeginsBehindAName) {
  ASSERT_EQ(client().commit({}, {put(entry_key(5, "a"), "1"), put(entry_key(5, "b"), "2"),
                                 put(entry_key(5, std::string_view("b\0", 2)), "3"),
                                 put(entry_key(5, "c"), "4")}),
            Errno::none);
  const auto values_after = [&](std::string_view name) {
    std::string values;
    const Scan scan{.collection = Collection::entry, .object = 5, .after_name = name};
    for (const KeptRecord& record : client().scan(scan)) values += record.value;
    return values;
  };
  EXPECT_EQ(values_after(""), "1234");
  EXPECT_EQ(values_after("a"), "234");
  EXPECT_EQ(values_after("b"), "34");
  EXPECT_EQ(values_after("bb"), "4");
  EXPECT_EQ(values_after("c"), "");
  EXPECT_EQ(values_after("\xff"), "");
}

TEST_P(StoreContract, AScanBeginsWithANumber) {
  std::vector<Write> writes;
  for (const uint64_t number : {1, 2, 255, 256, 65536}) {
    writes.push_back(put(listing_key(5, number), "x"));
  }
  writes.push_back(put(listing_key(5, uint64_t{1} << 52), "x"));
  ASSERT_EQ(client().commit({}, writes), Errno::none);
  const auto numbers_from = [&](uint64_t number) {
    std::vector<uint64_t> numbers;
    const Scan scan{.collection = Collection::listing, .object = 5, .from_number = number};
    for (const KeptRecord& record : client().scan(scan)) numbers.push_back(record.number);
    return numbers;
  };
  const uint64_t last = uint64_t{1} << 52;
  EXPECT_EQ(numbers_from(0), (std::vector<uint64_t>{1, 2, 255, 256, 65536, last}));
  EXPECT_EQ(numbers_from(2), (std::vector<uint64_t>{2, 255, 256, 65536, last}));
  EXPECT_EQ(numbers_from(257), (std::vector<uint64_t>{65536, last}));
  EXPECT_EQ(numbers_from(last), (std::vector<uint64_t>{last}));
  EXPECT_EQ(numbers_from(last + 1), (std::vector<uint64_t>{}));
}

TEST_P(StoreContract, AScanEndsWhereItIsToldTo) {
  std::vector<std::string> names;
  std::vector<Write> writes;
  for (int i = 100; i < 200; ++i) names.push_back(std::to_string(i));
  for (const std::string& name : names) writes.push_back(put(entry_key(5, name), name));
  ASSERT_EQ(client().commit({}, writes), Errno::none);

  KeptRecords all;
  Result<bool> over = client().wait<bool>(
      [&] { return store().scan({.collection = Collection::entry, .object = 5}, all); });
  ASSERT_TRUE(over);
  EXPECT_TRUE(*over);
  EXPECT_EQ(all.records.size(), 100U);

  KeptRecords ten;
  over = client().wait<bool>([&] {
    return store().scan({.collection = Collection::entry, .object = 5, .records_max = 10}, ten);
  });
  ASSERT_TRUE(over);
  EXPECT_FALSE(*over);
  ASSERT_EQ(ten.records.size(), 10U);
  EXPECT_EQ(ten.records.back().name, "109");

  KeptRecords seven(7);
  over = client().wait<bool>([&] {
    return store().scan({.collection = Collection::entry, .object = 5, .after_name = "109"}, seven);
  });
  ASSERT_TRUE(over);
  EXPECT_FALSE(*over);
  ASSERT_EQ(seven.records.size(), 7U);
  EXPECT_EQ(seven.records.back().name, "116");
}

TEST_P(StoreContract, AScanOfManyRecordsGivesEachOnce) {
  std::vector<std::string> names;
  for (int i = 10000; i < 15000; ++i) names.push_back("file" + std::to_string(i));
  for (size_t begin = 0; begin < names.size(); begin += 500) {
    std::vector<Write> writes;
    for (size_t i = begin; i < begin + 500; ++i) writes.push_back(put(entry_key(9, names[i]), "v"));
    ASSERT_EQ(client().commit({}, writes), Errno::none);
  }
  const auto found = client().scan({.collection = Collection::entry, .object = 9});
  ASSERT_EQ(found.size(), names.size());
  for (size_t i = 0; i < names.size(); ++i) ASSERT_EQ(found[i].name, names[i]);
}

TEST_P(StoreContract, ASweepGivesAllOfACollection) {
  std::set<std::pair<uint64_t, uint64_t>> expected;
  for (uint64_t object = 1; object <= 30; ++object) {
    std::vector<Write> writes;
    for (uint64_t number = 0; number < 100; ++number) {
      writes.push_back(put(chunk_key(object, number), "chunk"));
      expected.emplace(object, number);
    }
    writes.push_back(put(inode_key(object), "inode"));
    ASSERT_EQ(client().commit({}, writes), Errno::none);
  }
  std::set<std::pair<uint64_t, uint64_t>> found;
  for (const KeptRecord& record : client().sweep(Collection::chunk)) {
    found.emplace(record.object, record.number);
    ASSERT_EQ(record.value, "chunk");
  }
  EXPECT_EQ(found, expected);
  std::set<uint64_t> inodes;
  for (const KeptRecord& record : client().sweep(Collection::inode)) inodes.insert(record.object);
  EXPECT_EQ(inodes.size(), 30U);
  EXPECT_TRUE(client().sweep(Collection::garbage).empty());
}

TEST_P(StoreContract, ASweepGivesNamesToo) {
  ASSERT_EQ(client().commit({}, {put(entry_key(1, "a"), "1"), put(entry_key(2, "\xff"), "2"),
                                 put(listing_key(1, 5), "3")}),
            Errno::none);
  std::set<std::string> found;
  for (const KeptRecord& record : client().sweep(Collection::entry)) {
    found.insert(std::to_string(record.object) + record.name + record.value);
  }
  EXPECT_EQ(found, (std::set<std::string>{"1a1",
                                          "2\xff"
                                          "2"}));
  ASSERT_EQ(client().sweep(Collection::listing).size(), 1U);
  EXPECT_EQ(client().sweep(Collection::listing)[0].number, 5U);
}

TEST_P(StoreContract, PartitionsDoNotSeeEachOther) {
  // One's name begins with the other's.
  auto other = make_client("main2");
  ASSERT_EQ(other->open(), Errno::none);
  ASSERT_EQ(client().commit({}, {put(inode_key(1), "mine"), put(entry_key(1, "a"), "mine"),
                                 put(chunk_key(1, 1), "mine")}),
            Errno::none);
  EXPECT_EQ(other->get(inode_key(1)), std::nullopt);
  EXPECT_TRUE(other->scan({.collection = Collection::entry, .object = 1}).empty());
  EXPECT_TRUE(other->sweep(Collection::chunk).empty());
  ASSERT_EQ(
      other->commit({absent(inode_key(1))}, {put(inode_key(1), "other's"), erase(entry_key(1, "a")),
                                             put(chunk_key(1, 1), "other's")}),
      Errno::none);
  EXPECT_EQ(client().get(inode_key(1)), "mine");
  EXPECT_EQ(client().get(entry_key(1, "a")), "mine");
  EXPECT_EQ(client().get(chunk_key(1, 1)), "mine");
  EXPECT_EQ(client().sweep(Collection::chunk).size(), 1U);
}

TEST_P(StoreContract, WhatWasCommittedIsThereWhenItIsOpenedAgain) {
  const std::string large = some_text(store().traits().chunk_bytes, 1);
  ASSERT_EQ(client().commit({}, {put(inode_key(1), "inode"), put(entry_key(1, "a"), "entry"),
                                 put(chunk_key(1, 1), large), add(usage_key(0), 5)}),
            Errno::none);
  ASSERT_EQ(client().write(patch(chunk_key(1, 1), 10, "patched")), Errno::none);
  ASSERT_EQ(client().sync(), Errno::none);
  ASSERT_EQ(client().close(), Errno::none);
  ASSERT_EQ(client().open(), Errno::none);
  EXPECT_EQ(client().get(inode_key(1)), "inode");
  EXPECT_EQ(client().get(entry_key(1, "a")), "entry");
  EXPECT_EQ(client().get(usage_key(0)), number_text(5));
  EXPECT_EQ(client().get(chunk_key(1, 1)), std::string(large).replace(10, 7, "patched"));
  EXPECT_EQ(client().scan({.collection = Collection::entry, .object = 1}).size(), 1U);
}

TEST_P(StoreContract, AClosedStoreSaysEstale) {
  ASSERT_EQ(client().close(), Errno::none);
  KeptValue value;
  std::vector<Get> gets{{.key = inode_key(1), .reader = &value}};
  EXPECT_EQ(client().why<Unit>([&] { return store().get(gets); }), Errno::stale);
  EXPECT_EQ(client().write(put(inode_key(1), "")), Errno::stale);
  EXPECT_EQ(client().sync(), Errno::stale);
  EXPECT_EQ(client().open(), Errno::none);
}

TEST_P(StoreContract, SpaceIsSomethingSensible) {
  const Result<Store::Space> space = client().wait<Store::Space>([&] { return store().space(); });
  ASSERT_TRUE(space);
  EXPECT_GT(space->total_bytes, 0U);
  EXPECT_LE(space->free_bytes, space->total_bytes);
}

}  // namespace dpfs::kv
