// SPDX-License-Identifier: Apache-2.0
// What a VMM may say to a device, and what it may not; over a real socket, on a real reactor.
#include "transport/vhost_user/connection.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "base/log.h"
#include "fuse/fake_filesystem.h"
#include "fuse/fake_message.h"
#include "transport/vhost_user/fake_vmm.h"

namespace dpfs::vhost_user {
namespace {

constexpr auto kRefused = std::optional<uint64_t>{1};
constexpr auto kAccepted = std::optional<uint64_t>{0};

class ConnectionTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { log::set_level(log::Level::error); }
  ~ConnectionTest() override {
    // Whatever the test did: the device serves the next VMM.
    vmm_.hang_up();
    EXPECT_TRUE(serves_another());
  }
  bool serves_another() {
    const FakeVmm next(server_);
    next.send(Request::get_features);
    const auto reply = next.receive();
    return reply && reply->u64() == FakeVmm::kFeatures;
  }
  // Puts a message on ring 1 and waits for its answer's length; nothing: none came.
  std::optional<uint32_t> request(const std::string& bytes, const FakeVmm& vmm) {
    char* area = vmm.ring.region->base() + FakeRing::kData;
    std::memcpy(area, bytes.data(), bytes.size());
    vmm.ring.desc(0) = {FakeRing::data(0), static_cast<uint32_t>(bytes.size()),
                        virtio::desc_flag::kNext, 1};
    vmm.ring.desc(1) = {FakeRing::data(0x1000), 4096, virtio::desc_flag::kWrite, 0};
    const uint16_t before = vmm.ring.used_idx();
    vmm.ring.used_event() = before;
    vmm.ring.offer(0);
    vmm.kick_it();
    if (!vmm.wait_for_call()) return std::nullopt;
    if (vmm.ring.used_idx() == before) return std::nullopt;
    return vmm.ring.used(before).len;
  }
  static std::string fuse_init() {
    fuse::InHeader header{.len = sizeof(fuse::InHeader) + sizeof(fuse::InitIn),
                          .opcode = static_cast<uint32_t>(fuse::Opcode::init)};
    return FakeVmm::bytes_of(header) + FakeVmm::bytes_of(linux_init());
  }
  static constexpr uint32_t kInitReply = sizeof(fuse::OutHeader) + sizeof(fuse::InitOut);

  FakeFileSystem fs_;
  RunningServer server_{fs_, {.tag = "test", .request_queues = 2, .queue_size_max = 64}};
  FakeVmm vmm_{server_};
};

TEST_F(ConnectionTest, DeviceIsBroughtUpAndAnswers) {
  ASSERT_TRUE(vmm_.bring_up());
  EXPECT_EQ(request(fuse_init(), vmm_), kInitReply);
}

TEST_F(ConnectionTest, QueuesAreCountedWithTheHiprioOne) {
  vmm_.send(Request::get_queue_num);
  EXPECT_EQ(vmm_.receive()->u64(), 3u);
}

TEST_F(ConnectionTest, ConfigurationHasTheTag) {
  vmm_.send(Request::get_config, FakeVmm::bytes_of(ConfigHeader{0, 40, 0}) + std::string(40, '\0'));
  const std::string answer = vmm_.receive()->payload;
  ASSERT_EQ(answer.size(), sizeof(ConfigHeader) + sizeof(virtio::FsConfig));
  EXPECT_STREQ(answer.data() + sizeof(ConfigHeader), "test");
}

TEST_F(ConnectionTest, ConfigurationBeyondItsEndIsAnsweredWithNothing) {
  for (const ConfigHeader head :
       {ConfigHeader{0, 41, 0}, ConfigHeader{41, 0, 0}, ConfigHeader{1, 40, 0},
        ConfigHeader{UINT32_MAX, 1, 0}, ConfigHeader{1, UINT32_MAX, 0}}) {
    vmm_.send(Request::get_config, FakeVmm::bytes_of(head) + std::string(40, '\0'));
    const auto reply = vmm_.receive();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->payload.size(), 0u);
  }
}

// ---- Messages that are none ---------------------------------------------------------------------

