// SPDX-License-Identifier: Apache-2.0
// Who owns a file system, and what is left of those that died.
#include <linux/falloc.h>

#include <string>

#include "backend/kv/kv_fs_harness.h"

namespace dpfs::kv {
namespace {

constexpr uint32_t kMiB = 1u << 20;

constexpr KvDaemon::Options kLongLease{.ownership = {.lease_ms = 4'000}};
constexpr KvDaemon::Options kShortLease{.ownership = {.lease_ms = 100}};
constexpr KvDaemon::Options kTakesOver{.ownership = {.lease_ms = 4'000, .takes_over = true}};

// ---- Owners -------------------------------------------------------------------------------------

TEST(Volume, LivingOwnersFileSystemIsRefused) {
  KvWorld world;
  KvDaemon first(world, kLongLease);
  EXPECT_EQ(first.make_directory("a"), Errno::none);
  KvDaemon second(world, kLongLease);
  EXPECT_EQ(second.make_directory("b"), Errno::busy);
  EXPECT_EQ(first.make_directory("c"), Errno::none);
}

TEST(Volume, SilentOwnerIsSucceeded) {
  KvWorld world;
  KvDaemon first(world, kShortLease);
  EXPECT_EQ(first.make_directory("a"), Errno::none);
  first.die();
  KvDaemon second(world, kShortLease);
  EXPECT_TRUE(second.look_up("a"));
  EXPECT_EQ(second.make_directory("b"), Errno::none);
}

// The lease is longer than anybody waits for a test.
TEST(Volume, ReleasedFileSystemIsTakenAtOnce) {
  KvWorld world;
  constexpr KvDaemon::Options kEndless{.ownership = {.lease_ms = UINT32_MAX}};
  KvDaemon first(world, kEndless);
  EXPECT_EQ(first.make_directory("a"), Errno::none);
  first.end();
  KvDaemon second(world, kEndless);
  EXPECT_EQ(second.make_directory("b"), Errno::none);
}

TEST(Volume, ExclusiveStoresDeadOwnerIsSucceededAtOnce) {
  KvWorld world;
  constexpr KvDaemon::Options kEndless{.ownership = {.lease_ms = UINT32_MAX}, .exclusive = true};
  KvDaemon first(world, kEndless);
  EXPECT_EQ(first.make_directory("a"), Errno::none);
  first.die();
  KvDaemon second(world, kEndless);
  EXPECT_TRUE(second.look_up("a"));
}

TEST(Volume, WhoHasLostTheFileSystemChangesNothing) {
  KvWorld world;
  KvDaemon first(world, kLongLease);
  EXPECT_EQ(first.make_directory("a"), Errno::none);
  KvDaemon second(world, kTakesOver);
  EXPECT_TRUE(second.look_up("a"));
  EXPECT_EQ(first.make_directory("b"), Errno::io);
  EXPECT_EQ(second.look_up("b").error(), Errno::noent);
}

TEST(Volume, WhoHasLostTheFileSystemBelievesNothingInMemory) {
  KvWorld world;
  KvDaemon first(world, kLongLease);
  EXPECT_EQ(first.make_directory("a"), Errno::none);
  KvDaemon second(world, kTakesOver);
  EXPECT_EQ(second.make_directory("b"), Errno::none);
  EXPECT_EQ(first.make_directory("c"), Errno::io);
  EXPECT_EQ(first.look_up("a").error(), Errno::io);
}

TEST(Volume, WhoHasLostTheFileSystemTakesNothingAwayAtItsEnd) {
  KvWorld world;
  KvDaemon first(world, kLongLease);
  const KvDaemon::File file = first.create("a");
  EXPECT_EQ(first.write(file, 0, "text"), Errno::none);
  EXPECT_EQ(first.unlink("a"), Errno::none);
  KvDaemon second(world, kTakesOver);
  EXPECT_EQ(second.make_directory("b"), Errno::none);
  first.end();
  EXPECT_EQ(second.make_directory("c"), Errno::none);
}

// Nobody says so to who stays away for a lease; it asks before it believes what it has.
TEST(Volume, OwnerThatWasSilentAsksBeforeItAnswersFromMemory) {
  KvWorld world;
  KvDaemon first(world, kShortLease);
  EXPECT_EQ(first.make_directory("a"), Errno::none);
  first.fail(Errno::timedout);
  KvDaemon second(world, kShortLease);
  EXPECT_TRUE(second.look_up("a"));
  first.work_again();
  EXPECT_EQ(first.look_up("a").error(), Errno::io);
  EXPECT_EQ(second.make_directory("b"), Errno::none);
}

TEST(Volume, OwnerThatNobodySucceededGoesOnAfterSilence) {
  KvWorld world;
  KvDaemon first(world, kShortLease);
  EXPECT_EQ(first.make_directory("a"), Errno::none);
  first.fail(Errno::timedout);
  EXPECT_EQ(first.make_directory("b"), Errno::timedout);
  first.work_again();
  EXPECT_EQ(first.make_directory("b"), Errno::none);
  EXPECT_TRUE(first.look_up("a"));
}

TEST(Volume, BeatThatIsOnItsWayDoesNotOutliveTheVolume) {
  KvWorld world;
  constexpr KvDaemon::Options kBeating{.ownership = {.lease_ms = 8}};
  for (int i = 0; i < 20; ++i) {
    KvDaemon daemon(world, kBeating);
    daemon.be_slow(2000);
    EXPECT_EQ(daemon.make_directory("a" + std::to_string(i)), Errno::none);
    for (int turn = 0; turn < 100 * i; ++turn) world.reactor().turn();
  }
}

TEST(Volume, MountThatFailedIsTriedAgain) {
  KvWorld world;
  KvDaemon daemon(world);
  daemon.fail(Errno::timedout);
  EXPECT_EQ(daemon.look_up("a").error(), Errno::timedout);
  daemon.work_again();
  EXPECT_EQ(daemon.look_up("a").error(), Errno::noent);
}

// ---- What lies in the store ---------------------------------------------------------------------

TEST(Volume, NewerFormatIsRefused) {
  KvWorld world;
  const Key key{.collection = Collection::superblock};
  Superblock superblock;
  ASSERT_TRUE(decode(*world.client().get(key), superblock));
  superblock.format = kFormat + 1;
  std::array<char, kSuperblockBytes> room;
  ASSERT_EQ(world.client().write(put(key, encode(superblock, room))), Errno::none);
  KvDaemon daemon(world);
  EXPECT_EQ(daemon.look_up("a").error(), Errno::opnotsupp);
}

TEST(Volume, StoreWithoutAFileSystemIsRefused) {
  KvWorld world;
  ASSERT_EQ(world.client().write(erase({.collection = Collection::superblock})), Errno::none);
  KvDaemon daemon(world);
  EXPECT_EQ(daemon.look_up("a").error(), Errno::noent);
}

TEST(Volume, DamagedSuperblockIsAnError) {
  KvWorld world;
  ASSERT_EQ(world.client().write(put({.collection = Collection::superblock}, "x")), Errno::none);
  KvDaemon daemon(world);
  EXPECT_EQ(daemon.look_up("a").error(), Errno::io);
}

TEST(Volume, DamagedInodeIsAnErrorForThatFileAlone) {
  KvWorld world;
  KvDaemon daemon(world);
  daemon.close(daemon.create("a"));
  const uint64_t ino = daemon.look_up("a")->nodeid;
  daemon.end();
  ASSERT_EQ(world.client().write(put(inode_key(ino), "x")), Errno::none);
  KvDaemon again(world);
  EXPECT_EQ(again.look_up("a").error(), Errno::io);
  EXPECT_EQ(again.make_directory("b"), Errno::none);
}

TEST(Volume, NothingIsFormattedTwice) {
  KvWorld world;
  EXPECT_EQ(world.why<Unit>([&] { return format(world.store(), {}); }), Errno::exist);
}

// ---- What a daemon that died leaves -------------------------------------------------------------

TEST(Volume, UnlinkedFilesOfADeadDaemonAreRemoved) {
  KvWorld world;
  KvDaemon first(world, kShortLease);
  for (int i = 0; i < 100; ++i) {
    const std::string name = "file" + std::to_string(i);
    EXPECT_EQ(first.write(first.create(name), 0, name), Errno::none);
    EXPECT_EQ(first.unlink(name), Errno::none);
  }
  EXPECT_EQ(world.records(Collection::orphan), 100u);
  first.die();
  KvDaemon second(world, kShortLease);
  EXPECT_EQ(second.look_up("file1").error(), Errno::noent);
  EXPECT_EQ(world.records(Collection::orphan), 0u);
  EXPECT_EQ(world.records(Collection::inode), 1u);
  EXPECT_EQ(world.records(Collection::contents), 0u);
  world.expect_usage_is_right();
}

// Pages in several groups, so that one commit does not do.
KvDaemon::File make_large(KvDaemon& daemon, std::string_view name) {
  const KvDaemon::File file = daemon.create(name);
  for (const uint64_t at : {0, 5, 9, 14}) {
    EXPECT_EQ(daemon.write(file, at * kMiB + 1000, some_text(300'000, at)), Errno::none);
  }
  return file;
}

void wait_for_collection(KvWorld& world) {
  while (world.records(Collection::garbage) > 0) world.reactor().turn();
}

TEST(Volume, LargeFileIsRemovedPieceByPiece) {
  KvWorld world;
  KvDaemon daemon(world);
  daemon.close(make_large(daemon, "a"));
  EXPECT_EQ(daemon.unlink("a"), Errno::none);
  wait_for_collection(world);
  EXPECT_EQ(world.records(Collection::chunk), 0u);
  EXPECT_EQ(world.records(Collection::pages), 0u);
  world.expect_usage_is_right();
}

TEST(Volume, RemovalThatADeathInterruptedIsFinished) {
  for (uint32_t commits = 1; commits < 6; ++commits) {
    KvWorld world;
    KvDaemon first(world, kShortLease);
    first.close(make_large(first, "a"));
    first.fail(Errno::timedout, commits);
    EXPECT_EQ(first.unlink("a"), Errno::none);
    first.die();
    KvDaemon second(world, kShortLease);
    EXPECT_EQ(second.look_up("a").error(), Errno::noent);
    wait_for_collection(world);
    EXPECT_EQ(world.records(Collection::chunk), 0u) << commits << " commits";
    EXPECT_EQ(world.records(Collection::pages), 0u);
    world.expect_usage_is_right();
  }
}

TEST(Volume, TruncationThatADeathInterruptedShowsNothingOfWhatWasCut) {
  for (uint32_t commits = 1; commits < 4; ++commits) {
    KvWorld world;
    KvDaemon first(world, kShortLease);
    const KvDaemon::File file = make_large(first, "a");
    first.fail(Errno::timedout, commits);
    static_cast<void>(first.truncate(file, 2000));
    first.die();
    KvDaemon second(world, kShortLease);
    const KvDaemon::File again = second.open("a");
    EXPECT_EQ(second.write(again, 16 * kMiB, "end"), Errno::none);
    EXPECT_EQ(second.read(again, 1000, 1000), some_text(300'000, 0).substr(0, 1000));
    for (uint64_t at = 2000; at < 16 * kMiB; at += kMiB) {
      const uint64_t bytes = std::min<uint64_t>(kMiB, 16 * kMiB - at);
      ASSERT_EQ(second.read(again, at, bytes), std::string(bytes, '\0')) << commits << ", " << at;
    }
    world.expect_usage_is_right();
  }
}

TEST(Volume, FileThatWasBeingTruncatedIsRemovedWhole) {
  KvWorld world;
  KvDaemon first(world, kShortLease);
  const KvDaemon::File file = make_large(first, "a");
  first.fail(Errno::timedout, 1);
  static_cast<void>(first.truncate(file, 0));
  first.die();
  KvDaemon second(world, kShortLease);
  EXPECT_EQ(second.unlink("a"), Errno::none);
  wait_for_collection(world);
  EXPECT_EQ(world.records(Collection::chunk), 0u);
  EXPECT_EQ(world.records(Collection::pages), 0u);
  world.expect_usage_is_right();
}

// ---- Commits that fail --------------------------------------------------------------------------

TEST(Volume, FailedChangeIsSeenByNobody) {
  KvWorld world;
  KvDaemon daemon(world);
  const KvDaemon::File file = daemon.create("a");
  EXPECT_EQ(daemon.write(file, 0, "before"), Errno::none);
  daemon.fail(Errno::nospc);
  EXPECT_EQ(daemon.make_directory("b"), Errno::nospc);
  EXPECT_EQ(daemon.write(file, 0, "after, and longer"), Errno::nospc);
  EXPECT_EQ(daemon.unlink("a"), Errno::nospc);
  daemon.work_again();
  EXPECT_EQ(daemon.look_up("b").error(), Errno::noent);
  EXPECT_EQ(daemon.read(file, 0, 100), "before");
  EXPECT_EQ(daemon.make_directory("b"), Errno::none);
  world.expect_usage_is_right();
}

TEST(Volume, ChangeWhoseAnswerWasLostIsReadAgain) {
  KvWorld world;
  KvDaemon daemon(world);
  const KvDaemon::File file = daemon.create("a");
  EXPECT_EQ(daemon.write(file, 0, "before"), Errno::none);
  daemon.lose_an_answer();
  EXPECT_EQ(daemon.write(file, 0, "after, and longer"), Errno::timedout);
  EXPECT_EQ(daemon.read(file, 0, 100), "after, and longer");
  daemon.lose_an_answer();
  EXPECT_EQ(daemon.make_directory("b"), Errno::timedout);
  EXPECT_TRUE(daemon.look_up("b"));
}

TEST(Volume, UsageIsRightAfterAnAnswerWasLost) {
  KvWorld world;
  KvDaemon daemon(world);
  EXPECT_EQ(daemon.make_directory("a"), Errno::none);
  const fuse::Kstatfs before = daemon.statfs();
  daemon.lose_an_answer();
  EXPECT_EQ(daemon.make_directory("b"), Errno::timedout);
  EXPECT_TRUE(daemon.look_up("b"));
  const fuse::Kstatfs after = daemon.statfs();
  EXPECT_EQ(after.files - after.ffree, before.files - before.ffree + 1);
}

// Where chunks are no part of a commit they go behind it.
TEST(Volume, DeathInTheMiddleOfARemovalLeavesAllOrNothingToBeSeen) {
  KvWorld world;
  constexpr KvDaemon::Options kRemote{.ownership = {.lease_ms = 100}, .remote = true};
  KvDaemon first(world, kRemote);
  const KvDaemon::File kept = first.create("kept");
  EXPECT_EQ(first.write(kept, 0, some_text(300'000, 1)), Errno::none);
  first.close(kept);
  const size_t chunks = world.records(Collection::chunk);
  first.fail(Errno::timedout, 1);
  EXPECT_EQ(first.unlink("kept"), Errno::none);
  EXPECT_EQ(world.records(Collection::chunk), chunks);
  first.die();
  KvDaemon second(world, kRemote);
  EXPECT_EQ(second.look_up("kept").error(), Errno::noent);
  wait_for_collection(world);
  EXPECT_EQ(world.records(Collection::chunk), 0u);
  world.expect_usage_is_right();
}

TEST(Volume, DeathInTheMiddleOfATruncationShowsNothingOfWhatWasCut) {
  KvWorld world;
  constexpr KvDaemon::Options kRemote{.ownership = {.lease_ms = 100}, .remote = true};
  KvDaemon first(world, kRemote);
  const KvDaemon::File file = first.create("a");
  EXPECT_EQ(first.write(file, 0, some_text(300'000, 1)), Errno::none);
  const size_t chunks = world.records(Collection::chunk);
  first.fail(Errno::timedout, 1);
  static_cast<void>(first.truncate(file, 100'000));
  EXPECT_EQ(world.records(Collection::chunk), chunks);
  first.die();
  KvDaemon second(world, kRemote);
  const KvDaemon::File again = second.open("a");
  EXPECT_EQ(second.read(again, 0, 400'000), some_text(300'000, 1).substr(0, 100'000));
  EXPECT_EQ(second.write(again, 299'999, "x"), Errno::none);
  EXPECT_EQ(second.read(again, 100'000, 199'999), std::string(199'999, '\0'));
  world.expect_usage_is_right();
}

// ---- What only a hostile tenant does ------------------------------------------------------------

TEST(Volume, NodeOfNumberZeroIsNobody) {
  KvWorld world;
  KvDaemon daemon(world);
  for (uint64_t ino = 0; ino < 1000; ++ino) {
    const Errno why = daemon.call(&KvFs::getattr, {.node = NodeId{ino}}).error();
    EXPECT_EQ(why, ino == kRootIno ? Errno::none : Errno::stale) << ino;
  }
}

TEST(Volume, FirstRequestMayBeForAnOrphan) {
  KvWorld world;
  KvDaemon first(world, kShortLease);
  const KvDaemon::File file = first.create("a");
  EXPECT_EQ(first.write(file, 0, "text"), Errno::none);
  EXPECT_EQ(first.unlink("a"), Errno::none);
  first.die();
  KvDaemon second(world, kShortLease);
  const Result<fuse::OpenOut> open = second.call(&KvFs::open, {.node = file.node, .flags = O_RDWR});
  if (open) second.close({file.node, Handle{open->fh}});
  EXPECT_EQ(second.make_directory("b"), Errno::none);
  EXPECT_EQ(world.records(Collection::orphan), 0u);
}

TEST(Volume, RenameOutOfAFileWaitsForNobody) {
  KvWorld world;
  KvDaemon daemon(world);
  daemon.close(daemon.create("file"));
  const NodeId file{daemon.look_up("file")->nodeid};
  daemon.together({[](KvFs& fs, Request& request) {
                     return fs.setxattr(request, {.node = NodeId::root,
                                                  .name = name_of("user.a"),
                                                  .flags = 0,
                                                  .setxattr_flags = 0,
                                                  .value = {}});
                   },
                   [](KvFs& fs, Request& request) {
                     return fs.unlink(request, {.parent = NodeId::root, .name = name_of("file")});
                   },
                   [file](KvFs& fs, Request& request) {
                     return fs.rename2(request, {.parent = file,
                                                 .name = name_of("a"),
                                                 .new_parent = NodeId::root,
                                                 .new_name = name_of("b"),
                                                 .flags = 0});
                   }});
  EXPECT_EQ(daemon.make_directory("b"), Errno::none);
}

// ---- Synchronizing ------------------------------------------------------------------------------

TEST(Volume, WhatIsSafeIsNotSynchronizedAgain) {
  KvWorld world;
  KvDaemon daemon(world);
  const KvDaemon::File file = daemon.create("a");
  EXPECT_EQ(daemon.sync(file), Errno::none);
  EXPECT_EQ(daemon.sync(file), Errno::none);
  EXPECT_EQ(daemon.syncs(), 1u);
  EXPECT_EQ(daemon.write(file, 0, "text"), Errno::none);
  EXPECT_EQ(daemon.sync(file), Errno::none);
  EXPECT_EQ(daemon.syncs(), 2u);
}

TEST(Volume, SynchronizationThatFailedIsDoneAgain) {
  KvWorld world;
  KvDaemon daemon(world);
  const KvDaemon::File file = daemon.create("a");
  daemon.fail(Errno::io);
  EXPECT_EQ(daemon.sync(file), Errno::io);
  daemon.work_again();
  EXPECT_EQ(daemon.sync(file), Errno::none);
  EXPECT_EQ(daemon.syncs(), 2u);
}

// What the daemon before it has written may not be safe.
TEST(Volume, FirstSynchronizationIsAlwaysDone) {
  KvWorld world;
  KvDaemon first(world);
  first.close(first.create("a"));
  first.end();
  KvDaemon second(world);
  EXPECT_EQ(second.sync(second.open("a")), Errno::none);
  EXPECT_EQ(second.syncs(), 1u);
}

// ---- Limits -------------------------------------------------------------------------------------

TEST(Volume, MoreBytesThanAllowedAreEdquot) {
  KvWorld world({.bytes_max = kMiB});
  KvDaemon daemon(world);
  const KvDaemon::File file = daemon.create("a");
  EXPECT_EQ(daemon.write(file, 0, some_text(kMiB - 4096, 1)), Errno::none);
  EXPECT_EQ(daemon.write(file, kMiB, some_text(8192, 2)), Errno::dquot);
  EXPECT_EQ(daemon.write(daemon.create("b"), 0, "small"), Errno::none);
  EXPECT_EQ(daemon.write(daemon.create("c"), 0, "small"), Errno::dquot);
  EXPECT_EQ(daemon.statfs().bfree, 0u);
  // What is stored can be written again, and what goes makes room.
  EXPECT_EQ(daemon.write(file, 0, some_text(4096, 3)), Errno::none);
  EXPECT_EQ(daemon.truncate(file, 4096), Errno::none);
  EXPECT_EQ(daemon.write(file, kMiB, some_text(8192, 2)), Errno::none);
  world.expect_usage_is_right();
}

// These would take years, 4 MiB at a time.
TEST(Volume, AllocationOfMoreThanThereIsIsRefusedAtOnce) {
  KvWorld world;
  KvDaemon daemon(world);
  const KvDaemon::File file = daemon.create("a");
  const uint64_t huge = uint64_t{1} << 62;
  EXPECT_EQ(daemon.allocate(file, 0, 0, huge), Errno::nospc);
  EXPECT_EQ(daemon.allocate(file, FALLOC_FL_KEEP_SIZE, 5000, huge >> 8), Errno::nospc);
  EXPECT_EQ(daemon.allocate(file, FALLOC_FL_ZERO_RANGE, huge, huge - 1), Errno::nospc);
  EXPECT_EQ(daemon.allocate(file, 0, 0, 3 * kMiB), Errno::none);
  world.expect_usage_is_right();
}

TEST(Volume, AllocationBeyondALimitIsRefusedAtOnce) {
  KvWorld world({.bytes_max = 10 * kMiB});
  KvDaemon daemon(world);
  const KvDaemon::File file = daemon.create("a");
  EXPECT_EQ(daemon.allocate(file, 0, 0, 20 * kMiB), Errno::dquot);
  EXPECT_EQ(daemon.statfs().bfree * 4096, 10 * kMiB);
  EXPECT_EQ(daemon.allocate(file, 0, 0, 10 * kMiB), Errno::none);
  EXPECT_EQ(daemon.allocate(file, 0, 0, 10 * kMiB), Errno::none);
}

TEST(Volume, HugeHoleIsPunchedWhereThereIsSomething) {
  KvWorld world;
  KvDaemon daemon(world);
  const uint64_t far = uint64_t{1} << 61;
  const KvDaemon::File file = make_large(daemon, "a");
  EXPECT_EQ(daemon.write(file, far, "far"), Errno::none);
  EXPECT_EQ(daemon.allocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, far * 2 - 1),
            Errno::none);
  EXPECT_EQ(daemon.read(file, far, 3), std::string(3, '\0'));
  EXPECT_EQ(daemon.read(file, 1000, 3096), some_text(300'000, 0).substr(0, 3096));
  EXPECT_EQ(daemon.read(file, 5 * kMiB, kMiB), std::string(kMiB, '\0'));
  EXPECT_EQ(world.records(Collection::pages), 1u);
  world.expect_usage_is_right();
}

TEST(Volume, MoreInodesThanAllowedAreEdquot) {
  KvWorld world({.inodes_max = 3});  // the root is one
  KvDaemon daemon(world);
  EXPECT_EQ(daemon.make_directory("a"), Errno::none);
  daemon.close(daemon.create("b"));
  EXPECT_EQ(daemon.make_directory("c"), Errno::dquot);
  EXPECT_EQ(daemon.statfs().ffree, 0u);
  EXPECT_EQ(daemon.look_up("c").error(), Errno::noent);
  EXPECT_EQ(daemon.unlink("b"), Errno::none);
  EXPECT_EQ(daemon.make_directory("c"), Errno::none);
  world.expect_usage_is_right();
}

TEST(Volume, LimitsHoldAfterARestart) {
  KvWorld world({.bytes_max = kMiB, .inodes_max = 3});
  KvDaemon first(world);
  EXPECT_EQ(first.write(first.create("a"), 0, some_text(kMiB - 8192, 1)), Errno::none);
  first.end();
  KvDaemon second(world);
  const KvDaemon::File file = second.create("b");
  EXPECT_EQ(second.write(file, 0, some_text(12288, 2)), Errno::dquot);
  EXPECT_EQ(second.make_directory("c"), Errno::dquot);
  world.expect_usage_is_right();
}

}  // namespace
}  // namespace dpfs::kv
