// SPDX-License-Identifier: Apache-2.0
// What is left of opens, locks and sessions when a server has forgotten them.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "backend/nfs/nfs_fs_harness.h"

namespace dpfs::nfs {

namespace {

using Expiry = Responder::Expiry;

constexpr uint32_t kLongGraceMs = 600'000;

class Recovery : public testing::Test, public NfsFsHarness {
 protected:
  Recovery() : NfsFsHarness({.grace_ms = kLongGraceMs}) {}
  // Another client's, whose lock shows whether ours is there.
  bool is_locked_against_others(std::string_view name) {
    bool locked = false;
    server.with([&](responder::World& world) {
      locked = !world.state.locks(*world.tree.at(path(name))).empty();
    });
    return locked;
  }
};

TEST_F(Recovery, ALostSessionIsMadeAgain) {
  const File file = open_file("file", "hello");
  server.answer({.operation = Operation::sequence}, Status::badsession);
  EXPECT_EQ(read(file, 0, 100), "hello");
  server.answer({.operation = Operation::sequence}, Status::deadsession);
  EXPECT_EQ(read(file, 0, 100), "hello");
  release(file);
}

TEST_F(Recovery, OpensAndLocksAreReclaimedAfterARestart) {
  const File file = open_file("file", "hello");
  EXPECT_TRUE(lock(file, 1, F_WRLCK, {.start = 0, .end = 9}));
  server.restart();
  EXPECT_EQ(read(file, 0, 100), "hello");
  EXPECT_TRUE(is_locked_against_others("file"));
  EXPECT_EQ(write(file, 0, "HELLO"), 5u);
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(server.stable_contents(path("file")), "HELLO");
  EXPECT_TRUE(lock(file, 1, F_UNLCK));
  EXPECT_FALSE(is_locked_against_others("file"));
  release(file);
}

TEST_F(Recovery, NewOpensWaitForGraceToEnd) {
  const File file = open_file("file", "hello");
  put("other", "x");
  const NodeId other = node("other");
  // Somebody who has not come back yet holds grace up.
  server.with([](responder::World& world) {
    responder::Client& gone = world.state.new_client("gone", Verifier{});
    gone.confirmed = true;
    world.state.new_state(responder::State::Kind::open, gone, "owner", world.tree.root());
  });
  server.restart();
  Answer<fuse::OpenOut> opening = start(&NfsFs::open, {.node = other, .flags = O_RDONLY});
  EXPECT_EQ(read(file, 0, 100), "hello");
  ASSERT_TRUE(server.wait_for_executed(Operation::open, 3));
  EXPECT_FALSE(opening.is_there());
  server.end_grace();
  const Result<fuse::OpenOut> opened = opening.get();
  ASSERT_TRUE(opened) << describe(opened.error());
  release(other, Handle{opened->fh});
  release(file);
}

TEST_F(Recovery, AfterARestartWithoutGraceFilesAreOpenedAnew) {
  server.with([](responder::World& world) { world.options.grace_ms = 0; });
  const File file = open_file("file", "hello");
  server.restart();
  EXPECT_EQ(read(file, 0, 100), "hello");
  release(file);
}

TEST_F(Recovery, AFileThatIsGoneAfterARestartIsAnErrorOfThatFileOnly) {
  const File gone = open_file("gone", "hello");
  const File there = open_file("there", "hello");
  server.with([](responder::World& world) { world.options.grace_ms = 0; });
  server.remove(path("gone"));
  server.restart();
  EXPECT_EQ(read(there, 0, 100), "hello");
  const Errno why = read_error(gone);
  EXPECT_TRUE(why == Errno::io || why == Errno::stale) << describe(why);
  release_anyhow(gone);
  release(there);
}

TEST_F(Recovery, AForgottenClientComesBackWithANewId) {
  const File file = open_file("file", "hello");
  EXPECT_TRUE(lock(file, 1, F_WRLCK));
  server.expire_clients(Expiry::forgotten);
  EXPECT_EQ(read(file, 0, 100), "hello");
  EXPECT_TRUE(is_locked_against_others("file"));
  release(file);
}

TEST_F(Recovery, RevokedStateIsHadAgainInTheSameSession) {
  const File file = open_file("file", "hello");
  server.expire_clients(Expiry::revoked);
  EXPECT_EQ(read(file, 0, 100), "hello");
  EXPECT_EQ(write(file, 0, "HELLO"), 5u);
  release(file);
  const File other = open_file("other", "");
  release(other);
}

TEST_F(Recovery, RevokedStateIsGivenBackToTheServer) {
  const File file = open_file("file", "hello");
  EXPECT_TRUE(lock(file, 1, F_WRLCK));
  server.expire_clients(Expiry::revoked);
  EXPECT_EQ(read(file, 0, 100), "hello");
  EXPECT_TRUE(server.wait_until(
      [](responder::World& world) {
        for (const auto& [id, client] : world.state.clients()) {
          if (world.state.has_revoked(*client)) return false;
        }
        return true;
      },
      std::chrono::seconds(5)));
  release(file);
}

TEST_F(Recovery, ALockThatWasLostWhileSomebodyElseWroteIsAnError) {
  const File file = open_file("file", "hello");
  EXPECT_TRUE(lock(file, 1, F_WRLCK));
  EXPECT_EQ(write(file, 0, "HELLO"), 5u);
  server.expire_clients(Expiry::forgotten);
  put("file", "by somebody else");
  EXPECT_EQ(read_error(file), Errno::io);
  release_anyhow(file);
}

TEST_F(Recovery, BadStateidsAreReplaced) {
  const File file = open_file("file", "hello");
  for (const Status status : {Status::bad_stateid, Status::expired, Status::old_stateid,
                              Status::stale_stateid, Status::admin_revoked}) {
    server.answer({.operation = Operation::read}, status);
    EXPECT_EQ(read(file, 0, 100), "hello") << static_cast<int>(status);
    server.answer({.operation = Operation::write}, status);
    EXPECT_EQ(write(file, 0, "hello"), 5u) << static_cast<int>(status);
  }
  release(file);
}

TEST_F(Recovery, AStateidThatStaysBadEndsInAnErrorAndNotInALoop) {
  const File file = open_file("file", "hello");
  server.answer({.operation = Operation::read, .times = kAlways}, Status::bad_stateid);
  EXPECT_EQ(read_error(file), Errno::io);
  server.clear_rules();
  EXPECT_EQ(read(file, 0, 100), "hello");
  release(file);
}

TEST_F(Recovery, NewHandlesAfterARestartAreFoundByName) {
  const File file = open_file("file", "hello");
  server.make_handles_stale();
  server.restart();  // as one whose files have other handles each time
  EXPECT_NE(read_error(file), Errno::none);
  const NodeId again = node("file");
  const Handle handle = open(again);
  EXPECT_EQ(read({again, handle}, 0, 100), "hello");
  release(again, handle);
  release_anyhow(file);
}

TEST_F(Recovery, RestartsInARowAreSurvived) {
  const File file = open_file("file", "");
  std::string expected;
  for (int i = 0; i < 5; ++i) {
    const std::string piece = "piece " + std::to_string(i) + ";";
    EXPECT_EQ(write(file, expected.size(), piece), piece.size());
    expected += piece;
    server.restart();
  }
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(server.stable_contents(path("file")), expected);
  release(file);
}

TEST_F(Recovery, ARestartWhileReclaimingIsReclaimedAgain) {
  const File file = open_file("file", "hello");
  const File other = open_file("other", "world");
  server.drop_before({.operation = Operation::open, .skip = 1, .times = 2});
  server.restart();
  EXPECT_EQ(read(file, 0, 100), "hello");
  EXPECT_EQ(read(other, 0, 100), "world");
  release(file);
  release(other);
}

TEST_F(Recovery, SessionsAreRefusedForAWhile) {
  const File file = open_file("file", "hello");
  server.answer({.operation = Operation::create_session, .times = 2}, Status::delay);
  server.answer({.operation = Operation::exchange_id, .times = 2}, Status::delay);
  server.restart();
  EXPECT_EQ(read(file, 0, 100), "hello");
  release(file);
}

TEST_F(Recovery, RequestsThatWereUnderWayDuringARestartAreDone) {
  const File file = open_file("file", std::string(64, 'x'));
  server.hold({.operation = Operation::read, .times = 16});
  std::vector<Reading> readings;
  for (size_t i = 0; i < 16; ++i) readings.push_back(start_read(file, i, 1));
  ASSERT_TRUE(server.wait_for_executed(Operation::read, 16));
  server.restart();
  for (Reading& reading : readings) EXPECT_EQ(reading.get(), "x");
  release(file);
}

// Whether it was done before the restart nobody can say: the name is gone, as it was asked for.
TEST_F(Recovery, AnUnlinkThatARestartLeftInDoubtIsDone) {
  put("file", "");
  node("file");
  server.hold({.operation = Operation::remove});
  Answer<Unit> removing = start(&NfsFs::unlink, {.parent = NodeId::root, .name = name_of("file")});
  ASSERT_TRUE(server.wait_for_executed(Operation::remove, 1));
  server.restart();
  const Result<Unit> removed = removing.get();
  EXPECT_TRUE(removed) << describe(removed.error());
}

TEST_F(Recovery, AnExclusiveCreateThatARestartLeftInDoubtIsDone) {
  server.hold({.operation = Operation::open});
  Answer<CreateOut> creating = start(&NfsFs::create, {.parent = NodeId::root,
                                                      .name = name_of("file"),
                                                      .flags = O_RDWR | O_CREAT | O_EXCL,
                                                      .mode = 0644});
  ASSERT_TRUE(server.wait_for_executed(Operation::open, 1));
  server.restart();
  const Result<CreateOut> created = creating.get();
  ASSERT_TRUE(created) << describe(created.error());
  release(NodeId{created->entry.nodeid}, Handle{created->open.fh});
}

TEST_F(Recovery, TheServerIsAwayForAWhile) {
  const File file = open_file("file", "hello");
  server.stop_listening();
  server.drop_connections();
  Reading reading = start_read(file, 0, 100);
  server.listen_again();
  EXPECT_EQ(reading.get(), "hello");
  release(file);
}

TEST_F(Recovery, SilenceOfTheServerIsEndedByANewConnection) {
  const File file = open_file("file", "hello");
  server.lose_before({.operation = Operation::read});
  // The default patience is a minute: nothing to wait for in a test.
  Reading reading = start_read(file, 0, 100);
  ASSERT_TRUE(server.wait_until([](responder::World& world) {
    return world.seen.back().operations.back() == Operation::read;
  }));
  server.drop_connections();
  EXPECT_EQ(reading.get(), "hello");
  release(file);
}

TEST(RecoveryOfASlowServer, WhoDoesNotAnswerInTimeIsAskedAgain) {
  NfsOptions options;
  options.timeo_ds = 10;
  NfsFsHarness harness({}, options);
  const NfsFsHarness::File file = harness.open_file("file", "hello");
  harness.server.lose_before({.operation = Operation::read});
  EXPECT_EQ(harness.read(file, 0, 100), "hello");
  harness.server.lose_after({.operation = Operation::write});
  EXPECT_EQ(harness.write(file, 0, "HELLO"), 5u);
  EXPECT_EQ(harness.server.counters().false_retries, 0u);
  harness.release(file);
}

TEST(RecoveryOfASlowServer, ASoftMountGivesUp) {
  NfsOptions options;
  options.timeo_ds = 10;
  options.retrans = 1;
  options.soft = true;
  NfsFsHarness harness({}, options);
  const NfsFsHarness::File file = harness.open_file("file", "hello");
  harness.server.stop_listening();
  harness.server.drop_connections();
  EXPECT_EQ(harness.read_error(file), Errno::io);
  harness.server.listen_again();
  EXPECT_EQ(harness.read(file, 0, 100), "hello");
  harness.release(file);
}

TEST(RecoveryOfASlowServer, ASoftMountGivesUpOnSilence) {
  NfsOptions options;
  options.timeo_ds = 10;
  options.retrans = 1;
  options.soft = true;
  NfsFsHarness harness({}, options);
  const NfsFsHarness::File file = harness.open_file("file", "hello");
  harness.server.lose_before({.operation = Operation::read, .times = kAlways});
  EXPECT_EQ(harness.read_error(file), Errno::io);
  harness.server.clear_rules();
  EXPECT_EQ(harness.read(file, 0, 100), "hello");
  EXPECT_EQ(harness.server.counters().misordered, 0u);
  EXPECT_EQ(harness.server.counters().false_retries, 0u);
  harness.release(file);
}

TEST(RecoveryOfASlowServer, ASoftMountGivesUpWhenTheServerStandsStill) {
  NfsOptions options;
  options.timeo_ds = 10;
  options.retrans = 1;
  options.soft = true;
  NfsFsHarness harness({}, options);
  const NfsFsHarness::File file = harness.open_file("file", "hello");
  harness.server.pause();
  EXPECT_EQ(harness.read_error(file), Errno::io);
  harness.server.go_on();
  EXPECT_EQ(harness.read(file, 0, 100), "hello");
  EXPECT_EQ(harness.server.counters().misordered, 0u);
  EXPECT_EQ(harness.server.counters().false_retries, 0u);
  harness.release(file);
}

TEST(RecoveryAtTheStart, OperationsWaitUntilTheServerIsThere) {
  NfsFsHarness harness;
  harness.on_reactor([&] { harness.fs().end(); });
  harness.server.stop_listening();
  harness.begin();
  harness.put("file", "");
  Answer<fuse::EntryOut> looking =
      harness.start(&NfsFs::lookup, {.parent = NodeId::root, .name = name_of("file")});
  harness.server.listen_again();
  const Result<fuse::EntryOut> found = looking.get();
  EXPECT_TRUE(found) << describe(found.error());
}

TEST(RecoveryAtTheStart, OlderServersAreSpokenToIn4_1) {
  NfsFsHarness harness({.minor_version_max = 1});
  const NfsFsHarness::File file = harness.open_file("file", "hello");
  EXPECT_EQ(harness.read(file, 0, 100), "hello");
  EXPECT_EQ(harness.fs().client().minor_version(), 1u);
  harness.release(file);
}

}  // namespace

}  // namespace dpfs::nfs
