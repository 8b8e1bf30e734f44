// SPDX-License-Identifier: Apache-2.0
// Fills a READDIR or READDIRPLUS reply, entry by entry, until it is full.
#pragma once

#include <cstdint>
#include <string_view>

#include "fuse/wire.h"
#include "guest/io_view.h"

namespace dpfs {

class DirentWriter {
 public:
  explicit DirentWriter(IoView into) noexcept : into_(into) {}

  struct Entry {
    uint64_t ino;
    uint64_t next_offset;  // where a READDIR that goes on behind this entry begins
    uint32_t type;         // DT_*
    std::string_view name;
  };

  // Ask before looking up what add_plus() will say: a lookup whose answer cannot be sent would
  // leak.
  bool has_room_plus(const Entry& entry) const noexcept {
    return fuse::direntplus_size(entry.name.size()) <= into_.size();
  }
  // Both: false, and nothing written, when the entry does not fit.
  bool add(const Entry& entry) noexcept;
  bool add_plus(const Entry& entry, const fuse::EntryOut& out) noexcept;

  uint32_t bytes() const noexcept { return bytes_; }

 private:
  void put(const Entry& entry, size_t size, size_t head_size) noexcept;

  IoView into_;
  uint32_t bytes_ = 0;
};

}  // namespace dpfs
