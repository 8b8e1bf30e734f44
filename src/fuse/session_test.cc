// SPDX-License-Identifier: Apache-2.0
// The session: INIT, order of messages, replies, the end. (Decoding: decode_test.cc.)
#include "fuse/session.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "fuse/fake_filesystem.h"
#include "fuse/fake_message.h"

namespace dpfs {
namespace {

using fuse::Opcode;
namespace init_flag = fuse::init_flag;

class SessionTest : public testing::Test {
 protected:
  FakeMessage& serve(FakeMessage& message) { return message.serve(session_); }
  Errno init(const fuse::InitIn& in) {
    FakeMessage message(Opcode::init, bytes_of(in));
    const Errno why = serve(message).error();
    if (why == Errno::none) init_out_ = message.reply<fuse::InitOut>();
    return why;
  }
  Errno getattr() {
    FakeMessage message(Opcode::getattr, bytes_of(fuse::GetattrIn{}));
    return serve(message).error();
  }

  FakeFileSystem fs_;
  SessionCounters counters_;
  Session session_{fs_, "test", {}, counters_};
  fuse::InitOut init_out_{};
};

// ---- INIT ---------------------------------------------------------------------------------------

TEST_F(SessionTest, EveryMinorFrom31OnIsServed) {
  for (uint32_t minor = 31; minor <= 60; ++minor) {
    Session session(fs_, "test", {}, counters_);
    FakeMessage message(Opcode::init, bytes_of(linux_init(minor)));
    ASSERT_EQ(message.serve(session).error(), Errno::none) << minor;
    EXPECT_EQ(session.negotiated().minor, std::min(minor, fuse::kMinorVersion));
    EXPECT_EQ(message.reply<fuse::InitOut>().major, 7u);
  }
}

TEST_F(SessionTest, TooOldAMinorIsRefused) {
  EXPECT_EQ(init(linux_init(30)), Errno::proto);
  EXPECT_FALSE(session_.begun());
  EXPECT_EQ(fs_.sessions, 0u);
}

TEST_F(SessionTest, TooOldAMajorIsRefused) {
  fuse::InitIn in = linux_init();
  in.major = 6;
  EXPECT_EQ(init(in), Errno::proto);
  EXPECT_FALSE(session_.begun());
}

TEST_F(SessionTest, RefusedInitMayBeTriedAgain) {
  EXPECT_EQ(init(linux_init(30)), Errno::proto);
  EXPECT_EQ(init(linux_init(31)), Errno::none);
}

TEST_F(SessionTest, NewerMajorIsToldOursAndMayTryAgain) {
  fuse::InitIn in = linux_init();
  in.major = 8;
  EXPECT_EQ(init(in), Errno::none);
  EXPECT_EQ(init_out_.major, 7u);
  EXPECT_FALSE(session_.begun());
  EXPECT_EQ(fs_.sessions, 0u);
  EXPECT_EQ(init(linux_init()), Errno::none);
  EXPECT_TRUE(session_.begun());
}

TEST_F(SessionTest, ByteSwappedInitIsRefused) {
  FakeMessage message(Opcode::init_bswap_reserved, bytes_of(linux_init()));
  EXPECT_EQ(serve(message).error(), Errno::proto);
  EXPECT_FALSE(session_.begun());
}

// As a driver of the other byte order really sends it: its length is swapped like all the rest.
TEST_F(SessionTest, WhollyByteSwappedInitIsRefusedForItsByteOrder) {
  FakeMessage message(Opcode::init_bswap_reserved, bytes_of(linux_init()));
  message.says(__builtin_bswap32(message.header.len));
  EXPECT_EQ(serve(message).error(), Errno::proto);
  EXPECT_FALSE(session_.begun());
}

TEST_F(SessionTest, InitOfferIsTheIntersection) {
  fuse::InitIn in = linux_init();
  in.flags = static_cast<uint32_t>(init_flag::kAsyncRead | init_flag::kMaxPages |
                                   init_flag::kSpliceRead | init_flag::kMapAlignment);
  EXPECT_EQ(init(in), Errno::none);
  EXPECT_EQ(init_out_.flags, init_flag::kAsyncRead | init_flag::kMaxPages);
  EXPECT_EQ(init_out_.flags2, 0u);
}

TEST_F(SessionTest, Flags2WithoutInitExtIsNotBelieved) {
  fuse::InitIn in = linux_init();
  in.flags &= ~static_cast<uint32_t>(init_flag::kInitExt);
  in.flags2 = 0xffffffff;
  EXPECT_EQ(init(in), Errno::none);
  EXPECT_EQ(session_.negotiated().flags >> 32, 0u);
}

TEST_F(SessionTest, RequestsUpToOneMebibyteAreAgreedOn) {
  EXPECT_EQ(init(linux_init()), Errno::none);
  EXPECT_EQ(init_out_.max_write, 1u << 20);
  EXPECT_EQ(init_out_.max_pages, 256);
  EXPECT_EQ(init_out_.max_readahead, 128u << 10);
  EXPECT_EQ(init_out_.time_gran, 1u);
  EXPECT_NE(init_out_.flags & init_flag::kParallelDirops, 0u);
  EXPECT_NE(init_out_.flags & init_flag::kDoReaddirplus, 0u);
  EXPECT_NE(init_out_.flags & init_flag::kBigWrites, 0u);
}

TEST_F(SessionTest, InitWithoutItsNewerHalfIsServed) {
  FakeMessage message(Opcode::init, bytes_of(linux_init(31)).substr(0, fuse::kInitInCompatSize));
  EXPECT_EQ(serve(message).error(), Errno::none);
}

TEST_F(SessionTest, TruncatedInitIsRefused) {
  FakeMessage message(Opcode::init, bytes_of(linux_init()).substr(0, 15));
  EXPECT_EQ(serve(message).error(), Errno::inval);
  EXPECT_FALSE(session_.begun());
}

TEST_F(SessionTest, InitWithoutRoomForItsReplyBeginsNothing) {
  FakeMessage message(Opcode::init, bytes_of(linux_init()));
  message.room(sizeof(fuse::OutHeader) + sizeof(fuse::InitOut) - 1);
  EXPECT_EQ(serve(message).error(), Errno::inval);
  EXPECT_FALSE(session_.begun());
  EXPECT_EQ(fs_.sessions, 0u);
}

TEST_F(SessionTest, SecondInitIsRefusedAndTheSessionGoesOn) {
  EXPECT_EQ(init(linux_init()), Errno::none);
  EXPECT_EQ(init(linux_init()), Errno::inval);
  EXPECT_EQ(getattr(), Errno::none);
  EXPECT_EQ(fs_.sessions, 1u);
}

TEST_F(SessionTest, InitAfterTheQueuesStoppedBeginsAnew) {
  EXPECT_EQ(init(linux_init()), Errno::none);
  session_.queues_stopped();
  EXPECT_EQ(getattr(), Errno::none);  // a pause: the same session goes on
  EXPECT_EQ(init(linux_init()), Errno::none);
  EXPECT_EQ(fs_.sessions, 2u);
  EXPECT_EQ(fs_.ended, 1u);
  EXPECT_EQ(init(linux_init()), Errno::inval);
}

TEST_F(SessionTest, RequestBeforeInitIsRefused) {
  EXPECT_EQ(getattr(), Errno::io);
  EXPECT_EQ(fs_.calls, 0u);
}

TEST_F(SessionTest, NothingBeforeInitReachesTheFileSystem) {
  for (uint32_t opcode = 1; opcode < 64; ++opcode) {
    if (opcode == static_cast<uint32_t>(Opcode::init)) continue;
    FakeMessage message(opcode, std::string(256, 'x'), 1);
    EXPECT_TRUE(serve(message).answered()) << opcode;
  }
  EXPECT_EQ(fs_.calls, 0u);
}

// ---- Requests -----------------------------------------------------------------------------------

class BegunSession : public SessionTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(init(linux_init()), Errno::none);
    file_ = open(2, Opcode::open);
    directory_ = open(1, Opcode::opendir);
    fs_.calls = 0;
  }
  uint64_t open(uint64_t node, Opcode opcode) {
    FakeMessage message(opcode, bytes_of(fuse::OpenIn{}), node);
    EXPECT_EQ(serve(message).error(), Errno::none);
    return message.reply<fuse::OpenOut>().fh;
  }
  std::vector<SampleMessage> samples() const { return sample_messages(file_, directory_); }
  static std::string named(const SampleMessage& sample) {
    return opcode_name(static_cast<uint32_t>(sample.opcode));
  }

