// SPDX-License-Identifier: Apache-2.0
// Rules for the names of extended attributes, right and wrong, and what they make of names.
#include "layer/xattr_map.h"

#include <gtest/gtest.h>

#include <array>
#include <stdexcept>

namespace dpfs {
namespace {

class Mapped {
 public:
  explicit Mapped(std::string_view rules) : map_(XattrMap::parse(rules)) {}

  // The host's name, or the errno in words.
  std::string to_host(std::string_view name) const {
    std::array<char, XattrMap::kNameMax + 1> into{};
    const Result<uint16_t> size = map_.to_host(name, into);
    if (!size) {
      if (size.error() == Errno::perm) return "EPERM";
      if (size.error() == Errno::opnotsupp) return "ENOTSUP";
      return size.error() == Errno::range ? "ERANGE" : "other";
    }
    EXPECT_EQ(into.at(*size), '\0');
    return {into.data(), *size};
  }
  // Names that end with a '|' each stand for a list of names with their NULs.
  std::string to_guest(std::string list) const {
    for (char& c : list) c = c == '|' ? '\0' : c;
    list.resize(map_.list_to_guest(list));
    for (char& c : list) c = c == '\0' ? '|' : c;
    return list;
  }
  bool renames(std::string_view name) const { return map_.renames(name); }

 private:
  XattrMap map_;
};

TEST(XattrMap, MapOfEverythingPrefixesAllAndHidesTheRest) {
  for (const char* rules : {":map::user.guest.:", ":prefix:all::user.guest.: :bad:all:::"}) {
    const Mapped map(rules);
    EXPECT_EQ(map.to_host("security.capability"), "user.guest.security.capability");
    EXPECT_EQ(map.to_host("user.x"), "user.guest.user.x");
    EXPECT_EQ(map.to_guest("user.guest.user.x|user.mine|trusted.y|user.guest.a|"), "user.x|a|");
    EXPECT_EQ(map.to_guest("user.mine|"), "");
    EXPECT_EQ(map.to_guest(""), "");
  }
}

TEST(XattrMap, MapOfAKeyLetsTheRestThrough) {
  for (const char* rules : {"/map/trusted./user.guest./",
                            "/prefix/all/trusted./user.guest./\n /bad/server//trusted./\n"
                            " /bad/client/user.guest.//\n /ok/all///"}) {
    const Mapped map(rules);
    EXPECT_EQ(map.to_host("trusted.x"), "user.guest.trusted.x");
    EXPECT_EQ(map.to_host("user.guest.trusted.x"), "EPERM");
    EXPECT_EQ(map.to_host("user.y"), "user.y");
    EXPECT_EQ(map.to_guest("user.guest.trusted.x|trusted.z|user.y|"), "trusted.x|user.y|");
  }
}

TEST(XattrMap, FirstRuleThatMatchesIsApplied) {
  const Mapped map(":ok:client:user.a.:: :bad:client:user.:: :ok:all:::");
  EXPECT_EQ(map.to_host("user.a.b"), "user.a.b");
  EXPECT_EQ(map.to_host("user.b"), "EPERM");
  EXPECT_EQ(map.to_host("security.x"), "security.x");
  EXPECT_EQ(map.to_guest("user.b|"), "user.b|");  // only the tenant's own words are refused
}

TEST(XattrMap, HiddenAndRefused) {
  const Mapped map("/bad/all/security./security./ /ok/all///");
  EXPECT_EQ(map.to_host("security.selinux"), "EPERM");
  EXPECT_EQ(map.to_guest("security.selinux|user.a|"), "user.a|");
}

TEST(XattrMap, UnsupportedSaysSo) {
  const Mapped map(":unsupported:all:security.:security.: :ok:all:::");
  EXPECT_EQ(map.to_host("security.selinux"), "ENOTSUP");
  EXPECT_EQ(map.to_guest("security.selinux|user.a|"), "user.a|");
}

TEST(XattrMap, PrefixOfOneDirectionOnly) {
  const Mapped map(":prefix:client:trusted.:user.: :prefix:server::user.: :ok:all:::");
  EXPECT_EQ(map.to_host("trusted.x"), "user.trusted.x");
  EXPECT_EQ(map.to_guest("user.trusted.x|trusted.y|"), "trusted.x|trusted.y|");
}

TEST(XattrMap, NameThatIsNothingButThePrefixIsHidden) {
  EXPECT_EQ(Mapped(":map::user.guest.:").to_guest("user.guest.|user.guest.a|"), "a|");
}

TEST(XattrMap, NameThatWouldBeTooLongIsRefused) {
  const Mapped map(":map::user.guest.:");
  EXPECT_EQ(map.to_host(std::string(244, 'x')).size(), 255u);
  EXPECT_EQ(map.to_host(std::string(245, 'x')), "ERANGE");
  EXPECT_EQ(map.to_host(std::string(255, 'x')), "ERANGE");
  EXPECT_EQ(Mapped(":ok:all:::").to_host(std::string(255, 'x')).size(), 255u);
}

TEST(XattrMap, NameMayBeRenamedWhereItLies) {
  const XattrMap map = XattrMap::parse(":map::user.guest.:");
  std::array<char, XattrMap::kNameMax + 1> room{"security.x"};
  const Result<uint16_t> size = map.to_host("security.x", room);
  ASSERT_TRUE(size);
  EXPECT_EQ(std::string(room.data(), *size), "user.guest.security.x");
}

TEST(XattrMap, ListThatIsCutShortLosesItsLastName) {
  const Mapped map(":ok:all:::");
  EXPECT_EQ(map.to_guest("user.a|user.b"), "user.a|");
  EXPECT_EQ(map.to_guest("||user.a||"), "user.a|");
}

TEST(XattrMap, KnowsWhatItRenames) {
  const Mapped map("/map/trusted./user.guest./");
  EXPECT_TRUE(map.renames("trusted.x"));
  EXPECT_FALSE(map.renames("security.capability"));
  EXPECT_TRUE(Mapped(":map::user.guest.:").renames("security.capability"));
}

TEST(XattrMap, TextThatIsNoRuleIsRefused) {
  for (const char* rules : {"", " \n\t", ":", "::", "x", ":ok:all::", ":ok:all:::x",
                            ":OK:ALL:::", ":other:all:::", ":ok:some:::", ":ok::::", "aokaallaaa",
                            ":map::user.x", ":map:user.x.:", ":map::a.: :ok:all:::",
                            ":map::a.: :map::b.:", ":ok:all:: :", ":prefix:all:trusted.:u."}) {
    EXPECT_THROW(XattrMap::parse(rules), std::invalid_argument) << rules;
  }
}

TEST(XattrMap, RulesThatLeaveNamesOutAreRefused) {
  for (const char* rules : {":bad:client:x::", ":bad:all:x:y:", ":ok:client:::", ":ok:server:::",
                            ":prefix:all::user.x.:", ":ok:all:user.:user.:"}) {
    EXPECT_THROW(XattrMap::parse(rules), std::invalid_argument) << rules;
  }
  EXPECT_NO_THROW(XattrMap::parse(":ok:client::: :bad:server:::"));
}

TEST(XattrMap, RefusalSaysWhichRule) {
  try {
    XattrMap::parse(":ok:client:user.:: :good:all:::");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("rule 2: there is no type 'good'"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace dpfs
