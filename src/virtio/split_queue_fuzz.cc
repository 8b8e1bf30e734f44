// SPDX-License-Identifier: Apache-2.0
// Rings and operations on them out of any bytes: the device's side never leaves the tenant's
// memory, always comes to an end, and gives each chain back once.
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/assert.h"
#include "guest/io_view.h"
#include "virtio/fake_ring.h"

namespace dpfs {
namespace {

constexpr uint16_t kSize = 16;
constexpr size_t kParts = 40;

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  template <class T>
  T take() {
    T value{};
    const size_t n = std::min(size_, sizeof value);
    std::memcpy(&value, data_, n);
    data_ += n;
    size_ -= n;
    return value;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

class Run {
 public:
  explicit Run(Input input) : input_(input) {}

  void go() {
    const auto start_bits = input_.take<uint8_t>();
    uint64_t features = virtio::feature::kVersion1;
    if ((start_bits & 1) != 0) features |= virtio::feature::kIndirectDesc;
    if ((start_bits & 2) != 0) features |= virtio::feature::kEventIdx;
    next_avail_ = (start_bits & 4) != 0 ? 65530 : 0;
    ring_.avail_idx() = next_avail_;
    ring_.used_idx() = used_ = published_ = next_avail_;
    DPFS_ASSERT(queue_.start(*ring_.memory, FakeRing::addresses(), kSize, features, next_avail_));
    while (!input_.empty()) step();
    give_back_all();
  }

 private:
  void step() {
    switch (input_.take<uint8_t>() % 10) {
      case 0:
      case 1:
        return describe(ring_.desc(input_.take<uint8_t>() % kSize));
      case 2:
        return describe(ring_.indirect(input_.take<uint8_t>() * 8u, input_.take<uint8_t>() % 64));
      case 3:
        return ring_.offer(input_.take<uint8_t>() % kSize);
      case 4:
        ring_.offer(input_.take<uint16_t>());
        return;
      case 5:
        return take();
      case 6:
        return give_back();
      case 7:
        return publish();
      case 8:
        return notifications();
      case 9:
        return scribble();
    }
  }

  void describe(virtio::Desc& desc) {
    const auto shape = input_.take<uint8_t>();
    desc.flags = shape & 7;
    desc.next = input_.take<uint8_t>() % (kSize + 1);
    desc.addr = FakeRing::kGuest + input_.take<uint16_t>() * 4u;
    desc.len = input_.take<uint16_t>();
    if ((shape & 8) != 0) desc.addr = FakeRing::data(input_.take<uint8_t>() * 8u);
    if ((shape & 16) != 0) desc.len &= 0x3f0;
    if ((shape & 32) != 0) desc.addr = input_.take<uint64_t>();
    if ((shape & 64) != 0) desc.len = input_.take<uint32_t>();
    if ((shape & 128) != 0) desc.next = input_.take<uint16_t>();
  }

  void take() {
    const bool broken = queue_.broken();
    const Result<Chain> chain = queue_.take(*ring_.memory, parts_);
    if (!chain) {
      DPFS_ASSERT(chain.error() == Errno::again || chain.error() == Errno::proto);
      DPFS_ASSERT((chain.error() == Errno::proto) == (!broken && queue_.broken()));
      DPFS_ASSERT(queue_.next_avail() == next_avail_);
      return;
    }
    DPFS_ASSERT(!broken && chain->head < kSize);
    ++next_avail_;
    DPFS_ASSERT(queue_.next_avail() == next_avail_);
    const size_t parts = chain->readable_parts + chain->writable_parts;
    DPFS_ASSERT(parts > 0 && parts <= kParts);
    size_t written = 0;
    for (size_t i = 0; i < parts; ++i) {
      const auto* begin = static_cast<const char*>(parts_[i].iov_base);
      DPFS_ASSERT(parts_[i].iov_len > 0);
      DPFS_ASSERT(begin >= ring_.region->base() &&
                  begin + parts_[i].iov_len <= ring_.region->base() + FakeRing::kBytes);
      if (i >= chain->readable_parts) written += parts_[i].iov_len;
    }
    in_flight_.push_back({chain->head, static_cast<uint32_t>(written)});
    // A device reads, then writes: whatever the tenant's buffers are, also its own ring.
    IoView in(std::span(parts_).first(chain->readable_parts));
    IoView out(std::span(parts_).subspan(chain->readable_parts, chain->writable_parts));
    std::array<char, 64> bytes{};
    in.copy_out(bytes.data(), bytes.size());
    out.copy_in(bytes.data(), bytes.size());
  }

  void give_back() {
    if (in_flight_.empty()) return;
    const size_t which = input_.take<uint8_t>() % in_flight_.size();
    const virtio::UsedElem element = in_flight_[which];
    in_flight_.erase(in_flight_.begin() + static_cast<ptrdiff_t>(which));
    queue_.put_used(static_cast<uint16_t>(element.id), element.len);
    if (queue_.broken()) return;
    const virtio::UsedElem& seen = ring_.used(used_);
    DPFS_ASSERT(seen.id == element.id && seen.len == element.len);
    ++used_;
  }
  void give_back_all() {
    while (!in_flight_.empty()) give_back();
    publish();
  }

  void publish() {
    queue_.publish();
    if (queue_.broken() || used_ == published_) return;
    published_ = used_;
    DPFS_ASSERT(ring_.used_idx() == used_);
  }

  void notifications() {
    switch (input_.take<uint8_t>() % 5) {
      case 0:
        return queue_.enable_kicks();
      case 1:
        return queue_.disable_kicks();
      case 2:
        queue_.has_work();
        return;
      case 3: {
        // Another table of the same memory, or one without the ring.
        static const auto elsewhere = fake_region(0x80000000, 0x1000, 4096);
        const bool lost = input_.take<uint8_t>() % 8 == 0;
        GuestMemory::Regions regions{elsewhere};
        if (!lost) regions.push_back(ring_.region);
        MemoryPin memory = fake_memory(std::move(regions));
        DPFS_ASSERT(static_cast<bool>(queue_.remap(*memory)) == !lost);
        if (!lost) ring_.memory = std::move(memory);
        return;
      }
      case 4: {  // a reset
        queue_.stop();
        in_flight_.clear();
        ring_.avail_idx() = next_avail_;
        ring_.used_idx() = used_ = published_ = next_avail_;
        constexpr uint64_t kFeatures = virtio::feature::kIndirectDesc | virtio::feature::kEventIdx;
        DPFS_ASSERT(
            queue_.start(*ring_.memory, FakeRing::addresses(), kSize, kFeatures, next_avail_));
        return;
      }
    }
  }

  // The tenant writes anywhere but into the used ring's entries, which are ours to check.
  void scribble() {
    const auto where = input_.take<uint8_t>();
    if (where < 8) {
      ring_.avail_idx() = input_.take<uint16_t>();
    } else if (where < 12) {
      ring_.used_event() = input_.take<uint16_t>();
    } else if (where < 16) {
      ring_.avail_flags() = input_.take<uint16_t>();
    } else {
      ring_.avail(where % kSize) = input_.take<uint16_t>();
    }
  }

  Input input_;
  FakeRing ring_ = fresh_ring();
  SplitQueue queue_;
  std::array<iovec, kParts> parts_{};
  std::vector<virtio::UsedElem> in_flight_;
  uint16_t next_avail_ = 0;
  uint16_t used_ = 0;
  uint16_t published_ = 0;

  // One mapping for all runs: making one takes longer than a run.
  static FakeRing fresh_ring() {
    static const auto region = fake_region(FakeRing::kGuest, FakeRing::kUser, FakeRing::kBytes);
    std::memset(region->base(), 0, FakeRing::kData + 0x3000);
    return FakeRing(kSize, region);
  }
};

}  // namespace
}  // namespace dpfs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dpfs::Run(dpfs::Input(data, size)).go();
  return 0;
}
