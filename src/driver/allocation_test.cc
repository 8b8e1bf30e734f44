// SPDX-License-Identifier: Apache-2.0
// Counts what the driver allocates for a request: nothing.
#include <gtest/gtest.h>

#include "base/count_allocations.h"
#include "driver/client.h"
#include "driver/fake_backend.h"
#include "driver/requests.h"

namespace dpfs::driver {
namespace {

FakeBackend::Answer answer(const FakeBackend::Seen& seen) {
  if (seen.header().opcode == static_cast<uint32_t>(fuse::Opcode::forget)) return {};
  return FakeBackend::reply(seen, fuse::AttrOut{});
}

// The fake device allocates as it likes, on a thread of its own.
uint64_t allocations_of_100_requests(bool sleep) {
  FakeBackend backend(answer);
  Device device(VhostUserConnection(backend.take_driver_end()), {});
  Client client(device, {.calls_per_queue = 4, .data_size = 4096, .sleep = sleep});
  Call* call = client.take();
  const uint64_t before = allocations_counted_here;
  for (uint64_t node = 1; node <= 100; ++node) {
    request::getattr(*call, node);
    if (!client.run(*call)) return UINT64_MAX;
    if (!client.forget(node, 1)) return UINT64_MAX;
  }
  const uint64_t after = allocations_counted_here;
  client.give(*call);
  return after - before;
}

TEST(Allocation, PollingDriverAllocatesNothingPerRequest) {
  if (!kCountsAllocations) GTEST_SKIP() << "the sanitizer has a malloc of its own";
  EXPECT_EQ(allocations_of_100_requests(false), 0u);
}

TEST(Allocation, SleepingDriverAllocatesNothingPerRequest) {
  if (!kCountsAllocations) GTEST_SKIP() << "the sanitizer has a malloc of its own";
  EXPECT_EQ(allocations_of_100_requests(true), 0u);
}

}  // namespace
}  // namespace dpfs::driver
