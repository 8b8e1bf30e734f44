// SPDX-License-Identifier: Apache-2.0
// KeyedHash: of bytes that a tenant chooses, such that he cannot choose collisions.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace dpfs::kv {

static_assert(std::endian::native == std::endian::little);

// SipHash (Aumasson and Bernstein, "SipHash: a fast short-input PRF") with that many rounds for
// each 8 bytes and at the end. 1 and 3 are enough for tables (so do Linux, Rust and Python).
template <int kRounds, int kFinalRounds>
class SipHash {
 public:
  struct Key {
    uint64_t low;
    uint64_t high;
  };
  explicit SipHash(const Key& key) noexcept
      : a_(key.low ^ 0x736f6d6570736575),
        b_(key.high ^ 0x646f72616e646f6d),
        c_(key.low ^ 0x6c7967656e657261),
        d_(key.high ^ 0x7465646279746573) {}

  // Eight bytes more, before all others.
  SipHash& number(uint64_t word) noexcept {
    d_ ^= word;
    rounds(kRounds);
    a_ ^= word;
    bytes_ += sizeof word;
    return *this;
  }
  // The last bytes, and the hash.
  uint64_t bytes(std::string_view text) noexcept {
    while (text.size() >= sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, text.data(), sizeof word);
      number(word);
      text.remove_prefix(sizeof word);
    }
    uint64_t last = 0;
    if (!text.empty()) std::memcpy(&last, text.data(), text.size());
    number(last | (bytes_ + text.size()) << 56);
    c_ ^= 0xff;
    rounds(kFinalRounds);
    return a_ ^ b_ ^ c_ ^ d_;
  }

 private:
  void rounds(int count) noexcept {
    for (int i = 0; i < count; ++i) {
      a_ += b_;
      c_ += d_;
      b_ = std::rotl(b_, 13) ^ a_;
      d_ = std::rotl(d_, 16) ^ c_;
      a_ = std::rotl(a_, 32);
      c_ += b_;
      a_ += d_;
      b_ = std::rotl(b_, 17) ^ c_;
      d_ = std::rotl(d_, 21) ^ a_;
      c_ = std::rotl(c_, 32);
    }
  }

  uint64_t a_;
  uint64_t b_;
  uint64_t c_;
  uint64_t d_;
  uint64_t bytes_ = 0;
};

using KeyedHash = SipHash<1, 3>;

}  // namespace dpfs::kv
