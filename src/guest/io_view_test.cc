// SPDX-License-Identifier: Apache-2.0
// Views on scattered bytes: however a message is split, its bytes come out in order.
#include "guest/io_view.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace dpfs {
namespace {

// `bytes` cut into pieces of the given sizes; a size of 0 is an empty piece.
std::vector<iovec> cut(std::string& bytes, std::initializer_list<size_t> sizes) {
  std::vector<iovec> parts;
  size_t at = 0;
  for (const size_t size : sizes) {
    parts.push_back({bytes.data() + at, size});
    at += size;
  }
  EXPECT_EQ(at, bytes.size());
  return parts;
}

std::string text_of(IoView view) {
  std::string text(view.size(), '\0');
  text.resize(view.copy_out(text.data(), text.size()));
  return text;
}

TEST(IoView, SizeIsTheSumOfItsParts) {
  std::string bytes = "abcdefgh";
  const auto parts = cut(bytes, {0, 3, 0, 0, 5, 0});
  EXPECT_EQ(IoView(parts).size(), 8u);
  EXPECT_EQ(text_of(IoView(parts)), bytes);
}

TEST(IoView, ViewOfNothingIsEmpty) {
  IoView view;
  EXPECT_TRUE(view.empty());
  EXPECT_EQ(view.load<char>().error(), Errno::inval);
  EXPECT_FALSE(view.store('x'));
  EXPECT_EQ(view.fill('x', 10), 0u);
}

TEST(IoView, ViewOfEmptyPartsIsEmpty) {
  std::string bytes;
  const auto parts = cut(bytes, {0, 0, 0});
  IoView view(parts);
  EXPECT_TRUE(view.empty());
  EXPECT_EQ(view.load<char>().error(), Errno::inval);
  std::array<iovec, 3> out;
  EXPECT_TRUE(view.to_iovecs(out).empty());
}

TEST(IoView, ValueSplitByteByByteIsLoadedWhole) {
  std::string bytes = "\x01\x02\x03\x04\x05\x06\x07\x08";
  const auto parts = cut(bytes, {1, 1, 0, 1, 1, 1, 1, 1, 1});
  IoView view(parts);
  EXPECT_EQ(*view.load<uint64_t>(), 0x0807060504030201u);
  EXPECT_TRUE(view.empty());
}

TEST(IoView, LoadBeyondTheEndIsRefused) {
  std::string bytes = "abcdefg";
  const auto parts = cut(bytes, {4, 3});
  IoView view(parts);
  EXPECT_EQ(view.load<uint64_t>().error(), Errno::inval);
}

TEST(IoView, StoreThatDoesNotFitWritesNothing) {
  std::string bytes = "abcdefg";
  const auto parts = cut(bytes, {4, 3});
  IoView view(parts);
  EXPECT_FALSE(view.store(uint64_t{0}));
  EXPECT_EQ(bytes, "abcdefg");
  EXPECT_EQ(view.size(), 7u);
}

TEST(IoView, StoreIsSplitOverTheParts) {
  std::string bytes = "........";
  const auto parts = cut(bytes, {3, 0, 5});
  IoView view(parts);
  view.skip(2);
  EXPECT_TRUE(view.store(uint32_t{0x64636261}));
  EXPECT_EQ(bytes, "..abcd..");
  EXPECT_EQ(view.size(), 2u);
}

TEST(IoView, FirstNeverReachesBehindItsEnd) {
  std::string bytes = "abcdefgh";
  const auto parts = cut(bytes, {2, 6});
  IoView view = IoView(parts).first(3);
  EXPECT_EQ(view.fill('x', 100), 3u);
  EXPECT_EQ(bytes, "xxxdefgh");
  EXPECT_EQ(IoView(parts).first(100).size(), 8u);
}

TEST(IoView, RestBeyondTheEndIsEmpty) {
  std::string bytes = "abcdefgh";
  const auto parts = cut(bytes, {2, 6});
  EXPECT_EQ(text_of(IoView(parts).rest(3)), "defgh");
  EXPECT_TRUE(IoView(parts).rest(8).empty());
  EXPECT_TRUE(IoView(parts).rest(SIZE_MAX).empty());
}

TEST(IoView, IovecsAreTheBytesOfTheView) {
  std::string bytes = "abcdefgh";
  const auto parts = cut(bytes, {2, 0, 3, 3});
  const IoView view = IoView(parts).rest(1).first(5);
  std::array<iovec, 4> out;
  const auto used = view.to_iovecs(out);
  std::string seen;
  for (const iovec& part : used) seen.append(static_cast<char*>(part.iov_base), part.iov_len);
  EXPECT_EQ(seen, "bcdef");
  for (const iovec& part : used) EXPECT_GT(part.iov_len, 0u);
}

TEST(IoView, IovecsThatDoNotFitAreLeftOut) {
  std::string bytes = "abcdefgh";
  const auto parts = cut(bytes, {2, 3, 3});
  std::array<iovec, 2> out;
  EXPECT_EQ(IoView(parts).to_iovecs(out).size(), 2u);
  EXPECT_TRUE(IoView(parts).to_iovecs({}).empty());
}

// What was copied in through one random split comes out through another.
TEST(IoView, RandomSplitsLoseAndReorderNothing) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  auto random_cut = [&random](std::string& bytes) {
    std::vector<iovec> parts;
    for (size_t at = 0; at < bytes.size();) {
      const size_t n = std::min<size_t>(random() % 17, bytes.size() - at);
      parts.push_back({bytes.data() + at, n});
      at += n;
    }
    return parts;
  };
  for (int round = 0; round < 200; ++round) {
    std::string sent(random() % 300, '\0');
    for (char& byte : sent) byte = static_cast<char>(random());
    std::string lent(sent.size(), 'x');
    const auto in_parts = random_cut(lent);
    IoView in(in_parts);
    for (size_t at = 0; at < sent.size();) at += in.copy_in(sent.data() + at, random() % 40);
    const auto out_parts = random_cut(lent);
    IoView out(out_parts);
    std::string got(sent.size(), 'y');
    for (size_t at = 0; at < got.size();) at += out.copy_out(got.data() + at, random() % 40);
    ASSERT_EQ(got, sent);
  }
}

}  // namespace
}  // namespace dpfs
