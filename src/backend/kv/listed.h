// SPDX-License-Identifier: Apache-2.0
// Listed: some entries of a directory, and their inodes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "backend/kv/found.h"
#include "backend/kv/node_cache.h"
#include "backend/kv/records.h"
#include "backend/kv/store.h"

namespace dpfs::kv {

// As many as are asked for at once; some 14 KiB.
struct Listed final : ScanReader {
  static constexpr size_t kMax = 32;
  struct Row {
    uint64_t ino;
    uint64_t cookie;
    uint8_t type;
    uint8_t name_bytes;
    std::array<char, 255> name;
    NodeRef node;
    uint32_t changes;
    Found<Inode> inode;
  };

  void clear() noexcept {
    for (size_t i = 0; i < count; ++i) rows[i].node = NodeRef();
    count = 0;
    damaged = false;
  }
  bool found(const Key& key, std::string_view value) noexcept override {
    Listing listing;
    damaged = !decode(value, listing);
    if (damaged) return false;
    Row& row = rows[count];
    row.ino = listing.ino;
    row.cookie = key.number;
    row.type = listing.type;
    row.name_bytes = static_cast<uint8_t>(listing.name.copy(row.name.data(), row.name.size()));
    return ++count < kMax;
  }

  std::array<Row, kMax> rows;
  std::array<Get, kMax> gets;
  size_t count = 0;
  bool damaged = false;
};

}  // namespace dpfs::kv