TEST_F(ConnectionTest, WrongVersionIsSentAway) {
  vmm_.send_raw(FakeVmm::bytes_of(Header{1, 2, 0}));
  EXPECT_TRUE(vmm_.hung_up());
}

TEST_F(ConnectionTest, ReplyInsteadOfARequestIsSentAway) {
  vmm_.send_raw(FakeVmm::bytes_of(Header{1, header_flag::kVersion | header_flag::kReply, 0}));
  EXPECT_TRUE(vmm_.hung_up());
}

TEST_F(ConnectionTest, SizeThatOverflowsIsSentAway) {
  for (const uint32_t size : {uint32_t{kPayloadMax} + 1, 0x80000000u, UINT32_MAX}) {
    const FakeVmm vmm(server_);
    vmm_.hang_up();
    vmm.send_raw(FakeVmm::bytes_of(Header{2, header_flag::kVersion, size}));
    EXPECT_TRUE(vmm.hung_up()) << size;
  }
}

TEST_F(ConnectionTest, TruncatedMessageIsForgottenWithItsSender) {
  const std::string whole = FakeVmm::message(Request::set_features, std::string(8, '\0'));
  vmm_.send_raw(std::string_view(whole).substr(0, 15));
}

TEST_F(ConnectionTest, MessageMayComeByteByByte) {
  for (const char byte : FakeVmm::message(Request::get_features, {})) vmm_.send_raw({&byte, 1});
  EXPECT_EQ(vmm_.receive()->u64(), FakeVmm::kFeatures);
}

TEST_F(ConnectionTest, PayloadOfTheWrongSizeIsRefused) {
  ASSERT_TRUE(vmm_.negotiate());
  for (const Request request :
       {Request::set_features, Request::set_vring_num, Request::set_vring_addr,
        Request::set_vring_kick, Request::add_mem_reg, Request::rem_mem_reg, Request::set_status,
        Request::set_mem_table}) {
    EXPECT_EQ(vmm_.ask(request, std::string(7, '\0')), kRefused) << static_cast<int>(request);
    EXPECT_EQ(vmm_.ask(request, {}), kRefused) << static_cast<int>(request);
  }
}

TEST_F(ConnectionTest, UnknownRequestIsRefused) {
  ASSERT_TRUE(vmm_.negotiate());
  for (const uint32_t request : {0u, kRequestMax + 1, 12345u, UINT32_MAX}) {
    EXPECT_EQ(vmm_.ask(static_cast<Request>(request)), kRefused) << request;
  }
}

TEST_F(ConnectionTest, RefusalWithoutReplyAckIsAHangUp) {
  vmm_.send(Request::set_features, FakeVmm::bytes_of(UINT64_MAX));
  EXPECT_TRUE(vmm_.hung_up());
}

TEST_F(ConnectionTest, FeaturesThatWereNotOfferedAreRefused) {
  ASSERT_TRUE(vmm_.negotiate());
  EXPECT_EQ(vmm_.ask_with(Request::set_features, virtio::feature::kRingPacked), kRefused);
  EXPECT_EQ(vmm_.ask_with(Request::set_protocol_features, uint64_t{1} << 63), kRefused);
}

// ---- Descriptors --------------------------------------------------------------------------------

TEST_F(ConnectionTest, TooManyDescriptorsAreSentAwayAndClosed) {
  std::vector<int> fds(kFdsMax + 1, vmm_.memory_fd());
  vmm_.send(Request::get_features, {}, fds);
  EXPECT_TRUE(vmm_.hung_up());
}

TEST_F(ConnectionTest, MissingDescriptorIsRefused) {
  ASSERT_TRUE(vmm_.negotiate());
  EXPECT_EQ(vmm_.ask(Request::set_mem_table, FakeVmm::memory_table({FakeVmm::ring_region()})),
            kRefused);
  EXPECT_EQ(vmm_.ask_with(Request::set_vring_kick, uint64_t{1}), kRefused);
  EXPECT_EQ(vmm_.ask_with(Request::set_vring_call, uint64_t{1}), kRefused);
  EXPECT_EQ(vmm_.ask(Request::set_backend_req_fd), kRefused);
  EXPECT_EQ(vmm_.ask_with(Request::add_mem_reg, SingleMemoryRegion{0, FakeVmm::ring_region()}),
            kRefused);
}

