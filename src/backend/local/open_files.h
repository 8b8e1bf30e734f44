// SPDX-License-Identifier: Apache-2.0
// OpenFiles: files and directories that a tenant has open.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "backend/local/direct_file.h"
#include "backend/local/nodes.h"
#include "backend/local/spares.h"
#include "base/fd.h"
#include "fuse/handle_table.h"
#include "io/reactor.h"

namespace dpfs::local {

// Entries as getdents64(2) gave them, some of which no reply had room for yet.
struct Listing {
  static constexpr size_t kBytes = 32 * 1024;

  uint64_t offset;  // of the first of them, as a cookie
  uint32_t begin;   // they lie in bytes[begin..end)
  uint32_t end;
  char bytes[kBytes];
};

// Lives from OPEN until RELEASE has come and no request uses it any more.
struct OpenFile {
  Fd fd;
  std::optional<Pinned> node;  // where the node would be lost otherwise: see Nodes
  DirectFile direct;           // where the tenant uses O_DIRECT, and may
  bool no_wait = true;         // the file system can say "not without waiting" (RWF_NOWAIT)

  // Of a directory. Two READDIRs on one handle may be inside blocking() at once: the lock makes
  // seeking and reading one step.
  std::mutex seeking;
  uint64_t position = 0;  // of `fd`, as a cookie
  std::optional<Spares<Listing>::Lease> unread;

  uint32_t references = 0;
  OpenFile* next_free = nullptr;
};

class OpenFiles;

// Keeps an OpenFile open. Dropping the last one closes it, inside blocking().
class OpenFileRef {
 public:
  OpenFileRef(OpenFiles& files, OpenFile& file) noexcept : files_(&files), file_(&file) {
    ++file.references;
  }
  OpenFileRef(const OpenFileRef& other) noexcept : OpenFileRef(*other.files_, *other.file_) {}
  OpenFileRef(OpenFileRef&& other) noexcept
      : files_(other.files_), file_(std::exchange(other.file_, nullptr)) {}
  OpenFileRef& operator=(const OpenFileRef&) = delete;
  ~OpenFileRef();

  OpenFile& operator*() const noexcept { return *file_; }
  OpenFile* operator->() const noexcept { return file_; }

 private:
  OpenFiles* files_;
  OpenFile* file_;
};

class OpenFiles {
 public:
  explicit OpenFiles(Nodes& nodes) noexcept : nodes_(nodes) {}
  OpenFiles(const OpenFiles&) = delete;
  OpenFiles& operator=(const OpenFiles&) = delete;

  // ENFILE when the session has too many open.
  Result<Handle> add(NodeId node, Fd fd, std::optional<Pinned> pinned) noexcept;
  // nullptr: EBADF. What uses it across blocking() or co_await takes a reference.
  OpenFile* find(Handle handle, NodeId node) noexcept {
    OpenFileRef* ref = handles_.find(handle, node);
    return ref == nullptr ? nullptr : &**ref;
  }
  OpenFileRef reference(OpenFile& file) noexcept { return OpenFileRef(*this, file); }
  Result<Unit> close(Handle handle, NodeId node) noexcept;

  // What is left of the last READDIR when it ended at `offset`, or an empty listing. It is the
  // caller's alone until it is given back.
  Spares<Listing>::Lease take_listing(OpenFile& directory, uint64_t offset) noexcept;
  void keep_listing(OpenFile& directory, Spares<Listing>::Lease listing) noexcept;

  void clear() noexcept { handles_.clear(); }
  size_t size() const noexcept { return handles_.size(); }

 private:
  friend class OpenFileRef;
  // Beyond them, entries without room are read again.
  static constexpr uint32_t kListingsKeptMax = 64;

  OpenFile* take() noexcept;
  void give_back(OpenFile& file) noexcept;
  void drop_listing(OpenFile& directory) noexcept {
    if (!directory.unread) return;
    directory.unread.reset();
    --listings_kept_;
  }

  Nodes& nodes_;
  Spares<Listing> listings_;
  uint32_t listings_kept_ = 0;
  std::deque<OpenFile> slots_;
  OpenFile* first_free_ = nullptr;
  HandleTable<OpenFileRef> handles_;  // refers to slots_
};

inline OpenFileRef::~OpenFileRef() {
  if (file_ != nullptr && --file_->references == 0) files_->give_back(*file_);
}

}  // namespace dpfs::local