  uint64_t file_ = 0;
  uint64_t directory_ = 0;
};

TEST_F(BegunSession, EveryOperationIsAnswered) {
  for (const SampleMessage& sample : samples()) {
    FakeMessage message(sample.opcode, sample.args, sample.node);
    EXPECT_EQ(serve(message).error(), Errno::none) << named(sample);
  }
  EXPECT_EQ(fs_.calls, samples().size());
  EXPECT_EQ(session_.in_flight(), 0u);
}

TEST_F(BegunSession, EveryOperationIsAnsweredHoweverItIsSplit) {
  for (const SampleMessage& sample : samples()) {
    FakeMessage message(sample.opcode, sample.args, sample.node);
    message.in_cut = {1, 0, 3};
    message.out_cut = {0, 1, 2};
    EXPECT_EQ(serve(message).error(), Errno::none) << named(sample);
  }
}

TEST_F(BegunSession, EveryOperationIsAnsweredLate) {
  fs_.hold(true);
  for (const SampleMessage& sample : samples()) {
    FakeMessage message(sample.opcode, sample.args, sample.node);
    EXPECT_FALSE(serve(message).answered()) << named(sample);
    EXPECT_EQ(session_.in_flight(), 1u);
    fs_.release_all();
    EXPECT_EQ(message.error(), Errno::none) << named(sample);
  }
  EXPECT_EQ(session_.in_flight(), 0u);
}

