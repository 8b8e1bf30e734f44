// SPDX-License-Identifier: Apache-2.0
// A server that answers with garbage: the connection is given up, not the daemon, and nobody waits
// for ever.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "backend/nfs/nfs_fs_harness.h"

namespace dpfs::nfs {

namespace {

NfsOptions impatient() {
  NfsOptions options;
  options.timeo_ds = 10;
  return options;
}

std::string damage_name(const testing::TestParamInfo<Damage>& info) {
  switch (info.param) {
    case Damage::truncated:
      return "Truncated";
    case Damage::oversized:
      return "Oversized";
    case Damage::bits_flipped:
      return "BitsFlipped";
    case Damage::random_body:
      return "RandomBody";
    case Damage::huge_record:
      return "HugeRecord";
    case Damage::huge_lengths:
      return "HugeLengths";
    default:
      return "";
  }
}

class HostileReplies : public testing::TestWithParam<Damage>, public NfsFsHarness {
 protected:
  HostileReplies() : NfsFsHarness({}, impatient()) {
    for (int i = 0; i < 30; ++i) put("dir/entry" + std::to_string(i), "x");
    server.with([](responder::World& world) {
      const responder::NodePointer directory = world.tree.at(kExport);
      world.tree.create(*directory, "link", FileType::link)->target = "target";
      responder::Node& file = *world.tree.create(*directory, "xattrs", FileType::regular);
      file.xattrs["color"] = "blue";
    });
    for (size_t i = 0; i < contents_.size(); ++i) contents_[i] = static_cast<char>(i * 11 / 7);
    file_ = open_file("file", contents_);
  }
  ~HostileReplies() override {
    server.clear_rules();
    // All is as it was for who comes afterwards; what the answers were about may be lost to us.
    const NodeId again = node("file");
    const Handle handle = open(again, O_RDONLY);
    EXPECT_TRUE(read({again, handle}, 0, contents_.size()) == contents_);
    release(again, handle);
    release_anyhow(file_);
  }

  // Damages the next answer to `operation`, and asks.
  template <class Ask>
  void damage_one(Operation operation, uint64_t seed, Ask&& ask) {
    server.damage({.operation = operation}, GetParam(), seed);
    ask();
    server.clear_rules();
  }
  static constexpr uint64_t kSeeds = 12;
  template <class Out>
  static void ignore(const Result<Out>&) {}

  std::string contents_ = std::string(200'000, '\0');
  File file_;
};

TEST_P(HostileReplies, ToNamesAndAttributes) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    damage_one(Operation::lookup, seed, [&] { ignore(look_up(NodeId::root, "link")); });
    damage_one(Operation::getattr, seed,
               [&] { ignore(call(&NfsFs::getattr, {.node = NodeId::root})); });
    damage_one(Operation::getattr, seed,
               [&] { ignore(call(&NfsFs::statfs, {.node = NodeId::root})); });
    damage_one(Operation::create, seed, [&] {
      const std::string name = "made" + std::to_string(seed);
      ignore(call(&NfsFs::mkdir, {.parent = NodeId::root, .name = name_of(name), .mode = 0755}));
    });
    damage_one(Operation::remove, seed, [&] {
      const std::string name = "made" + std::to_string(seed);
      ignore(call(&NfsFs::rmdir, {.parent = NodeId::root, .name = name_of(name)}));
    });
  }
}

TEST_P(HostileReplies, ToReadingOfDirectoriesLinksAndExtendedAttributes) {
  const NodeId directory = node("dir");
  const NodeId link = node("link");
  const NodeId xattrs = node("xattrs");
  std::vector<char> buffer(16384);
  const iovec part{buffer.data(), buffer.size()};
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Result<fuse::OpenOut> opened =
        call(&NfsFs::opendir, {.node = directory, .flags = O_RDONLY});
    ASSERT_TRUE(opened);
    const Handle handle{opened->fh};
    for (const bool plus : {false, true}) {
      damage_one(Operation::readdir, seed, [&] {
        ignore(
            call(plus ? &NfsFs::readdirplus : &NfsFs::readdir,
                 {.node = directory, .handle = handle, .offset = 0, .into = IoView({&part, 1})}));
      });
    }
    ignore(call(&NfsFs::releasedir, {.node = directory, .handle = handle}));
    damage_one(Operation::readlink, seed,
               [&] { ignore(call(&NfsFs::readlink, {.node = link, .into = IoView({&part, 1})})); });
    damage_one(Operation::getxattr, seed, [&] {
      ignore(call(&NfsFs::getxattr,
                  {.node = xattrs, .name = name_of("user.color"), .into = IoView({&part, 1})}));
    });
    damage_one(Operation::listxattrs, seed, [&] {
      ignore(call(&NfsFs::listxattr, {.node = xattrs, .into = IoView({&part, 1})}));
    });
  }
}

