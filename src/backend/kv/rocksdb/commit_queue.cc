// SPDX-License-Identifier: Apache-2.0
// Groups of commits, each one write of RocksDB's.
#include "backend/kv/rocksdb/commit_queue.h"

#include <utility>

#include "backend/kv/rocksdb/commit_batch.h"
#include "backend/kv/rocksdb/database.h"

namespace dpfs::kv::rocks {
namespace {

// A group is not much slower than its commits would be alone; but those at its front wait for its
// end.
constexpr uint32_t kGroupCommitsMax = 64;
constexpr size_t kGroupBytesMax = size_t{1} << 20;

}  // namespace

CommitQueue::CommitQueue(Database& database) noexcept : database_(database) {}
CommitQueue::~CommitQueue() = default;

bool CommitQueue::add(CompletionQueue& commits) noexcept {
  const std::lock_guard lock(mutex_);
  while (Completion* commit = commits.pop()) queue_.push(*commit);
  return !std::exchange(writing_, true);
}

Commit* CommitQueue::take() noexcept {
  if (held_back_ != nullptr) return std::exchange(held_back_, nullptr);
  const std::lock_guard lock(mutex_);
  return static_cast<Commit*>(queue_.pop());
}

void CommitQueue::write_all(const Mailbox& own, CompletionQueue& done) noexcept {
  if (!batch_) batch_ = std::make_unique<CommitBatch>(database_);
  bool last = false;
  while (!last) {
    CompletionQueue group;
    write_group(group);
    if (held_back_ == nullptr) {
      const std::lock_guard lock(mutex_);
      last = queue_.empty();
      if (last) writing_ = false;
    }
    // When the last has been told, all this may be closed.
    while (Completion* written = group.pop()) {
      auto& commit = static_cast<Commit&>(*written);
      if (last && &commit.mailbox == &own) {
        done.push(commit);
      } else {
        commit.mailbox.put(commit);
      }
    }
  }
}

void CommitQueue::write_group(CompletionQueue& group) noexcept {
  batch_->begin();
  while (Commit* commit = take()) {
    if (!batch_->add(*commit)) {
      held_back_ = commit;
      break;
    }
    group.push(*commit);
    if (group.size() == kGroupCommitsMax || batch_->bytes() >= kGroupBytesMax) break;
  }
  batch_->write();
}

}  // namespace dpfs::kv::rocks
