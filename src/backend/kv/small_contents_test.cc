// SPDX-License-Identifier: Apache-2.0
// Contents that came along with inodes: whose they are, and when they are seen.
#include "backend/kv/small_contents.h"

#include <gtest/gtest.h>

#include <string>

namespace dpfs::kv {
namespace {

// Another file whose number falls on the same place.
constexpr uint64_t kNeighbour = 5 + 128;

void fetch(SmallContents& contents, uint64_t ino, std::string_view value) {
  SmallContents::Fetch fetch(contents, ino);
  fetch.found(value);
  fetch.keep(false);
}

std::string found(const SmallContents& contents, uint64_t ino) {
  const std::string_view* value = contents.find(ino);
  return value == nullptr ? "not here" : std::string(*value);
}

}  // namespace

TEST(SmallContents, SeenOnlyWhenTheyAreKept) {
  SmallContents contents;
  {
    SmallContents::Fetch fetch(contents, 5);
    fetch.found("hello");
    EXPECT_EQ(found(contents, 5), "not here");
    fetch.keep(false);
  }
  EXPECT_EQ(found(contents, 5), "hello");
  EXPECT_EQ(found(contents, kNeighbour), "not here");
}

TEST(SmallContents, AbsentAreEmpty) {
  SmallContents contents;
  SmallContents::Fetch(contents, 5).keep(true);
  EXPECT_EQ(found(contents, 5), "");
}

TEST(SmallContents, ForgottenAreNotSeen) {
  SmallContents contents;
  fetch(contents, 5, "hello");
  contents.forget(kNeighbour);
  EXPECT_EQ(found(contents, 5), "hello");
  contents.forget(5);
  EXPECT_EQ(found(contents, 5), "not here");
}

TEST(SmallContents, TheNextOnThePlaceTakesIt) {
  SmallContents contents;
  fetch(contents, 5, "hello");
  fetch(contents, kNeighbour, "there");
  EXPECT_EQ(found(contents, 5), "not here");
  EXPECT_EQ(found(contents, kNeighbour), "there");
}

TEST(SmallContents, TwoFetchesAtOnceAreNotMixed) {
  SmallContents contents;
  {
    SmallContents::Fetch first(contents, 5);
    SmallContents::Fetch second(contents, kNeighbour);
    first.found("hello");
    second.found("there");
    first.keep(false);
    EXPECT_EQ(found(contents, 5), "not here");
    second.keep(false);
  }
  EXPECT_EQ(found(contents, kNeighbour), "there");
}

TEST(SmallContents, WhatIsNoSmallFileIsNotTaken) {
  SmallContents contents;
  fetch(contents, 5, std::string(kInlineBytes + 1, 'x'));
  EXPECT_EQ(found(contents, 5), "not here");
}

}  // namespace dpfs::kv
