// SPDX-License-Identifier: Apache-2.0
// Which of a cluster's 16384 slots a key belongs to (Redis cluster specification, "Key distribution
// model").
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace dpfs::kv::valkey {

inline constexpr uint32_t kSlots = 16384;

namespace detail {
// CRC-16/XMODEM.
constexpr std::array<uint16_t, 256> crc16_table() noexcept {
  std::array<uint16_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t crc = i << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021 : 0);
    table[i] = static_cast<uint16_t>(crc);
  }
  return table;
}
inline constexpr std::array<uint16_t, 256> kCrc16 = crc16_table();
}  // namespace detail

constexpr uint16_t crc16(std::string_view bytes) noexcept {
  uint16_t crc = 0;
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    crc = static_cast<uint16_t>((crc << 8) ^ detail::kCrc16[((crc >> 8) ^ byte) & 0xff]);
  }
  return crc;
}

// Where a key has a {tag} that is not empty, only that counts.
constexpr uint16_t slot_of(std::string_view key) noexcept {
  const size_t open = key.find('{');
  if (open != std::string_view::npos) {
    const size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  return crc16(key) % kSlots;
}
static_assert(crc16("123456789") == 0x31c3);  // the specification's example

}  // namespace dpfs::kv::valkey
