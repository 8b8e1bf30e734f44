// SPDX-License-Identifier: Apache-2.0
// The contract: commits are whole, compare, and change values in place.
#pragma once

#include <algorithm>
#include <array>

#include "backend/kv/store_contract.h"

namespace dpfs::kv {

TEST_P(StoreContract, ACommitTakesPlaceWhereItsComparisonsHold) {
  ASSERT_EQ(client().write(put(inode_key(1), "version 1, more")), Errno::none);
  EXPECT_EQ(client().commit({begins_with(inode_key(1), "version 1"), absent(entry_key(1, "new"))},
                            {put(inode_key(1), "version 2"), put(entry_key(1, "new"), "2")}),
            Errno::none);
  EXPECT_EQ(client().get(inode_key(1)), "version 2");
  EXPECT_EQ(client().get(entry_key(1, "new")), "2");
}

TEST_P(StoreContract, ACommitWhoseComparisonFailsWritesNothing) {
  ASSERT_EQ(client().write(put(inode_key(1), "version 1")), Errno::none);
  const std::vector<std::vector<Compare>> failing = {
      {absent(inode_key(1))},
      {begins_with(inode_key(1), "version 2")},
      {begins_with(inode_key(1), "version 1 and more than there is")},
      {begins_with(inode_key(2), "")},
      {begins_with(inode_key(2), "version")},
      {begins_with(inode_key(1), "version"), absent(inode_key(1))},
      {absent(inode_key(2)), begins_with(entry_key(1, "none"), "")}};
  for (const std::vector<Compare>& compares : failing) {
    EXPECT_EQ(client().commit(compares, {put(inode_key(1), "wrong"), put(inode_key(9), "wrong"),
                                         erase(inode_key(1)), add(usage_key(1), 1)}),
              kCompareFailed);
  }
  EXPECT_EQ(client().get(inode_key(1)), "version 1");
  EXPECT_EQ(client().get(inode_key(9)), std::nullopt);
  EXPECT_EQ(client().get(usage_key(1)), std::nullopt);
}

TEST_P(StoreContract, AnEmptyPrefixIsOfWhateverIsThere) {
  ASSERT_EQ(client().write(put(entry_key(1, "empty"), "")), Errno::none);
  EXPECT_EQ(client().commit({begins_with(entry_key(1, "empty"), "")}, {put(inode_key(1), "")}),
            Errno::none);
}

TEST_P(StoreContract, ComparisonsAloneMayBeCommitted) {
  EXPECT_EQ(client().commit({absent(inode_key(1))}, {}), Errno::none);
  EXPECT_EQ(client().commit({begins_with(inode_key(1), "")}, {}), kCompareFailed);
  EXPECT_EQ(client().commit({}, {}), Errno::none);
}

TEST_P(StoreContract, NumbersAreAddedTo) {
  const Key key = usage_key(3);
  ASSERT_EQ(client().write(add(key, 5)), Errno::none);
  EXPECT_EQ(client().get(key), number_text(5));
  ASSERT_EQ(client().write(add(key, -7)), Errno::none);
  EXPECT_EQ(client().get(key), number_text(-2));
  ASSERT_EQ(client().write(put(key, number_text(int64_t{1} << 60))), Errno::none);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(client().write(add(key, int64_t{1} << 40)), Errno::none);
  EXPECT_EQ(client().get(key), number_text((int64_t{1} << 60) + 100 * (int64_t{1} << 40)));
  ASSERT_EQ(client().write(erase(key)), Errno::none);
  ASSERT_EQ(client().write(add(key, -1)), Errno::none);
  EXPECT_EQ(client().get(key), number_text(-1));
}

TEST_P(StoreContract, BytesAreChangedInPlace) {
  const Key key = chunk_key(1, 2);
  ASSERT_EQ(client().write(put(key, "0123456789")), Errno::none);
  ASSERT_EQ(client().write(patch(key, 3, "abc")), Errno::none);
  EXPECT_EQ(client().get(key), "012abc6789");
  ASSERT_EQ(client().write(patch(key, 8, "XYZ")), Errno::none);
  EXPECT_EQ(client().get(key), "012abc67XYZ");
  ASSERT_EQ(client().write(patch(key, 11, "!")), Errno::none);
  EXPECT_EQ(client().get(key), "012abc67XYZ!");
}

TEST_P(StoreContract, AGapIsZeros) {
  const Key key = chunk_key(1, 2);
  ASSERT_EQ(client().write(put(key, "01")), Errno::none);
  ASSERT_EQ(client().write(patch(key, 5, "a")), Errno::none);
  EXPECT_EQ(client().get(key), std::string("01\0\0\0a", 6));
}

TEST_P(StoreContract, WhatIsAbsentIsPatchedAsIfItWereEmpty) {
  ASSERT_EQ(client().write(patch(chunk_key(1, 1), 0, "abc")), Errno::none);
  EXPECT_EQ(client().get(chunk_key(1, 1)), "abc");
  ASSERT_EQ(client().write(patch(chunk_key(1, 2), 3, "abc")), Errno::none);
  EXPECT_EQ(client().get(chunk_key(1, 2)), std::string("\0\0\0abc", 6));
  const Key contents{.collection = Collection::contents, .object = 1};
  ASSERT_EQ(client().write(patch(contents, 1, "b")), Errno::none);
  EXPECT_EQ(client().get(contents), std::string("\0b", 2));
}

TEST_P(StoreContract, APatchOfNothingChangesNothing) {
  ASSERT_EQ(client().write(put(chunk_key(1, 1), "abc")), Errno::none);
  ASSERT_EQ(client().commit({}, {patch(chunk_key(1, 1), 10, ""), patch(chunk_key(1, 2), 0, "")}),
            Errno::none);
  EXPECT_EQ(client().get(chunk_key(1, 1)), "abc");
  EXPECT_EQ(client().get(chunk_key(1, 2)), std::nullopt);
}

TEST_P(StoreContract, AValueIsCutAndNeverGrows) {
  const Key key = chunk_key(1, 2);
  ASSERT_EQ(client().write(put(key, "0123456789")), Errno::none);
  ASSERT_EQ(client().write(cut(key, 20)), Errno::none);
  EXPECT_EQ(client().get(key), "0123456789");
  ASSERT_EQ(client().write(cut(key, 4)), Errno::none);
  EXPECT_EQ(client().get(key), "0123");
  ASSERT_EQ(client().write(patch(key, 6, "x")), Errno::none);
  EXPECT_EQ(client().get(key), std::string("0123\0\0x", 7));
  ASSERT_EQ(client().write(cut(key, 0)), Errno::none);
  EXPECT_EQ(client().get(key).value_or(""), "");
}

TEST_P(StoreContract, WhatIsAbsentStaysAbsentWhenItIsCut) {
  ASSERT_EQ(client().write(cut(chunk_key(1, 1), 5)), Errno::none);
  EXPECT_EQ(client().get(chunk_key(1, 1)), std::nullopt);
  const Key contents{.collection = Collection::contents, .object = 1};
  ASSERT_EQ(client().write(cut(contents, 0)), Errno::none);
  EXPECT_EQ(client().get(contents), std::nullopt);
}

TEST_P(StoreContract, PatchesOfAnErasedRecordBeginAnew) {
  const Key key = chunk_key(1, 1);
  ASSERT_EQ(client().write(put(key, "0123456789")), Errno::none);
  ASSERT_EQ(client().write(patch(key, 12, "abc")), Errno::none);
  ASSERT_EQ(client().write(erase(key)), Errno::none);
  ASSERT_EQ(client().write(patch(key, 1, "z")), Errno::none);
  EXPECT_EQ(client().get(key), std::string("\0z", 2));
}

TEST_P(StoreContract, AChunkIsWrittenPieceByPiece) {
  const uint32_t chunk_bytes = store().traits().chunk_bytes;
  std::string expected = some_text(chunk_bytes, 3);
  for (uint32_t offset = 0; offset < chunk_bytes; offset += 4096) {
    ASSERT_EQ(client().write(
                  patch(chunk_key(1, 1), offset, std::string_view(expected).substr(offset, 4096))),
              Errno::none);
  }
  EXPECT_EQ(client().get(chunk_key(1, 1)), expected);
  for (uint32_t i = 0; i < 100; ++i) {
    const uint32_t offset = (i * 7919 * 13) % (chunk_bytes - 512);
    const std::string piece = some_text(512, i);
    expected.replace(offset, piece.size(), piece);
    ASSERT_EQ(client().write(patch(chunk_key(1, 1), offset, piece)), Errno::none);
  }
  EXPECT_EQ(client().get(chunk_key(1, 1)), expected);
  EXPECT_EQ(client().get(chunk_key(1, 1), 5000, 1000), expected.substr(5000, 1000));
}

TEST_P(StoreContract, PayloadOfManyPartsLiesBehindTheValue) {
  std::string first = some_text(1000, 1);
  std::string second = some_text(1, 2);
  std::string third = some_text(3095, 3);
  const std::array<iovec, 4> parts{{{first.data(), first.size()},
                                    {second.data(), second.size()},
                                    {nullptr, 0},
                                    {third.data(), third.size()}}};
  Write whole = put({.collection = Collection::contents, .object = 1}, "header");
  whole.payload = IoView(parts);
  Write piece = patch(chunk_key(1, 0), 10, "");
  piece.payload = IoView(parts).rest(500).first(2000);
  ASSERT_EQ(client().commit({}, {whole, piece}), Errno::none);
  const std::string all = first + second + third;
  EXPECT_EQ(client().get({.collection = Collection::contents, .object = 1}), "header" + all);
  EXPECT_EQ(client().get(chunk_key(1, 0)), std::string(10, '\0') + all.substr(500, 2000));
}

TEST_P(StoreContract, ACommitMayHaveAMegabyte) {
  const uint32_t chunk_bytes = store().traits().chunk_bytes;
  const size_t chunks = (size_t{1} << 20) / chunk_bytes;
  std::vector<std::string> texts;
  for (size_t i = 0; i < chunks; ++i) texts.push_back(some_text(chunk_bytes, i));
  std::vector<Write> writes;
  for (size_t i = 0; i < chunks; ++i) writes.push_back(put(chunk_key(8, i), texts[i]));
  writes.push_back(put(inode_key(8), "size"));
  ASSERT_EQ(client().commit({absent(inode_key(8))}, writes), Errno::none);
  std::vector<KeptValue> values(chunks);
  std::vector<Get> gets;
  for (size_t i = 0; i < chunks; ++i)
    gets.push_back({.key = chunk_key(8, i), .reader = &values[i]});
  ASSERT_EQ(client().why<Unit>([&] { return store().get(gets); }), Errno::none);
  for (size_t i = 0; i < chunks; ++i) EXPECT_EQ(values[i].text, texts[i]);
  EXPECT_EQ(client().get(inode_key(8)), "size");
}

TEST_P(StoreContract, ImpossibleWritesAreRefused) {
  EXPECT_NE(client().write(put(entry_key(1, ""), "x")), Errno::none);
  EXPECT_NE(client().write(put(entry_key(1, std::string(256, 'x')), "x")), Errno::none);
  EXPECT_NE(client().write(patch(chunk_key(1, 1), -1, "x")), Errno::none);
  EXPECT_NE(client().write(patch(chunk_key(1, 1), INT64_MAX, "x")), Errno::none);
  EXPECT_NE(client().write(cut(chunk_key(1, 1), -1)), Errno::none);
  EXPECT_EQ(client().get(chunk_key(1, 1)), std::nullopt);
}

// ---- Many at once ---------------------------------------------------------------------------

// Begins `count` commits at once and waits for all; each is what `begin` makes of its number.
class ManyCommits {
 public:
  ManyCommits(Store& store, RunningReactor& reactor) noexcept : store_(store), reactor_(reactor) {}

