// SPDX-License-Identifier: Apache-2.0
// URLs and sizes, right and wrong.
#include "daemon/url.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace dpfs {
namespace {

TEST(ParseSize, NumbersAndUnitsOf1024) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("64K"), 64u << 10);
  EXPECT_EQ(parse_size("1M"), 1u << 20);
  EXPECT_EQ(parse_size("2G"), 2ull << 30);
  EXPECT_EQ(parse_size("3T"), 3ull << 40);
  EXPECT_EQ(parse_size("18446744073709551615"), UINT64_MAX);
}

TEST(ParseSize, AnythingElseIsRefused) {
  for (const char* text : {"", "K", "1k", "1KB", "1.5M", "-1", "+1", " 1", "1 ", "0x10",
                           "18446744073709551616", "18446744073709551615K", "16777216T"}) {
    EXPECT_THROW(parse_size(text), std::invalid_argument) << text;
  }
}

TEST(Url, HasSchemePathAndOptions) {
  Url url = Url::parse("null:/a/b?size=1M&files=3");
  EXPECT_EQ(url.scheme(), "null");
  EXPECT_EQ(url.path(), "/a/b");
  EXPECT_EQ(url.size_option("size", 7), 1u << 20);
  EXPECT_EQ(url.size_option("files", 7), 3u);
  EXPECT_EQ(url.size_option("other", 7), 7u);
  EXPECT_NO_THROW(url.check_all_options_known());
}

TEST(Url, PathMayHaveColons) { EXPECT_EQ(Url::parse("local:/a:b").path(), "/a:b"); }

TEST(Url, CharactersMayBeWrittenAsTheirNumbers) {
  Url url = Url::parse("local:/srv/what%3f%25%3A%C3%A4?size=1%4d");
  EXPECT_EQ(url.path(), "/srv/what?%:\xc3\xa4");
  EXPECT_EQ(url.size_option("size", 0), 1u << 20);
}

TEST(Url, PercentWithoutTwoDigitsIsRefused) {
  for (const char* text :
       {"local:/100%", "local:/%2", "local:/%zz", "local:/%2x", "local:/%00", "null:?size=%"}) {
    EXPECT_THROW(Url::parse(text), std::invalid_argument) << text;
  }
}

TEST(Url, TextOfAnyPathNamesThatPath) {
  for (const char* path : {"/srv/share", "/srv/what?", "/a%b", "/a%3Fb", "", "/a&b=c", "/\xff\n"}) {
    EXPECT_EQ(Url::parse(Url::text_of("local", path)).path(), path);
  }
}

TEST(Url, OptionThatNobodyAskedForIsRefused) {
  Url url = Url::parse("null:?colour=red");
  EXPECT_THROW(url.check_all_options_known(), std::invalid_argument);
}

TEST(Url, TextWithoutASchemeIsRefused) {
  for (const char* text : {"", ":", ":/path", "/srv/share", "share"}) {
    EXPECT_THROW(Url::parse(text), std::invalid_argument) << text;
  }
}

TEST(Url, OptionWithoutANameIsRefused) {
  for (const char* text : {"null:?=1", "null:?a=1&&b=2", "null:?a=1&=2"}) {
    EXPECT_THROW(Url::parse(text), std::invalid_argument) << text;
  }
}

TEST(Url, OptionGivenTwiceIsRefused) {
  EXPECT_THROW(Url::parse("nfs://server/x?nconnect=2&nconnect=3"), std::invalid_argument);
  EXPECT_THROW(Url::parse("nfs://server/x?soft&nocto&soft"), std::invalid_argument);
}

TEST(Url, OptionWithoutAValueIsASwitch) {
  Url url = Url::parse("nfs://server/path?soft&timeo=10");
  EXPECT_EQ(url.text_option("soft"), "");
  EXPECT_EQ(url.text_option("timeo"), "10");
  EXPECT_EQ(url.text_option("hard"), std::nullopt);
  EXPECT_NO_THROW(url.check_all_options_known());
}

TEST(Url, OddEndsAreTaken) {
  EXPECT_EQ(Url::parse("null:?").path(), "");
  EXPECT_EQ(Url::parse("null:?a=1&").size_option("a", 0), 1u);
}

TEST(Url, PathIsReplacedAndOptionsStay) {
  EXPECT_EQ(Url::parse("local:/a%3Fb").text_with_path("/c?d"), "local:/c%3Fd");
  EXPECT_EQ(Url::parse("x:/a%25/b?k=v&l=%3F").text_with_path("/c"), "x:/c?k=v&l=%3F");
}

}  // namespace
}  // namespace dpfs
