// SPDX-License-Identifier: Apache-2.0
// XDR: what lies where, and what is not there.
#include "backend/nfs/xdr.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace dpfs::nfs {
namespace {

std::vector<uint8_t> written(const XdrWriter& writer) {
  return {writer.bytes().begin(), writer.bytes().end()};
}

TEST(XdrWriter, WordsAreBigEndian) {
  std::array<uint8_t, 64> room;
  XdrWriter writer(room);
  writer.u32(0x01020304);
  writer.u64(0x05060708090a0b0c);
  writer.i64(-2);
  writer.boolean(true);
  EXPECT_EQ(written(writer),
            (std::vector<uint8_t>{1,   2,   3,   4,   5,   6,   7,   8,   9, 10, 11, 12,
                                  255, 255, 255, 255, 255, 255, 255, 254, 0, 0,  0,  1}));
}

TEST(XdrWriter, OpaquesArePaddedWithZeros) {
  for (size_t size = 0; size <= 8; ++size) {
    std::array<uint8_t, 16> room;
    room.fill(0xff);
    XdrWriter writer(room);
    writer.text(std::string(size, 'x'));
    ASSERT_EQ(writer.size(), 4 + (size + 3) / 4 * 4);
    EXPECT_EQ(room[3], size);
    for (size_t i = 4; i < writer.size(); ++i) EXPECT_EQ(room[i], i < 4 + size ? 'x' : 0) << size;
    EXPECT_EQ(room[writer.size()], 0xff);  // nothing behind it
  }
}

TEST(XdrWriter, WhatDoesNotFitIsNotWrittenNorAnythingBehindIt) {
  std::vector<uint8_t> room(10, 0xff);
  XdrWriter writer(room);
  writer.u32(1);
  writer.u64(2);
  EXPECT_TRUE(writer.overflowed());
  EXPECT_EQ(writer.size(), 4u);
  writer.u32(3);  // would fit
  EXPECT_EQ(writer.size(), 4u);
  EXPECT_EQ(room[4], 0xff);
}

TEST(XdrWriter, AReservedWordIsFilledInLater) {
  std::array<uint8_t, 12> room;
  XdrWriter writer(room);
  writer.u32(1);
  const size_t at = writer.reserve_u32();
  writer.u32(3);
  writer.patch_u32(at, 2);
  EXPECT_EQ(written(writer), (std::vector<uint8_t>{0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3}));
}

TEST(XdrWriter, AReservedWordThatDidNotFitIsNotFilledIn) {
  std::vector<uint8_t> room(4, 0xff);
  XdrWriter writer(room);
  writer.u32(1);
  const size_t at = writer.reserve_u32();
  writer.patch_u32(at, 2);
  EXPECT_TRUE(writer.overflowed());
  EXPECT_EQ(room, (std::vector<uint8_t>{0, 0, 0, 1}));
}

TEST(XdrReader, ReadsWhatWasWritten) {
  std::array<uint8_t, 64> room;
  XdrWriter writer(room);
  writer.u64(UINT64_MAX - 1);
  writer.i64(INT64_MIN);
  writer.text("seven b");
  writer.fixed(std::array<uint8_t, 3>{1, 2, 3});
  writer.boolean(true);
  XdrReader reader(writer.bytes());
  EXPECT_EQ(reader.u64(), UINT64_MAX - 1);
  EXPECT_EQ(reader.i64(), INT64_MIN);
  EXPECT_EQ(reader.text(7), "seven b");
  std::array<uint8_t, 3> three;
  reader.fixed(three);
  EXPECT_EQ(three, (std::array<uint8_t, 3>{1, 2, 3}));
  EXPECT_TRUE(reader.boolean());
  EXPECT_EQ(reader.left(), 0u);
  EXPECT_FALSE(reader.failed());
}

TEST(XdrReader, BehindTheEndEverythingIsZeroAndItHasFailed) {
  const std::array<uint8_t, 6> bytes{0, 0, 0, 9, 1, 2};
  XdrReader reader(bytes);
  EXPECT_EQ(reader.u32(), 9u);
  EXPECT_EQ(reader.u32(), 0u);
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(reader.u64(), 0u);
  EXPECT_TRUE(reader.text(10).empty());
  EXPECT_TRUE(reader.fixed(1).empty());
  std::array<uint8_t, 2> two{7, 7};
  reader.fixed(two);
  EXPECT_EQ(two, (std::array<uint8_t, 2>{0, 0}));
  EXPECT_EQ(reader.left(), 0u);
}

TEST(XdrReader, AnOpaqueLongerThanAllowedFails) {
  std::array<uint8_t, 16> room;
  XdrWriter writer(room);
  writer.text("12345");
  EXPECT_EQ(XdrReader(writer.bytes()).text(5), "12345");
  XdrReader reader(writer.bytes());
  EXPECT_TRUE(reader.text(4).empty());
  EXPECT_TRUE(reader.failed());
}

TEST(XdrReader, LengthsBeyondTheMessageFail) {
  for (const uint32_t length : {5u, 0x7fffffffu, 0xfffffffcu, 0xfffffffdu, 0xffffffffu}) {
    std::array<uint8_t, 8> bytes{};
    XdrWriter writer(bytes);
    writer.u32(length);
    writer.u32(0);
    XdrReader reader(bytes);
    EXPECT_TRUE(reader.opaque(SIZE_MAX).empty()) << length;
    EXPECT_TRUE(reader.failed()) << length;
  }
}

TEST(XdrReader, PaddingHasToBeThere) {
  const std::array<uint8_t, 6> bytes{0, 0, 0, 2, 'a', 'b'};
  XdrReader reader(bytes);
  EXPECT_TRUE(reader.opaque(10).empty());
  EXPECT_TRUE(reader.failed());
}

TEST(XdrReader, AnEmptyOpaqueIsNoFailure) {
  const std::array<uint8_t, 8> bytes{0, 0, 0, 0, 0, 0, 0, 5};
  XdrReader reader(bytes);
  EXPECT_TRUE(reader.opaque(0).empty());
  EXPECT_EQ(reader.u32(), 5u);
  EXPECT_FALSE(reader.failed());
}

}  // namespace
}  // namespace dpfs::nfs