TEST_P(HostileReplies, ToReads) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    for (const size_t bytes : {1000u, 200'000u}) {
      damage_one(Operation::read, seed, [&] {
        Reading reading = start_read(file_, 0, bytes);
        reading.get();
      });
    }
  }
}

TEST_P(HostileReplies, ToReadsInFragments) {
  server.fragment(50'000);
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    damage_one(Operation::read, seed, [&] {
      Reading reading = start_read(file_, 0, 200'000);
      reading.get();
    });
  }
  server.fragment(0);
}

TEST_P(HostileReplies, ToOpeningWritingLockingAndClosing) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const File other = open_file("other", "");
    damage_one(Operation::write, seed,
               [&] { ignore(start_write(other, 0, std::string(10'000, 'w')).get()); });
    damage_one(Operation::commit, seed, [&] { ignore(fsync(other)); });
    damage_one(Operation::lock, seed, [&] { ignore(lock(other, 1, F_WRLCK)); });
    damage_one(Operation::locku, seed, [&] { ignore(lock(other, 1, F_UNLCK)); });
    damage_one(Operation::close, seed, [&] { release_anyhow(other); });
    damage_one(Operation::open, seed, [&] {
      const Result<fuse::OpenOut> opened = try_open(other.node);
      if (opened) release_anyhow({other.node, Handle{opened->fh}});
    });
    damage_one(Operation::open, seed, [&] {
      const std::string name = "created" + std::to_string(seed);
      const Result<CreateOut> created = call(&NfsFs::create, {.parent = NodeId::root,
                                                              .name = name_of(name),
                                                              .flags = O_RDWR | O_CREAT | O_EXCL,
                                                              .mode = 0644});
      if (created) release_anyhow({NodeId{created->entry.nodeid}, Handle{created->open.fh}});
    });
  }
}

TEST_P(HostileReplies, ToTheMakingOfASession) {
  for (const uint64_t seed : {1u, 2u}) {  // each is waited for
    for (const Operation operation :
         {Operation::exchange_id, Operation::create_session, Operation::reclaim_complete}) {
      server.damage({.operation = operation}, GetParam(), seed);
      server.restart();
      ignore(call(&NfsFs::getattr, {.node = NodeId::root}));
      server.clear_rules();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, HostileReplies,
                         testing::Values(Damage::truncated, Damage::oversized, Damage::bits_flipped,
                                         Damage::random_body, Damage::huge_record,
                                         Damage::huge_lengths),
                         damage_name);

class HostileServer : public testing::Test, public NfsFsHarness {
 protected:
  HostileServer() : NfsFsHarness({}, impatient()) {}
};

TEST_F(HostileServer, MoreDataThanWasAskedForIsNotTaken) {
  const File file = open_file("file", std::string(100, 'x'));
  for (const size_t room : {10u, 100u}) {
    auto memory = std::string(200, '-');
    const iovec part{memory.data(), room};
    server.damage({.operation = Operation::read}, Damage::huge_lengths, 1);
    Answer<uint32_t> answer = start(&NfsFs::read, {.node = file.node,
                                                   .handle = file.handle,
                                                   .offset = 0,
                                                   .flags = 0,
                                                   .into = IoView({&part, 1})});
    const Result<uint32_t> got = answer.get();
    EXPECT_EQ(memory.substr(room), std::string(200 - room, '-'));
    EXPECT_TRUE(!got || *got <= room);
    server.clear_rules();
  }
  release_anyhow(file);
}

TEST_F(HostileServer, WhatNobodyHasAskedForIsIgnoredAndTheRequestSentAgain) {
  const File file = open_file("file", "hello");
  server.damage({.operation = Operation::read}, Damage::wrong_xid);
  EXPECT_EQ(read(file, 0, 100), "hello");
  server.damage({.operation = Operation::read}, Damage::random_all);
  EXPECT_EQ(read(file, 0, 100), "hello");
  release(file);
}

TEST_F(HostileServer, AnswersOfNothingButErrorsEndInErrors) {
  const File file = open_file("file", "hello");
  for (const Status status :
       {Status::io, Status::nospc, Status::dquot, Status::fbig, Status::rofs, Status::stale,
        Status::serverfault, Status::badxdr, Status::op_illegal, Status::resource,
        static_cast<Status>(12345678)}) {
    server.answer({.operation = Operation::write}, status);
    const Result<fuse::WriteOut> put = start_write(file, 0, "x").get();
    EXPECT_FALSE(put) << static_cast<uint32_t>(status);
  }
  EXPECT_EQ(read(file, 0, 100), "hello");
  release(file);
}

TEST_F(HostileServer, FullDisksAndQuotasAreToldAsWhatTheyAre) {
  const File file = open_file("file", "hello");
  server.answer({.operation = Operation::write}, Status::nospc);
  EXPECT_EQ(start_write(file, 0, "x").get().error(), Errno::nospc);
  server.answer({.operation = Operation::write}, Status::dquot);
  EXPECT_EQ(start_write(file, 0, "x").get().error(), Errno::dquot);
  EXPECT_EQ(write(file, 0, "x"), 1u);
  server.answer({.operation = Operation::commit}, Status::nospc);
  EXPECT_EQ(fsync(file).error(), Errno::nospc);
  EXPECT_TRUE(fsync(file));  // it was told once
  release(file);
}

TEST_F(HostileServer, RpcErrorsEndInErrors) {
  const File file = open_file("file", "hello");
  for (const auto verdict :
       {responder::AcceptStat::system_error, responder::AcceptStat::garbage_arguments,
        responder::AcceptStat::program_unavailable}) {
    server.answer_rpc_error({}, verdict);
    Reading reading = start_read(file, 0, 100);
    reading.get();
    EXPECT_NE(reading.error(), Errno::none);
    EXPECT_EQ(read(file, 0, 100), "hello");
  }
  release(file);
}

TEST_F(HostileServer, AServerThatWritesNothingIsNotAskedForEver) {
  const File file = open_file("file", "hello");
  server.shorten({.operation = Operation::write, .times = kAlways}, 0);
  EXPECT_FALSE(start_write(file, 0, "x").get());
  server.clear_rules();
  server.shorten({.operation = Operation::read, .times = kAlways}, 0);
  Reading reading = start_read(file, 0, 5);
  EXPECT_EQ(reading.get(), "");
  server.clear_rules();
  EXPECT_EQ(read(file, 0, 5), "hello");
  release(file);
}

TEST_F(HostileServer, ShortReadsAndWritesAreGoneOnWith) {
  const File file = open_file("file", "0123456789");
  server.shorten({.operation = Operation::read, .times = kAlways}, 3);
  EXPECT_EQ(read(file, 0, 10), "0123456789");
  server.shorten({.operation = Operation::write, .times = kAlways}, 3);
  EXPECT_EQ(write(file, 0, "abcdefghij"), 10u);
  EXPECT_EQ(on_server("file"), "abcdefghij");
  release(file);
}

}  // namespace

}  // namespace dpfs::nfs
