// SPDX-License-Identifier: Apache-2.0
// COMPOUND: its bytes as RFC 5531 and RFC 8881 lay them out, and replies, right and wrong.
#include "backend/nfs/compound.h"

#include <gtest/gtest.h>

#include <string>

#include "backend/nfs/wire_harness.h"

namespace dpfs::nfs {
namespace {

Wire wire_of(Bytes bytes) {
  Wire wire;
  wire.bytes.assign(bytes.begin(), bytes.end());
  return wire;
}

Credential who_with_groups(std::initializer_list<uint32_t> groups) {
  Credential who{.uid = 1000, .gid = 100, .group_count = 0, .groups = {}};
  for (const uint32_t group : groups) who.groups[who.group_count++] = group;
  return who;
}

TEST(CompoundWriter, ARequestIsARecordOfOneCall) {
  std::array<uint8_t, 256> room;
  CompoundWriter writer(room);
  writer.begin(0xabcd, who_with_groups({4, 27}), "host", 1);
  writer.putfh(handle_of("xyz"));
  writer.operation(Operation::getfh);
  ASSERT_TRUE(writer.end());
  Wire expected;
  expected.u32(0xabcd).u32(0).u32(2);                 // xid, CALL, RPC version
  expected.u32(100003).u32(4).u32(1);                 // NFS, version 4, COMPOUND
  expected.u32(1).u32(4 * 8);                         // AUTH_SYS and its length
  expected.u32(0).opaque("host").u32(1000).u32(100);  // stamp, machine, uid, gid
  expected.u32(2).u32(4).u32(27);                     // groups
  expected.u32(0).u32(0);                             // verifier: AUTH_NONE
  expected.u32(0).u32(1).u32(2);                      // tag, minor version, operations
  expected.op(22).opaque("xyz");
  expected.op(10);
  const auto size = static_cast<uint32_t>(expected.bytes.size());
  EXPECT_EQ(wire_of(writer.head()), Wire().u32(0x80000000 | size).add(expected));
  EXPECT_TRUE(writer.tail().empty());
}

TEST(CompoundWriter, SequenceNamesTheSlotAndItsRequest) {
  std::array<uint8_t, 256> room;
  CompoundWriter writer(room);
  writer.begin(1, Credential{}, "", 2);
  const size_t begin = writer.head().size();
  SessionId session;
  session.bytes.fill('s');
  writer.sequence(
      {.session = session, .sequence = 5, .slot = 6, .highest_slot = 7, .cache_this = true});
  EXPECT_EQ(wire_of(writer.head().subspan(begin)),
            Wire().op(53).fixed(std::string(16, 's')).u32(5).u32(6).u32(7).u32(1));
}

TEST(CompoundWriter, DataIsNotCopiedButCounted) {
  const std::array<uint8_t, 5> data{1, 2, 3, 4, 5};
  std::array<uint8_t, 256> room;
  CompoundWriter writer(room);
  writer.begin(1, Credential{}, "", 2);
  writer.operation(Operation::write);
  writer.data(data);
  ASSERT_TRUE(writer.end());
  EXPECT_EQ(writer.tail().data(), data.data());
  XdrReader reader(writer.head());
  EXPECT_EQ(reader.u32(), 0x80000000 | (writer.head().size() - 4 + 8));
}

TEST(CompoundWriter, WhatDoesNotFitIsRefusedAtTheEnd) {
  std::array<uint8_t, 100> room;
  CompoundWriter writer(room);
  writer.begin(1, Credential{}, "", 2);
  writer.operation(Operation::lookup).text(std::string(200, 'n'));
  EXPECT_FALSE(writer.end());
}

// A reply behind its xid.
struct Reply {
  explicit Reply(const Wire& wire) : wire(wire), reader(Record{.bytes = this->wire.bytes}) {
    reader.xdr().u32();
    reader.begin();
  }
  Wire wire;
  CompoundReader reader;
};

TEST(CompoundReader, ResultsAreReadOneByOne) {
  Reply reply(accepted(2).result(22).result(10).opaque("handle"));
  EXPECT_EQ(reply.reader.status(), Status::ok);
  EXPECT_TRUE(reply.reader.operation(Operation::putfh));
  EXPECT_TRUE(reply.reader.operation(Operation::getfh));
  EXPECT_EQ(text_of(reply.reader.filehandle()), "handle");
  EXPECT_FALSE(reply.reader.failed());
}

TEST(CompoundReader, TheFirstErrorIsTheLastResult) {
  Reply reply(accepted(2, Status::noent).result(22).result(15, Status::noent));
  EXPECT_TRUE(reply.reader.operation(Operation::putfh));
  EXPECT_FALSE(reply.reader.operation(Operation::lookup));
  EXPECT_FALSE(reply.reader.failed());
  EXPECT_EQ(reply.reader.status(), Status::noent);
}

TEST(CompoundReader, AVerifierIsSkipped) {
  Wire wire;
  wire.u32(7).u32(1).u32(0).u32(6).opaque("verifier!").u32(0);
  wire.u32(0).opaque("a tag").u32(1).result(22);
  Reply reply(wire);
  EXPECT_TRUE(reply.reader.operation(Operation::putfh));
}

TEST(CompoundReader, AStatusWithoutResultsIsTheWholes) {
  Reply reply(accepted(0, Status::minor_vers_mismatch));
  EXPECT_FALSE(reply.reader.operation(Operation::exchange_id));
  EXPECT_EQ(reply.reader.status(), Status::minor_vers_mismatch);
  EXPECT_FALSE(reply.reader.failed());
}

TEST(CompoundReader, MissingResultsAreAFailure) {
  Reply reply(accepted(1).result(22));
  EXPECT_TRUE(reply.reader.operation(Operation::putfh));
  EXPECT_FALSE(reply.reader.operation(Operation::getfh));
  EXPECT_TRUE(reply.reader.failed());
}

TEST(CompoundReader, AnothersResultIsAFailure) {
  Reply reply(accepted(1).result(10));
  EXPECT_FALSE(reply.reader.operation(Operation::putfh));
  EXPECT_TRUE(reply.reader.failed());
}

TEST(CompoundReader, AnUnknownOperationIsAnsweredAsIllegal) {
  Reply reply(accepted(1, Status::op_illegal).result(10044, Status::op_illegal));
  EXPECT_FALSE(reply.reader.operation(Operation::seek));
  EXPECT_FALSE(reply.reader.failed());
  EXPECT_EQ(reply.reader.status(), Status::op_illegal);
}

TEST(CompoundReader, SomeErrorsHaveAResult) {
  Reply reply(accepted(1, Status::denied).result(12, Status::denied).u32(42));
  EXPECT_TRUE(reply.reader.operation_or(Operation::lock, Status::denied));
  EXPECT_EQ(reply.reader.status(), Status::denied);
  EXPECT_EQ(reply.reader.xdr().u32(), 42u);
}

TEST(CompoundReader, WhoIsRefusedIsToldWhy) {
  Reply mismatch(Wire().u32(7).u32(1).u32(1).u32(0).u32(2).u32(2));
  EXPECT_TRUE(mismatch.reader.failed());
  EXPECT_STREQ(mismatch.reader.refusal(), "it does not speak this version of RPC");
  Reply denied(Wire().u32(7).u32(1).u32(1).u32(1).u32(5));
  EXPECT_STREQ(denied.reader.refusal(), "it does not take AUTH_SYS credentials from us");
  for (uint32_t status = 1; status <= 5; ++status) {
    Reply reply(Wire().u32(7).u32(1).u32(0).u32(0).u32(0).u32(status));
    EXPECT_TRUE(reply.reader.failed());
    EXPECT_NE(reply.reader.refusal(), nullptr);
  }
}

TEST(CompoundReader, ACallIsNoReply) {
  Reply reply(Wire().u32(7).u32(0).u32(2));
  EXPECT_TRUE(reply.reader.failed());
  EXPECT_EQ(reply.reader.refusal(), nullptr);
}

TEST(CompoundReader, EveryReplyThatIsCutFails) {
  const Wire whole = accepted(2).result(22).result(10).opaque("handle");
  for (size_t size = 0; size < whole.bytes.size(); ++size) {
    Wire cut = whole;
    cut.bytes.resize(size);
    Reply reply(cut);
    if (reply.reader.operation(Operation::putfh) && reply.reader.operation(Operation::getfh)) {
      reply.reader.filehandle();
    }
    EXPECT_TRUE(reply.reader.failed()) << size;
  }
}

TEST(CompoundReader, AHandleThatIsTooLongFails) {
  Reply reply(accepted(1).result(10).opaque(std::string(129, 'h')));
  EXPECT_TRUE(reply.reader.operation(Operation::getfh));
  EXPECT_EQ(reply.reader.filehandle().size, 0);
  EXPECT_TRUE(reply.reader.failed());
}

TEST(CompoundReader, DataGoesIntoItsPlace) {
  Reply reply(accepted(1).result(25).opaque("12345"));
  EXPECT_TRUE(reply.reader.operation(Operation::read));
  std::string into(6, '-');
  const iovec part{into.data(), into.size()};
  EXPECT_EQ(reply.reader.data_into(IoView({&part, 1})), 5u);
  EXPECT_EQ(into, "12345-");
}

TEST(CompoundReader, MoreDataThanThereIsRoomForFails) {
  Reply reply(accepted(1).result(25).opaque("12345"));
  EXPECT_TRUE(reply.reader.operation(Operation::read));
  std::string into(4, '-');
  const iovec part{into.data(), into.size()};
  EXPECT_EQ(reply.reader.data_into(IoView({&part, 1})), 0u);
  EXPECT_TRUE(reply.reader.failed());
  EXPECT_EQ(into, "----");
}

Wire read_reply(uint32_t bytes) {
  return accepted(3).result(53).fixed(std::string(36, 's')).result(22).result(25).u32(0).u32(bytes);
}

TEST(FindReadData, KnowsWhereTheDataBegins) {
  const Wire head = read_reply(1000);
  Wire wire = head;
  wire.fixed(std::string(100, 'd'));
  const std::optional<DataPlace> place = find_read_data(wire.bytes);
  ASSERT_TRUE(place);
  EXPECT_EQ(place->offset, head.bytes.size());
  EXPECT_EQ(place->bytes, 1000u);
}

TEST(FindReadData, FindsNoneInAnythingElse) {
  const Wire wire = read_reply(1000);
  for (size_t size = 0; size < wire.bytes.size(); ++size) {
    EXPECT_FALSE(find_read_data(Bytes(wire.bytes).first(size))) << size;
  }
  const Wire error = accepted(3, Status::io)
                         .result(53)
                         .fixed(std::string(36, 's'))
                         .result(22)
                         .result(25, Status::io);
  EXPECT_FALSE(find_read_data(error.bytes));
  const Wire readdir =
      accepted(3).result(53).fixed(std::string(36, 's')).result(22).result(26).fixed("verifier");
  EXPECT_FALSE(find_read_data(readdir.bytes));
}

}  // namespace
}  // namespace dpfs::nfs
