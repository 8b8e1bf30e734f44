// SPDX-License-Identifier: Apache-2.0
// What the server is sent is what the script expects: so many keys, so many arguments.
#include "backend/kv/valkey/commit_encoder.h"

#include <gtest/gtest.h>

#include <array>

#include "backend/kv/valkey/reply_harness.h"

namespace dpfs::kv::valkey {
namespace {

// A command is an array of strings, as replies are.
std::vector<std::string> words_of(const EncodedCommit& commit) {
  std::vector<std::string> words;
  const std::optional<Reply> reply = reply_of(commit.bytes);
  if (!reply) return words;
  Reply::Walk walk(*reply);
  uint32_t elements = 0;
  std::string_view word;
  if (!walk.array(elements)) return words;
  while (walk.string(word)) words.emplace_back(word);
  EXPECT_EQ(words.size(), elements);
  return words;
}

std::vector<std::string> encoded(std::span<const Compare> compares, std::span<const Write> writes) {
  const Keys keys("main");
  EncodedCommit commit;
  encode_commit(keys, "me", compares, writes, commit);
  set_digits(commit, commit.previous_at, 7);
  set_digits(commit, commit.number_at, 8);
  return words_of(commit);
}

TEST(CommitEncoder, SaysWhatIsComparedAndWritten) {
  const Key inode{.collection = Collection::inode, .object = 1};
  const Key entry{.collection = Collection::entry, .object = 1, .name = "name"};
  const Key usage{.collection = Collection::usage};
  const std::array<Compare, 2> compares{
      {{.key = inode, .present = true, .prefix = "version"}, {.key = entry}}};
  const std::array<Write, 3> writes{{{.kind = Write::Kind::put, .key = entry, .value = "value"},
                                     {.kind = Write::Kind::add, .key = usage, .number = -1},
                                     {.kind = Write::Kind::erase, .key = inode}}};
  const std::vector<std::string> words = encoded(compares, writes);
  ASSERT_GE(words.size(), 4U);
  EXPECT_EQ(words[0], "EVALSHA");
  // Progress; two comparisons, and the number that is one; two for a hash, one for each string.
  EXPECT_EQ(words[2], "8");
  const std::vector<std::string> arguments(words.begin() + 3 + 8, words.end());
  const std::vector<std::string> expected{"me",
                                          "0000000000000007",
                                          "0000000000000008",
                                          "0000000000000000",
                                          "PaN",
                                          "HID",
                                          "1",
                                          "version",
                                          "name",
                                          "name",
                                          "value",
                                          std::string(8, '\xff')};
  EXPECT_EQ(arguments, expected);
}

TEST(CommitEncoder, SpreadWritesAreLeftOut) {
  const Key chunk{.collection = Collection::chunk, .object = 1, .number = 2};
  const std::array<Write, 1> writes{{{.kind = Write::Kind::put, .key = chunk, .value = "x"}}};
  EXPECT_EQ(encoded({}, writes), encoded({}, {}));
}

TEST(CommitEncoder, MemoryIsUsedAgain) {
  const Keys keys("main");
  const Key inode{.collection = Collection::inode, .object = 1};
  const std::array<Write, 1> writes{{{.kind = Write::Kind::put, .key = inode, .value = "x"}}};
  EncodedCommit commit;
  encode_commit(keys, "me", {}, writes, commit);
  const std::string first = commit.bytes;
  const char* const memory = commit.bytes.data();
  encode_commit(keys, "me", {}, writes, commit);
  EXPECT_EQ(commit.bytes, first);
  EXPECT_EQ(commit.bytes.data(), memory);
}

}  // namespace
}  // namespace dpfs::kv::valkey
