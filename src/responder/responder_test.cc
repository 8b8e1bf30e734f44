// SPDX-License-Identifier: Apache-2.0
// The responder as a server: files, names, sessions.
#include "responder/responder.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "responder/raw_client_harness.h"

namespace dpfs::responder {

namespace {

class ResponderTest : public testing::Test {
 protected:
  ResponderTest() : client(responder.port()) { client.begin(); }
  Responder responder;
  RawClient client;
};

TEST_F(ResponderTest, WhatIsWrittenIsReadAndThere) {
  const RawClient::Opened file = client.open("file", true);
  ASSERT_EQ(file.status, Status::ok);
  Results written = client.write(file, 3, "hello", nfs::Stable::file_sync);
  ASSERT_EQ(written.next(Operation::write), Status::ok);
  EXPECT_EQ(written.body.u32(), 5u);
  EXPECT_EQ(client.read(file, 0, 100), std::string("\0\0\0hello", 8));
  EXPECT_EQ(responder.contents("file"), std::string("\0\0\0hello", 8));
  EXPECT_EQ(client.close(file), Status::ok);
  EXPECT_EQ(client.close(file), Status::bad_stateid);
}

TEST_F(ResponderTest, GuardedCreateOfWhatExistsIsRefused) {
  responder.put_file("file", "x");
  EXPECT_EQ(client.open("file", true).status, Status::exist);
  EXPECT_EQ(client.open("other").status, Status::noent);
}

TEST_F(ResponderTest, DirectoriesAreListedWithAttributesInSeveralReplies) {
  for (int i = 0; i < 100; ++i) responder.put_file("dir/file" + std::to_string(i), "x");
  const nfs::FileHandle directory = client.look_up("dir");
  uint64_t cookie = 0;
  nfs::Verifier verifier;
  std::set<std::string> names;
  int replies = 0;
  for (bool all = false; !all; ++replies) {
    RawClient::Compound request = client.compound(1);
    request.fh(directory).op(Operation::readdir).u64(cookie).fixed(verifier.bytes);
    request.u32(0).u32(1000).u32(1).u32(1u << nfs::attribute::kSize);
    Results results = client.call(request);
    ASSERT_EQ(results.status, Status::ok);
    results.next(Operation::putfh);
    results.next(Operation::readdir);
    results.body.fixed(verifier.bytes);
    while (results.body.boolean()) {
      cookie = results.body.u64();
      names.emplace(results.body.text(255));
      ASSERT_EQ(results.body.u32(), 1u);
      ASSERT_EQ(results.body.u32(), 1u << nfs::attribute::kSize);
      ASSERT_EQ(results.body.u32(), 8u);
      ASSERT_EQ(results.body.u64(), 1u);
    }
    all = results.body.boolean();
    ASSERT_FALSE(results.body.failed());
  }
  EXPECT_EQ(names.size(), 100u);
  EXPECT_GT(replies, 3);
}

TEST_F(ResponderTest, RenameMovesAndReplaces) {
  responder.put_file("a", "of a");
  responder.put_file("dir/b", "of b");
  const nfs::FileHandle directory = client.look_up("dir");
  RawClient::Compound request = client.compound(1);
  request.root().op(Operation::savefh).fh(directory).op(Operation::rename).text("a").text("b");
  EXPECT_EQ(client.call(request).status, Status::ok);
  EXPECT_FALSE(responder.exists("a"));
  EXPECT_EQ(responder.contents("dir/b"), "of a");
}

TEST_F(ResponderTest, ADirectoryIsNotMovedIntoItself) {
  responder.put_file("dir/in/file", "");
  const nfs::FileHandle inner = client.look_up("dir");
  RawClient::Compound request = client.compound(1);
  request.root().op(Operation::savefh).fh(inner).op(Operation::rename).text("dir").text("x");
  EXPECT_EQ(client.call(request).status, Status::inval);
}

TEST_F(ResponderTest, RemovedFilesHandleIsStale) {
  responder.put_file("file", "x");
  const nfs::FileHandle handle = client.look_up("file");
  RawClient::Compound request = client.compound(1);
  request.root().op(Operation::remove).text("file");
  EXPECT_EQ(client.call(request).status, Status::ok);
  EXPECT_EQ(client.call(client.compound(1).fh(handle)).status, Status::stale);
}

TEST_F(ResponderTest, ARequestAgainIsAnsweredFromTheSlotAndNotExecuted) {
  responder.put_file("file", "x");
  RawClient::Compound request = client.compound(1);
  request.root().op(Operation::remove).text("file");
  EXPECT_EQ(client.call(request).status, Status::ok);
  EXPECT_EQ(client.call(request).status, Status::ok);
  EXPECT_EQ(responder.executed(Operation::remove), 1u);
  EXPECT_EQ(responder.counters().replays, 1u);
}

TEST_F(ResponderTest, WhatWasNotCachedIsNotAnsweredAgain) {
  RawClient::Compound request = client.compound(1, 0, false);
  request.root().op(Operation::getfh);
  EXPECT_EQ(client.call(request).status, Status::ok);
  EXPECT_EQ(client.call(request).status, Status::retry_uncached_rep);
}

TEST_F(ResponderTest, AnotherRequestWithASlotsOldSequenceIsAFalseRetry) {
  EXPECT_EQ(client.call(client.compound(1).root()).status, Status::ok);
  const uint32_t sequence = client.sequences[0];
  RawClient::Compound other = client.compound_at(1, 0, sequence, true);
  other.root().op(Operation::getfh);
  EXPECT_EQ(client.call(other).status, Status::seq_false_retry);
}

TEST_F(ResponderTest, SequencesAndSlotsAreChecked) {
  const uint32_t sequence = client.sequences[0];
  EXPECT_EQ(client.call(client.compound_at(1, 0, sequence + 2, true)).status,
            Status::seq_misordered);
  EXPECT_EQ(client.call(client.compound_at(1, 8, 1, true)).status, Status::badslot);
  client.session.bytes[0] ^= 1;
  EXPECT_EQ(client.call(client.compound_at(1, 0, sequence + 1, true)).status, Status::badsession);
}

TEST_F(ResponderTest, OperationsNeedASession) {
  EXPECT_EQ(client.call(RawClient::bare(1).root()).status, Status::op_not_in_session);
  EXPECT_EQ(client.call(RawClient::bare(0).root()).status, Status::minor_vers_mismatch);
}

TEST_F(ResponderTest, ARestartLosesSessionsAndWhatWasNotCommitted) {
  const RawClient::Opened file = client.open("file", true);
  ASSERT_EQ(file.status, Status::ok);
  Results written = client.write(file, 0, "stable", nfs::Stable::file_sync);
  ASSERT_EQ(written.next(Operation::write), Status::ok);
  written = client.write(file, 0, "UNST", nfs::Stable::unstable);
  ASSERT_EQ(written.next(Operation::write), Status::ok);
  EXPECT_EQ(responder.contents("file"), "UNSTle");
  responder.restart();
  EXPECT_EQ(responder.contents("file"), "stable");
  client.connect();
  EXPECT_EQ(client.call(client.compound(1).root()).status, Status::badsession);
  EXPECT_EQ(client.create_session(), Status::stale_clientid);
}

TEST_F(ResponderTest, CommitMakesStableAndSaysWithWhichServer) {
  const RawClient::Opened file = client.open("file", true);
  Results written = client.write(file, 0, "text", nfs::Stable::unstable);
  ASSERT_EQ(written.next(Operation::write), Status::ok);
  written.body.skip(8);
  nfs::Verifier of_write;
  written.body.fixed(of_write.bytes);
  EXPECT_EQ(responder.stable_contents("file"), "");
  RawClient::Compound request = client.compound(1);
  request.fh(file.handle).op(Operation::commit).u64(0).u32(0);
  Results committed = client.call(request);
  committed.next(Operation::putfh);
  ASSERT_EQ(committed.next(Operation::commit), Status::ok);
  nfs::Verifier of_commit;
  committed.body.fixed(of_commit.bytes);
  EXPECT_EQ(of_commit, of_write);
  EXPECT_EQ(responder.stable_contents("file"), "text");
}

TEST(Responder, ThePreparedFileIsReadAtAnyOffset) {
  Responder responder;
  responder.put_prepared_file("data", uint64_t{1} << 40);
  RawClient client(responder.port());
  client.begin();
  const RawClient::Opened file = client.open("data");
  const uint64_t offset = (uint64_t{1} << 39) + 123;
  std::string expected;
  responder.with([&](World& world) {
    const nfs::Bytes bytes = world.prepared_bytes(offset, 8192);
    expected.assign(bytes.begin(), bytes.end());
  });
  EXPECT_TRUE(client.read(file, offset, 8192) == expected);
  EXPECT_EQ(client.read(file, (uint64_t{1} << 40) - 3, 8192).size(), 3u);
}

}  // namespace

}  // namespace dpfs::responder
