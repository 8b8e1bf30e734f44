// SPDX-License-Identifier: Apache-2.0
// Feeds any bytes to the decoders of stored records: what one takes says the same when it is stored
// again.
#include <cstdint>
#include <string>
#include <string_view>

#include "backend/kv/page_map.h"
#include "backend/kv/records.h"
#include "base/assert.h"

namespace dpfs::kv {
namespace {

template <class Record, size_t kBytes>
void check(std::string_view bytes) {
  Record record;
  if (!decode(bytes, record)) return;
  if constexpr (std::is_same_v<Record, Superblock>) {
    if (record.format > kFormat) return;
  }
  std::array<char, kBytes> room;
  DPFS_ASSERT(encode(record, room) == bytes);
}

}  // namespace
}  // namespace dpfs::kv

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dpfs::kv;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check<Superblock, kSuperblockBytes>(bytes);
  check<Inode, kInodeBytes>(bytes);
  check<Entry, kEntryBytes>(bytes);
  check<Listing, kListingBytesMax>(bytes);
  check<Session, kSessionBytesMax>(bytes);
  uint64_t number = 0;
  if (decode_number(bytes, number)) DPFS_ASSERT(bytes.size() == 8);
  if (const dpfs::Result<PageMap> map = PageMap::decode(bytes)) {
    std::array<char, PageMap::kBytes> room;
    map->encode(room);
    DPFS_ASSERT(std::string_view(room.data(), room.size()) == bytes);
  }
  return 0;
}
