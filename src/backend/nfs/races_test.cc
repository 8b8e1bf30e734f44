// SPDX-License-Identifier: Apache-2.0
// What happens at the same time: operations of a tenant, recovery, and answers that come late.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "backend/nfs/nfs_fs_harness.h"
#include "fuse/dirent_writer.h"

namespace dpfs::nfs {

namespace {

using Expiry = Responder::Expiry;

class Races : public testing::Test, public NfsFsHarness {
 protected:
  Races() : NfsFsHarness({.grace_ms = 600'000}) {}
};

TEST_F(Races, AListingWhoseAnswerWasGarbledHasEachNameOnce) {
  for (int i = 0; i < 50; ++i) put("dir/entry" + std::to_string(i), "x");
  const NodeId directory = node("dir");
  for (const bool plus : {false, true}) {
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      server.damage({.operation = Operation::readdir}, Damage::truncated, seed);
      std::vector<std::string> names = list(directory, plus);
      EXPECT_EQ(names.size(), 52u) << "seed " << seed;
      std::ranges::sort(names);
      EXPECT_TRUE(std::ranges::adjacent_find(names) == names.end()) << "seed " << seed;
      server.clear_rules();
    }
  }
}

TEST_F(Races, ALockIsGivenUpByCloseAndByFlushAtOnce) {
  const File one = open_file("file", "x");
  const File two{one.node, open(one.node)};
  EXPECT_TRUE(lock(one, 7, F_WRLCK));
  server.hold({.operation = Operation::locku, .times = kAlways});
  Answer<Unit> releasing = start(&NfsFs::release, {.node = one.node, .handle = one.handle});
  ASSERT_TRUE(server.wait_for_executed(Operation::locku, 1));
  Answer<Unit> flushing =
      start(&NfsFs::flush, {.node = two.node, .handle = two.handle, .lock_owner = 7});
  on_reactor([] {});
  server.clear_rules();
  server.release_held(Responder::Order::last_first);
  EXPECT_TRUE(releasing.get());
  EXPECT_TRUE(flushing.get());
  release(two);
}

TEST_F(Races, AFileIsClosedWhileItsStateIsRecovered) {
  const File file = open_file("file", "x");
  const File other = open_file("other", "y");
  server.answer({.operation = Operation::read}, Status::expired);
  server.hold({.operation = Operation::read});
  Reading reading = start_read(file, 0, 1);
  ASSERT_TRUE(server.wait_until([&](responder::World& world) {
    return world.counters.injected[static_cast<uint32_t>(Operation::read)] == 1;
  }));
  server.delay({.operation = Operation::close}, std::chrono::milliseconds(300));
  Answer<Unit> releasing = start(&NfsFs::release, {.node = file.node, .handle = file.handle});
  ASSERT_TRUE(server.wait_for_executed(Operation::close, 1));
  server.delay({.operation = Operation::open}, std::chrono::milliseconds(600));
  server.release_held(Responder::Order::as_they_came);
  reading.get();
  EXPECT_TRUE(releasing.get());
  EXPECT_EQ(read(other, 0, 1), "y");
  release(other);
}

TEST_F(Races, AConnectionThatIsLostTwiceExecutesNothingTwice) {
  put("file", "x");
  node("file");
  server.drop_after({.operation = Operation::remove});
  server.drop_before({.operation = Operation::putrootfh, .times = 2});
  EXPECT_TRUE(call(&NfsFs::unlink, {.parent = NodeId::root, .name = name_of("file")}));
  EXPECT_EQ(server.executed(Operation::remove), 1u);
}

TEST_F(Races, AppendsOfManyWritesAtOnceLoseNothing) {
  const File file = open_file("file", "");
  std::vector<Writing> writings;
  for (int i = 0; i < 40; ++i) {
    writings.push_back(start_write(file, static_cast<uint64_t>(i) * 8, "12345678"));
    if (i % 10 == 5) server.restart();
  }
  for (Writing& writing : writings) EXPECT_TRUE(writing.get());
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(server.stable_contents(path("file")).size(), 320u);
  release(file);
}

TEST_F(Races, FsyncsAtOnceAreAllTold) {
  const File file = open_file("file", "");
  write(file, 0, "text");
  server.answer({.operation = Operation::commit}, Status::io);
  Answer<Unit> one =
      start(&NfsFs::fsync, {.node = file.node, .handle = file.handle, .data_only = false});
  Answer<Unit> two =
      start(&NfsFs::fsync, {.node = file.node, .handle = file.handle, .data_only = false});
  // By one open: one of them is told.
  const bool first = bool(one.get());
  const bool second = bool(two.get());
  EXPECT_NE(first, second);
  release_anyhow(file);
}

TEST_F(Races, ATenantsSessionEndsWithFilesOpenAndLocked) {
  const File file = open_file("file", "x");
  EXPECT_TRUE(lock(file, 1, F_WRLCK));
  write(file, 0, "y");
  on_reactor([&] { fs().end(); });
  EXPECT_EQ(server.stable_contents(path("file")), "y");
  server.with([](responder::World& world) { EXPECT_TRUE(world.state.clients().empty()); });
  begin();
  const NodeId again = node("file");
  const Handle handle = open(again);
  EXPECT_EQ(read({again, handle}, 0, 1), "y");
  release(again, handle);
}

TEST_F(Races, ATenantsSessionEndsWhileTheServerIsAway) {
  const File file = open_file("file", "x");
  write(file, 0, "y");
  server.stop_listening();
  server.drop_connections();
  on_reactor([&] { fs().end(); });
  server.listen_again();
  begin();
  const NodeId again = node("file");
  const Handle handle = open(again);
  EXPECT_EQ(read({again, handle}, 0, 1).size(), 1u);
  release(again, handle);
}

TEST_F(Races, ATenantsSessionEndsWhileTheServerStandsStill) {
  open_file("file", "x");
  server.pause();
  on_reactor([&] { fs().end(); });
  server.go_on();
  begin();
  const NodeId again = node("file");
  const Handle handle = open(again);
  EXPECT_EQ(read({again, handle}, 0, 1), "x");
  release(again, handle);
}

TEST_F(Races, ATenantsSessionEndsWithSomethingToStoreWhileTheServerStandsStill) {
  const File file = open_file("file", "x");
  write(file, 0, "y");
  server.pause();
  on_reactor([&] { fs().end(); });
  begin();
  server.go_on();
  const NodeId again = node("file");
  const Handle handle = open(again);
  EXPECT_EQ(read({again, handle}, 0, 1).size(), 1u);
  release(again, handle);
}

// A server's verifier may change without a restart: Linux's does so when writing back has failed.
TEST_F(Races, OlderWritesDoNotComeOverNewerOnesWhenTheyAreSentAgain) {
  const File file = open_file("file", "");
  write(file, 0, "aaaa");
  server.with([](responder::World& world) {
    world.tree.lose_unstable();
    world.write_verifier.bytes[7] ^= 1;
  });
  write(file, 1, "bb");
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(server.stable_contents(path("file")), "abba");
  release(file);
}

TEST_F(Races, AWriteUnderALockIsKeptBeforeAnythingElseIsAsked) {
  const File file = open_file("file", "");
  EXPECT_TRUE(lock(file, 1, F_WRLCK));
  // The attributes that are asked for behind a WRITE under a lock are answered by the next server.
  server.lose_before({.operation = Operation::getattr});
  Writing writing = start_write(file, 0, "text");
  ASSERT_TRUE(server.wait_for_executed(Operation::write, 1));
  ASSERT_TRUE(server.wait_until([](responder::World& world) {
    return world.seen.back().operations.back() == Operation::getattr;
  }));
  server.restart();
  EXPECT_TRUE(writing.get());
  EXPECT_EQ(read(file, 0, 100), "text");
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(server.stable_contents(path("file")), "text");
  release(file);
}

NfsOptions soft() {
  NfsOptions options;
  options.timeo_ds = 10;
  options.retrans = 0;
  options.soft = true;
  return options;
}

class SoftRaces : public testing::Test, public NfsFsHarness {
 protected:
  SoftRaces() : NfsFsHarness({.grace_ms = 600'000}, soft()) {}
};

TEST_F(SoftRaces, FsyncGivesUpWhileItsWritesAreSentAgain) {
  const File file = open_file("file", "");
  write(file, 0, "text");
  server.delay({.operation = Operation::write, .times = 1}, std::chrono::milliseconds(3500));
  server.restart();
  [[maybe_unused]] const Result<Unit> stored = fsync(file);
  release_anyhow(file);
  server.clear_rules();
  const File other = open_file("other", "x");
  EXPECT_EQ(read(other, 0, 1), "x");
  release(other);
}

TEST_F(SoftRaces, ACloseGivesUpWhileItsOpenIsReclaimed) {
  const File file = open_file("file", "");
  const File other = open_file("other", "x");
  server.delay({.operation = Operation::open, .times = 1}, std::chrono::milliseconds(3500));
  server.restart();
  release_anyhow(file);
  server.clear_rules();
  Reading reading = start_read(other, 0, 1);
  reading.get();
  release_anyhow(other);
  const File third = open_file("third", "x");
  EXPECT_EQ(read(third, 0, 1), "x");
  release(third);
}

// RFC 8881, section 2.10.6.2: so a server answers a retry while the request itself is still being
// executed.
TEST_F(Races, DelayOfARetrysSequenceMeansThatItIsStillUnderWay) {
  put("file", "");
  node("file");
  server.drop_after({.operation = Operation::remove});
  server.answer({.operation = Operation::sequence, .skip = 1}, Status::delay);
  const Result<Unit> removed =
      call(&NfsFs::unlink, {.parent = NodeId::root, .name = name_of("file")});
  EXPECT_TRUE(removed) << describe(removed.error());
  EXPECT_EQ(server.executed(Operation::remove), 1u);
  put("other", "");
  node("other");
  EXPECT_EQ(server.counters().false_retries, 0u);
  EXPECT_EQ(server.counters().misordered, 0u);
}

TEST_F(Races, AConnectionThatIsLostAgainWhileRecoveringExecutesNothingTwice) {
  put("file", "");
  node("file");
  server.drop_after({.operation = Operation::remove});
  server.drop_before({.skip = 2});  // the first request after BIND_CONN_TO_SESSION
  EXPECT_TRUE(call(&NfsFs::unlink, {.parent = NodeId::root, .name = name_of("file")}));
  EXPECT_EQ(server.executed(Operation::remove), 1u);
  EXPECT_EQ(server.executed(Operation::create_session), 1u);
}

}  // namespace

}  // namespace dpfs::nfs
