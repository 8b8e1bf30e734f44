// SPDX-License-Identifier: Apache-2.0
// What a test can make go wrong.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "responder/raw_client_harness.h"
#include "responder/responder.h"

namespace dpfs::responder {

namespace {

class ScriptTest : public testing::Test {
 protected:
  ScriptTest() : client(responder.port()) { client.begin(); }
  RawClient::Compound getfh(uint32_t slot = 0) {
    RawClient::Compound request = client.compound(1, slot);
    request.root().op(Operation::getfh);
    return request;
  }
  Responder responder;
  RawClient client;
};

TEST_F(ScriptTest, RulesCountWhatTheySee) {
  responder.answer({.operation = Operation::getfh, .skip = 1, .every = 2, .times = 2},
                   Status::delay);
  std::vector<bool> delayed;
  for (int i = 0; i < 7; ++i) delayed.push_back(client.call(getfh()).status == Status::delay);
  EXPECT_EQ(delayed, (std::vector<bool>{false, false, true, false, true, false, false}));
  EXPECT_EQ(responder.executed(Operation::getfh), 5u);
}

TEST_F(ScriptTest, AnErrorOfSequenceLeavesTheSlotAsItWas) {
  responder.answer({.operation = Operation::sequence}, Status::delay);
  const RawClient::Compound request = getfh();
  EXPECT_EQ(client.call(request).status, Status::delay);
  EXPECT_EQ(client.call(request).status, Status::ok);
  EXPECT_EQ(responder.executed(Operation::getfh), 1u);
}

TEST_F(ScriptTest, AnErrorOfALaterOperationIsWhatTheSlotAnswersAgain) {
  responder.answer({.operation = Operation::getfh}, Status::delay);
  const RawClient::Compound request = getfh();
  EXPECT_EQ(client.call(request).status, Status::delay);
  EXPECT_EQ(client.call(request).status, Status::delay);
  EXPECT_EQ(responder.counters().replays, 1u);
}

TEST_F(ScriptTest, DroppedBeforeIsNotExecutedAndAfterIs) {
  responder.put_file("a", "");
  responder.put_file("b", "");
  responder.drop_before({.operation = Operation::remove});
  RawClient::Compound request = client.compound(1);
  request.root().op(Operation::remove).text("a");
  EXPECT_FALSE(client.call(request).came);
  EXPECT_TRUE(responder.exists("a"));
  client.connect();
  EXPECT_EQ(client.call(request).status, Status::ok);

  responder.drop_after({.operation = Operation::remove});
  request = client.compound(1);
  request.root().op(Operation::remove).text("b");
  EXPECT_FALSE(client.call(request).came);
  EXPECT_FALSE(responder.exists("b"));
  client.connect();
  EXPECT_EQ(client.call(request).status, Status::ok);
  EXPECT_EQ(responder.executed(Operation::remove), 2u);
}

TEST_F(ScriptTest, LostRequestsAreNotAnsweredAndOthersAre) {
  responder.lose_before({.operation = Operation::getfh});
  client.send(getfh(0));
  const uint32_t first = client.xid;
  const Results results = client.call(getfh(1));
  EXPECT_EQ(results.xid, first + 1);
  EXPECT_EQ(responder.executed(Operation::getfh), 1u);
}

TEST_F(ScriptTest, HeldAnswersComeTheLastOneFirst) {
  responder.hold({.operation = Operation::getfh, .times = 3});
  const uint32_t first = client.xid + 1;
  for (uint32_t slot = 0; slot < 3; ++slot) client.send(getfh(slot));
  ASSERT_TRUE(responder.wait_for_executed(Operation::getfh, 3));
  EXPECT_EQ(responder.held(), 3u);
  responder.release_held(Responder::Order::last_first);
  for (uint32_t i = 3; i > 0; --i) EXPECT_EQ(client.receive().xid, first + i - 1);
}

TEST_F(ScriptTest, GroupsAreReorderedAndNothingStaysBehind) {
  responder.reorder(4);
  std::set<uint32_t> expected;
  std::set<uint32_t> came;
  for (uint32_t slot = 0; slot < 6; ++slot) {
    client.send(getfh(slot));
    expected.insert(client.xid);
  }
  for (int i = 0; i < 6; ++i) came.insert(client.receive().xid);
  EXPECT_EQ(came, expected);
}

TEST_F(ScriptTest, AnswersComeInFragmentsAndInTinySegments) {
  responder.fragment(7);
  responder.segment(3);
  const Results results = client.call(getfh());
  EXPECT_EQ(results.status, Status::ok);
  EXPECT_GT(client.fragments, 10u);
}

TEST_F(ScriptTest, DelayedAnswersCome) {
  responder.delay({.operation = Operation::getfh}, std::chrono::milliseconds(1));
  EXPECT_EQ(client.call(getfh()).status, Status::ok);
}

TEST_F(ScriptTest, ShortReadsAreNotTheEndOfTheFile) {
  responder.put_file("file", "0123456789");
  const RawClient::Opened file = client.open("file");
  responder.shorten({.operation = Operation::read, .times = 1}, 4);
  EXPECT_EQ(client.read(file, 0, 10), "0123");
  EXPECT_EQ(client.read(file, 4, 10), "456789");
}

TEST_F(ScriptTest, DamageIsTheSameForTheSameSeed) {
  std::vector<uint8_t> whole;
  for (const uint64_t seed : {7u, 7u, 8u}) {
    Replies replies;
    Reply reply{.connection = 1, .message = std::vector<uint8_t>(100, 0xaa)};
    replies.damage(reply, Damage::bits_flipped, seed);
    whole.insert(whole.end(), reply.message.begin(), reply.message.end());
  }
  EXPECT_TRUE(std::equal(whole.begin(), whole.begin() + 100, whole.begin() + 100));
  EXPECT_FALSE(std::equal(whole.begin(), whole.begin() + 100, whole.begin() + 200));
}

TEST_F(ScriptTest, DamagedAnswersAreOfTheirKind) {
  const size_t sound = client.call(getfh()).message.size();
  responder.damage({.operation = Operation::getfh}, Damage::truncated);
  EXPECT_LT(client.call(getfh()).message.size(), sound);
  responder.damage({.operation = Operation::getfh}, Damage::oversized);
  EXPECT_GT(client.call(getfh()).message.size(), sound);
  responder.damage({.operation = Operation::getfh}, Damage::wrong_xid);
  const Results other = client.call(getfh());
  EXPECT_NE(other.xid, client.xid);
}

TEST_F(ScriptTest, RpcErrorsExecuteNothing) {
  responder.answer_rpc_error({}, AcceptStat::garbage_arguments);
  EXPECT_EQ(client.call(getfh()).accept_stat, 4u);
  EXPECT_EQ(responder.executed(Operation::getfh), 0u);
}

TEST_F(ScriptTest, RefusedUntilItListensAgain) {
  responder.stop_listening();
  responder.drop_connections();
  client.connect();
  EXPECT_FALSE(client.connected);
  responder.listen_again();
  client.connect();
  EXPECT_TRUE(client.connected);
  EXPECT_EQ(client.call(getfh()).status, Status::ok);
}

TEST_F(ScriptTest, PausedItAnswersNothingAndThenAll) {
  responder.pause();
  client.send(getfh());
  EXPECT_EQ(responder.executed(Operation::getfh), 0u);
  responder.go_on();
  EXPECT_EQ(client.receive().status, Status::ok);
}

TEST_F(ScriptTest, EveryCallIsSeenWithWhoMadeIt) {
  client.uid = 1000;
  client.gid = 100;
  client.call(getfh());
  const Seen last = responder.seen().back();
  EXPECT_EQ(last.credential.uid, 1000u);
  EXPECT_EQ(last.credential.gid, 100u);
  EXPECT_TRUE(last.cache_this);
  EXPECT_EQ(last.operations,
            (std::vector{Operation::sequence, Operation::putrootfh, Operation::getfh}));
}

}  // namespace

}  // namespace dpfs::responder
