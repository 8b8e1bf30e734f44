// SPDX-License-Identifier: Apache-2.0
// Each request is executed once, whatever becomes of connections and answers.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "backend/nfs/nfs_fs_harness.h"

namespace dpfs::nfs {

namespace {

class ExactlyOnce : public testing::Test, public NfsFsHarness {
 protected:
  void expect_no_protocol_errors() {
    const responder::Counters counters = server.counters();
    EXPECT_EQ(counters.false_retries, 0u);
    EXPECT_EQ(counters.misordered, 0u);
  }
};

TEST_F(ExactlyOnce, AFileIsReadAndWritten) {
  const File file = open_file("file", "hello");
  EXPECT_EQ(read(file, 0, 100), "hello");
  EXPECT_EQ(write(file, 5, " world"), 6u);
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(on_server("file"), "hello world");
  release(file);
  expect_no_protocol_errors();
}

TEST_F(ExactlyOnce, UnlinkWhoseAnswerIsLostSucceeds) {
  put("file", "");
  node("file");
  server.drop_after({.operation = Operation::remove});
  EXPECT_TRUE(call(&NfsFs::unlink, {.parent = NodeId::root, .name = name_of("file")}));
  EXPECT_EQ(server.executed(Operation::remove), 1u);
  EXPECT_EQ(server.counters().replays, 1u);
  expect_no_protocol_errors();
}

TEST_F(ExactlyOnce, UnlinkThatNeverArrivedIsExecuted) {
  put("file", "");
  node("file");
  server.drop_before({.operation = Operation::remove});
  EXPECT_TRUE(call(&NfsFs::unlink, {.parent = NodeId::root, .name = name_of("file")}));
  EXPECT_EQ(server.executed(Operation::remove), 1u);
  EXPECT_EQ(server.counters().replays, 0u);
  expect_no_protocol_errors();
}

TEST_F(ExactlyOnce, MkdirRenameAndLinkWhoseAnswersAreLostSucceed) {
  put("file", "");
  const NodeId file = node("file");
  server.drop_after({.operation = Operation::create});
  EXPECT_TRUE(call(&NfsFs::mkdir, {.parent = NodeId::root, .name = name_of("dir"), .mode = 0755}));
  server.drop_after({.operation = Operation::rename});
  EXPECT_TRUE(call(&NfsFs::rename2, {.parent = NodeId::root,
                                     .name = name_of("file"),
                                     .new_parent = NodeId::root,
                                     .new_name = name_of("renamed")}));
  server.drop_after({.operation = Operation::link});
  EXPECT_TRUE(call(&NfsFs::link,
                   {.node = file, .new_parent = NodeId::root, .new_name = name_of("second")}));
  for (const Operation operation : {Operation::create, Operation::rename, Operation::link}) {
    EXPECT_EQ(server.executed(operation), 1u);
  }
  expect_no_protocol_errors();
}

TEST_F(ExactlyOnce, ExclusiveCreateWhoseAnswerIsLostSucceeds) {
  ASSERT_TRUE(look_up(NodeId::root, "none").error() == Errno::noent);
  server.drop_after({.operation = Operation::open});
  const Result<CreateOut> created = create("file", O_RDWR | O_CREAT | O_EXCL);
  ASSERT_TRUE(created) << describe(created.error());
  EXPECT_EQ(server.executed(Operation::open), 1u);
  EXPECT_EQ(create("file", O_RDWR | O_CREAT | O_EXCL).error(), Errno::exist);
  release(NodeId{created->entry.nodeid}, Handle{created->open.fh});
  expect_no_protocol_errors();
}

TEST_F(ExactlyOnce, ReadsAndWritesWhoseAnswersAreLostAreDone) {
  const File file = open_file("file", "hello");
  server.drop_after({.operation = Operation::read});
  EXPECT_EQ(read(file, 0, 100), "hello");
  server.drop_after({.operation = Operation::write});
  EXPECT_EQ(write(file, 0, "HELLO"), 5u);
  server.drop_after({.operation = Operation::commit});
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(server.stable_contents(path("file")), "HELLO");
  release(file);
  expect_no_protocol_errors();
}

TEST_F(ExactlyOnce, EveryThirdConnectionLossIsSurvived) {
  const File file = open_file("file", "");
  server.drop_after({.skip = 2, .every = 7, .times = 6});
  server.drop_before({.skip = 5, .every = 9, .times = 6});
  std::string expected;
  for (int i = 0; i < 40; ++i) {
    const std::string piece = "piece " + std::to_string(i) + ";";
    EXPECT_EQ(write(file, expected.size(), piece), piece.size());
    expected += piece;
  }
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(read(file, 0, 4096), expected);
  EXPECT_EQ(server.stable_contents(path("file")), expected);
  release(file);
  expect_no_protocol_errors();
}

TEST_F(ExactlyOnce, AnswersOutOfOrderFindTheirRequests) {
  std::string contents(64 * 4096, '\0');
  for (size_t i = 0; i < contents.size(); ++i) contents[i] = static_cast<char>(i / 4096 + 1);
  const File file = open_file("file", contents);
  server.hold({.operation = Operation::read, .times = 32});
  std::vector<Reading> readings;
  for (size_t i = 0; i < 32; ++i) readings.push_back(start_read(file, i * 4096, 4096));
  ASSERT_TRUE(server.wait_for_executed(Operation::read, 32));
  server.release_held(Responder::Order::last_first);
  for (size_t i = 0; i < 32; ++i) {
    EXPECT_TRUE(readings[i].get() == contents.substr(i * 4096, 4096)) << i;
  }
  release(file);
}

TEST_F(ExactlyOnce, FragmentsAndTinySegmentsArePutTogether) {
  const std::string contents(100'000, 'x');
  const File file = open_file("file", contents);
  server.fragment(1000);
  EXPECT_TRUE(read(file, 0, 100'000) == contents);
  server.segment(777);
  EXPECT_TRUE(read(file, 0, 100'000) == contents);
  server.fragment(3);
  server.segment(1);
  EXPECT_EQ(read(file, 0, 10), std::string(10, 'x'));
  server.fragment(0);
  EXPECT_TRUE(read(file, 0, 3000) == contents.substr(0, 3000));
  server.segment(0);
  release(file);
}

TEST_F(ExactlyOnce, LargeReadsInFragmentsAndSegmentsAreWhole) {
  std::string contents(300'000, '\0');
  for (size_t i = 0; i < contents.size(); ++i) contents[i] = static_cast<char>(i * 7 / 5);
  const File file = open_file("file", contents);
  for (const size_t fragment : {0u, 100'001u, 65'536u}) {
    for (const size_t segment : {0u, 30'011u, 4'099u}) {
      server.fragment(fragment);
      server.segment(segment);
      EXPECT_TRUE(read(file, 0, 300'000) == contents) << fragment << " " << segment;
    }
  }
  server.fragment(0);
  server.segment(0);
  release(file);
}

TEST_F(ExactlyOnce, DelayOfSequenceAndOfOperationsIsWaitedFor) {
  const File file = open_file("file", "hello");
  server.answer({.operation = Operation::sequence, .times = 2}, Status::delay);
  EXPECT_EQ(read(file, 0, 100), "hello");
  server.answer({.operation = Operation::read, .times = 2}, Status::delay);
  EXPECT_EQ(read(file, 0, 100), "hello");
  server.answer({.operation = Operation::write, .times = 2}, Status::delay);
  EXPECT_EQ(write(file, 0, "HELLO"), 5u);
  server.answer({.operation = Operation::remove, .times = 2}, Status::delay);
  put("other", "");
  EXPECT_TRUE(call(&NfsFs::unlink, {.parent = NodeId::root, .name = name_of("other")}));
  EXPECT_EQ(server.executed(Operation::remove), 1u);
  release(file);
  expect_no_protocol_errors();
}

// Such as a GETATTR behind a CREATE: all of it is asked again, and the name is there by then.
TEST_F(ExactlyOnce, ADelayOfALaterOperationIsNoSecondTry) {
  server.answer({.operation = Operation::getattr}, Status::delay);
  EXPECT_TRUE(call(&NfsFs::mkdir, {.parent = NodeId::root, .name = name_of("new"), .mode = 0755}));
  put("old", "x");
  const NodeId old = node("old");
  server.answer({.operation = Operation::getattr}, Status::delay);
  EXPECT_TRUE(
      call(&NfsFs::link, {.node = old, .new_parent = NodeId::root, .new_name = name_of("other")}));
}

TEST_F(ExactlyOnce, OperationsThatChangeSomethingAskTheSlotToKeepTheAnswer) {
  const File file = open_file("file", "hello");
  put("other", "");
  EXPECT_TRUE(call(&NfsFs::unlink, {.parent = NodeId::root, .name = name_of("other")}));
  EXPECT_TRUE(call(&NfsFs::mkdir, {.parent = NodeId::root, .name = name_of("dir"), .mode = 0755}));
  EXPECT_TRUE(lock(file, 1, F_WRLCK));
  release(file);
  for (const responder::Seen& seen : server.seen()) {
    for (const Operation operation : seen.operations) {
      switch (operation) {
        case Operation::open:
        case Operation::close:
        case Operation::remove:
        case Operation::create:
        case Operation::lock:
        case Operation::locku:
          EXPECT_TRUE(seen.cache_this) << static_cast<int>(operation);
          break;
        default:
          break;
      }
    }
  }
}

TEST(ExactlyOnceFewSlots, NoMoreRequestsAreUnderWayThanThereAreSlots) {
  NfsFsHarness harness({.slots = 2});
  const NfsFsHarness::File file = harness.open_file("file", std::string(64, 'x'));
  harness.server.hold({.operation = Operation::read, .times = kAlways});
  std::vector<NfsFsHarness::Reading> readings;
  for (size_t i = 0; i < 8; ++i) readings.push_back(harness.start_read(file, i, 1));
  ASSERT_TRUE(harness.server.wait_for_executed(Operation::read, 2));
  EXPECT_EQ(harness.server.held(), 2u);
  harness.server.clear_rules();
  harness.server.release_held(Responder::Order::last_first);
  for (NfsFsHarness::Reading& reading : readings) EXPECT_EQ(reading.get(), "x");
  EXPECT_EQ(harness.server.counters().misordered, 0u);
  harness.release(file);
}

TEST(ExactlyOnceFewSlots, WhenTheServerWantsFewerSlotsFewerAreUsed) {
  NfsFsHarness harness({.slots = 16});
  const NfsFsHarness::File file = harness.open_file("file", std::string(64, 'x'));
  harness.server.with([](responder::World& world) { world.target_slots = 1; });
  harness.read(file, 0, 1);
  harness.server.hold({.operation = Operation::read, .times = 1});
  std::vector<NfsFsHarness::Reading> readings;
  for (size_t i = 0; i < 8; ++i) readings.push_back(harness.start_read(file, i, 1));
  ASSERT_TRUE(harness.server.wait_for_executed(Operation::read, 2));
  EXPECT_EQ(harness.server.executed(Operation::read), 2u);
  harness.server.with([](responder::World& world) { world.target_slots = UINT32_MAX; });
  harness.server.release_held(Responder::Order::as_they_came);
  for (NfsFsHarness::Reading& reading : readings) EXPECT_EQ(reading.get(), "x");
  harness.release(file);
}

TEST(ExactlyOnceConnections, SeveralAreBoundToTheSession) {
  NfsOptions options;
  options.nconnect = 4;
  NfsFsHarness harness({.require_binding = true}, options);
  const NfsFsHarness::File file = harness.open_file("file", std::string(64, 'x'));
  std::vector<NfsFsHarness::Reading> readings;
  for (size_t i = 0; i < 32; ++i) readings.push_back(harness.start_read(file, i, 1));
  for (NfsFsHarness::Reading& reading : readings) EXPECT_EQ(reading.get(), "x");
  EXPECT_EQ(harness.server.counters().connections, 4u);
  harness.server.drop_connections();
  EXPECT_EQ(harness.read(file, 0, 4), "xxxx");
  harness.release(file);
}

}  // namespace

}  // namespace dpfs::nfs
