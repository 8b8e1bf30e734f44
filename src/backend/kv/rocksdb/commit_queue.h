// SPDX-License-Identifier: Apache-2.0
// CommitQueue: all that changes a database, one group of commits after the other.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string_view>

#include "backend/kv/rocksdb/mailbox.h"
#include "backend/kv/store.h"
#include "io/completion.h"

namespace dpfs::kv::rocks {

class Database;
class CommitBatch;

// What it refers to stays until its completion has run.
struct Commit : Completion {
  explicit Commit(Mailbox& of) noexcept : mailbox(of) {}
  Mailbox& mailbox;
  std::string_view partition;
  std::span<const Compare> compares;
  std::span<const Write> writes;
  Errno why = Errno::none;  // out
};

// Nobody else has the database, so that a commit needs no transaction of RocksDB's: at most one
// thread of the process compares and writes at a time, all that has queued up since the last time.
// It is a thread that has come with a commit; RocksDB then has one writer, which costs least there.
class CommitQueue {
 public:
  explicit CommitQueue(Database& database) noexcept;
  CommitQueue(const CommitQueue&) = delete;
  CommitQueue& operator=(const CommitQueue&) = delete;
  ~CommitQueue();

  // Takes them all. True: nobody writes, and the caller has to write_all().
  bool add(CompletionQueue& commits) noexcept;
  // May wait for the disk. Until the queue is empty; puts the commits into their mailboxes, but for
  // those of the last group that are `own`: they are in `done` for the caller to run.
  void write_all(const Mailbox& own, CompletionQueue& done) noexcept;

 private:
  Commit* take() noexcept;
  void write_group(CompletionQueue& group) noexcept;

  Database& database_;
  // Of the thread that writes.
  std::unique_ptr<CommitBatch> batch_;
  Commit* held_back_ = nullptr;  // for the next group

  std::mutex mutex_;  // of what follows
  CompletionQueue queue_;
  bool writing_ = false;
};

}  // namespace dpfs::kv::rocks