TEST_F(BegunSession, EveryReplyFitsExactly) {
  for (const SampleMessage& sample : samples()) {
    FakeMessage message(sample.opcode, sample.args, sample.node);
    message.room(sizeof(fuse::OutHeader) + sample.reply_bytes);
    EXPECT_EQ(serve(message).error(), Errno::none) << named(sample);
  }
}

TEST_F(BegunSession, ReplyRoomOneByteTooSmallIsRefused) {
  for (const SampleMessage& sample : samples()) {
    if (sample.reply_bytes == 0) continue;
    FakeMessage message(sample.opcode, sample.args, sample.node);
    message.room(sizeof(fuse::OutHeader) + sample.reply_bytes - 1);
    EXPECT_EQ(serve(message).error(), Errno::inval) << named(sample);
  }
}

TEST_F(BegunSession, RequestWithoutRoomForAHeaderIsNotCarriedOut) {
  for (const SampleMessage& sample : samples()) {
    FakeMessage message(sample.opcode, sample.args, sample.node);
    message.room(sizeof(fuse::OutHeader) - 1);
    EXPECT_TRUE(serve(message).answered()) << named(sample);
    EXPECT_EQ(message.written(), 0u) << named(sample);
  }
  EXPECT_EQ(fs_.calls, 0u);
}

TEST_F(BegunSession, UnknownOpcodeIsNotImplemented) {
  for (const uint32_t opcode : {0u, 7u, 19u, 63u, 64u, 4096u, 0xffffffffu}) {
    FakeMessage message(opcode, "", 1);
    EXPECT_EQ(serve(message).error(), Errno::nosys) << opcode;
  }
  EXPECT_EQ(counters_.of(0).requests, 4u);  // 0, and those that are no row of the table
}

// ---- O_DIRECT

class OpenedDirectly : public SessionTest {
 protected:
  // What Linux is told of a file that is opened with `flags`.
  uint32_t open_flags(uint32_t flags) {
    FakeMessage message(Opcode::open, bytes_of(fuse::OpenIn{.flags = flags}), 2);
    EXPECT_EQ(serve(message).error(), Errno::none);
    return message.reply<fuse::OpenOut>().open_flags;
  }
  void agree_on(uint64_t flags) {
    fuse::InitIn in = linux_init();
    in.flags2 = static_cast<uint32_t>(flags >> 32);
    ASSERT_EQ(init(in), Errno::none);
  }
};

TEST_F(OpenedDirectly, FileNeverHasAPageCache) {
  agree_on(init_flag::kDirectIoAllowMmap);
  EXPECT_EQ(open_flags(O_RDWR | O_DIRECT), fuse::open_flag::kDirectIo);
  EXPECT_EQ(open_flags(O_RDWR), 0u);
}

