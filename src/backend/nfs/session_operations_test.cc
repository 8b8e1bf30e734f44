// SPDX-License-Identifier: Apache-2.0
// The COMPOUNDs of client ids and sessions: requests byte for byte, and what is taken from replies.
#include "backend/nfs/session_operations.h"

#include <gtest/gtest.h>

#include <string>

#include "backend/nfs/wire_harness.h"

namespace dpfs::nfs {
namespace {

SessionId session_of(char fill) {
  SessionId session;
  session.bytes.fill(static_cast<uint8_t>(fill));
  return session;
}

Wire channel(uint32_t request, uint32_t response, uint32_t cached, uint32_t operations,
             uint32_t requests) {
  return Wire().u32(0).u32(request).u32(response).u32(cached).u32(operations).u32(requests).u32(0);
}

TEST(ExchangeId, SaysWhoWeAre) {
  Verifier verifier;
  verifier.bytes.fill('v');
  const std::string owner = "dpfs host";
  ExchangeId call(verifier, owner);
  EXPECT_FALSE(call.has_session);
  EXPECT_EQ(operations_of(call),
            Wire().op(42).fixed("vvvvvvvv").opaque(owner).u32(0x10000).u32(0).u32(0));
  const Wire reply = Wire()
                         .result(42)
                         .u64(0x123456789)
                         .u32(3)
                         .u32(0x80010000)
                         .u32(0)
                         .u64(1)
                         .opaque("owner")
                         .opaque("scope")
                         .u32(0);
  EXPECT_FALSE(answer(call, 1, reply).failed);
  EXPECT_EQ(call.client_id, 0x123456789u);
  EXPECT_EQ(call.sequence, 3u);
  EXPECT_EQ(call.flags & kConfirmedClient, kConfirmedClient);
}

TEST(ExchangeId, AProtectionThatNobodyAskedForIsRefused) {
  const Verifier verifier;
  const std::string owner;
  ExchangeId call(verifier, owner);
  EXPECT_TRUE(answer(call, 1, Wire().result(42).u64(1).u32(1).u32(0).u32(1).u64(0).u64(0)).failed);
}

TEST(CreateSession, AsksForItsChannels) {
  CreateSession call;
  call.client_id = 5;
  call.sequence = 6;
  call.wanted = {
      .request_bytes = 1, .response_bytes = 2, .cached_bytes = 3, .operations = 4, .requests = 5};
  EXPECT_EQ(operations_of(call), Wire()
                                     .op(43)
                                     .u64(5)
                                     .u32(6)
                                     .u32(0)
                                     .add(channel(1, 2, 3, 4, 5))
                                     .add(channel(4096, 4096, 0, 2, 1))
                                     .u32(0x40000000)
                                     .u32(1)
                                     .u32(0));
}

TEST(CreateSession, TakesWhatIsGiven) {
  CreateSession call;
  const Wire reply = Wire()
                         .result(43)
                         .fixed(std::string(16, 's'))
                         .u32(6)
                         .u32(0)
                         .add(channel(10, 20, 30, 40, 50))
                         .add(channel(0, 0, 0, 0, 0));
  EXPECT_FALSE(answer(call, 1, reply).failed);
  EXPECT_EQ(call.session, session_of('s'));
  EXPECT_EQ(call.got.request_bytes, 10u);
  EXPECT_EQ(call.got.response_bytes, 20u);
  EXPECT_EQ(call.got.requests, 50u);
}

TEST(CreateSession, RdmaIsSkippedAndTwiceIsNonsense) {
  for (const uint32_t count : {1u, 2u}) {
    Wire reply = Wire().result(43).fixed(std::string(16, 's')).u32(6).u32(0);
    reply.u32(0).u32(1).u32(2).u32(3).u32(4).u32(5).u32(count).u32(0);
    CreateSession call;
    EXPECT_EQ(answer(call, 1, reply).failed, count == 2);
  }
}

TEST(BindConnection, IsForTheForeChannel) {
  BindConnection call;
  call.session = session_of('s');
  EXPECT_EQ(operations_of(call), Wire().op(41).fixed(std::string(16, 's')).u32(1).u32(0));
}

TEST(Farewell, DestroysTheSessionAndTheClientId) {
  DestroySession session;
  session.session = session_of('s');
  EXPECT_EQ(operations_of(session), Wire().op(44).fixed(std::string(16, 's')));
  DestroyClientId id;
  id.client_id = 77;
  EXPECT_EQ(operations_of(id), Wire().op(57).u64(77));
}

TEST(ReclaimComplete, IsForTheWholeServer) {
  ReclaimComplete call;
  EXPECT_TRUE(call.has_session);
  EXPECT_TRUE(call.recovers);
  EXPECT_EQ(operations_of(call), Wire().op(58).u32(0));
}

}  // namespace
}  // namespace dpfs::nfs
