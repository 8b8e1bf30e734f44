// SPDX-License-Identifier: Apache-2.0
// Walking through records in the order of their keys.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backend/kv/store.h"

namespace dpfs::kv::rocks {

class Database;

// Where a walk goes on, and where it ends: keys, as they are stored.
struct Walk {
  Collection collection;
  std::string next;
  std::string end;
};

enum class WalkEnd : uint8_t {
  over,     // there are no more
  enough,   // the reader wants no more, or so many were asked for
  unknown,  // what follows is not known without asking the disk
};

// Records that were read by a thread that may not give them to their reader.
class RecordBuffer {
 public:
  size_t bytes() const noexcept { return bytes_.size(); }
  size_t records() const noexcept { return sizes_.size(); }
  void add(std::string_view key, std::string_view value) {
    sizes_.push_back({key.size(), value.size()});
    bytes_.append(key).append(value);
  }
  // Calls give(key, value) for each; stops where that says false.
  template <class F>
  bool each(F give) const {
    const char* at = bytes_.data();
    for (const Sizes& sizes : sizes_) {
      const char* const value = at + sizes.key;
      if (!give(std::string_view(at, sizes.key), std::string_view(value, sizes.value))) {
        return false;
      }
      at = value + sizes.value;
    }
    return true;
  }

 private:
  struct Sizes {
    size_t key;
    size_t value;
  };
  std::string bytes_;
  std::vector<Sizes> sizes_;
};

// Both give at most `records_max`, count them down, and leave walk.next behind the last.

// As long as they are known without asking the disk.
Result<WalkEnd> walk_cached(Database& database, Walk& walk, uint32_t& records_max,
                            ScanReader& reader) noexcept;
// As many as one should read at once.
Result<WalkEnd> read_ahead(Database& database, Walk& walk, uint32_t& records_max,
                           RecordBuffer& buffer) noexcept;

}  // namespace dpfs::kv::rocks