TEST_F(OpenedDirectly, CreatedFileNeverHasAPageCache) {
  agree_on(init_flag::kDirectIoAllowMmap);
  const fuse::CreateIn in{.flags = O_RDWR | O_CREAT | O_DIRECT, .mode = S_IFREG | 0644};
  FakeMessage message(Opcode::create, bytes_of(in) + std::string("new\0", 4));
  ASSERT_EQ(serve(message).error(), Errno::none);
  EXPECT_EQ(message.reply<CreateOut>().open.open_flags, fuse::open_flag::kDirectIo);
}

TEST_F(OpenedDirectly, FileMayHaveOneWhereSharedMappingsNeedIt) {
  agree_on(0);
  EXPECT_EQ(open_flags(O_RDWR | O_DIRECT), 0u);
}

TEST_F(BegunSession, ForgedHandleIsABadDescriptor) {
  for (const uint64_t forged : {uint64_t{0}, file_ + 1, file_ ^ (uint64_t{1} << 32), UINT64_MAX}) {
    FakeMessage message(Opcode::read, bytes_of(fuse::ReadIn{.fh = forged, .size = 16}), 2);
    EXPECT_EQ(serve(message).error(), Errno::badf) << forged;
  }
}

TEST_F(BegunSession, HandleOfAnotherNodeIsABadDescriptor) {
  FakeMessage message(Opcode::read, bytes_of(fuse::ReadIn{.fh = directory_, .size = 16}), 2);
  EXPECT_EQ(serve(message).error(), Errno::badf);
}

TEST_F(BegunSession, ReleasedHandleIsABadDescriptor) {
  FakeMessage release(Opcode::release, bytes_of(fuse::ReleaseIn{.fh = file_}), 2);
  EXPECT_EQ(serve(release).error(), Errno::none);
  FakeMessage read(Opcode::read, bytes_of(fuse::ReadIn{.fh = file_, .size = 16}), 2);
  EXPECT_EQ(serve(read).error(), Errno::badf);
}

TEST_F(BegunSession, ForgedNodeIsStale) {
  for (const uint64_t forged : {uint64_t{0}, uint64_t{3}, uint64_t{1} << 32, UINT64_MAX}) {
    FakeMessage message(Opcode::getattr, bytes_of(fuse::GetattrIn{}), forged);
    EXPECT_EQ(serve(message).error(), Errno::stale) << forged;
  }
}

TEST_F(BegunSession, RepliesMayComeInAnyOrder) {
  fs_.hold(true);
  FakeMessage first(Opcode::getattr, bytes_of(fuse::GetattrIn{}), 1);
  FakeMessage second(Opcode::getattr, bytes_of(fuse::GetattrIn{}), 2);
  serve(first);
  serve(second);
  EXPECT_TRUE(fs_.release(true));
  EXPECT_FALSE(first.answered());
  EXPECT_EQ(second.reply<fuse::AttrOut>().attr.ino, 2u);
  EXPECT_TRUE(fs_.release());
  EXPECT_EQ(first.reply<fuse::AttrOut>().attr.ino, 1u);
}

// ---- Messages without an answer -----------------------------------------------------------------

TEST_F(BegunSession, ForgetHasNoAnswer) {
  FakeMessage message(Opcode::forget, bytes_of(fuse::ForgetIn{3}), 2);
  message.room(0);
  EXPECT_TRUE(serve(message).answered());
  EXPECT_EQ(message.written(), 0u);
  EXPECT_EQ(fs_.lookups_lost, 3u);
}

TEST_F(BegunSession, ForgetWithRoomForAReplyHasNoAnswerEither) {
  FakeMessage message(Opcode::forget, bytes_of(fuse::ForgetIn{3}), 2);
  serve(message);
  EXPECT_EQ(message.written(), 0u);
}

TEST_F(BegunSession, BatchForgetForgetsEach) {
  FakeMessage message(Opcode::batch_forget, bytes_of(fuse::BatchForgetIn{2, 0}) +
                                                bytes_of(fuse::ForgetOne{2, 3}) +
                                                bytes_of(fuse::ForgetOne{3, 4}));
  message.room(0);
  EXPECT_TRUE(serve(message).answered());
  EXPECT_EQ(message.written(), 0u);
  EXPECT_EQ(fs_.lookups_lost, 7u);
}

