// SPDX-License-Identifier: Apache-2.0
// Writing down times of access, many in one commit.
#include "backend/kv/access_times.h"

#include "backend/kv/change.h"
#include "backend/kv/locked.h"
#include "backend/kv/volume.h"

namespace dpfs::kv {
namespace {

constexpr uint64_t kDelayNs = 1'000'000'000;

}  // namespace

void AccessTimes::add(NodeRef node) noexcept {
  // Where there is no room, it is written with the node's next change, or never.
  if (count_ == noted_.size()) return;
  noted_[(first_ + count_) % noted_.size()] = std::move(node);
  ++count_;
  if (count_ >= kTimesMax) {
    if (!working_) work();
  } else if (!linked()) {
    timers_.start(*this, kDelayNs);
  }
}

NodeRef AccessTimes::pop() noexcept {
  NodeRef node = std::move(noted_[first_]);
  first_ = static_cast<uint32_t>((first_ + 1) % noted_.size());
  --count_;
  return node;
}

Detached AccessTimes::work() noexcept {
  working_ = true;
  // That a file was read is worth a try, not an error.
  [[maybe_unused]] const Result<Unit> done = co_await write_down();
  working_ = false;
}

Op<Unit> AccessTimes::write_down() {
  co_await busy_.lock();
  const Locked locked(busy_, volume_.reactor());
  co_await NextTurn(volume_.reactor());  // who has closed a file does not wait
  while (count_ > 0) {
    const Result<Unit> done = co_await write_some();
    if (!done) co_return done;
  }
  co_return Unit{};
}

Op<Unit> AccessTimes::write_some() {
  const Spares<Change>::Lease change = volume_.new_change();
  if (!change) co_return Errno::nomem;
  // Whose lock is taken is being changed, and its time goes with that; waiting for it here, while
  // others are held, could be for ever.
  std::array<NodeRef, kTimesMax> held;
  uint32_t count = 0;
  while (count_ > 0 && count < kTimesMax) {
    NodeRef node = pop();
    if (!node->is_there() || !node->atime_kept || !node->lock.try_lock()) continue;
    (*change).put(*node, node->inode);
    held[count++] = std::move(node);
  }
  Result<Unit> done = Unit{};
  if (count > 0) done = co_await volume_.commit(*change);
  for (uint32_t i = 0; i < count; ++i) held[i]->lock.unlock(volume_.reactor());
  co_return done;
}

Op<Unit> AccessTimes::end() {
  if (linked()) timers_.stop(*this);
  const Result<Unit> done = co_await write_down();
  if (linked()) timers_.stop(*this);
  while (count_ > 0) pop();
  co_return done;
}

}  // namespace dpfs::kv
