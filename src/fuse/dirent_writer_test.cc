// SPDX-License-Identifier: Apache-2.0
// Directory entries as Linux reads them.
#include "fuse/dirent_writer.h"

#include <dirent.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace dpfs {
namespace {

class DirentWriterTest : public testing::Test {
 protected:
  IoView room(size_t bytes) {
    buffer_.assign(bytes, '\xaa');
    part_ = {buffer_.data(), buffer_.size()};
    return IoView({&part_, 1});
  }
  static DirentWriter::Entry entry(std::string_view name) { return {42, 7, DT_REG, name}; }

  std::string buffer_;
  iovec part_{};
};

TEST_F(DirentWriterTest, EntryIsPaddedWithZerosToEightBytes) {
  for (size_t n = 1; n <= 255; ++n) {
    DirentWriter writer(room(512));
    ASSERT_TRUE(writer.add(entry(std::string(n, 'n'))));
    ASSERT_EQ(writer.bytes() % 8, 0u);
    ASSERT_EQ(writer.bytes(), fuse::dirent_size(n));
    fuse::Dirent head;
    std::memcpy(&head, buffer_.data(), sizeof head);
    ASSERT_EQ(head.namelen, n);
    const std::string padding = buffer_.substr(sizeof head + n, writer.bytes() - sizeof head - n);
    ASSERT_EQ(padding, std::string(padding.size(), '\0'));
    ASSERT_EQ(buffer_[writer.bytes()], '\xaa');
  }
}

TEST_F(DirentWriterTest, EntryHasItsFields) {
  DirentWriter writer(room(512));
  ASSERT_TRUE(writer.add(entry("name")));
  fuse::Dirent head;
  std::memcpy(&head, buffer_.data(), sizeof head);
  EXPECT_EQ(head.ino, 42u);
  EXPECT_EQ(head.off, 7u);
  EXPECT_EQ(head.type, uint32_t{DT_REG});
  EXPECT_EQ(buffer_.substr(sizeof head, 4), "name");
}

TEST_F(DirentWriterTest, EntryThatFitsExactlyIsTaken) {
  DirentWriter writer(room(2 * fuse::dirent_size(4)));
  EXPECT_TRUE(writer.add(entry("name")));
  EXPECT_TRUE(writer.add(entry("name")));
  EXPECT_FALSE(writer.add(entry("n")));
  EXPECT_EQ(writer.bytes(), buffer_.size());
}

TEST_F(DirentWriterTest, EntryThatDoesNotFitWritesNothing) {
  DirentWriter writer(room(fuse::dirent_size(4) - 1));
  EXPECT_FALSE(writer.add(entry("name")));
  EXPECT_EQ(writer.bytes(), 0u);
  EXPECT_EQ(buffer_, std::string(buffer_.size(), '\xaa'));
}

TEST_F(DirentWriterTest, PlusEntryThatDoesNotFitWritesNothing) {
  DirentWriter writer(room(fuse::direntplus_size(4) - 1));
  EXPECT_FALSE(writer.has_room_plus(entry("name")));
  EXPECT_FALSE(writer.add_plus(entry("name"), {}));
  EXPECT_EQ(buffer_, std::string(buffer_.size(), '\xaa'));
}

TEST_F(DirentWriterTest, PlusEntryHasItsAttributesFirst) {
  DirentWriter writer(room(512));
  ASSERT_TRUE(writer.add_plus(entry("name"), {.nodeid = 99}));
  EXPECT_EQ(writer.bytes(), fuse::direntplus_size(4));
  fuse::Direntplus head;
  std::memcpy(&head, buffer_.data(), sizeof head);
  EXPECT_EQ(head.entry_out.nodeid, 99u);
  EXPECT_EQ(head.dirent.ino, 42u);
  EXPECT_EQ(buffer_.substr(sizeof head, 4), "name");
}

TEST_F(DirentWriterTest, NoRoomAtAllTakesNothing) {
  DirentWriter writer{IoView()};
  EXPECT_FALSE(writer.add(entry("n")));
  EXPECT_EQ(writer.bytes(), 0u);
}

}  // namespace
}  // namespace dpfs