TEST_F(ConnectionTest, DescriptorTooManyIsRefused) {
  ASSERT_TRUE(vmm_.negotiate());
  const int two[] = {vmm_.kick.get(), vmm_.kick.get()};
  EXPECT_EQ(vmm_.ask_with(Request::set_vring_call, uint64_t{1}, two), kRefused);
  EXPECT_EQ(vmm_.ask_with(Request::set_vring_call, uint64_t{1} | vring_fd::kNoFd,
                          std::span(two).first(1)),
            kRefused);
  EXPECT_EQ(vmm_.ask(Request::set_mem_table, FakeVmm::memory_table({FakeVmm::ring_region()}), two),
            kRefused);
}

TEST_F(ConnectionTest, KickThatCannotBeWatchedIsRefused) {
  ASSERT_TRUE(vmm_.negotiate());
  ASSERT_TRUE(vmm_.share_memory());
  ASSERT_TRUE(vmm_.prepare_ring(1));
  const int file = vmm_.memory_fd();
  EXPECT_EQ(vmm_.ask_with(Request::set_vring_kick, uint64_t{1}, {&file, 1}), kRefused);
}

TEST_F(ConnectionTest, FullPipeAsErrorDescriptorHoldsUpNobody) {
  ASSERT_TRUE(vmm_.bring_up());
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Fd read_end(ends[0]);
  const Fd write_end(ends[1]);
  fcntl(write_end.get(), F_SETFL, O_NONBLOCK);
  const std::string page(4096, 'x');
  while (write(write_end.get(), page.data(), page.size()) > 0) {
  }
  while (write(write_end.get(), page.data(), 1) > 0) {
  }
  fcntl(write_end.get(), F_SETFL, 0);  // blocking, as pipes are
  const int error_fd = write_end.get();
  ASSERT_EQ(vmm_.ask_with(Request::set_vring_err, uint64_t{1}, {&error_fd, 1}), kAccepted);
  vmm_.ring.avail_idx() = 4711;
  vmm_.kick_it();
  vmm_.send(Request::get_features);
  EXPECT_TRUE(vmm_.receive());
}

TEST_F(ConnectionTest, FullPipeAsCallDescriptorHoldsUpNobody) {
  ASSERT_TRUE(vmm_.bring_up());
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Fd read_end(ends[0]);
  const Fd write_end(ends[1]);
  fcntl(write_end.get(), F_SETFL, O_NONBLOCK);
  const std::string page(4096, 'x');
  while (write(write_end.get(), page.data(), page.size()) > 0) {
  }
  fcntl(write_end.get(), F_SETFL, 0);
  const int call_fd = write_end.get();
  EXPECT_EQ(vmm_.ask_with(Request::set_vring_call, uint64_t{1}, {&call_fd, 1}), kAccepted);
  vmm_.send(Request::get_features);
  EXPECT_TRUE(vmm_.receive());
}

// ---- Memory -------------------------------------------------------------------------------------

TEST_F(ConnectionTest, MemoryThatLiesAboutItsSizeIsRefused) {
  ASSERT_TRUE(vmm_.negotiate());
  const int fd = vmm_.memory_fd();
  MemoryRegion region = FakeVmm::ring_region();
  for (const uint64_t size : {uint64_t{0}, uint64_t{FakeRing::kBytes} + 1, UINT64_MAX}) {
    region.memory_size = size;
    EXPECT_EQ(vmm_.ask(Request::set_mem_table, FakeVmm::memory_table({region}), {&fd, 1}), kRefused)
        << size;
  }
  region = FakeVmm::ring_region();
  region.mmap_offset = UINT64_MAX - 1;
  EXPECT_EQ(vmm_.ask(Request::set_mem_table, FakeVmm::memory_table({region}), {&fd, 1}), kRefused);
  region = FakeVmm::ring_region();
  region.guest_phys_addr = UINT64_MAX - 1;
  EXPECT_EQ(vmm_.ask(Request::set_mem_table, FakeVmm::memory_table({region}), {&fd, 1}), kRefused);
}

