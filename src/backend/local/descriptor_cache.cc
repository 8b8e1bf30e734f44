// SPDX-License-Identifier: Apache-2.0
// Second chance (CLOCK): a use sets one bit, and whoever looks for room clears it.
#include "backend/local/descriptor_cache.h"

#include <new>

#include "base/assert.h"

namespace dpfs::local {

uint32_t DescriptorCache::add(int fd, uint32_t node) noexcept {
  uint32_t slot = first_free_;
  if (slot == kNoIndex) {
    slot = static_cast<uint32_t>(slots_.size());
    try {
      slots_.emplace_back();
    } catch (const std::bad_alloc&) {
      return kNoIndex;
    }
  } else {
    first_free_ = slots_[slot].next_free;
  }
  slots_[slot] = {.fd = fd, .node = node, .pins = 1, .next_free = kNoIndex, .used_lately = true};
  ++open_;
  return slot;
}

DescriptorCache::Evicted DescriptorCache::take_out(uint32_t slot) noexcept {
  Slot& out = slots_[slot];
  const Evicted evicted{out.fd, out.node};
  out.fd = -1;
  out.node = kNoIndex;
  out.next_free = first_free_;
  first_free_ = slot;
  --open_;
  return evicted;
}

DescriptorCache::Evicted DescriptorCache::unpinned(uint32_t slot) noexcept {
  if (slots_[slot].node == kNoIndex || over_limit()) return take_out(slot);
  return {};
}

int DescriptorCache::orphan(uint32_t slot) noexcept {
  if (slots_[slot].pins == 0) return take_out(slot).fd;
  slots_[slot].node = kNoIndex;
  return -1;
}

DescriptorCache::Evicted DescriptorCache::evict() noexcept {
  // Two rounds: the first may do nothing but clear bits.
  for (size_t looked = 0; looked < 2 * slots_.size(); ++looked) {
    const uint32_t slot = hand_;
    hand_ = hand_ + 1 < slots_.size() ? hand_ + 1 : 0;
    Slot& candidate = slots_[slot];
    if (candidate.fd < 0 || candidate.pins != 0) continue;
    if (!candidate.used_lately) return take_out(slot);
    candidate.used_lately = false;
  }
  return {};
}

DescriptorCache::Evicted DescriptorCache::take_any_but(uint32_t slot) noexcept {
  for (; hand_ < slots_.size(); ++hand_) {
    if (hand_ != slot && slots_[hand_].fd >= 0) return take_out(hand_);
  }
  hand_ = 0;
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    if (i != slot && slots_[i].fd >= 0) return take_out(i);
  }
  return {};
}

}  // namespace dpfs::local
