// SPDX-License-Identifier: Apache-2.0
// Feeds any bytes to the decoders of exported file systems: records that are taken from a block
// make the same block again.
#include <cstdint>
#include <string>
#include <string_view>

#include "backend/kv/stream/stream.h"
#include "base/assert.h"

namespace dpfs::kv {
namespace {

void check_block(std::string_view payload) {
  BlockReader reader(payload);
  BlockWriter writer;
  Key key{};
  std::string_view value;
  while (reader.next(key, value)) DPFS_ASSERT(writer.add(key, value));
  if (reader.is_broken()) return;
  const std::string_view block = writer.finish();
  DPFS_ASSERT(block.substr(kBlockHeaderBytes).size() == payload.size());
  BlockHeader header;
  DPFS_ASSERT(decode(block.substr(0, kBlockHeaderBytes), header) ||
              payload.size() > kBlockBytesMax);
  DPFS_ASSERT(is_whole(header, block.substr(kBlockHeaderBytes)));
}

void check_headers(std::string_view bytes) {
  StreamHeader header;
  if (decode(bytes, header)) {
    std::array<char, kStreamHeaderBytes> room;
    DPFS_ASSERT(encode(header, room) == bytes);
  }
  BlockHeader block;
  if (bytes.size() < kBlockHeaderBytes) return;
  if (!decode(bytes.substr(0, kBlockHeaderBytes), block)) return;
  static_cast<void>(is_whole(block, bytes.substr(kBlockHeaderBytes)));
}

}  // namespace
}  // namespace dpfs::kv

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  dpfs::kv::check_headers(bytes);
  dpfs::kv::check_block(bytes);
  uint64_t total = 0;
  if (dpfs::kv::decode_total(bytes, total)) DPFS_ASSERT(bytes.size() == 8);
  return 0;
}
