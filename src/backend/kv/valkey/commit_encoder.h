// SPDX-License-Identifier: Apache-2.0
// A commit as the server's script takes it (script.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "backend/kv/store.h"
#include "backend/kv/valkey/keys.h"

namespace dpfs::kv::valkey {

// The bytes, and where in them the numbers are that are known when it is sent only.
struct EncodedCommit {
  static constexpr size_t kDigits = 16;
  std::string bytes;
  size_t sha_at = 0;  // kShaDigits
  size_t previous_at = 0;
  size_t number_at = 0;
  size_t heard_at = 0;
};
inline constexpr size_t kShaDigits = 40;

// May throw std::bad_alloc. Writes to spread records are left out.
void encode_commit(const Keys& keys, std::string_view incarnation,
                   std::span<const Compare> compares, std::span<const Write> writes,
                   EncodedCommit& into);
void set_digits(EncodedCommit& commit, size_t at, uint64_t number) noexcept;

inline bool is_spread(const Write& write) noexcept {
  return shape_of(write.key.collection) == Shape::spread;
}

}  // namespace dpfs::kv::valkey
