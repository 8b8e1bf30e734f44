// SPDX-License-Identifier: Apache-2.0
// The content that --verify writes and expects: a function of seed, generation and place in the
// file.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace dpfs::cli {

// Each 8 bytes differ from all others of the file, and from the same 8 bytes of another generation,
// so a block that is stale, torn, shifted or somebody else's is found.
class BenchPattern {
 public:
  explicit BenchPattern(uint64_t seed) noexcept : seed_(seed) {}

  void fill(std::span<std::byte> data, uint64_t offset, uint64_t generation) const noexcept {
    for (size_t at = 0; at < data.size(); at += sizeof(uint64_t)) {
      const uint64_t value = word(offset + at, generation);
      std::memcpy(data.data() + at, &value, std::min(sizeof value, data.size() - at));
    }
  }

  // Where the first wrong byte is; data.size() where all are right.
  size_t check(std::span<const std::byte> data, uint64_t offset,
               uint64_t generation) const noexcept {
    for (size_t at = 0; at < data.size(); at += sizeof(uint64_t)) {
      const uint64_t value = word(offset + at, generation);
      const size_t size = std::min(sizeof value, data.size() - at);
      if (std::memcmp(data.data() + at, &value, size) == 0) continue;
      for (size_t i = 0; i < size; ++i) {
        if (data[at + i] != reinterpret_cast<const std::byte*>(&value)[i]) return at + i;
      }
    }
    return data.size();
  }

 private:
  // splitmix64
  uint64_t word(uint64_t offset, uint64_t generation) const noexcept {
    uint64_t x = seed_ * 0x9e3779b97f4a7c15 + offset + (generation << 48);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

  uint64_t seed_;
};

// xorshift64*: a random number for each request must cost nothing.
class BenchRandom {
 public:
  explicit BenchRandom(uint64_t seed) noexcept : state_(seed * 2 + 1) {}
  uint64_t below(uint64_t bound) noexcept {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    const uint64_t value = state_ * 0x2545f4914f6cdd1d;
    return static_cast<uint64_t>((static_cast<unsigned __int128>(value) * bound) >> 64);
  }

 private:
  uint64_t state_;
};

}  // namespace dpfs::cli