TEST_F(BegunSession, BatchForgetWithACountThatLiesForgetsWhatIsThere) {
  for (const uint32_t count : {2u, 1000000u, UINT32_MAX}) {
    fs_.calls = 0;
    FakeMessage message(Opcode::batch_forget, bytes_of(fuse::BatchForgetIn{count, 0}) +
                                                  bytes_of(fuse::ForgetOne{2, 3}) + "rest");
    EXPECT_TRUE(serve(message).answered());
    EXPECT_EQ(fs_.calls, 1u);
  }
}

TEST_F(BegunSession, TruncatedBatchForgetIsTakenBack) {
  FakeMessage message(Opcode::batch_forget, "abc");
  message.room(0);
  EXPECT_TRUE(serve(message).answered());
  EXPECT_EQ(fs_.calls, 0u);
}

// A file system's end() may let the reactor go on, as when closing a file takes long.
TEST_F(BegunSession, NothingReachesAFileSystemThatIsEnding) {
  Errno during_reboot = Errno::none;
  Errno second_init = Errno::none;
  fs_.while_ending = [&] {
    during_reboot = getattr();
    second_init = init(linux_init());
  };
  session_.queues_stopped();
  EXPECT_EQ(init(linux_init()), Errno::none);
  EXPECT_EQ(during_reboot, Errno::io);
  EXPECT_EQ(second_init, Errno::inval);
  EXPECT_EQ(fs_.calls, 0u);
  EXPECT_EQ(fs_.sessions, 2u);
  EXPECT_EQ(getattr(), Errno::none);
}

// A tenant that went on after a pause, and whose driver is hostile.
TEST_F(BegunSession, InitIsRefusedWhileARequestIsUnderWayAlsoAfterTheQueuesStopped) {
  session_.queues_stopped();
  fs_.hold(true);
  FakeMessage slow(Opcode::getattr, bytes_of(fuse::GetattrIn{}), 1);
  serve(slow);
  EXPECT_EQ(init(linux_init()), Errno::inval);
  EXPECT_EQ(fs_.ended, 0u);
  EXPECT_TRUE(fs_.release());
  EXPECT_EQ(slow.error(), Errno::none);
  EXPECT_EQ(init(linux_init()), Errno::none);
}

TEST_F(BegunSession, DestroyWaitsForABatchOfForgets) {
  FakeMessage destroy(Opcode::destroy);
  fs_.while_forgetting = [&] {
    serve(destroy);
    EXPECT_EQ(fs_.ended, 0u);
  };
  FakeMessage message(Opcode::batch_forget, bytes_of(fuse::BatchForgetIn{2, 0}) +
                                                bytes_of(fuse::ForgetOne{2, 3}) +
                                                bytes_of(fuse::ForgetOne{3, 4}));
  serve(message);
  EXPECT_EQ(fs_.lookups_lost, 7u);
  EXPECT_EQ(fs_.ended, 1u);
  EXPECT_EQ(destroy.error(), Errno::none);
}

// ---- Waits without bound
// --------------------------------------------------------------------------

TEST_F(SessionTest, InterruptIsHandedOnAndHasNoAnswer) {
  ASSERT_EQ(init(linux_init()), Errno::none);
  FakeMessage message(Opcode::interrupt, bytes_of(fuse::InterruptIn{77}));
  serve(message);
  EXPECT_TRUE(message.answered());
  EXPECT_EQ(message.written(), 0u);
  EXPECT_THAT(fs_.interrupted, testing::ElementsAre(77u));
}

TEST_F(SessionTest, DestroyEndsWhatWaitsWithoutBound) {
  ASSERT_EQ(init(linux_init()), Errno::none);
  FakeMessage destroy(Opcode::destroy);
  serve(destroy);
  EXPECT_EQ(fs_.waits_ended, 1u);
}

TEST_F(SessionTest, OperatorsWishesReachTheFileSystem) {
  Session::Options options;
  options.cache = CachePolicy::metadata();
  options.writeback = true;
  options.direct_io = true;
  options.transport_flags = init_flag::kOverIoUring;
  Session session(fs_, "test", options, counters_);
  FakeMessage message(Opcode::init, bytes_of([] {
                        fuse::InitIn in = linux_init();
                        in.flags2 = 0xffffffff;
                        return in;
                      }()));
  ASSERT_EQ(message.serve(session).error(), Errno::none);
  EXPECT_EQ(fs_.negotiated.cache.attr_valid_ms, CachePolicy::kDayMs);
  EXPECT_TRUE(fs_.negotiated.direct_io);
  EXPECT_NE(fs_.negotiated.flags & init_flag::kWritebackCache, 0u);
  EXPECT_NE(fs_.negotiated.flags & init_flag::kOverIoUring, 0u);
}

