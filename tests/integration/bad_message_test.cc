// SPDX-License-Identifier: Apache-2.0
// A tenant whose FUSE messages lie: each is answered with an error, and the session goes on.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "tests/integration/attacked_daemon.h"

namespace dpfs::test {
namespace {

using driver::Call;
using fuse::Opcode;
namespace request = driver::request;

class BadMessage : public AttackedDaemon {
 protected:
  void TearDown() override {
    if (attacker_) {
      EXPECT_TRUE(attacker_->mount.getattr(1)) << "the session goes on";
      EXPECT_EQ(attacker_->client.counters().bad_replies, refusals_with_eproto_);
    }
    AttackedDaemon::TearDown();
  }
  // Sends what `fill` makes of a call, and says how it was answered.
  template <class Fill>
  Errno answer_to(Fill&& fill) {
    Call* call = attacker().client.take();
    fill(*call);
    const Result<Unit> ok = attacker().client.run(*call);
    EXPECT_FALSE(call->in_flight());
    if (!call->in_flight()) attacker().client.give(*call);
    return ok.error();
  }
  Errno answer_to(Opcode opcode, std::string_view args, uint64_t node = 1) {
    return answer_to([&](Call& call) {
      request::raw(call, opcode, node, std::as_bytes(std::span(args)), 4096);
    });
  }
  static std::string with_nul(std::string_view text) { return std::string(text) + '\0'; }
  // The driver cannot tell them from replies that it would not accept.
  uint64_t refusals_with_eproto_ = 0;

