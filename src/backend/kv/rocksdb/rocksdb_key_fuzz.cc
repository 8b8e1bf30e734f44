// SPDX-License-Identifier: Apache-2.0
// Stored keys of any bytes: what is taken for a key is one that we make, byte for byte.
#include "backend/kv/rocksdb/record_key.h"
#include "base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dpfs::kv::rocks;
  const std::string_view stored(reinterpret_cast<const char*>(data), size);
  const std::optional<DecodedKey> decoded = decode_key(stored);
  if (!decoded) return 0;
  const KeyText again = encode_key(decoded->partition, decoded->key);
  DPFS_ASSERT(!again.overflowed());
  DPFS_ASSERT(again.view() == stored);
  DPFS_ASSERT(is_key(decoded->key));
  return 0;
}
