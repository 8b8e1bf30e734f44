// SPDX-License-Identifier: Apache-2.0
// Records say the same after they were stored, and nothing else is taken for one.
#include "backend/kv/records.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

namespace dpfs::kv {
namespace {

Inode directory() {
  Inode inode{.mode = S_IFDIR | 0755, .uid = 1, .gid = 2, .nlink = 3};
  inode.mtime = {.s = -5, .ns = 999'999'999};
  inode.parent = kRootIno;
  inode.entries = 4;
  inode.next_cookie = 9;
  return inode;
}

template <size_t kBytes, class Record>
std::string stored(const Record& record) {
  std::array<char, kBytes> room;
  return std::string(encode(record, room));
}

TEST(Records, InodeSaysWhatItSaid) {
  const std::string bytes = stored<kInodeBytes>(directory());
  Inode inode;
  ASSERT_TRUE(decode(bytes, inode));
  EXPECT_EQ(inode.mode, directory().mode);
  EXPECT_EQ(inode.mtime, directory().mtime);
  EXPECT_EQ(inode.entries, 4u);
  EXPECT_EQ(inode.next_cookie, 9u);
  EXPECT_EQ(stored<kInodeBytes>(inode), bytes);
}

TEST(Records, InodeOfAnotherLengthIsNone) {
  const std::string bytes = stored<kInodeBytes>(directory());
  Inode inode;
  EXPECT_FALSE(decode(bytes.substr(1), inode));
  EXPECT_FALSE(decode(bytes + "x", inode));
  EXPECT_FALSE(decode("", inode));
}

TEST(Records, InodeWithoutATypeIsNone) {
  Inode inode = directory();
  inode.mode = 0755;
  EXPECT_FALSE(decode(stored<kInodeBytes>(inode), inode));
}

TEST(Records, InodeWithMoreEntriesThanCookiesIsNone) {
  Inode inode = directory();
  inode.entries = inode.next_cookie;
  EXPECT_FALSE(decode(stored<kInodeBytes>(inode), inode));
}

TEST(Records, InodeWithUnknownFlagsIsNone) {
  Inode inode = directory();
  inode.flags = inode_flag::kAll + 1;
  EXPECT_FALSE(decode(stored<kInodeBytes>(inode), inode));
}

TEST(Records, EntrySaysWhatItSaid) {
  Entry entry;
  ASSERT_TRUE(decode(stored<kEntryBytes>(Entry{.ino = 7, .cookie = 3, .type = DT_REG}), entry));
  EXPECT_EQ(entry.ino, 7u);
  EXPECT_EQ(entry.cookie, 3u);
  EXPECT_EQ(entry.type, DT_REG);
}

TEST(Records, EntryOfNoInodeIsNone) {
  Entry entry;
  EXPECT_FALSE(decode(stored<kEntryBytes>(Entry{.ino = 0, .cookie = 3, .type = DT_REG}), entry));
}

TEST(Records, ListedNamesAreNames) {
  Listing listing;
  using namespace std::string_view_literals;
  for (const std::string_view name : {""sv, "."sv, ".."sv, "a/b"sv, "a\0b"sv}) {
    const std::string bytes =
        stored<kListingBytesMax>(Listing{.ino = 7, .type = DT_DIR, .name = name});
    EXPECT_FALSE(decode(bytes, listing)) << name;
  }
  ASSERT_TRUE(
      decode(stored<kListingBytesMax>(Listing{.ino = 7, .type = DT_DIR, .name = "a"}), listing));
}

TEST(Records, SuperblockOfANewerFormatSaysSo) {
  Superblock superblock{.format = kFormat + 1, .chunk_bytes = 65536};
  const std::string bytes = stored<kSuperblockBytes>(superblock) + "what is to come";
  Superblock found;
  ASSERT_TRUE(decode(bytes, found));
  EXPECT_EQ(found.format, kFormat + 1);
}

TEST(Records, SuperblockOfSomethingElseIsNone) {
  Superblock found;
  EXPECT_FALSE(decode(std::string(kSuperblockBytes, 'x'), found));
}

TEST(Records, SuperblockWithImpossibleChunksIsNone) {
  Superblock found;
  for (const uint32_t chunk_bytes : {0u, 4096u, 65537u, 1u << 30}) {
    EXPECT_FALSE(decode(stored<kSuperblockBytes>(Superblock{.chunk_bytes = chunk_bytes}), found));
  }
}

TEST(Records, SessionSaysWhatItSaid) {
  const Session session{.epoch = 5, .beat = 6, .lease_ms = 7, .pid = 8, .host = "here"};
  const std::string bytes = stored<kSessionBytesMax>(session);
  Session found;
  ASSERT_TRUE(decode(bytes, found));
  EXPECT_EQ(found.epoch, 5u);
  EXPECT_EQ(found.host, "here");
  EXPECT_TRUE(bytes.starts_with(std::string_view("\0\0\0\0\0\0\0\5", 8)));
}

}  // namespace
}  // namespace dpfs::kv
