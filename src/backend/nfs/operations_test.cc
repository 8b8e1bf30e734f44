// SPDX-License-Identifier: Apache-2.0
// The COMPOUNDs of names and attributes: requests byte for byte, and what is taken from replies.
#include "backend/nfs/operations.h"

#include <gtest/gtest.h>

#include <string>

#include "backend/nfs/wire_harness.h"

namespace dpfs::nfs {
namespace {

Wire object_bitmap() {
  uint32_t words[2] = {};
  for (uint32_t number = 0; number < 64; ++number) {
    if (kObjectAttributes.has(number)) words[number / 32] |= 1u << number % 32;
  }
  return Wire().u32(2).u32(words[0]).u32(words[1]);
}
// GETFH and GETATTR behind what was found.
Wire found() { return Wire().op(10).op(9).add(object_bitmap()); }
Wire putfh(std::string_view handle) { return Wire().op(22).opaque(handle); }
// A fattr4 of a size.
Wire size_attribute(uint64_t size) { return Wire().u32(1).u32(1u << 4).u32(8).u64(size); }
Wire change_info() { return Wire().u32(1).u64(1).u64(2); }

TEST(Lookup, IsPutfhLookupGetfhGetattr) {
  Lookup call;
  call.parent = handle_of("dir");
  call.name = "name";
  EXPECT_EQ(operations_of(call), putfh("dir").op(15).opaque("name").add(found()));
  EXPECT_FALSE(call.changes);
  const Outcome outcome = answer(
      call, 4,
      Wire().result(22).result(15).result(10).opaque("found").result(9).add(size_attribute(9)));
  EXPECT_EQ(outcome.status, Status::ok);
  EXPECT_FALSE(outcome.failed);
  EXPECT_EQ(text_of(call.handle), "found");
  EXPECT_EQ(call.attributes.size, 9u);
}

TEST(LookupParent, IsPutfhLookuppGetfhGetattr) {
  LookupParent call;
  call.node = handle_of("dir");
  EXPECT_EQ(operations_of(call), putfh("dir").op(16).add(found()));
}

TEST(LookupPath, BeginsAtTheRootOrGoesOn) {
  LookupPath call;
  call.names = {"a", "b"};
  call.count = 2;
  EXPECT_EQ(operations_of(call), Wire().op(24).op(15).opaque("a").op(15).opaque("b").add(found()));
  call.from_root = false;
  call.from = handle_of("a");
  call.count = 1;
  EXPECT_EQ(operations_of(call), putfh("a").op(15).opaque("a").add(found()));
}

TEST(Create, HasWhatEachTypeNeeds) {
  Create call;
  call.parent = handle_of("dir");
  call.name = "n";
  EXPECT_TRUE(call.changes);
  EXPECT_EQ(operations_of(call), putfh("dir").op(6).u32(2).opaque("n").u32(0).u32(0).add(found()));
  call.type = FileType::link;
  call.target = "target";
  EXPECT_EQ(operations_of(call),
            putfh("dir").op(6).u32(5).opaque("target").opaque("n").u32(0).u32(0).add(found()));
  call.type = FileType::character;
  call.major = 1;
  call.minor = 3;
  EXPECT_EQ(operations_of(call),
            putfh("dir").op(6).u32(4).u32(1).u32(3).opaque("n").u32(0).u32(0).add(found()));
  const Outcome outcome = answer(call, 4,
                                 Wire()
                                     .result(22)
                                     .result(6)
                                     .add(change_info())
                                     .u32(2)
                                     .u32(0)
                                     .u32(2)
                                     .result(10)
                                     .opaque("new")
                                     .result(9)
                                     .add(size_attribute(3)));
  EXPECT_FALSE(outcome.failed);
  EXPECT_EQ(text_of(call.handle), "new");
  EXPECT_EQ(call.attributes.size, 3u);
}

TEST(Remove, IsPutfhRemove) {
  Remove call;
  call.parent = handle_of("dir");
  call.name = "name";
  EXPECT_EQ(operations_of(call), putfh("dir").op(28).opaque("name"));
}

TEST(Rename, SavesTheOldDirectory) {
  Rename call;
  call.parent = handle_of("from");
  call.name = "a";
  call.new_parent = handle_of("into");
  call.new_name = "b";
  EXPECT_EQ(operations_of(call),
            putfh("from").op(32).add(putfh("into")).op(29).opaque("a").opaque("b"));
  EXPECT_FALSE(
      answer(
          call, 4,
          Wire().result(22).result(32).result(22).result(29).add(change_info()).add(change_info()))
          .failed);
}

TEST(Link, TellsTheNodesAttributes) {
  Link call;
  call.node = handle_of("file");
  call.new_parent = handle_of("dir");
  call.new_name = "n";
  EXPECT_EQ(
      operations_of(call),
      putfh("file").op(32).add(putfh("dir")).op(11).opaque("n").op(31).op(9).add(object_bitmap()));
  EXPECT_FALSE(answer(call, 6,
                      Wire()
                          .result(22)
                          .result(32)
                          .result(22)
                          .result(11)
                          .add(change_info())
                          .result(31)
                          .result(9)
                          .add(size_attribute(7)))
                   .failed);
  EXPECT_EQ(call.attributes.size, 7u);
}

struct Room {
  explicit Room(size_t bytes) : text(bytes, '-') {}
  IoView view() { return IoView({&part, 1}); }
  std::string text;
  iovec part{text.data(), text.size()};
};

TEST(ReadLink, PutsTheTargetIntoItsPlace) {
  Room room(10);
  ReadLink call;
  call.into = room.view();
  EXPECT_FALSE(answer(call, 2, Wire().result(22).result(27).opaque("target")).failed);
  EXPECT_EQ(call.bytes, 6u);
  EXPECT_EQ(room.text, "target----");
}

struct Taken final : EntryTaker {
  bool take(uint64_t cookie, std::string_view name, const Attributes& attributes) override {
    if (names.size() == room) return false;
    names += name;
    cookies += cookie;
    sizes += attributes.size;
    return true;
  }
  size_t room = SIZE_MAX;
  std::string names;
  uint64_t cookies = 0;
  uint64_t sizes = 0;
};

Wire entry(uint64_t cookie, std::string_view name, const Wire& attributes) {
  return Wire().u32(1).u64(cookie).opaque(name).add(attributes);
}

TEST(ReadDirectory, AsksBehindACookie) {
  ReadDirectory call;
  call.node = handle_of("dir");
  call.cookie = 99;
  call.verifier.bytes.fill('v');
  call.bytes_max = 4096;
  call.wanted = {attribute::kType};
  EXPECT_EQ(operations_of(call),
            putfh("dir").op(26).u64(99).fixed("vvvvvvvv").u32(4096).u32(4096).u32(1).u32(2));
}

TEST(ReadDirectory, HandsItsEntriesOn) {
  Taken taken;
  ReadDirectory call;
  call.taker = &taken;
  const Wire reply = Wire()
                         .result(22)
                         .result(26)
                         .fixed("VERIFIER")
                         .add(entry(3, "a", size_attribute(10)))
                         .add(entry(4, "b", size_attribute(20)))
                         .u32(0)
                         .u32(1);
  EXPECT_FALSE(answer(call, 2, reply).failed);
  EXPECT_EQ(taken.names, "ab");
  EXPECT_EQ(taken.cookies, 7u);
  EXPECT_EQ(taken.sizes, 30u);
  EXPECT_EQ(call.entries, 2u);
  EXPECT_TRUE(call.at_end);
  EXPECT_EQ(call.verifier.bytes[0], 'V');
}

TEST(ReadDirectory, IsNotAtTheEndWhereAnEntryFoundNoRoom) {
  Taken taken;
  taken.room = 1;
  ReadDirectory call;
  call.taker = &taken;
  answer(call, 2,
         Wire()
             .result(22)
             .result(26)
             .fixed("VERIFIER")
             .add(entry(3, "a", size_attribute(1)))
             .add(entry(4, "b", size_attribute(1)))
             .u32(0)
             .u32(1));
  EXPECT_EQ(taken.names, "a");
  EXPECT_FALSE(call.at_end);
}

TEST(ReadDirectory, NothingIsTakenOfAnAnswerThatIsCut) {
  const Wire whole = Wire()
                         .result(22)
                         .result(26)
                         .fixed("VERIFIER")
                         .add(entry(3, "a", size_attribute(1)))
                         .add(entry(4, "b", size_attribute(1)))
                         .u32(0)
                         .u32(1);
  for (size_t size = 0; size < whole.bytes.size(); ++size) {
    Taken taken;
    ReadDirectory call;
    call.taker = &taken;
    Wire cut = whole;
    cut.bytes.resize(size);
    EXPECT_TRUE(answer(call, 2, cut).failed) << size;
    EXPECT_EQ(taken.names, "") << size;
  }
}

TEST(ReadDirectory, AnEntryWhoseAttributesAreNoneHasNone) {
  Taken taken;
  ReadDirectory call;
  call.taker = &taken;
  const Wire nonsense = Wire().u32(1).u32(1u << 12).u32(4).u32(0);  // acl
  EXPECT_FALSE(answer(call, 2,
                      Wire()
                          .result(22)
                          .result(26)
                          .fixed("VERIFIER")
                          .add(entry(3, "a", nonsense))
                          .add(entry(4, "b", size_attribute(5)))
                          .u32(0)
                          .u32(1))
                   .failed);
  EXPECT_EQ(taken.names, "ab");
  EXPECT_EQ(taken.sizes, 5u);
}

TEST(Access, TellsWhatIsGranted) {
  Access call;
  call.node = handle_of("f");
  call.wanted = 0x1f;
  EXPECT_EQ(operations_of(call), putfh("f").op(3).u32(0x1f));
  EXPECT_FALSE(answer(call, 2, Wire().result(22).result(3).u32(0x1f).u32(0x3)).failed);
  EXPECT_EQ(call.granted, 3u);
}

TEST(Xattrs, RequestsAreThoseOfTheRfc) {
  GetXattr get;
  get.node = handle_of("f");
  get.name = "n";
  EXPECT_EQ(operations_of(get), putfh("f").op(72).opaque("n"));
  const std::array<uint8_t, 4> value{'v', 'a', 'l', 'u'};
  SetXattr set;
  set.node = handle_of("f");
  set.name = "n";
  set.how = 1;
  set.value = value;
  EXPECT_EQ(operations_of(set), putfh("f").op(73).u32(1).opaque("n").opaque("valu"));
  ListXattrs list;
  list.node = handle_of("f");
  list.cookie = 5;
  EXPECT_EQ(operations_of(list), putfh("f").op(74).u64(5).u32(65536));
  RemoveXattr remove;
  remove.node = handle_of("f");
  remove.name = "n";
  EXPECT_EQ(operations_of(remove), putfh("f").op(75).opaque("n"));
}

TEST(GetXattr, AValueThatDoesNotFitIsOnlyMeasured) {
  Room room(4);
  GetXattr call;
  call.into = room.view();
  EXPECT_FALSE(answer(call, 2, Wire().result(22).result(72).opaque("value")).failed);
  EXPECT_EQ(call.bytes, 5u);
  EXPECT_EQ(room.text, "----");
}

TEST(ListXattrs, NamesGetTheirPrefixBack) {
  Room room(30);
  ListXattrs call;
  call.into = room.view();
  EXPECT_FALSE(
      answer(call, 2, Wire().result(22).result(74).u64(9).u32(2).opaque("one").opaque("two").u32(1))
          .failed);
  EXPECT_EQ(call.bytes, 18u);
  EXPECT_EQ(room.text.substr(0, 18), std::string("user.one\0user.two\0", 18));
  EXPECT_EQ(call.cookie, 9u);
  EXPECT_TRUE(call.at_end);
}

TEST(ListXattrs, ACountThatLiesFails) {
  Room room(30);
  ListXattrs call;
  call.into = room.view();
  EXPECT_TRUE(answer(call, 2, Wire().result(22).result(74).u64(9).u32(UINT32_MAX)).failed);
}

}  // namespace
}  // namespace dpfs::nfs