  struct Content {
    std::vector<Compare> compares;
    std::vector<Write> writes;
  };
  std::vector<Errno> run(const std::vector<Content>& commits) {
    std::vector<Errno> results(commits.size(), Errno::none);
    std::promise<void> done;
    left_ = commits.size();
    reactor_.reactor.post([&] {
      for (size_t i = 0; i < commits.size(); ++i) commit(commits[i], results[i], done);
    });
    done.get_future().wait();
    return results;
  }

 private:
  Detached commit(const Content& content, Errno& result, std::promise<void>& done) {
    Op<Unit> op = store_.commit(content.compares, content.writes);
    const Result<Unit> ended = co_await std::move(op);
    result = ended.error();
    if (--left_ == 0) done.set_value();
  }

  Store& store_;
  RunningReactor& reactor_;
  size_t left_ = 0;
};

TEST_P(StoreContract, ManyCommitsAtOnceAllTakePlace) {
  std::vector<ManyCommits::Content> commits;
  for (uint64_t i = 0; i < 1000; ++i) {
    commits.push_back({{absent(inode_key(i))},
                       {put(inode_key(i), "inode"), put(chunk_key(i, 0), "chunk"),
                        put(listing_key(1, i), "listing"), add(usage_key(0), 1)}});
  }
  for (const Errno why : ManyCommits(store(), reactor_).run(commits)) EXPECT_EQ(why, Errno::none);
  EXPECT_EQ(client().get(usage_key(0)), number_text(1000));
  EXPECT_EQ(client().scan({.collection = Collection::listing, .object = 1}).size(), 1000U);
  EXPECT_EQ(client().sweep(Collection::inode).size(), 1000U);
}

TEST_P(StoreContract, OfCommitsThatWantTheSameRecordOneWins) {
  for (uint64_t round = 0; round < 20; ++round) {
    std::vector<std::string> values;
    for (uint64_t i = 0; i < 50; ++i) values.push_back("of " + std::to_string(i));
    std::vector<ManyCommits::Content> commits;
    for (uint64_t i = 0; i < 50; ++i) {
      commits.push_back({{absent(entry_key(round, "name"))},
                         {put(entry_key(round, "name"), values[i]), add(usage_key(0), 1),
                          put(inode_key(1000 * (round + 1) + i), "x")}});
    }
    const std::vector<Errno> results = ManyCommits(store(), reactor_).run(commits);
    ASSERT_EQ(std::ranges::count(results, Errno::none), 1);
    ASSERT_EQ(std::ranges::count(results, kCompareFailed), 49);
    const auto winner =
        static_cast<size_t>(std::ranges::find(results, Errno::none) - results.begin());
    EXPECT_EQ(client().get(entry_key(round, "name")), values[winner]);
    EXPECT_EQ(client().get(inode_key(1000 * (round + 1) + winner)), "x");
  }
  EXPECT_EQ(client().get(usage_key(0)), number_text(20));
  EXPECT_EQ(client().sweep(Collection::inode).size(), 20U);
}

TEST_P(StoreContract, OfCommitsThatFollowTheSameVersionOneWins) {
  ASSERT_EQ(client().write(put(inode_key(1), "0")), Errno::none);
  for (int version = 0; version < 20; ++version) {
    const std::string now = std::to_string(version);
    const std::string next = std::to_string(version + 1);
    std::vector<ManyCommits::Content> commits(
        20, {{begins_with(inode_key(1), now)}, {put(inode_key(1), next)}});
    const std::vector<Errno> results = ManyCommits(store(), reactor_).run(commits);
    ASSERT_EQ(std::ranges::count(results, Errno::none), 1);
    ASSERT_EQ(client().get(inode_key(1)), next);
  }
}

TEST_P(StoreContract, AFailedComparisonAmongManyLeavesOnlyItsOwnCommitOut) {
  std::vector<ManyCommits::Content> commits;
  for (uint64_t i = 0; i < 100; ++i) {
    const Compare compare = i % 10 == 3 ? begins_with(inode_key(7777), "") : absent(inode_key(i));
    commits.push_back({{compare}, {put(inode_key(i), "x"), add(usage_key(0), 1)}});
  }
  const std::vector<Errno> results = ManyCommits(store(), reactor_).run(commits);
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(results[i], i % 10 == 3 ? kCompareFailed : Errno::none) << i;
    EXPECT_EQ(client().get(inode_key(i)).has_value(), i % 10 != 3) << i;
  }
  EXPECT_EQ(client().get(usage_key(0)), number_text(90));
}

inline Detached sync_one(Store& store, size_t& left, std::promise<void>& done) {
  Op<Unit> op = store.sync();
  const Result<Unit> ended = co_await std::move(op);
  EXPECT_TRUE(ended);
  if (--left == 0) done.set_value();
}

TEST_P(StoreContract, ManySyncsAtOnceAllEnd) {
  ASSERT_EQ(client().write(put(inode_key(1), "x")), Errno::none);
  std::promise<void> done;
  size_t left = 50;
  reactor().post([&] {
    for (int i = 0; i < 50; ++i) sync_one(store(), left, done);
  });
  done.get_future().wait();
}

}  // namespace dpfs::kv
