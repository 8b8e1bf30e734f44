// SPDX-License-Identifier: Apache-2.0
// SipHash beside its authors' numbers.
#include "backend/kv/keyed_hash.h"

#include <gtest/gtest.h>

#include <string>

namespace dpfs::kv {
namespace {

// https://www.aumasson.jp/siphash/siphash.pdf, appendix A, and the authors' vectors.h.
uint64_t hash(const std::string& text) {
  return SipHash<2, 4>({0x0706050403020100, 0x0f0e0d0c0b0a0908}).bytes(text);
}

std::string counted(size_t bytes) {
  std::string text;
  for (size_t i = 0; i < bytes; ++i) text += static_cast<char>(i);
  return text;
}

}  // namespace

TEST(KeyedHash, IsAsItsAuthorsHaveIt) {
  EXPECT_EQ(hash(""), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(hash(counted(8)), 0x93f5f5799a932462u);
  EXPECT_EQ(hash(counted(15)), 0xa129ca6149be45e5u);
}

TEST(KeyedHash, NumberIsItsBytes) {
  const SipHash<1, 3>::Key key{1, 2};
  EXPECT_EQ(KeyedHash(key).number(0x0706050403020100).bytes("name"),
            KeyedHash(key).bytes(counted(8) + "name"));
}

TEST(KeyedHash, OtherKeysGiveOtherHashes) {
  EXPECT_NE(KeyedHash({1, 2}).bytes("name"), KeyedHash({1, 3}).bytes("name"));
  EXPECT_NE(KeyedHash({1, 2}).bytes("name"), KeyedHash({2, 2}).bytes("name"));
}

}  // namespace dpfs::kv