TEST_F(ConnectionTest, MemoryThatOverlapsIsRefused) {
  ASSERT_TRUE(vmm_.negotiate());
  const int fds[] = {vmm_.memory_fd(), vmm_.memory_fd()};
  EXPECT_EQ(vmm_.ask(Request::set_mem_table,
                     FakeVmm::memory_table({FakeVmm::ring_region(), FakeVmm::ring_region()}), fds),
            kRefused);
}

TEST_F(ConnectionTest, TableWhoseCountLiesIsRefused) {
  ASSERT_TRUE(vmm_.negotiate());
  const int fd = vmm_.memory_fd();
  for (const uint32_t count : {0u, 2u, 9u, UINT32_MAX}) {
    std::string table = FakeVmm::memory_table({FakeVmm::ring_region()});
    std::memcpy(table.data(), &count, sizeof count);
    EXPECT_EQ(vmm_.ask(Request::set_mem_table, table, {&fd, 1}), kRefused) << count;
  }
}

TEST_F(ConnectionTest, RefusedTableLeavesTheOldOneInForce) {
  ASSERT_TRUE(vmm_.bring_up());
  EXPECT_EQ(vmm_.ask(Request::set_mem_table, std::string(8, '\0')), kRefused);
  EXPECT_EQ(request(fuse_init(), vmm_), kInitReply);
}

TEST_F(ConnectionTest, RegionThatNobodyAddedCannotBeRemoved) {
  ASSERT_TRUE(vmm_.negotiate());
  const SingleMemoryRegion region{0, FakeVmm::ring_region()};
  EXPECT_EQ(vmm_.ask_with(Request::rem_mem_reg, region), kRefused);
  ASSERT_TRUE(vmm_.share_memory());
  SingleMemoryRegion other = region;
  other.region.memory_size -= 1;
  EXPECT_EQ(vmm_.ask_with(Request::rem_mem_reg, other), kRefused);
}

TEST_F(ConnectionTest, RingWhoseMemoryIsRemovedIsStoppedAndTheDaemonLives) {
  ASSERT_TRUE(vmm_.bring_up());
  EXPECT_EQ(request(fuse_init(), vmm_), kInitReply);
  EXPECT_EQ(vmm_.ask_with(Request::rem_mem_reg, SingleMemoryRegion{0, FakeVmm::ring_region()}),
            kRefused);
  for (int i = 0; i < 10; ++i) vmm_.kick_it();
  vmm_.send(Request::get_features);
  EXPECT_TRUE(vmm_.receive());
}

TEST_F(ConnectionTest, MemoryIsAddedWhileARingRuns) {
  ASSERT_TRUE(vmm_.bring_up());
  const Fd more = memory_file(4096);
  const int fd = more.get();
  const SingleMemoryRegion region{0, {0x10000000, 4096, 0x1000, 0}};
  EXPECT_EQ(vmm_.ask_with(Request::add_mem_reg, region, {&fd, 1}), kAccepted);
  EXPECT_EQ(request(fuse_init(), vmm_), kInitReply);
  EXPECT_EQ(vmm_.ask_with(Request::rem_mem_reg, region), kAccepted);
}

// ---- Rings --------------------------------------------------------------------------------------

TEST_F(ConnectionTest, RingThatDoesNotExistIsRefused) {
  ASSERT_TRUE(vmm_.negotiate());
  for (const uint32_t index : {3u, 255u, 256u, UINT32_MAX}) {
    EXPECT_EQ(vmm_.ask_with(Request::set_vring_num, VringState{index, 8}), kRefused);
    EXPECT_EQ(vmm_.ask_with(Request::set_vring_base, VringState{index, 0}), kRefused);
    EXPECT_EQ(vmm_.ask_with(Request::set_vring_enable, VringState{index, 1}), kRefused);
    EXPECT_EQ(vmm_.ask_with(Request::set_vring_addr, FakeVmm::ring_addr(index)), kRefused);
  }
}

TEST_F(ConnectionTest, BaseOfARingThatDoesNotExistHasNoAnswerButAHangUp) {
  vmm_.send(Request::get_vring_base, FakeVmm::bytes_of(VringState{99, 0}));
  EXPECT_TRUE(vmm_.hung_up());
}

