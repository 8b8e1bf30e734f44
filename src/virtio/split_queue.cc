// SPDX-License-Identifier: Apache-2.0
// The device's side of a split virtqueue.
#include "virtio/split_queue.h"

#include <atomic>
#include <bit>
#include <cstring>
#include <limits>

#include "base/assert.h"

namespace dpfs {
namespace {

using virtio::Desc;

// Ring fields are shared with the tenant's processors: every access is one load or store, and
// ordered as section 2.7.13 asks.
uint16_t load_u16(const char* at, std::memory_order order) noexcept {
  auto* field = reinterpret_cast<uint16_t*>(const_cast<char*>(at));
  return std::atomic_ref<uint16_t>(*field).load(order);
}
void store_u16(char* at, uint16_t value, std::memory_order order) noexcept {
  std::atomic_ref<uint16_t>(*reinterpret_cast<uint16_t*>(at)).store(value, order);
}

// One copy, so that what was checked is what is used.
Desc load_desc(const char* table, uint32_t index) noexcept {
  Desc copy;
  std::memcpy(&copy, table + sizeof(Desc) * index, sizeof copy);
  std::atomic_signal_fence(
      std::memory_order_seq_cst);  // the compiler must not read the tenant's again
  return copy;
}

constexpr uint16_t kNoKicksFlag = virtio::used_flag::kNoNotify;

bool aligned(const char* at, size_t to) noexcept {
  return reinterpret_cast<uintptr_t>(at) % to == 0;
}

}  // namespace

const char* SplitQueue::describe(Fault fault) noexcept {
  switch (fault) {
    case Fault::none:
      return "no fault";
    case Fault::avail_index_jumped:
      return "the available index jumped by more than the queue's size";
    case Fault::head_out_of_range:
      return "an available entry names a descriptor outside the table";
    case Fault::chain_too_long:
      return "a chain is longer than its table (a loop)";
    case Fault::next_out_of_range:
      return "a descriptor's next is outside the table";
    case Fault::address_not_mapped:
      return "a descriptor's address range is not in the tenant's memory";
    case Fault::zero_length:
      return "a descriptor has no length";
    case Fault::indirect_not_agreed:
      return "an indirect descriptor although INDIRECT_DESC was not negotiated";
    case Fault::indirect_in_indirect:
      return "an indirect table inside an indirect table";
    case Fault::indirect_and_next:
      return "an indirect descriptor with a next one";
    case Fault::indirect_size:
      return "an indirect table whose size is no multiple of a descriptor's";
    case Fault::readable_after_writable:
      return "a readable descriptor behind a writable one";
    case Fault::too_many_parts:
      return "a chain with more pieces than a request can hold";
  }
  return "unknown fault";
}

Result<Unit> SplitQueue::start(const GuestMemory& memory, const RingAddresses& addresses,
                               uint16_t size, uint64_t features, uint16_t next_avail) noexcept {
  if (!std::has_single_bit(size) || size > virtio::kQueueSizeMax) return Errno::inval;
  addresses_ = addresses;
  size_ = size;
  if (Result<Unit> mapped = map(memory); !mapped) {
    size_ = 0;
    return mapped;
  }
  event_idx_ = (features & virtio::feature::kEventIdx) != 0;
  indirect_ = (features & virtio::feature::kIndirectDesc) != 0;
  fault_ = Fault::none;
  next_avail_ = next_avail;
  // The used index is the driver's to keep across a stop: a VMM that restores a tenant has it in
  // its memory.
  next_used_ = published_ = told_ =
      load_u16(used_ + offsetof(virtio::UsedHeader, idx), std::memory_order_relaxed);
  return Unit{};
}

Result<Unit> SplitQueue::remap(const GuestMemory& memory) noexcept {
  if (!started()) return Unit{};
  Result<Unit> mapped = map(memory);
  if (!mapped) fault_ = Fault::address_not_mapped;
  return mapped;
}

Result<Unit> SplitQueue::map(const GuestMemory& memory) noexcept {
  char* desc = memory.at(addresses_.desc, virtio::desc_table_size(size_));
  char* avail = memory.at(addresses_.avail, virtio::avail_size(size_));
  char* used = memory.at(addresses_.used, virtio::used_size(size_));
  if (desc == nullptr || avail == nullptr || used == nullptr ||
      !aligned(desc, virtio::kDescAlign) || !aligned(avail, virtio::kAvailAlign) ||
      !aligned(used, virtio::kUsedAlign)) {
    return Errno::fault;
  }
  desc_ = desc;
  avail_ = avail;
  used_ = used;
  return Unit{};
}

bool SplitQueue::has_work() const noexcept {
  return started() && !broken() &&
         load_u16(avail_ + offsetof(virtio::AvailHeader, idx), std::memory_order_acquire) !=
             next_avail_;
}

Errno SplitQueue::broken_by(Fault fault) noexcept {
  fault_ = fault;
  return Errno::proto;
}

Result<Chain> SplitQueue::take(const GuestMemory& memory, std::span<iovec> parts) noexcept {
  if (!started() || broken()) return Errno::again;
  const uint16_t avail_idx =
      load_u16(avail_ + offsetof(virtio::AvailHeader, idx), std::memory_order_acquire);
  const auto available = static_cast<uint16_t>(avail_idx - next_avail_);
  if (available == 0) return Errno::again;
  if (available > size_) return broken_by(Fault::avail_index_jumped);
  const auto slot = static_cast<uint16_t>(next_avail_ & (size_ - 1));
  const uint16_t head =
      load_u16(avail_ + virtio::avail_ring_offset(slot), std::memory_order_relaxed);
  if (head >= size_) return broken_by(Fault::head_out_of_range);

  Chain chain{.head = head, .readable_parts = 0, .writable_parts = 0};
  const char* table = desc_;
  uint32_t table_size = size_;
  uint32_t index = head;
  bool in_indirect = false;
  size_t used_parts = 0;
  for (uint32_t steps = 0;; ++steps) {
    if (steps == table_size) return broken_by(Fault::chain_too_long);
    const Desc desc = load_desc(table, index);
    if ((desc.flags & virtio::desc_flag::kIndirect) != 0) {
      if (!indirect_) return broken_by(Fault::indirect_not_agreed);
      if (in_indirect) return broken_by(Fault::indirect_in_indirect);
      if ((desc.flags & virtio::desc_flag::kNext) != 0) return broken_by(Fault::indirect_and_next);
      if (desc.len == 0 || desc.len % sizeof(Desc) != 0) return broken_by(Fault::indirect_size);
      iovec place;
      const Result<size_t> mapped =
          memory.translate(GuestAddress{desc.addr}, desc.len, {&place, 1}, 0);
      // A table that straddles two regions is legal and has never been seen: it is refused like an
      // unmapped one.
      if (!mapped) return broken_by(Fault::address_not_mapped);
      table = static_cast<const char*>(place.iov_base);
      table_size = desc.len / sizeof(Desc);
      index = 0;
      in_indirect = true;
      steps = UINT32_MAX;  // the next step is the table's first
      continue;
    }
    if (desc.len == 0) return broken_by(Fault::zero_length);
    const bool writable = (desc.flags & virtio::desc_flag::kWrite) != 0;
    if (!writable && chain.writable_parts > 0) return broken_by(Fault::readable_after_writable);
    const Result<size_t> used =
        memory.translate(GuestAddress{desc.addr}, desc.len, parts, used_parts);
    if (!used) {
      return broken_by(used.error() == Errno::toobig ? Fault::too_many_parts
                                                     : Fault::address_not_mapped);
    }
    const auto added = static_cast<uint32_t>(*used - used_parts);
    (writable ? chain.writable_parts : chain.readable_parts) += added;
    used_parts = *used;
    if ((desc.flags & virtio::desc_flag::kNext) == 0) break;
    index = desc.next;
    if (index >= table_size) return broken_by(Fault::next_out_of_range);
  }
  ++next_avail_;
  return chain;
}

void SplitQueue::put_used(uint16_t head, uint32_t written) noexcept {
  if (!started() || broken()) return;
  const virtio::UsedElem element{head, written};
  const auto slot = static_cast<uint16_t>(next_used_ & (size_ - 1));
  std::memcpy(used_ + virtio::used_ring_offset(slot), &element, sizeof element);
  ++next_used_;
}

void SplitQueue::publish() noexcept {
  if (!started() || broken() || next_used_ == published_) return;
  published_ = next_used_;
  store_u16(used_ + offsetof(virtio::UsedHeader, idx), next_used_, std::memory_order_release);
}

bool SplitQueue::wants_interrupt() const noexcept {
  if (!started() || broken() || told_ == published_) return false;
  // The driver writes used_event (or the flag), then looks at the index; we do it the other way
  // round.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (event_idx_) {
    const uint16_t used_event =
        load_u16(avail_ + virtio::used_event_offset(size_), std::memory_order_relaxed);
    return virtio::event_crossed(used_event, published_, told_);
  }
  return (load_u16(avail_ + offsetof(virtio::AvailHeader, flags), std::memory_order_relaxed) &
          virtio::avail_flag::kNoInterrupt) == 0;
}

void SplitQueue::enable_kicks() noexcept {
  if (!started() || broken()) return;  // a broken ring may be unmapped
  if (event_idx_) {
    store_u16(used_ + virtio::avail_event_offset(size_), next_avail_, std::memory_order_relaxed);
  } else {
    store_u16(used_ + offsetof(virtio::UsedHeader, flags), 0, std::memory_order_relaxed);
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void SplitQueue::disable_kicks() noexcept {
  if (!started() || broken()) return;
  // With EVENT_IDX the driver kicks when it passes avail_event: one that lies behind is passed only
  // after the index has gone all the way round.
  if (event_idx_) {
    store_u16(used_ + virtio::avail_event_offset(size_), static_cast<uint16_t>(next_avail_ - 1),
              std::memory_order_relaxed);
  } else {
    store_u16(used_ + offsetof(virtio::UsedHeader, flags), kNoKicksFlag, std::memory_order_relaxed);
  }
}

}  // namespace dpfs
