// SPDX-License-Identifier: Apache-2.0
// What fsync has acknowledged is on the server's stable storage, whatever happened before.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "backend/nfs/nfs_fs_harness.h"
#include "backend/nfs/status.h"

namespace dpfs::nfs {

namespace {

class UnstableWrites : public testing::Test, public NfsFsHarness {
 protected:
  UnstableWrites() : NfsFsHarness({.grace_ms = 600'000}) {}
  std::string stable(std::string_view name) { return server.stable_contents(path(name)); }
};

TEST_F(UnstableWrites, AreStableAfterFsync) {
  const File file = open_file("file", "");
  write(file, 0, "text");
  EXPECT_EQ(stable("file"), "");
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(stable("file"), "text");
  release(file);
}

TEST_F(UnstableWrites, AreStableAfterFlushAndAfterRelease) {
  const File file = open_file("file", "");
  write(file, 0, "text");
  EXPECT_TRUE(call(&NfsFs::flush, {.node = file.node, .handle = file.handle, .lock_owner = 1}));
  EXPECT_EQ(stable("file"), "text");
  write(file, 4, " and more");
  release(file);
  EXPECT_EQ(stable("file"), "text and more");
}

TEST_F(UnstableWrites, AreStableAtOnceWhereTheFileWasOpenedSo) {
  const File file = open_file("file", "");
  write(file, 0, "text", O_DSYNC);
  EXPECT_EQ(stable("file"), "text");
  release(file);
}

TEST_F(UnstableWrites, AreSentAgainWhenARestartLostThem) {
  const File file = open_file("file", "");
  write(file, 0, "text");
  server.restart();
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(stable("file"), "text");
  release(file);
}

TEST_F(UnstableWrites, ThatARestartLostAreReadByWhoHasWrittenThem) {
  const File file = open_file("file", "");
  write(file, 0, "text");
  server.restart();
  EXPECT_EQ(read(file, 0, 100), "text");
  release(file);
}

TEST_F(UnstableWrites, AreSentAgainWhenARestartComesBetweenThemAndCommit) {
  const File file = open_file("file", "");
  write(file, 0, "one");
  server.with([](responder::World& world) {
    // What is not stable is gone, and nobody is told but by the verifier.
    world.tree.lose_unstable();
    world.write_verifier.bytes[7] ^= 1;
  });
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(stable("file"), "one");
  release(file);
}

TEST_F(UnstableWrites, OfBothServersLivesAreStored) {
  const File file = open_file("file", "");
  write(file, 0, "one");
  server.restart();
  write(file, 3, "two");
  server.restart();
  write(file, 6, "three");
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(stable("file"), "onetwothree");
  release(file);
}

TEST_F(UnstableWrites, AreStoredInTheOrderInWhichTheyWereMade) {
  const File file = open_file("file", "");
  write(file, 0, "aaaa");
  write(file, 1, "bb");
  write(file, 2, "c");
  server.restart();
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(stable("file"), "abca");
  release(file);
}

TEST_F(UnstableWrites, DoNotComeBackAfterTruncation) {
  const File file = open_file("file", "");
  write(file, 0, "long text");
  fuse::SetattrIn in{};
  in.valid = fuse::attr_valid::kSize;
  in.size = 4;
  EXPECT_TRUE(call(&NfsFs::setattr, {.node = file.node, .in = in}));
  server.restart();
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(stable("file"), "long");
  release(file);
}

TEST_F(UnstableWrites, DoNotComeBackAfterAHoleWasPunched) {
  const File file = open_file("file", "");
  write(file, 0, std::string(3 * 4096, 'x'));
  EXPECT_TRUE(
      call(&NfsFs::fallocate,
           {.node = file.node, .handle = file.handle, .offset = 4096, .length = 4096, .mode = 3}));
  server.restart();
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(stable("file"),
            std::string(4096, 'x') + std::string(4096, '\0') + std::string(4096, 'x'));
  release(file);
}

TEST_F(UnstableWrites, ThatCannotBeSentAgainAreAnErrorOfFsync) {
  const File file = open_file("file", "");
  write(file, 0, "text");
  server.answer({.operation = Operation::write, .times = kAlways}, Status::nospc);
  server.restart();
  EXPECT_EQ(fsync(file).error(), Errno::nospc);
  server.clear_rules();
  EXPECT_TRUE(fsync(file));
  release(file);
}

TEST_F(UnstableWrites, ThatAreLostAreToldToEachWhoHasTheFileOpenOnce) {
  const File writer = open_file("file", "");
  const File reader{writer.node, open(writer.node)};
  write(writer, 0, "text");
  server.answer({.operation = Operation::write, .times = kAlways}, Status::nospc);
  server.restart();
  EXPECT_EQ(
      call(&NfsFs::flush, {.node = reader.node, .handle = reader.handle, .lock_owner = 1}).error(),
      Errno::nospc);
  EXPECT_TRUE(fsync(reader));
  EXPECT_EQ(fsync(writer).error(), Errno::nospc);
  EXPECT_TRUE(fsync(writer));
  server.clear_rules();
  const File later{writer.node, open(writer.node)};
  EXPECT_TRUE(fsync(later));
  release(later);
  release(reader);
  release(writer);
}

// Linux sends a RELEASE while requests of the same handle are under way only when it is hostile.
TEST_F(UnstableWrites, OfAFileThatIsClosedMeanwhileAreStored) {
  const File file = open_file("file", "");
  server.hold({.operation = Operation::write});
  Writing writing = start_write(file, 0, "text");
  ASSERT_TRUE(server.wait_for_executed(Operation::write, 1));
  release(file);
  server.release_held(Responder::Order::as_they_came);
  EXPECT_TRUE(writing.get());
  EXPECT_EQ(stable("file"), "text");
}

TEST_F(UnstableWrites, AreSentAgainWhenTheConnectionIsLostOnTheWay) {
  const File file = open_file("file", "");
  write(file, 0, "text");
  server.restart();
  server.drop_before({.operation = Operation::write, .times = 2});
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(stable("file"), "text");
  release(file);
}

TEST_F(UnstableWrites, AreSentAgainWhenTheLeaseIsLostOnceMoreMeanwhile) {
  for (const Status bad : {Status::bad_stateid, Status::expired, Status::admin_revoked}) {
    const File file = open_file("file", "");
    write(file, 0, "text");
    server.restart();
    server.answer({.operation = Operation::write, .times = 2}, bad);
    EXPECT_TRUE(fsync(file)) << describe_status(bad);
    EXPECT_EQ(stable("file"), "text");
    release(file);
  }
}

// Whose state the server takes away again and again is given up, and the others go on.
TEST_F(UnstableWrites, ThatNoOpenIsGoodForAreAnErrorOfFsync) {
  const File file = open_file("file", "");
  const File other = open_file("other", "");
  write(file, 0, "text");
  server.restart();
  server.answer({.operation = Operation::write, .times = kAlways}, Status::bad_stateid);
  EXPECT_EQ(fsync(file).error(), Errno::io);
  server.clear_rules();
  write(other, 0, "more");
  EXPECT_TRUE(fsync(other));
  EXPECT_EQ(stable("other"), "more");
  release_anyhow(file);
  release(other);
}

// The server executes the new one first, and answers it last.
TEST_F(UnstableWrites, ThatAreSentAgainDoNotLieOverANewOne) {
  const File file = open_file("file", "");
  write(file, 0, "aaaa");
  server.with([](responder::World& world) {
    world.tree.lose_unstable();
    world.write_verifier.bytes[7] ^= 1;
  });
  server.hold({.operation = Operation::write});
  Writing writing = start_write(file, 1, "bb");
  ASSERT_TRUE(server.wait_for_executed(Operation::write, 2));
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(stable("file"), "aaaa");
  server.release_held(Responder::Order::as_they_came);
  EXPECT_TRUE(writing.get());
  EXPECT_EQ(read(file, 0, 100), "abba");
  EXPECT_TRUE(fsync(file));
  EXPECT_EQ(stable("file"), "abba");
  release(file);
}

TEST_F(UnstableWrites, OfAClosedFileAreNotKept) {
  const File file = open_file("file", "");
  write(file, 0, "text");
  release(file);
  server.put_file(path("file"), "by somebody else");
  server.restart();
  const NodeId again = node("file");
  const Handle handle = open(again);
  EXPECT_EQ(read({again, handle}, 0, 100), "by somebody else");
  release(again, handle);
}

TEST_F(UnstableWrites, AreStoredWhenTheyBecomeTooMany) {
  const File file = open_file("file", "");
  // More than options.unstable_bytes_max is not kept: somebody has said COMMIT.
  const std::string piece(1 << 20, 'x');
  for (uint64_t i = 0; i < 66; ++i) write(file, i << 20, piece);
  EXPECT_GT(server.executed(Operation::commit), 0u);
  release(file);
}

// Every byte that fsync acknowledged, against a model: restarts, lost connections and answers, at
// random.
TEST_F(UnstableWrites, WhatWasAcknowledgedIsThereWhateverHappens) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const File file = open_file("file", "");
  constexpr size_t kBytes = 64 * 1024;
  std::string model(kBytes, '\0');
  write(file, 0, model);
  for (int step = 0; step < 150; ++step) {
    switch (random() % 12) {
      case 0:
        server.restart();
        break;
      case 1:
        server.drop_connections();
        break;
      case 2:
        server.drop_before({.skip = static_cast<uint32_t>(random() % 3)});
        break;
      case 3:
        server.answer({.operation = Operation::commit}, Status::delay);
        break;
      case 4:
        server.with([](responder::World& world) {
          world.tree.lose_unstable();
          world.write_verifier.bytes[7] += 1;
        });
        // The tenant reads again what it has written after it was stored once more.
        ASSERT_TRUE(fsync(file));
        break;
      case 5:
        ASSERT_TRUE(fsync(file));
        ASSERT_TRUE(stable("file") == model) << "step " << step;
        break;
      case 6: {
        const size_t offset = random() % kBytes;
        const size_t bytes = std::min<size_t>(random() % 8192, kBytes - offset);
        ASSERT_TRUE(read(file, offset, bytes) == model.substr(offset, bytes)) << "step " << step;
        break;
      }
      default: {
        const size_t offset = random() % kBytes;
        const size_t bytes = 1 + random() % std::min<size_t>(8192, kBytes - offset);
        const std::string piece(bytes, static_cast<char>('a' + step % 26));
        ASSERT_EQ(write(file, offset, piece), bytes);
        model.replace(offset, bytes, piece);
        break;
      }
    }
  }
  server.clear_rules();
  EXPECT_TRUE(fsync(file));
  EXPECT_TRUE(stable("file") == model);
  release(file);
}

}  // namespace

}  // namespace dpfs::nfs