  uint64_t file() { return attacker().mount.lookup({1, "file"})->nodeid; }
};

TEST_F(BadMessage, LengthLongerThanTheMessageIsRefused) {
  for (const uint32_t length : {4096u, 0x7fffffffu, UINT32_MAX}) {
    EXPECT_EQ(answer_to([&](Call& call) {
                request::getattr(call, 1);
                call.header().len = length;
              }),
              Errno::inval);
  }
}

TEST_F(BadMessage, LengthShorterThanAHeaderIsRefused) {
  for (const uint32_t length : {0u, 39u}) {
    EXPECT_EQ(answer_to([&](Call& call) {
                request::getattr(call, 1);
                call.header().len = length;
              }),
              Errno::inval);
  }
}

TEST_F(BadMessage, UnknownOpcodeIsNotImplemented) {
  for (const uint32_t opcode : {0u, 7u, 19u, 99u, 4096u, UINT32_MAX}) {
    EXPECT_EQ(answer_to(static_cast<Opcode>(opcode), {}), Errno::nosys) << opcode;
  }
}

TEST_F(BadMessage, RequestBeforeInitIsRefused) {
  attacker_.emplace(socket("attacked"), small());
  EXPECT_EQ(attacker_->mount.getattr(1).error(), Errno::io);
  EXPECT_EQ(attacker_->mount.lookup({1, "file"}).error(), Errno::io);
  EXPECT_TRUE(attacker_->mount.init());
}

TEST_F(BadMessage, SecondInitIsRefused) {
  const uint64_t node = file();
  EXPECT_EQ(attacker().mount.init().error(), Errno::inval);
  EXPECT_TRUE(attacker().mount.getattr(node)) << "nodes of the first session";
}

TEST_F(BadMessage, InitOfAnotherAgeIsRefusedAndMayBeTriedAgain) {
  attacker_.emplace(socket("attacked"), small());
  fuse::InitIn in = driver::Client::linux_init();
  in.minor = 30;
  EXPECT_EQ(attacker_->client.init(in).error(), Errno::proto);
  refusals_with_eproto_ = 1;
  in.minor = 31;
  EXPECT_TRUE(attacker_->client.init(in));
}

TEST_F(BadMessage, ForgedNodeIsStale) {
  const uint64_t real = file();
  for (const uint64_t forged : {uint64_t{0}, real + 1, real ^ (uint64_t{1} << 32),
                                real ^ (uint64_t{1} << 63), UINT64_MAX, uint64_t{12345}}) {
    EXPECT_EQ(attacker().mount.getattr(forged).error(), Errno::stale) << forged;
    EXPECT_EQ(attacker().mount.lookup({forged, "file"}).error(), Errno::stale) << forged;
    EXPECT_EQ(attacker().mount.open(forged, O_RDONLY).error(), Errno::stale) << forged;
    EXPECT_EQ(attacker().mount.unlink({forged, "file"}).error(), Errno::stale) << forged;
    std::string target;
    EXPECT_EQ(attacker().mount.readlink(forged, target).error(), Errno::stale) << forged;
  }
}

// One that is still there may still be named: see EXPORT_SUPPORT in docs/fuse.md.
TEST_F(BadMessage, ForgottenNodeThatIsGoneIsStale) {
  const uint64_t node = file();
  ASSERT_TRUE(attacker().mount.unlink({1, "file"}));
  ASSERT_TRUE(attacker().mount.forget(node, 1));
  EXPECT_TRUE(eventually([&] { return attacker().mount.getattr(node).error() == Errno::stale; }));
}

TEST_F(BadMessage, ForgettingMoreThanThereIsHarmsNobody) {
  const uint64_t node = file();
  ASSERT_TRUE(attacker().mount.forget(node, UINT64_MAX));
  ASSERT_TRUE(attacker().mount.forget(node, UINT64_MAX));
  ASSERT_TRUE(attacker().mount.forget(1, UINT64_MAX));
  ASSERT_TRUE(attacker().mount.forget(UINT64_MAX, 1));
  EXPECT_TRUE(attacker().mount.lookup({1, "file"}));
}

TEST_F(BadMessage, ForgedHandleIsABadDescriptor) {
  const uint64_t node = file();
  const driver::File open = *attacker().mount.open(node, O_RDWR);
  std::byte bytes[16] = {};
  for (const uint64_t forged :
       {uint64_t{0}, open.handle + 1, open.handle ^ (uint64_t{1} << 32), UINT64_MAX}) {
    const driver::File bad{node, forged};
    EXPECT_EQ(attacker().mount.read(bad, 0, bytes).error(), Errno::badf) << forged;
    EXPECT_EQ(attacker().mount.write(bad, 0, bytes).error(), Errno::badf) << forged;
    EXPECT_EQ(attacker().mount.fsync(bad).error(), Errno::badf) << forged;
    EXPECT_EQ(attacker().mount.release(bad).error(), Errno::badf) << forged;
  }
  EXPECT_EQ(attacker().mount.read({1, open.handle}, 0, bytes).error(), Errno::badf);
  EXPECT_EQ(*attacker().mount.read(open, 0, bytes), 16u);
  EXPECT_TRUE(attacker().mount.release(open));
}

TEST_F(BadMessage, ClosedHandleIsABadDescriptor) {
  const driver::File open = *attacker().mount.open(file(), O_RDONLY);
  EXPECT_TRUE(attacker().mount.release(open));
  std::byte bytes[16];
  EXPECT_EQ(attacker().mount.read(open, 0, bytes).error(), Errno::badf);
  EXPECT_EQ(attacker().mount.release(open).error(), Errno::badf);
}

TEST_F(BadMessage, DirectoryHandleIsNoFileHandle) {
  const driver::File open = *attacker().mount.opendir(1);
  std::byte bytes[16];
  EXPECT_FALSE(attacker().mount.read(open, 0, bytes));
  EXPECT_TRUE(attacker().mount.releasedir(open));
}

TEST_F(BadMessage, NameThatLeavesItsDirectoryIsRefused) {
  write_file(folder_ / "secret", "not the tenant's");
  for (const char* name : {".", ".."}) {
    const auto entry = attacker().mount.lookup({1, name});
    EXPECT_TRUE(!entry || entry->nodeid == 1) << name;
  }
  for (const char* name : {"../secret", "/etc/passwd", "a/b", "file/", "/"}) {
    EXPECT_EQ(attacker().mount.lookup({1, name}).error(), Errno::inval) << name;
  }
  for (const char* name : {"..", ".", "../secret", "/etc/passwd", "a/b", "file/", "/"}) {
    EXPECT_EQ(attacker().mount.create({1, name}, O_RDWR).error(), Errno::inval) << name;
    EXPECT_EQ(attacker().mount.mkdir({1, name}).error(), Errno::inval) << name;
    EXPECT_EQ(attacker().mount.unlink({1, name}).error(), Errno::inval) << name;
    EXPECT_EQ(attacker().mount.rename({1, "file"}, {1, name}).error(), Errno::inval) << name;
    EXPECT_EQ(attacker().mount.symlink({1, name}, "target").error(), Errno::inval) << name;
  }
  EXPECT_EQ(access((folder_ / "secret").c_str(), F_OK), 0);
}

TEST_F(BadMessage, NameWithANulInsideIsRefused) {
  EXPECT_EQ(answer_to(Opcode::lookup, std::string("fi\0le\0", 6)), Errno::inval);
  EXPECT_EQ(answer_to(Opcode::unlink, std::string("file\0x\0", 7)), Errno::inval);
  EXPECT_EQ(access((folder_ / "share/file").c_str(), F_OK), 0);
}

TEST_F(BadMessage, EmptyNameIsRefused) {
  EXPECT_EQ(answer_to(Opcode::lookup, std::string_view("\0", 1)), Errno::inval);
  EXPECT_EQ(answer_to(Opcode::lookup, {}), Errno::inval);
}

TEST_F(BadMessage, NameOver255BytesIsTooLong) {
  EXPECT_EQ(attacker().mount.lookup({1, std::string(255, 'n')}).error(), Errno::noent);
  EXPECT_EQ(attacker().mount.lookup({1, std::string(256, 'n')}).error(), Errno::nametoolong);
  EXPECT_EQ(attacker().mount.mkdir({1, std::string(4000, 'n')}).error(), Errno::nametoolong);
}

TEST_F(BadMessage, SymlinkThatLeadsOutLeadsNowhere) {
  write_file(folder_ / "secret", "not the tenant's");
  ASSERT_TRUE(attacker().mount.symlink({1, "out"}, "../secret"));
  ASSERT_TRUE(attacker().mount.symlink({1, "up"}, ".."));
  const uint64_t out = attacker().mount.lookup({1, "out"})->nodeid;
  const uint64_t up = attacker().mount.lookup({1, "up"})->nodeid;
  EXPECT_FALSE(attacker().mount.open(out, O_RDONLY));
  EXPECT_FALSE(attacker().mount.opendir(up));
  EXPECT_FALSE(attacker().mount.lookup({up, "secret"}));
}

TEST_F(BadMessage, ReplyRoomTooSmallIsRefused) {
  EXPECT_EQ(answer_to([](Call& call) {
              call.prepare(Opcode::getattr, 1,
                           {.in_args = sizeof(fuse::GetattrIn), .out_args = 40});
              call.argument(fuse::GetattrIn{});
            }),
            Errno::inval);
  EXPECT_EQ(answer_to([](Call& call) {
              call.prepare(Opcode::lookup, 1, {.in_args = 5, .out_args = 64});
              call.text("file");
            }),
            Errno::inval);
  const driver::File open = *attacker().mount.open(file(), O_RDONLY);
  EXPECT_EQ(answer_to([&](Call& call) {
              call.prepare(Opcode::read, open.node,
                           {.in_args = sizeof(fuse::ReadIn), .out_data = 100});
              call.argument(fuse::ReadIn{.fh = open.handle, .size = 4096});
            }),
            Errno::inval);
  EXPECT_TRUE(attacker().mount.release(open));
}

TEST_F(BadMessage, CreationWithoutRoomForItsReplyCreatesNothing) {
  EXPECT_EQ(answer_to([](Call& call) {
              call.prepare(Opcode::mkdir, 1, {.in_args = sizeof(fuse::MkdirIn) + 4, .out_args = 8});
              call.argument(fuse::MkdirIn{.mode = 0755});
              call.text("dir");
            }),
            Errno::inval);
  EXPECT_NE(access((folder_ / "share/dir").c_str(), F_OK), 0);
}

TEST_F(BadMessage, WriteWhoseSizeLiesIsRefused) {
  const driver::File open = *attacker().mount.open(file(), O_RDWR);
  for (const uint32_t size : {0u, 99u, 101u, 0x7fffffffu, UINT32_MAX}) {
    EXPECT_EQ(answer_to([&](Call& call) {
                call.prepare(Opcode::write, open.node,
                             {.in_args = sizeof(fuse::WriteIn),
                              .in_data = 100,
                              .out_args = sizeof(fuse::WriteOut)});
                call.argument(fuse::WriteIn{.fh = open.handle, .size = size});
              }),
              Errno::inval)
        << size;
  }
  EXPECT_TRUE(attacker().mount.release(open));
}

TEST_F(BadMessage, OffsetsAtTheEndOfTheWorldAreRefusedOrEmpty) {
  const driver::File open = *attacker().mount.open(file(), O_RDWR);
  std::byte bytes[16] = {};
  for (const uint64_t offset : {uint64_t{1} << 62, uint64_t{1} << 63, UINT64_MAX}) {
    const Result<uint32_t> read = attacker().mount.read(open, offset, bytes);
    EXPECT_TRUE(!read || *read == 0) << offset;
    EXPECT_FALSE(attacker().mount.write(open, offset, bytes)) << offset;
    EXPECT_FALSE(attacker().mount.fallocate(open, 0, offset, UINT64_MAX)) << offset;
  }
  EXPECT_TRUE(attacker().mount.release(open));
}

TEST_F(BadMessage, DirectoryOffsetThatNobodyGaveIsRefusedOrEmpty) {
  const driver::File open = *attacker().mount.opendir(1);
  for (const uint64_t offset : {uint64_t{12345}, uint64_t{1} << 63, UINT64_MAX}) {
    std::vector<driver::Mount::Name> names;
    [[maybe_unused]] const Result<uint32_t> listed =
        attacker().mount.readdirplus(open, offset, names);
  }
  std::vector<driver::Mount::Name> names;
  EXPECT_TRUE(attacker().mount.readdirplus(open, 0, names));
  EXPECT_GE(names.size(), 1u);
  EXPECT_TRUE(attacker().mount.releasedir(open));
}

TEST_F(BadMessage, OpenHandlesOfADepartedTenantAreClosed) {
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(attacker().mount.open(file(), O_RDONLY));
  EXPECT_GT(daemon_->descriptors(), descriptors_ + 50);
}

}  // namespace
}  // namespace dpfs::test
