// SPDX-License-Identifier: Apache-2.0
// Found<Record>: reads a record where the engine has it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "backend/kv/page_map.h"
#include "backend/kv/records.h"
#include "backend/kv/store.h"
#include "base/errno.h"

namespace dpfs::kv {

inline bool decode(std::string_view bytes, PageMap& map) noexcept {
  const Result<PageMap> decoded = PageMap::decode(bytes);
  if (decoded) map = *decoded;
  return static_cast<bool>(decoded);
}
inline bool decode(std::string_view bytes, uint64_t& number) {
  return decode_number(bytes, number);
}
inline std::string_view encode(const PageMap& map, std::span<char, PageMap::kBytes> room) noexcept {
  map.encode(room);
  return {room.data(), room.size()};
}

// What is no such record is EIO: the file system is damaged.
template <class Record>
class Found final : public ValueReader {
 public:
  void found(std::string_view bytes) noexcept override { ok_ = decode(bytes, value); }
  // Of a Get that has been carried out: Errno::none, noent or io.
  Errno why(const Get& get) const noexcept {
    if (!get.found) return Errno::noent;
    return ok_ ? Errno::none : Errno::io;
  }
  Record value{};

 private:
  bool ok_ = false;
};

using FoundNumber = Found<uint64_t>;

}  // namespace dpfs::kv
