// SPDX-License-Identifier: Apache-2.0
// How requests lie on the ring, and which replies are believed; against a fake device in this
// process.
#include "driver/client.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "driver/fake_backend.h"
#include "driver/mount.h"
#include "driver/requests.h"

namespace dpfs::driver {
namespace {

using fuse::Opcode;
using testing::ElementsAre;
using Seen = FakeBackend::Seen;
using Answer = FakeBackend::Answer;

Answer answer_normally(const Seen& seen) {
  const fuse::InHeader header = seen.header();
  switch (static_cast<Opcode>(header.opcode)) {
    case Opcode::init:
      return FakeBackend::reply(seen, fuse::InitOut{.major = 7, .minor = 38, .max_write = 1 << 20});
    case Opcode::getattr: {
      fuse::AttrOut out{};
      out.attr.ino = header.nodeid;
      return FakeBackend::reply(seen, out);
    }
    case Opcode::read: {
      std::vector<std::byte> data(seen.at<fuse::ReadIn>(sizeof header).size, std::byte{0x5a});
      return FakeBackend::reply_bytes(seen, data);
    }
    case Opcode::write:
      return FakeBackend::reply(seen,
                                fuse::WriteOut{seen.at<fuse::WriteIn>(sizeof header).size, 0});
    case Opcode::forget:
      return {};
    default:
      return FakeBackend::error(seen, ENOENT);
  }
}

struct Rig {
  explicit Rig(FakeBackend::Serve serve = answer_normally, DeviceOptions options = {},
               uint64_t features = FakeBackend::kFeatures)
      : backend(std::move(serve), features),
        device(VhostUserConnection(backend.take_driver_end()), options),
        client(device, {.calls_per_queue = 4, .data_size = 64 << 10, .timeout_ms = 5'000}),
        mount(client) {}

  FakeBackend backend;
  Device device;
  Client client;
  Mount mount;
};

TEST(Client, InitAsksForWhatLinux612AsksFor) {
  Rig rig;
  ASSERT_TRUE(rig.mount.init());
  Seen seen = rig.backend.seen().at(0);
  EXPECT_THAT(seen.readable, ElementsAre(40, 64));
  EXPECT_THAT(seen.writable, ElementsAre(16, 64));
  EXPECT_EQ(seen.queue, virtio::kFirstRequestQueue);
  EXPECT_EQ(seen.at<fuse::InitIn>(40).minor, 41u);
  EXPECT_EQ(rig.client.agreement().minor, 38u);
}

TEST(Client, ReadHasOneWritableDescriptorForEachPage) {
  Rig rig;
  std::vector<std::byte> into(10'000);
  Result<uint32_t> size = rig.mount.read({2, 3}, 4096, into);
  ASSERT_TRUE(size);
  EXPECT_EQ(*size, 10'000u);
  EXPECT_EQ(into.back(), std::byte{0x5a});
  Seen seen = rig.backend.seen().at(0);
  EXPECT_TRUE(seen.indirect);
  EXPECT_THAT(seen.readable, ElementsAre(40, 40));
  EXPECT_THAT(seen.writable, ElementsAre(16, 4096, 4096, 10'000 - 8192));
}

TEST(Client, WriteHasOneReadableDescriptorForEachPage) {
  Rig rig;
  std::vector<std::byte> from(5000, std::byte{7});
  Result<uint32_t> size = rig.mount.write({2, 3}, 0, from);
  ASSERT_TRUE(size);
  EXPECT_EQ(*size, 5000u);
  Seen seen = rig.backend.seen().at(0);
  EXPECT_THAT(seen.readable, ElementsAre(40, 40, 4096, 904));
  EXPECT_THAT(seen.writable, ElementsAre(16, 8));
  EXPECT_EQ(seen.header().len, 80u + 5000);
  EXPECT_EQ(seen.bytes.back(), std::byte{7});
}

TEST(Client, LookupSendsTheNameWithItsNul) {
  Rig rig;
  EXPECT_EQ(rig.mount.lookup({1, "name"}).error(), Errno::noent);
  Seen seen = rig.backend.seen().at(0);
  EXPECT_THAT(seen.readable, ElementsAre(40, 5));
  EXPECT_THAT(seen.writable, ElementsAre(16, 128));
  EXPECT_EQ(std::memcmp(seen.bytes.data() + 40, "name", 5), 0);
}

TEST(Client, LongNameFitsToo) {
  Rig rig;
  std::string name(4000, 'x');
  EXPECT_EQ(rig.mount.lookup({1, name}).error(), Errno::noent);
  EXPECT_THAT(rig.backend.seen().at(0).readable, ElementsAre(40, 4001));
}

TEST(Client, ForgetIsOneDirectDescriptorOnTheHiprioQueue) {
  Rig rig;
  ASSERT_TRUE(rig.client.forget(5, 2));
  while (rig.client.poll() == 0) std::this_thread::yield();
  Seen seen = rig.backend.seen().at(0);
  EXPECT_EQ(seen.queue, virtio::kHiprioQueue);
  EXPECT_FALSE(seen.indirect);
  EXPECT_THAT(seen.readable, ElementsAre(48));
  EXPECT_THAT(seen.writable, ElementsAre());
  EXPECT_EQ(seen.at<fuse::ForgetIn>(40).nlookup, 2u);
}

TEST(Client, WithoutIndirectDescriptorsTheChainLiesInTheRing) {
  Rig rig(answer_normally, {}, FakeBackend::kFeatures & ~virtio::feature::kIndirectDesc);
  std::vector<std::byte> into(8192);
  ASSERT_TRUE(rig.mount.read({2, 3}, 0, into));
  Seen seen = rig.backend.seen().at(0);
  EXPECT_FALSE(seen.indirect);
  EXPECT_THAT(seen.writable, ElementsAre(16, 4096, 4096));
}

TEST(Client, SleepingDriverIsWokenByTheCallEventfd) {
  Rig rig;
  rig.client.set_sleep(true);
  for (uint64_t node = 1; node <= 100; ++node) {
    Result<fuse::AttrOut> out = rig.mount.getattr(node);
    ASSERT_TRUE(out);
    ASSERT_EQ(out->attr.ino, node);
  }
}

TEST(Client, CallsInFlightCompleteThroughTheirCallbacks) {
  Rig rig;
  uint32_t completed = 0;
  std::vector<Call*> calls;
  while (Call* call = rig.client.take()) {
    request::getattr(*call, 7);
    call->context = &completed;
    call->done = [](Call&, void* context) noexcept { ++*static_cast<uint32_t*>(context); };
    ASSERT_TRUE(rig.client.submit(*call));
    calls.push_back(call);
  }
  while (completed < calls.size()) ASSERT_TRUE(rig.client.wait());
  EXPECT_EQ(calls.size(), 4u);
  for (Call* call : calls) rig.client.give(*call);
}

TEST(Client, ShorterReplyOfAnOlderDeviceIsFilledUpWithZeros) {
  Rig rig([](const Seen& seen) {
    fuse::InitOut out{.major = 7, .minor = 22, .max_write = 4096, .time_gran = 99};
    return FakeBackend::reply_bytes(
        seen, std::as_bytes(std::span(&out, 1)).first(fuse::kInitOutCompat22Size));
  });
  Result<fuse::InitOut> out = rig.mount.init();
  ASSERT_TRUE(out);
  EXPECT_EQ(out->max_write, 4096u);
  EXPECT_EQ(out->time_gran, 0u);
}

// ---- Replies that Linux refuses
// -------------------------------------------------------------------

void expect_refused(FakeBackend::Serve serve) {
  Rig rig(std::move(serve));
  EXPECT_EQ(rig.mount.getattr(1).error(), Errno::proto);
  EXPECT_EQ(rig.client.counters().bad_replies, 1u);
}

TEST(Client, ReplyWithAnotherUniqueIsRefused) {
  expect_refused([](const Seen& seen) {
    Seen other = seen;
    other.bytes[offsetof(fuse::InHeader, unique)] ^= std::byte{1};
    return FakeBackend::reply(other, fuse::AttrOut{});
  });
}

TEST(Client, UsedLengthOtherThanTheReplysOwnIsRefused) {
  expect_refused([](const Seen& seen) {
    Answer answer = FakeBackend::reply(seen, fuse::AttrOut{});
    answer.used_length_surplus = 1;
    return answer;
  });
}

TEST(Client, ReplyLongerThanItsRoomIsRefused) {
  expect_refused([](const Seen& seen) { return FakeBackend::reply(seen, fuse::EntryOut{}); });
}

TEST(Client, PositiveErrorIsRefused) {
  expect_refused([](const Seen& seen) { return FakeBackend::error(seen, -ENOENT); });
}

TEST(Client, EmptyReplyIsRefused) {
  expect_refused([](const Seen&) { return Answer{}; });
}

// ---- Device
// ---------------------------------------------------------------------------------------

TEST(Device, ConfigurationSpaceNamesTheTag) {
  Rig rig;
  EXPECT_EQ(rig.device.tag(), "fake");
  EXPECT_EQ(rig.device.config()->num_request_queues, 2u);
}

TEST(Device, MoreQueuesThanTheDeviceHasAreRefusedWithBothNumbers) {
  FakeBackend backend(answer_normally);
  try {
    Device device(VhostUserConnection(backend.take_driver_end()), {.request_queues = 3});
    FAIL() << "three request queues were accepted";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "the device has 2 request queue(s), 3 were asked for");
  }
}

TEST(Device, NegotiatesInQemusOrder) {
  Rig rig;
  using enum vhost_user::Request;
  std::vector<vhost_user::Request> requests = rig.backend.requests();
  requests.resize(7);
  EXPECT_THAT(requests, ElementsAre(get_features, get_protocol_features, set_protocol_features,
                                    get_queue_num, set_owner, set_features, set_mem_table));
}

TEST(Device, RestartedRingsGoOnWhereTheyStopped) {
  Rig rig;
  ASSERT_TRUE(rig.mount.getattr(1));
  ASSERT_TRUE(rig.device.stop());
  ASSERT_TRUE(rig.device.start());
  EXPECT_TRUE(rig.mount.getattr(2));
}

TEST(Device, MissingSocketIsExplained) {
  try {
    Device device("/nonexistent/socket", DeviceOptions{});
    FAIL() << "connected";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("start the daemon first"));
  }
}

}  // namespace
}  // namespace dpfs::driver
