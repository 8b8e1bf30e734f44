// SPDX-License-Identifier: Apache-2.0
// Stored operands of any bytes: each is refused or does what it says, and two that are combined do
// what they do one after the other.
#include "backend/kv/rocksdb/operand.h"
#include "base/assert.h"
#include "fuse/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dpfs::kv::rocks;
  dpfs::FuzzInput input(data, size);
  const std::string before = input.bytes(input.byte());
  const std::string first_stored = input.bytes(input.byte());
  const std::string second_stored = input.bytes(input.byte());
  const std::optional<Operand> first = decode_operand(first_stored);
  const std::optional<Operand> second = decode_operand(second_stored);
  if (!first || !second) return 0;
  std::string value = before;
  const bool fits = apply_operand(*first, value) && apply_operand(*second, value);
  DPFS_ASSERT(value.size() <= kValueBytesMax);
  std::string combined;
  if (!combine_operands(*first, *second, combined)) return 0;
  const std::optional<Operand> both = decode_operand(combined);
  DPFS_ASSERT(both);
  std::string again = before;
  DPFS_ASSERT(apply_operand(*both, again) == fits);
  if (fits) DPFS_ASSERT(again == value);
  return 0;
}
