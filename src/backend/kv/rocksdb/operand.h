// SPDX-License-Identifier: Apache-2.0
// Operand: a change of a record that is stored beside it until somebody reads or compacts it.
//
//   'P', offset (8 bytes, big-endian), bytes    Write::Kind::patch
//   'A', number (8 bytes, big-endian)           Write::Kind::add
//
// (Write::Kind::cut is none: whether it changes anything depends on what is there, and RocksDB's
// merges cannot leave a record absent. The writer reads, and puts what is left.)
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dpfs::kv::rocks {

// Of a value, however it came about: no operand makes a larger one. Chunks are 64 KiB; the rest is
// room for other engines' exports.
inline constexpr uint64_t kValueBytesMax = uint64_t{16} << 20;

struct Operand {
  enum class Kind : char { patch = 'P', add = 'A' };
  Kind kind;
  uint64_t number = 0;          // offset, or summand
  std::string_view bytes = {};  // of a patch; lies in what was decoded
};

inline constexpr size_t kOperandHeadBytes = 9;
std::array<char, kOperandHeadBytes> encode_operand_head(Operand::Kind kind,
                                                        uint64_t number) noexcept;
// Nothing, where it is not one that we make.
std::optional<Operand> decode_operand(std::string_view stored) noexcept;

// Changes `value` by `operand`. False, where the two do not fit: it is not a number that something
// is added to, or it would become too large. `value` is of no use then.
bool apply_operand(const Operand& operand, std::string& value);
// The one operand that does what both do, one after the other, in `combined`. False where there is
// none.
bool combine_operands(const Operand& first, const Operand& second, std::string& combined);

}  // namespace dpfs::kv::rocks
