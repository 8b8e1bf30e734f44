// SPDX-License-Identifier: Apache-2.0
// Memory tables: what a VMM may claim, and where addresses lead.
#include "guest/guest_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "guest/fake_guest.h"

namespace dpfs {
namespace {

constexpr uint64_t kMax = UINT64_MAX;

Errno refusal_of(uint64_t guest, uint64_t user, uint64_t size, uint64_t offset, size_t file_size) {
  const Fd file = memory_file(file_size);
  const Result<GuestRegion*> region =
      GuestRegion::map({GuestAddress{guest}, UserAddress{user}, size, offset}, file);
  if (region) delete *region;
  return region.error();
}

TEST(GuestRegion, EmptyRegionIsRefused) {
  EXPECT_EQ(refusal_of(0x1000, 0x1000, 0, 0, 4096), Errno::inval);
}

TEST(GuestRegion, RegionThatWrapsAroundIsRefused) {
  EXPECT_EQ(refusal_of(kMax - 4094, 0x1000, 4096, 0, 4096), Errno::inval);
  EXPECT_EQ(refusal_of(0x1000, kMax - 4094, 4096, 0, 4096), Errno::inval);
  EXPECT_EQ(refusal_of(0x1000, 0x1000, 4096, kMax - 4094, 4096), Errno::inval);
  EXPECT_EQ(refusal_of(0x1000, 0x1000, kMax, 4096, 4096), Errno::inval);
}

TEST(GuestRegion, RegionUpToTheLastAddressIsTaken) {
  EXPECT_EQ(refusal_of(kMax - 4096, kMax - 4096, 4096, 0, 4096), Errno::none);
}

TEST(GuestRegion, RegionLongerThanItsFileIsRefused) {
  EXPECT_EQ(refusal_of(0x1000, 0x1000, 8192, 0, 4096), Errno::inval);
  EXPECT_EQ(refusal_of(0x1000, 0x1000, 4096, 1, 4096), Errno::inval);
  EXPECT_EQ(refusal_of(0x1000, 0x1000, 4096, 0, 0), Errno::inval);
}

TEST(GuestRegion, DescriptorThatCannotBeMappedIsRefused) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const Fd one(ends[0]);
  const Fd other(ends[1]);
  const Result<GuestRegion*> region =
      GuestRegion::map({GuestAddress{0}, UserAddress{0}, 4096, 0}, one);
  EXPECT_FALSE(region);
}

TEST(GuestRegion, ReadOnlyFileIsRefused) {
  const Fd file = memory_file(4096);
  const Fd read_only(open(("/proc/self/fd/" + std::to_string(file.get())).c_str(), O_RDONLY));
  ASSERT_TRUE(read_only);
  EXPECT_EQ(GuestRegion::map({GuestAddress{0}, UserAddress{0}, 4096, 0}, read_only).error(),
            Errno::acces);
}

TEST(GuestRegion, BeginsAtItsOffsetInTheFileAlsoWhenThatIsNoPage) {
  const Fd file = memory_file(8192);
  ASSERT_EQ(pwrite(file.get(), "hello", 5, 100), 5);
  const Result<GuestRegion*> region =
      GuestRegion::map({GuestAddress{0x1000}, UserAddress{0x9000}, 5, 100}, file);
  ASSERT_TRUE(region);
  const std::unique_ptr<GuestRegion> owned(*region);
  EXPECT_EQ(std::string_view(owned->base(), 5), "hello");
}

TEST(GuestMemory, OverlappingRegionsAreRefusedInAnyOrder) {
  for (const bool swapped : {false, true}) {
    GuestMemory::Regions regions{fake_region(0x10000, 0x10000, 0x2000),
                                 fake_region(0x11fff, 0x80000, 0x1000)};
    if (swapped) std::swap(regions[0], regions[1]);
    EXPECT_EQ(GuestMemory::make(regions).error(), Errno::inval);
  }
}

TEST(GuestMemory, SameRegionTwiceIsRefused) {
  const auto region = fake_region(0x10000, 0x10000, 0x1000);
  EXPECT_EQ(GuestMemory::make({region, region}).error(), Errno::inval);
}

TEST(GuestMemory, NeighboursDoNotOverlap) {
  EXPECT_TRUE(
      fake_memory({fake_region(0x11000, 0x80000, 0x1000), fake_region(0x10000, 0x10000, 0x1000)}));
}

class Translation : public testing::Test {
 protected:
  Result<size_t> translate(uint64_t address, uint64_t size) {
    return memory_->translate(GuestAddress{address}, size, out_, 0);
  }
  // Two that touch, a hole, and one that ends at the last address.
  const std::shared_ptr<const GuestRegion> first_ = fake_region(0x10000, 0x500000, 0x1000);
  const std::shared_ptr<const GuestRegion> second_ = fake_region(0x11000, 0x900000, 0x1000);
  const std::shared_ptr<const GuestRegion> last_ = fake_region(kMax - 0x1000, 0x700000, 0x1000);
  const MemoryPin memory_ = fake_memory({second_, last_, first_});
  std::array<iovec, 3> out_{};
};

TEST_F(Translation, RangeInOneRegionIsOnePiece) {
  ASSERT_EQ(*translate(0x10010, 0x20), 1u);
  EXPECT_EQ(out_[0].iov_base, first_->base() + 0x10);
  EXPECT_EQ(out_[0].iov_len, 0x20u);
}

TEST_F(Translation, RangeAcrossNeighboursIsTwoPieces) {
  ASSERT_EQ(*translate(0x10ff0, 0x20), 2u);
  EXPECT_EQ(out_[0].iov_base, first_->base() + 0xff0);
  EXPECT_EQ(out_[0].iov_len, 0x10u);
  EXPECT_EQ(out_[1].iov_base, second_->base());
  EXPECT_EQ(out_[1].iov_len, 0x10u);
}

TEST_F(Translation, PiecesAreAppended) {
  const Result<size_t> used = memory_->translate(GuestAddress{0x11000}, 1, out_, 2);
  ASSERT_EQ(*used, 3u);
  EXPECT_EQ(out_[2].iov_base, second_->base());
}

TEST_F(Translation, RangeThatLeavesTheRegionsIsAFault) {
  EXPECT_EQ(translate(0x11ff0, 0x11).error(), Errno::fault);
  EXPECT_EQ(translate(0xffff, 1).error(), Errno::fault);
  EXPECT_EQ(translate(0xffff, 2).error(), Errno::fault);
  EXPECT_EQ(translate(0, kMax).error(), Errno::fault);
}

TEST_F(Translation, RangeThatWrapsAroundIsAFault) {
  EXPECT_EQ(translate(kMax - 0x10, 0x11).error(), Errno::fault);
  EXPECT_EQ(translate(kMax, kMax).error(), Errno::fault);
  EXPECT_EQ(translate(0x10000, kMax - 0xffff).error(), Errno::fault);
}

TEST_F(Translation, RangeUpToTheLastByteIsMapped) {
  ASSERT_EQ(*translate(kMax - 0x10, 0x10), 1u);
  EXPECT_EQ(out_[0].iov_base, last_->base() + 0xff0);
}

TEST_F(Translation, FullOutputIsTooBig) {
  EXPECT_EQ(memory_->translate(GuestAddress{0x10ff0}, 0x20, out_, 2).error(), Errno::toobig);
  EXPECT_EQ(memory_->translate(GuestAddress{0x10ff0}, 0x20, {}, 0).error(), Errno::toobig);
}

TEST_F(Translation, UserRangeMustLieInOneRegion) {
  EXPECT_EQ(memory_->at(UserAddress{0x500010}, 0xff0), first_->base() + 0x10);
  EXPECT_EQ(memory_->at(UserAddress{0x500010}, 0xff1), nullptr);
  EXPECT_EQ(memory_->at(UserAddress{0x4fffff}, 1), nullptr);
  EXPECT_EQ(memory_->at(UserAddress{0x500010}, kMax), nullptr);
  EXPECT_EQ(memory_->at(UserAddress{kMax}, 1), nullptr);
}

TEST(MemoryPin, LastPinUnmapsTheTable) {
  std::weak_ptr<const GuestRegion> watched;
  MemoryPin kept;
  {
    auto region = fake_region(0x1000, 0x1000, 4096);
    watched = region;
    const MemoryPin first = fake_memory({std::move(region)});
    kept = first;
  }
  EXPECT_FALSE(watched.expired());
  kept = {};
  EXPECT_TRUE(watched.expired());
}

TEST(MemoryPin, RegionSharedByTwoTablesOutlivesTheFirst) {
  auto region = fake_region(0x1000, 0x1000, 4096);
  MemoryPin before = fake_memory({region});
  const MemoryPin after = fake_memory({region, fake_region(0x8000, 0x8000, 4096)});
  before = {};
  std::memset(after->at(UserAddress{0x1000}, 4096), 1, 4096);
  EXPECT_EQ(region->base()[4095], 1);
}

}  // namespace
}  // namespace dpfs