TEST_F(ConnectionTest, RingOfAnImpossibleSizeIsRefused) {
  ASSERT_TRUE(vmm_.negotiate());
  ASSERT_TRUE(vmm_.share_memory());
  for (const uint32_t size : {0u, 65u, 128u, 65536u, UINT32_MAX}) {
    EXPECT_EQ(vmm_.ask_with(Request::set_vring_num, VringState{1, size}), kRefused) << size;
  }
  ASSERT_TRUE(vmm_.prepare_ring(1));
  EXPECT_EQ(vmm_.ask_with(Request::set_vring_num, VringState{1, 3}), kAccepted);
  const int kick = vmm_.kick.get();
  EXPECT_EQ(vmm_.ask_with(Request::set_vring_kick, uint64_t{1}, {&kick, 1}), kRefused);
}

TEST_F(ConnectionTest, RingStartedOutOfOrderIsRefused) {
  ASSERT_TRUE(vmm_.negotiate());
  const int kick = vmm_.kick.get();
  EXPECT_EQ(vmm_.ask_with(Request::set_vring_kick, uint64_t{1}, {&kick, 1}), kRefused);
  ASSERT_TRUE(vmm_.share_memory());
  EXPECT_EQ(vmm_.ask_with(Request::set_vring_kick, uint64_t{1}, {&kick, 1}), kRefused);
}

TEST_F(ConnectionTest, RunningRingIsNotChanged) {
  ASSERT_TRUE(vmm_.bring_up());
  EXPECT_EQ(vmm_.ask_with(Request::set_vring_num, VringState{1, 4}), kRefused);
  EXPECT_EQ(vmm_.ask_with(Request::set_vring_base, VringState{1, 4}), kRefused);
  EXPECT_EQ(vmm_.ask_with(Request::set_vring_addr, FakeVmm::ring_addr(1)), kRefused);
  EXPECT_EQ(request(fuse_init(), vmm_), kInitReply);
}

TEST_F(ConnectionTest, BrokenRingIsWholeAfterARestart) {
  ASSERT_TRUE(vmm_.bring_up());
  vmm_.ring.avail_idx() = 4711;
  vmm_.kick_it();
  vmm_.send(Request::get_vring_base, FakeVmm::bytes_of(VringState{1, 0}));
  ASSERT_TRUE(vmm_.receive());
  vmm_.ring.avail_idx() = 0;
  vmm_.ring.used_idx() = 0;
  ASSERT_TRUE(vmm_.start_ring(1));
  EXPECT_EQ(request(fuse_init(), vmm_), kInitReply);
}

// cloud-hypervisor sets NEED_REPLY on every message, also on those that have an answer anyway.
TEST_F(ConnectionTest, BaseOfARunningRingIsAnsweredOnce) {
  ASSERT_TRUE(vmm_.bring_up());
  vmm_.send(Request::get_vring_base, FakeVmm::bytes_of(VringState{1, 0}), {},
            header_flag::kNeedReply);
  const auto reply = vmm_.receive();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->payload.size(), sizeof(VringState));
  EXPECT_FALSE(vmm_.receive(50));
  vmm_.send(Request::get_features);
  EXPECT_EQ(vmm_.receive()->header.request, static_cast<uint32_t>(Request::get_features));
}

TEST_F(ConnectionTest, ResetOfARunningDeviceIsAnsweredOnce) {
  ASSERT_TRUE(vmm_.bring_up());
  EXPECT_EQ(vmm_.ask(Request::reset_device), kAccepted);
  EXPECT_FALSE(vmm_.receive(50));
  vmm_.send(Request::get_features);
  EXPECT_EQ(vmm_.receive()->header.request, static_cast<uint32_t>(Request::get_features));
  EXPECT_TRUE(vmm_.start_ring(1));
}

