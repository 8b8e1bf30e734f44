// SPDX-License-Identifier: Apache-2.0
// Directory entries as FUSE packs them: a head, the name, zeros up to a multiple of 8.
#include "fuse/dirent_writer.h"

namespace dpfs {

bool DirentWriter::add(const Entry& entry) noexcept {
  const size_t size = fuse::dirent_size(entry.name.size());
  if (size > into_.size()) return false;
  put(entry, size, sizeof(fuse::Dirent));
  return true;
}

bool DirentWriter::add_plus(const Entry& entry, const fuse::EntryOut& out) noexcept {
  if (!has_room_plus(entry)) return false;
  into_.store(out);
  put(entry, fuse::direntplus_size(entry.name.size()), sizeof(fuse::Direntplus));
  return true;
}

void DirentWriter::put(const Entry& entry, size_t size, size_t head_size) noexcept {
  const fuse::Dirent head{.ino = entry.ino,
                          .off = entry.next_offset,
                          .namelen = static_cast<uint32_t>(entry.name.size()),
                          .type = entry.type};
  into_.store(head);
  into_.copy_in(entry.name.data(), entry.name.size());
  into_.fill(0, size - head_size - entry.name.size());
  bytes_ += static_cast<uint32_t>(size);
}

}  // namespace dpfs
