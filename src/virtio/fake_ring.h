// SPDX-License-Identifier: Apache-2.0
// A split ring in tenant memory, for tests: every field can be written, right or wrong.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "guest/fake_guest.h"
#include "virtio/layout.h"
#include "virtio/split_queue.h"

namespace dpfs {

class FakeRing {
 public:
  static constexpr uint64_t kGuest = 0x100000;       // where the region begins for descriptors
  static constexpr uint64_t kUser = 0x7f0000000000;  // and for vhost-user
  static constexpr size_t kBytes = 1 << 18;
  static constexpr size_t kAvail = 0x8000;
  static constexpr size_t kUsed = 0xa000;
  static constexpr size_t kData = 0x10000;

  explicit FakeRing(uint16_t size = 8) : FakeRing(size, fake_region(kGuest, kUser, kBytes)) {}
  FakeRing(uint16_t size, std::shared_ptr<const GuestRegion> region)
      : size(size), region(std::move(region)) {}

  const uint16_t size;
  const std::shared_ptr<const GuestRegion> region;
  MemoryPin memory = fake_memory({region});

  static RingAddresses addresses() {
    return {UserAddress{kUser}, UserAddress{kUser + kAvail}, UserAddress{kUser + kUsed}};
  }
  // The guest address of a byte of the area that is nobody's.
  static uint64_t data(size_t offset) { return kGuest + kData + offset; }

  virtio::Desc& desc(uint32_t i) const { return at<virtio::Desc>(sizeof(virtio::Desc) * i); }
  // Entry i of an indirect table at data(offset).
  virtio::Desc& indirect(size_t offset, uint32_t i) const {
    return at<virtio::Desc>(kData + offset + sizeof(virtio::Desc) * i);
  }
  uint16_t& avail_flags() const { return at<uint16_t>(kAvail); }
  uint16_t& avail_idx() const { return at<uint16_t>(kAvail + 2); }
  uint16_t& avail(uint16_t i) const {
    return at<uint16_t>(kAvail + virtio::avail_ring_offset(i & (size - 1)));
  }
  uint16_t& used_event() const { return at<uint16_t>(kAvail + virtio::used_event_offset(size)); }
  uint16_t& used_flags() const { return at<uint16_t>(kUsed); }
  uint16_t& used_idx() const { return at<uint16_t>(kUsed + 2); }
  virtio::UsedElem& used(uint16_t i) const {
    return at<virtio::UsedElem>(kUsed + virtio::used_ring_offset(i & (size - 1)));
  }
  uint16_t& avail_event() const { return at<uint16_t>(kUsed + virtio::avail_event_offset(size)); }

  void offer(uint16_t head) const {
    avail(avail_idx()) = head;
    ++avail_idx();
  }
  // A chain of one readable and one writable descriptor from 2 * n on, made available.
  void offer_pair(uint16_t n) const {
    const auto head = static_cast<uint16_t>(2 * n);
    const auto behind = static_cast<uint16_t>(head + 1);
    desc(head) = {data(0), 64, virtio::desc_flag::kNext, behind};
    desc(behind) = {data(0x1000), 128, virtio::desc_flag::kWrite, 0};
    offer(head);
  }

 private:
  template <class T>
  T& at(size_t offset) const {
    return *reinterpret_cast<T*>(region->base() + offset);
  }
};

}  // namespace dpfs