TEST_F(SessionTest, WritebackIsNotAgreedOnUnasked) {
  ASSERT_EQ(init(linux_init()), Errno::none);
  EXPECT_EQ(fs_.negotiated.flags & init_flag::kWritebackCache, 0u);
}

// ---- The end ------------------------------------------------------------------------------------

TEST_F(BegunSession, DestroyEndsTheSession) {
  FakeMessage message(Opcode::destroy);
  EXPECT_EQ(serve(message).error(), Errno::none);
  EXPECT_EQ(fs_.ended, 1u);
  EXPECT_EQ(getattr(), Errno::io);
}

TEST_F(BegunSession, InitAfterDestroyBeginsAnew) {
  FakeMessage message(Opcode::destroy);
  serve(message);
  EXPECT_EQ(init(linux_init()), Errno::none);
  EXPECT_EQ(fs_.open_handles(), 0u);
}

TEST_F(BegunSession, DestroyWaitsForWhatIsInFlight) {
  fs_.hold(true);
  FakeMessage first(Opcode::getattr, bytes_of(fuse::GetattrIn{}));
  FakeMessage second(Opcode::getattr, bytes_of(fuse::GetattrIn{}));
  serve(first);
  serve(second);
  FakeMessage destroy(Opcode::destroy);
  EXPECT_FALSE(serve(destroy).answered());
  EXPECT_TRUE(fs_.release());
  EXPECT_FALSE(destroy.answered());
  EXPECT_EQ(fs_.ended, 0u);
  EXPECT_TRUE(fs_.release());
  EXPECT_EQ(first.error(), Errno::none);
  EXPECT_EQ(second.error(), Errno::none);
  EXPECT_EQ(destroy.error(), Errno::none);
  EXPECT_EQ(fs_.ended, 1u);
}

TEST_F(BegunSession, NothingBeginsWhileTheSessionEnds) {
  fs_.hold(true);
  FakeMessage waiting(Opcode::getattr, bytes_of(fuse::GetattrIn{}));
  FakeMessage destroy(Opcode::destroy);
  serve(waiting);
  serve(destroy);
  FakeMessage again(Opcode::destroy);
  EXPECT_EQ(serve(again).error(), Errno::io);
  EXPECT_EQ(getattr(), Errno::io);
  EXPECT_EQ(init(linux_init()), Errno::inval);
  fs_.release_all();
  EXPECT_EQ(destroy.error(), Errno::none);
}

TEST_F(BegunSession, SessionThatIsDroppedEndsTheFileSystemsToo) {
  {
    FakeFileSystem fs;
    {
      Session session(fs, "test", {}, counters_);
      FakeMessage message(Opcode::init, bytes_of(linux_init()));
      message.serve(session);
    }
    EXPECT_EQ(fs.ended, 1u);
  }
}

TEST(Reply, DroppedReplySaysEio) {
  struct Sink final : ReplySink {
    void done(Request&, uint32_t n) noexcept override { written = n; }
    uint32_t written = 0;
  };
  Sink sink;
  fuse::OutHeader out{};
  const iovec part{&out, sizeof out};
  Request request;
  request.header.unique = 77;
  request.out = IoView({&part, 1});
  request.sink = &sink;
  {
    const Reply dropped(request);
  }
  EXPECT_EQ(sink.written, sizeof out);
  EXPECT_EQ(out.error, -EIO);
  EXPECT_EQ(out.unique, 77u);
}

TEST(Reply, MovedReplyIsAnsweredOnce) {
  struct Sink final : ReplySink {
    void done(Request&, uint32_t) noexcept override { ++answers; }
    int answers = 0;
  };
  Sink sink;
  Request request;
  request.sink = &sink;
  {
    Reply first(request);
    Reply second(std::move(first));
    second.error(Errno::perm);
  }
  EXPECT_EQ(sink.answers, 1);
}

}  // namespace
}  // namespace dpfs
