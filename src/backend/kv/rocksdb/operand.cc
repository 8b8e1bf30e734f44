// SPDX-License-Identifier: Apache-2.0
// Operands to bytes and back, and what they do.
#include "backend/kv/rocksdb/operand.h"

#include <algorithm>
#include <cstring>

namespace dpfs::kv::rocks {
namespace {

uint64_t load_be64(const char* bytes) noexcept {
  uint64_t number = 0;
  std::memcpy(&number, bytes, sizeof number);
  return __builtin_bswap64(number);
}

void store_be64(char* bytes, uint64_t number) noexcept {
  const uint64_t swapped = __builtin_bswap64(number);
  std::memcpy(bytes, &swapped, sizeof swapped);
}

bool add(uint64_t summand, std::string& value) {
  if (value.size() != sizeof summand) return false;
  store_be64(value.data(), load_be64(value.data()) + summand);
  return true;
}

void append_operand(Operand::Kind kind, uint64_t number, std::string& to) {
  const auto head = encode_operand_head(kind, number);
  to.append(head.data(), head.size());
}

}  // namespace

std::array<char, kOperandHeadBytes> encode_operand_head(Operand::Kind kind,
                                                        uint64_t number) noexcept {
  std::array<char, kOperandHeadBytes> head;
  head[0] = static_cast<char>(kind);
  store_be64(head.data() + 1, number);
  return head;
}

std::optional<Operand> decode_operand(std::string_view stored) noexcept {
  if (stored.size() < kOperandHeadBytes) return std::nullopt;
  const auto kind = static_cast<Operand::Kind>(stored[0]);
  const uint64_t number = load_be64(stored.data() + 1);
  const std::string_view bytes = stored.substr(kOperandHeadBytes);
  switch (kind) {
    case Operand::Kind::patch:
      // A patch of nothing is not written in the first place.
      if (bytes.empty() || number > kValueBytesMax || bytes.size() > kValueBytesMax - number) {
        return std::nullopt;
      }
      return Operand{kind, number, bytes};
    case Operand::Kind::add:
      if (!bytes.empty()) return std::nullopt;
      return Operand{kind, number};
  }
  return std::nullopt;
}

bool apply_operand(const Operand& operand, std::string& value) {
  if (operand.kind == Operand::Kind::add) return add(operand.number, value);
  const size_t offset = operand.number;
  const size_t end = offset + operand.bytes.size();
  if (value.size() < offset) value.resize(offset);
  // Appending copies the bytes once; resize() would clear them first.
  const size_t inside = std::min(value.size() - offset, operand.bytes.size());
  if (inside > 0) std::memcpy(value.data() + offset, operand.bytes.data(), inside);
  if (value.size() < end) value.append(operand.bytes.substr(inside));
  return true;
}

bool combine_operands(const Operand& first, const Operand& second, std::string& combined) {
  if (first.kind != second.kind) return false;
  combined.clear();
  if (first.kind == Operand::Kind::add) {
    append_operand(Operand::Kind::add, first.number + second.number, combined);
    return true;
  }
  const uint64_t first_end = first.number + first.bytes.size();
  const uint64_t second_end = second.number + second.bytes.size();
  if (second.number > first_end || first.number > second_end) return false;  // a gap between them
  append_operand(Operand::Kind::patch, std::min(first.number, second.number), combined);
  if (first.number < second.number) {
    combined.append(first.bytes.substr(0, second.number - first.number));
  }
  combined.append(second.bytes);
  if (first_end > second_end) combined.append(first.bytes.substr(second_end - first.number));
  return true;
}

}  // namespace dpfs::kv::rocks
