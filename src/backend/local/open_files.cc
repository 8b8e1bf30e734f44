// SPDX-License-Identifier: Apache-2.0
// Slots that are used again, so that opening and closing allocate nothing in the steady state.
#include "backend/local/open_files.h"

#include <new>

namespace dpfs::local {

Result<Handle> OpenFiles::add(NodeId node, Fd fd, std::optional<Pinned> pinned) noexcept {
  OpenFile* file = take();
  if (file == nullptr) {
    nodes_.close(std::move(fd));
    return Errno::nomem;
  }
  file->fd = std::move(fd);
  if (pinned) file->node.emplace(std::move(*pinned));
  file->no_wait = true;
  file->position = 0;
  const OpenFileRef ref(*this, *file);  // closes the file again where there is no handle for it
  try {
    const std::optional<Handle> handle = handles_.insert(node, ref);
    if (handle) return *handle;
    return Errno::nfile;
  } catch (const std::bad_alloc&) {
    return Errno::nomem;
  }
}

Result<Unit> OpenFiles::close(Handle handle, NodeId node) noexcept {
  OpenFile* file = find(handle, node);
  if (file == nullptr) return Errno::badf;
  // The handle is gone before the descriptor is: closing may let other requests in.
  const OpenFileRef last(*this, *file);
  handles_.remove(handle, node);
  return Unit{};
}

Spares<Listing>::Lease OpenFiles::take_listing(OpenFile& directory, uint64_t offset) noexcept {
  if (directory.unread && (**directory.unread).offset == offset) {
    Spares<Listing>::Lease listing = std::move(*directory.unread);
    drop_listing(directory);
    return listing;
  }
  Spares<Listing>::Lease listing = listings_.take();
  if (listing) {
    (*listing).offset = offset;
    (*listing).begin = (*listing).end = 0;
  }
  return listing;
}

void OpenFiles::keep_listing(OpenFile& directory, Spares<Listing>::Lease listing) noexcept {
  if ((*listing).begin == (*listing).end) return;
  drop_listing(directory);
  if (listings_kept_ >= kListingsKeptMax) return;
  directory.unread.emplace(std::move(listing));
  ++listings_kept_;
}

OpenFile* OpenFiles::take() noexcept {
  if (first_free_ != nullptr) return std::exchange(first_free_, first_free_->next_free);
  try {
    return &slots_.emplace_back();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void OpenFiles::give_back(OpenFile& file) noexcept {
  nodes_.close(std::move(file.fd));
  nodes_.close(std::move(file.direct.fd));
  file.direct.state = DirectFile::State::untried;
  file.node.reset();
  drop_listing(file);
  file.next_free = first_free_;
  first_free_ = &file;
}

}  // namespace dpfs::local
