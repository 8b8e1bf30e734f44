// SPDX-License-Identifier: Apache-2.0
// fattr4: RFC 8881, section 5. What is asked, told and set.
#include "backend/nfs/attributes.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "backend/nfs/wire_harness.h"

namespace dpfs::nfs {
namespace {

Wire encoded(const auto& what) {
  std::array<uint8_t, 256> room;
  XdrWriter writer(room);
  what.encode(writer);
  Wire wire;
  wire.bytes.assign(writer.bytes().begin(), writer.bytes().end());
  return wire;
}

Wire fattr(std::initializer_list<uint32_t> words, const Wire& values) {
  Wire wire;
  wire.u32(static_cast<uint32_t>(words.size()));
  for (const uint32_t word : words) wire.u32(word);
  return wire.u32(static_cast<uint32_t>(values.bytes.size())).add(values);
}

struct Decoded : Attributes {
  explicit Decoded(const Wire& wire) {
    XdrReader reader(wire.bytes);
    decode(reader, *this);
    failed = reader.failed();
    left = reader.left();
  }
  bool failed;
  size_t left;
};

TEST(AttributeSet, IsABitmapOfAsManyWordsAsItNeeds) {
  EXPECT_EQ(encoded(AttributeSet{}), Wire().u32(0));
  EXPECT_EQ(encoded(AttributeSet{attribute::kType, attribute::kSize}), Wire().u32(1).u32(0x12));
  EXPECT_EQ(encoded(AttributeSet{attribute::kMode}), Wire().u32(2).u32(0).u32(2));
  EXPECT_EQ(encoded(AttributeSet{attribute::kXattrSupport}),
            Wire().u32(3).u32(0).u32(0).u32(1u << 18));
}

TEST(AttributeSet, WordsBeyondThoseThatWeKnowAreDropped) {
  const Wire wire = Wire().u32(4).u32(2).u32(0).u32(0).u32(7).u32(99);
  XdrReader reader(wire.bytes);
  EXPECT_EQ(AttributeSet::decode(reader), AttributeSet{attribute::kType});
  EXPECT_EQ(reader.u32(), 99u);
}

TEST(AttributeSet, ABitmapOfThousandsOfWordsFails) {
  const Wire wire = Wire().u32(1000);
  XdrReader reader(wire.bytes);
  AttributeSet::decode(reader);
  EXPECT_TRUE(reader.failed());
}

TEST(AttributeSet, KnowsWhatIsWithinIt) {
  constexpr AttributeSet kSome{attribute::kMode, attribute::kSize};
  EXPECT_TRUE(AttributeSet{attribute::kMode}.is_within(kSome));
  EXPECT_FALSE((AttributeSet{attribute::kMode, attribute::kType}.is_within(kSome)));
  EXPECT_TRUE(AttributeSet{}.empty());
}

TEST(Attributes, AreReadInTheOrderOfTheirNumbers) {
  Wire values;
  values.u32(2);         // type: a directory
  values.u64(77);        // change
  values.u64(4096);      // size
  values.u64(1).u64(2);  // fsid
  values.u64(1234);      // fileid
  values.u32(0100755);   // mode, with bits that are none
  values.u32(3);         // numlinks
  values.opaque("1000").opaque("root@example");
  values.u32(8).u32(17);                          // rawdev
  values.u64(8192);                               // space_used
  values.u64(10).u32(1);                          // time_access
  values.u64(20).u32(2);                          // time_metadata
  values.u64(static_cast<uint64_t>(-30)).u32(3);  // time_modify
  values.u64(55);                                 // mounted_on_fileid
  uint32_t words[2] = {};
  for (uint32_t number = 0; number < 64; ++number) {
    if (kObjectAttributes.has(number)) words[number / 32] |= 1u << number % 32;
  }
  const Decoded got(fattr({words[0], words[1]}, values));
  ASSERT_FALSE(got.failed);
  EXPECT_EQ(got.has, kObjectAttributes);
  EXPECT_EQ(got.type, FileType::directory);
  EXPECT_EQ(got.change, 77u);
  EXPECT_EQ(got.size, 4096u);
  EXPECT_EQ(got.fsid, (FsId{1, 2}));
  EXPECT_EQ(got.fileid, 1234u);
  EXPECT_EQ(got.mode, 0755u);
  EXPECT_EQ(got.links, 3u);
  EXPECT_EQ(got.uid, 1000u);
  EXPECT_EQ(got.gid, 65534u);
  EXPECT_EQ(got.major, 8u);
  EXPECT_EQ(got.minor, 17u);
  EXPECT_EQ(got.space_used, 8192u);
  EXPECT_EQ(got.access, (Time{10, 1}));
  EXPECT_EQ(got.metadata, (Time{20, 2}));
  EXPECT_EQ(got.modify, (Time{-30, 3}));
  EXPECT_EQ(got.mounted_on_fileid, 55u);
}

TEST(Attributes, WhatIsNotThereIsZero) {
  const Decoded got(fattr({1u << attribute::kSize}, Wire().u64(9)));
  EXPECT_FALSE(got.failed);
  EXPECT_EQ(got.size, 9u);
  EXPECT_EQ(got.type, FileType::none);
  EXPECT_FALSE(got.has.has(attribute::kType));
}

TEST(Attributes, OneThatCannotBeSkippedFails) {
  EXPECT_TRUE(Decoded(fattr({1u << 12}, Wire().u32(0))).failed);  // acl
}

TEST(Attributes, ValuesThatAreShorterThanTheySayFail) {
  EXPECT_TRUE(Decoded(fattr({1u << attribute::kSize}, Wire().u32(9))).failed);
  Wire cut = fattr({1u << attribute::kSize}, Wire().u64(9));
  cut.bytes.pop_back();
  EXPECT_TRUE(Decoded(cut).failed);
}

TEST(Attributes, ValuesThatWouldReachIntoTheNextItemFail) {
  Wire wire = fattr({1u << attribute::kSize}, Wire().u32(9));
  wire.u32(7);  // the next item
  EXPECT_TRUE(Decoded(wire).failed);
}

TEST(Attributes, NonsenseInOneFails) {
  EXPECT_TRUE(Decoded(fattr({1u << attribute::kType}, Wire().u32(0))).failed);
  EXPECT_TRUE(Decoded(fattr({1u << attribute::kType}, Wire().u32(10))).failed);
  EXPECT_TRUE(
      Decoded(fattr({0, 1u << (attribute::kTimeModify - 32)}, Wire().u64(0).u32(1'000'000'000)))
          .failed);
  EXPECT_TRUE(
      Decoded(fattr({1u << attribute::kFilehandle}, Wire().opaque(std::string(129, 'h')))).failed);
}

TEST(Owner, IsANumberOrNobody) {
  EXPECT_EQ(id_of("0"), 0u);
  EXPECT_EQ(id_of("4294967294"), 4294967294u);
  for (const char* text : {"", "root", "root@example", "1000@example", "-1", "+1", " 1", "1 ",
                           "4294967295", "4294967296", "99999999999999999999"}) {
    EXPECT_EQ(id_of(text), 65534u) << text;
  }
}

TEST(NewAttributes, NothingIsAnEmptySet) {
  EXPECT_TRUE(NewAttributes{}.empty());
  EXPECT_EQ(encoded(NewAttributes{}), Wire().u32(0).u32(0));
}

TEST(NewAttributes, AreInTheOrderOfTheirNumbers) {
  NewAttributes all;
  all.has_size = all.has_mode = all.has_uid = all.has_gid = true;
  all.size = 5;
  all.mode = 0644;
  all.uid = 1000;
  all.gid = 4294967294;
  all.set_access = NewAttributes::Moment::now;
  all.set_modify = NewAttributes::Moment::given;
  all.modify = {-1, 999'999'999};
  const Wire values = Wire()
                          .u64(5)
                          .u32(0644)
                          .opaque("1000")
                          .opaque("4294967294")
                          .u32(0)  // SET_TO_SERVER_TIME4
                          .u32(1)  // SET_TO_CLIENT_TIME4
                          .u64(UINT64_MAX)
                          .u32(999'999'999);
  const uint32_t second =
      1u << (33 - 32) | 1u << (36 - 32) | 1u << (37 - 32) | 1u << (48 - 32) | 1u << (54 - 32);
  EXPECT_EQ(encoded(all), fattr({1u << 4, second}, values));
  EXPECT_FALSE(all.empty());
}

TEST(ToFuse, HasWhatStatShows) {
  Attributes from;
  from.type = FileType::character;
  from.mode = 0620;
  from.fileid = 9;
  from.size = 1000;
  from.space_used = 513;
  from.links = 2;
  from.uid = 1;
  from.gid = 2;
  from.major = 0x123;
  from.minor = 0x45678;
  from.access = {1, 2};
  from.modify = {3, 4};
  from.metadata = {5, 6};
  const fuse::Attr attr = to_fuse(from, 4096);
  EXPECT_EQ(attr.mode, S_IFCHR | 0620u);
  EXPECT_EQ(attr.ino, 9u);
  EXPECT_EQ(attr.size, 1000u);
  EXPECT_EQ(attr.blocks, 2u);
  EXPECT_EQ(attr.nlink, 2u);
  EXPECT_EQ(attr.rdev, 0x78u | 0x123u << 8 | 0x456u << 20);
  EXPECT_EQ(attr.atime, 1u);
  EXPECT_EQ(attr.mtimensec, 4u);
  EXPECT_EQ(attr.ctime, 5u);
  EXPECT_EQ(attr.blksize, 4096u);
}

TEST(ToFuse, EveryTypeHasItsBits) {
  EXPECT_EQ(type_bits(FileType::regular), unsigned{S_IFREG});
  EXPECT_EQ(type_bits(FileType::directory), unsigned{S_IFDIR});
  EXPECT_EQ(type_bits(FileType::block), unsigned{S_IFBLK});
  EXPECT_EQ(type_bits(FileType::link), unsigned{S_IFLNK});
  EXPECT_EQ(type_bits(FileType::socket), unsigned{S_IFSOCK});
  EXPECT_EQ(type_bits(FileType::fifo), unsigned{S_IFIFO});
}

TEST(ToFuse, SpaceNearTheEndOfNumbersDoesNotWrap) {
  Attributes from;
  from.space_used = UINT64_MAX;
  EXPECT_EQ(to_fuse(from, 4096).blocks, UINT64_MAX / 512 + 1);
}

}  // namespace
}  // namespace dpfs::nfs
