// SPDX-License-Identifier: Apache-2.0
// Memory that is taken away reads as zeros instead of ending the process.
#include "guest/bus_error_guard.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>

#include "guest/guest_memory.h"

namespace dpfs {
namespace {

constexpr uint64_t kBytes = 1 << 20;

Fd memory_file() {
  Fd file(memfd_create("dpfs_test", MFD_CLOEXEC));
  EXPECT_EQ(ftruncate(file.get(), kBytes), 0);
  return file;
}

TEST(BusErrorGuard, RegionOfATruncatedFileReadsZerosAndTakesWrites) {
  const Fd file = memory_file();
  const Result<GuestRegion*> mapped = GuestRegion::map({.size = kBytes}, file);
  ASSERT_TRUE(mapped);
  const std::unique_ptr<GuestRegion> region(*mapped);
  volatile char* bytes = region->base();
  bytes[5000] = 'x';
  ASSERT_EQ(ftruncate(file.get(), 0), 0);
  EXPECT_EQ(bytes[5000], '\0');
  bytes[6000] = 'y';
  EXPECT_EQ(bytes[6000], 'y');
}

TEST(BusErrorGuardDeathTest, MemoryOfOthersStillEndsTheProcess) {
  const Fd file = memory_file();
  const std::unique_ptr<GuestRegion> guarded(*GuestRegion::map({.size = kBytes}, file));
  auto* bytes =
      static_cast<volatile char*>(mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, file.get(), 0));
  ASSERT_NE(bytes, MAP_FAILED);
  ASSERT_EQ(ftruncate(file.get(), 0), 0);
  EXPECT_DEATH(static_cast<void>(bytes[5000]), "");
}

}  // namespace
}  // namespace dpfs
