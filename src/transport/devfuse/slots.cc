// SPDX-License-Identifier: Apache-2.0
// Staging memory: one mapping, of which only what is used is there.
#include "transport/devfuse/slots.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/assert.h"

namespace dpfs::devfuse {
namespace {

constexpr size_t kPageBytes = 4096;

}  // namespace

// Of each slot: a page at whose end the message begins, its payload, a page for what else a message
// may have; a page at whose end the reply begins, its payload.
Slots::Slots(size_t io_bytes_max)
    : slots_(std::make_unique_for_overwrite<Storage[]>(kCount)),
      bytes_each_(2 * io_bytes_max + 3 * kPageBytes),
      reply_at_(io_bytes_max + 2 * kPageBytes) {
  DPFS_ASSERT(io_bytes_max % kPageBytes == 0);
  void* mapped = mmap(nullptr, bytes_each_ * kCount, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  staging_ = static_cast<char*>(mapped);
  // A huge page would be 2 MiB for a message of 100 bytes.
  madvise(staging_, bytes_each_ * kCount, MADV_NOHUGEPAGE);
}

Slots::~Slots() {
  DPFS_ASSERT(taken_ == 0);
  for (uint32_t i = 0; i < made_; ++i) slot(i).~Slot();
  munmap(staging_, bytes_each_ * kCount);
}

Slot* Slots::take() noexcept {
  ++taken_;
  if (first_free_ != kNone) {
    Slot& taken = slot(first_free_);
    used_max_ = std::max(used_max_, first_free_ + 1);
    first_free_ = taken.next_free;
    taken.taken = true;
    return &taken;
  }
  DPFS_ASSERT(made_ < kCount);
  const uint32_t i = made_++;
  used_max_ = std::max(used_max_, made_);
  Slot* made = new (&slots_[i]) Slot;
  char* const message = staging(i) + kPageBytes - kWriteArguments;
  char* const reply = staging(i) + reply_at_ + kPageBytes - sizeof(fuse::OutHeader);
  made->taken = true;
  made->message = {message, static_cast<size_t>(staging(i) + reply_at_ - message)};
  made->reply = {reply, static_cast<size_t>(staging(i) + bytes_each_ - reply)};
  return made;
}

void Slots::give(Slot& slot) noexcept {
  --taken_;
  slot.taken = false;
  slot.next_free = first_free_;
  first_free_ = index(slot);
}

void Slots::trim() noexcept {
  if (used_max_ <= kKept) return;
  uint32_t used = 0;
  // In order again, so that the first ones are used first.
  first_free_ = kNone;
  for (uint32_t i = made_; i-- > 0;) {
    if (slot(i).taken) {
      used = std::max(used, i + 1);
      continue;
    }
    if (i >= kKept && i < used_max_) madvise(staging(i), bytes_each_, MADV_DONTNEED);
    slot(i).next_free = first_free_;
    first_free_ = i;
  }
  used_max_ = used;
}

}  // namespace dpfs::devfuse
