// SPDX-License-Identifier: Apache-2.0
// Files: what is common to all opens of one file, and outlives them while writes are not stored.
#pragma once

#include <array>
#include <cstdint>
#include <deque>

#include "backend/nfs/compound.h"
#include "backend/nfs/nfs4.h"
#include "backend/nfs/nodes.h"
#include "backend/nfs/unstable_writes.h"
#include "base/errno.h"
#include "io/async_mutex.h"

namespace dpfs::nfs {

// A file whose name was removed while it was open, and that has another one until it is closed
// (hidden_files.cc).
struct HiddenName {
  FileHandle directory;
  std::array<char, 64> name{};
  Credential remover;
};

struct File {
  uint32_t index = 0;
  NodeId node{};
  FileHandle handle;
  Credential who;  // who opened it last: to write for
  uint32_t opens = 0;
  uint32_t users = 0;  // coroutines that have it in their hands
  bool used = false;

  List<KeptWrite> unstable;  // in the order in which the server took them
  // Of writes that were acknowledged and are lost: each open is told once.
  Errno error = Errno::none;  // the last
  uint32_t errors = 0;        // how many
  uint32_t resends = 0;       // how often what is kept was sent again
  AsyncMutex storing;
  AsyncMutex locking;  // one after the other: a stateid comes with the first

  bool has_locks = false;
  uint64_t locked_change = 0;  // of the file, when we last changed it under a lock

  bool hidden = false;
  HiddenName hidden_name;
};

// Rows in a table, by number; they keep their place.
class Files {
 public:
  static constexpr uint32_t kNone = kNoFile;

  // That of the node, or a new one. nullptr when memory is out.
  File* of(NodeRow& row, NodeId node) noexcept {
    if (row.file != kNone) return &files_[row.file];
    File* file = take();
    if (file == nullptr) return nullptr;
    file->node = node;
    file->handle = row.handle;
    row.file = file->index;
    return file;
  }
  File& at(uint32_t index) noexcept { return files_[index]; }
  uint32_t size() const noexcept { return used_; }

  // Nobody has it open, nothing of it is to be stored, and nobody looks at it.
  static bool is_idle(const File& file) noexcept {
    return file.opens == 0 && file.users == 0 && file.unstable.empty();
  }
  static void fail(File& file, Errno why) noexcept {
    file.error = why;
    ++file.errors;
  }
  void give(File& file) noexcept {
    file.used = false;
    free_.push_back(file.index);
    --used_;
  }
  template <class F>
  void each(F visit) {
    for (File& file : files_) {
      if (file.used) visit(file);
    }
  }
  // The next in use, from that index on; nullptr behind the last.
  File* next(uint32_t from) noexcept {
    for (; from < files_.size(); ++from) {
      if (files_[from].used) return &files_[from];
    }
    return nullptr;
  }

 private:
  File* take() noexcept {
    try {
      if (free_.empty()) {
        files_.emplace_back();
        files_.back().index = static_cast<uint32_t>(files_.size() - 1);
        free_.push_back(files_.back().index);
      }
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    File& file = files_[free_.back()];
    free_.pop_back();
    file.used = true;
    file.opens = file.users = 0;
    file.error = Errno::none;
    file.has_locks = file.hidden = false;
    ++used_;
    return &file;
  }

  std::deque<File> files_;
  std::deque<uint32_t> free_;
  uint32_t used_ = 0;
};

}  // namespace dpfs::nfs
