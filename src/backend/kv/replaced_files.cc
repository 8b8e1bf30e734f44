// SPDX-License-Identifier: Apache-2.0
// Keeping files that were replaced, and letting them go.
#include "backend/kv/replaced_files.h"

#include "backend/kv/locked.h"
#include "backend/kv/volume.h"
#include "base/log.h"
#include "base/monotonic.h"

namespace dpfs::kv {
namespace {

// As long as a tenant believes in a name by default, and much longer than from LOOKUP to OPEN.
constexpr uint64_t kKeptNs = 1'000'000'000;

}  // namespace

void ReplacedFiles::add(NodeRef node) noexcept {
  --reserved_;
  if (!node) return;
  push(std::move(node));
  arm();
}

void ReplacedFiles::push(NodeRef node) noexcept {
  kept_[(first_ + count_) % kept_.size()] = {.node = std::move(node),
                                             .until_ns = monotonic_ns() + kKeptNs};
  ++count_;
}

NodeRef ReplacedFiles::pop() noexcept {
  NodeRef node = std::move(kept_[first_].node);
  first_ = static_cast<uint32_t>((first_ + 1) % kept_.size());
  --count_;
  return node;
}

void ReplacedFiles::arm() noexcept {
  if (count_ == 0 || linked()) return;
  const uint64_t now = monotonic_ns();
  const uint64_t until = kept_[first_].until_ns;
  timers_.start(*this, until > now ? until - now : 1);
}

Detached ReplacedFiles::work() noexcept {
  const Result<Unit> done = co_await remove_until(monotonic_ns());
  if (!done) log::warn("a file that was replaced is still there: {}", describe(done.error()));
  arm();
}

// What cannot be removed now is removed by the next who mounts.
Op<Unit> ReplacedFiles::remove_until(uint64_t now_ns) {
  co_await busy_.lock();
  const Locked busy(busy_, volume_.reactor());
  for (uint32_t left = count_; left > 0 && count_ > 0; --left) {
    if (kept_[first_].until_ns > now_ns) break;
    NodeRef node = pop();
    // The last who closes it removes it.
    if (node->opens > 0) continue;
    // Whoever has it may wait for us, where this is done because there is no room.
    if (!node->lock.try_lock()) {
      push(std::move(node));
      continue;
    }
    const Locked locked(node->lock, volume_.reactor());
    const Result<Unit> removed = co_await volume_.remove_orphan(*node);
    if (!removed) co_return removed;
  }
  co_return Unit{};
}

Op<Unit> ReplacedFiles::end() {
  if (linked()) timers_.stop(*this);
  const Result<Unit> done = co_await remove_until(UINT64_MAX);
  if (linked()) timers_.stop(*this);
  while (count_ > 0) pop();
  co_return done;
}

}  // namespace dpfs::kv