// A hundred in one send: the daemon works through them without a stack that grows with their
// number. (Many more answers than that, unread, and it would take the VMM for gone.)
TEST_F(ConnectionTest, ManyStopsAndStartsInOneGoAreAnsweredInOrder) {
  ASSERT_TRUE(vmm_.bring_up());
  constexpr uint32_t kTimes = 100;
  std::string messages;
  for (uint32_t i = 0; i < kTimes; ++i) {
    messages += FakeVmm::message(Request::get_vring_base, FakeVmm::bytes_of(VringState{1, 0}));
    messages +=
        FakeVmm::message(Request::set_vring_kick, FakeVmm::bytes_of(uint64_t{1} | vring_fd::kNoFd));
  }
  vmm_.send_raw(messages);
  for (uint32_t i = 0; i < kTimes; ++i) {
    const auto reply = vmm_.receive();
    ASSERT_TRUE(reply) << i;
    EXPECT_EQ(reply->header.request, static_cast<uint32_t>(Request::get_vring_base));
  }
}

TEST_F(ConnectionTest, BaseWaitsForWhatIsInFlight) {
  ASSERT_TRUE(vmm_.bring_up());
  EXPECT_EQ(request(fuse_init(), vmm_), kInitReply);
  server_.running().call([this] { fs_.hold(true); });
  fuse::InHeader getattr{.len = sizeof(fuse::InHeader) + sizeof(fuse::GetattrIn),
                         .opcode = static_cast<uint32_t>(fuse::Opcode::getattr),
                         .unique = 2,
                         .nodeid = 1};
  const std::string bytes = FakeVmm::bytes_of(getattr) + FakeVmm::bytes_of(fuse::GetattrIn{});
  std::memcpy(vmm_.ring.region->base() + FakeRing::kData, bytes.data(), bytes.size());
  vmm_.ring.desc(0).len = static_cast<uint32_t>(bytes.size());
  vmm_.ring.offer(0);
  vmm_.kick_it();
  bool waits = false;
  while (!waits) server_.running().call([&] { waits = fs_.anything_waits(); });
  vmm_.send(Request::get_vring_base, FakeVmm::bytes_of(VringState{1, 0}));
  EXPECT_FALSE(vmm_.receive(50));
  server_.running().call([this] { fs_.release_all(); });
  const auto reply = vmm_.receive();
  ASSERT_TRUE(reply);
  VringState state;
  std::memcpy(&state, reply->payload.data(), sizeof state);
  EXPECT_EQ(state.num, 2u);
  EXPECT_EQ(vmm_.ring.used_idx(), 2);
}

TEST_F(ConnectionTest, VmmThatGoesWithRequestsInFlightIsFollowedByTheNext) {
  ASSERT_TRUE(vmm_.bring_up());
  EXPECT_EQ(request(fuse_init(), vmm_), kInitReply);
  server_.running().call([this] { fs_.hold(true); });
  fuse::InHeader statfs{.len = sizeof(fuse::InHeader),
                        .opcode = static_cast<uint32_t>(fuse::Opcode::statfs),
                        .unique = 2,
                        .nodeid = 1};
  std::memcpy(vmm_.ring.region->base() + FakeRing::kData, &statfs, sizeof statfs);
  vmm_.ring.desc(0).len = sizeof statfs;
  vmm_.ring.offer(0);
  vmm_.kick_it();
  bool waits = false;
  while (!waits) server_.running().call([&] { waits = fs_.anything_waits(); });
  vmm_.hang_up();
  server_.running().call([this] {
    fs_.release_all();
    fs_.hold(false);
  });
  const FakeVmm next(server_);
  ASSERT_TRUE(next.bring_up());
  EXPECT_EQ(request(fuse_init(), next), kInitReply);
}

TEST_F(ConnectionTest, NothingIsLeakedByFiftyVmms) {
  vmm_.hang_up();
  size_t before = 0;
  for (int i = 0; i < 50; ++i) {
    const FakeVmm vmm(server_);
    ASSERT_TRUE(vmm.bring_up());
    EXPECT_EQ(request(fuse_init(), vmm), kInitReply);
    if (i == 0) before = open_descriptors();
    EXPECT_EQ(open_descriptors(), before);
  }
  server_.running().call([this] { EXPECT_GE(fs_.sessions, 49u); });
}

}  // namespace
}  // namespace dpfs::vhost_user
