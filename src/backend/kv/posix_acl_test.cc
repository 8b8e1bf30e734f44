// SPDX-License-Identifier: Apache-2.0
// POSIX ACLs: what is a valid list, and what lists and modes do to each other.
#include "backend/kv/posix_acl.h"

#include <gtest/gtest.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include <cstring>
#include <string>
#include <vector>

namespace dpfs::kv {
namespace {

using Entries = std::vector<AclEntry>;

AclEntry owner(uint16_t bits) { return {AclTag::owner, bits, kNoAclId}; }
AclEntry user(uint32_t id, uint16_t bits) { return {AclTag::user, bits, id}; }
AclEntry owning_group(uint16_t bits) { return {AclTag::owning_group, bits, kNoAclId}; }
AclEntry group(uint32_t id, uint16_t bits) { return {AclTag::group, bits, id}; }
AclEntry mask(uint16_t bits) { return {AclTag::mask, bits, kNoAclId}; }
AclEntry other(uint16_t bits) { return {AclTag::other, bits, kNoAclId}; }

std::string value_of(const Entries& entries, uint32_t version = 2) {
  std::string bytes(reinterpret_cast<const char*>(&version), sizeof version);
  bytes.append(reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(AclEntry));
  return bytes;
}

PosixAcl acl_of(const Entries& entries) {
  PosixAcl acl;
  EXPECT_TRUE(acl.decode(value_of(entries)));
  return acl;
}

Entries entries_of(const PosixAcl& acl) { return {acl.entries().begin(), acl.entries().end()}; }

Errno refusal(const std::string& bytes) {
  PosixAcl acl;
  const Result<Unit> decoded = acl.decode(bytes);
  EXPECT_TRUE(acl.none());
  return decoded ? Errno::none : decoded.error();
}

const Entries kBobWorks = {owner(7), user(1001, 7), owning_group(5), mask(7), other(0)};
const Entries kFull = {owner(7),     user(5, 6),  user(3, 4), owning_group(5),
                       group(70, 7), group(9, 1), mask(6),    other(4)};

}  // namespace

// ---- Bytes --------------------------------------------------------------------------------------

TEST(PosixAcl, NumbersAreLinuxsOwn) {
  EXPECT_EQ(POSIX_ACL_XATTR_VERSION, 2);
  EXPECT_EQ(sizeof(posix_acl_xattr_header), 4u);
  EXPECT_EQ(sizeof(posix_acl_xattr_entry), sizeof(AclEntry));
  EXPECT_EQ(offsetof(posix_acl_xattr_entry, e_perm), offsetof(AclEntry, permissions));
  EXPECT_EQ(offsetof(posix_acl_xattr_entry, e_id), offsetof(AclEntry, id));
  EXPECT_EQ(ACL_USER_OBJ, static_cast<int>(AclTag::owner));
  EXPECT_EQ(ACL_USER, static_cast<int>(AclTag::user));
  EXPECT_EQ(ACL_GROUP_OBJ, static_cast<int>(AclTag::owning_group));
  EXPECT_EQ(ACL_GROUP, static_cast<int>(AclTag::group));
  EXPECT_EQ(ACL_MASK, static_cast<int>(AclTag::mask));
  EXPECT_EQ(ACL_OTHER, static_cast<int>(AclTag::other));
  EXPECT_EQ(static_cast<uint32_t>(ACL_UNDEFINED_ID), kNoAclId);
}

TEST(PosixAcl, WhatIsEncodedIsWhatWasDecoded) {
  const PosixAcl acl = acl_of(kFull);
  std::string bytes(acl.bytes(), 0);
  EXPECT_EQ(acl.encode(bytes), bytes.size());
  EXPECT_EQ(bytes, value_of(kFull));
}

TEST(PosixAcl, NoBytesAndNoEntriesAreNoList) {
  PosixAcl acl = acl_of(kFull);
  EXPECT_TRUE(acl.decode(""));
  EXPECT_TRUE(acl.none());
  EXPECT_EQ(acl.bytes(), 0u);
  EXPECT_EQ(acl.encode({}), 0u);
  EXPECT_TRUE(acl.decode(value_of({})));
  EXPECT_TRUE(acl.none());
}

TEST(PosixAcl, IdOfAnEntryThatHasNoneDoesNotCount) {
  const PosixAcl acl = acl_of({{AclTag::owner, 6, 0}, {AclTag::owning_group, 4, 7}, other(4)});
  EXPECT_EQ(entries_of(acl), (Entries{owner(6), owning_group(4), other(4)}));
}

TEST(PosixAcl, OtherVersionIsRefused) {
  EXPECT_EQ(refusal(value_of(kFull, 1)), Errno::opnotsupp);
  EXPECT_EQ(refusal(value_of(kFull, 0x02000000)), Errno::opnotsupp);
}

TEST(PosixAcl, EveryTruncationIsRefusedOrNone) {
  const std::string bytes = value_of(kFull);
  for (size_t size = 1; size < bytes.size(); ++size) {
    if (size == 4) continue;
    EXPECT_EQ(refusal(bytes.substr(0, size)), Errno::inval) << size;
  }
  EXPECT_EQ(refusal(bytes + "x"), Errno::inval);
}

TEST(PosixAcl, MoreEntriesThanAPageHoldsAreTooBig) {
  Entries entries = {owner(7)};
  while (entries.size() < PosixAcl::kEntriesMax - 3) {
    entries.push_back(user(static_cast<uint32_t>(entries.size()), 4));
  }
  entries.insert(entries.end(), {owning_group(5), mask(7), other(0)});
  EXPECT_EQ(acl_of(entries).bytes(), PosixAcl::kBytesMax);
  EXPECT_LE(PosixAcl::kBytesMax, 4096u);
  entries.insert(entries.begin() + 1, user(4096, 4));
  EXPECT_EQ(refusal(value_of(entries)), Errno::toobig);
}

TEST(PosixAcl, WhatIsNoValidListIsRefused) {
  const Entries wrong[] = {
      {owning_group(4), other(4)},                                        // no owner
      {owner(6), other(4)},                                               // no group
      {owner(6), owning_group(4)},                                        // no others
      {owner(6), owner(6), owning_group(4), other(4)},                    // two owners
      {owner(6), owning_group(4), owning_group(4), other(4)},             // two groups
      {owner(6), owning_group(4), other(4), other(4)},                    // two others
      {owner(6), owning_group(4), mask(4), mask(4), other(4)},            // two masks
      {owner(6), user(1, 4), owning_group(4), other(4)},                  // no mask
      {owner(6), owning_group(4), group(1, 4), other(4)},                 // no mask
      {owner(6), owning_group(4), other(4), mask(4)},                     // order
      {owner(6), owning_group(4), user(1, 4), mask(4), other(4)},         // order
      {owner(6), group(1, 4), owning_group(4), mask(4), other(4)},        // order
      {owner(6), owning_group(4), mask(4), group(1, 4), other(4)},        // order
      {owning_group(4), owner(6), other(4)},                              // order
      {owner(8), owning_group(4), other(4)},                              // not a bit
      {owner(6), owning_group(4), other(0x8004)},                         // not a bit
      {owner(6), user(kNoAclId, 4), owning_group(4), mask(4), other(4)},  // nobody's id
      {owner(6), user(1, 4), user(2, 4), user(1, 6), owning_group(4), mask(4), other(4)},
      {owner(6), owning_group(4), group(9, 4), group(9, 4), mask(4), other(4)},  // twice
      {owner(6), owning_group(4), {AclTag{0x40}, 4, 0}, other(4)},               // no such tag
      {owner(6), owning_group(4), {AclTag{0}, 4, 0}, other(4)},                  // no such tag
      {{AclTag{0}, 4, 0}, owner(6), owning_group(4), other(4)},                  // no such tag
  };
  for (const Entries& entries : wrong) {
    EXPECT_EQ(refusal(value_of(entries)), Errno::inval) << &entries - wrong;
  }
}

TEST(PosixAcl, SameIdAsUserAndAsGroupIsTwoThings) {
  acl_of({owner(6), user(7, 4), owning_group(4), group(7, 4), mask(4), other(4)});
}

TEST(PosixAcl, MaskWithoutNamedEntriesIsValid) {
  EXPECT_FALSE(acl_of({owner(6), owning_group(4), mask(4), other(4)}).is_only_a_mode());
}

// ---- Setting an access list ---------------------------------------------------------------------

TEST(PosixAcl, MaskIsTheModesGroup) {
  const PosixAcl acl = acl_of({owner(7), user(1, 7), owning_group(1), mask(6), other(1)});
  EXPECT_EQ(acl.mode_of(0600), 0761u);
  EXPECT_FALSE(acl.is_only_a_mode());
}

TEST(PosixAcl, ThreeEntriesAreOnlyAMode) {
  const PosixAcl acl = acl_of({owner(6), owning_group(4), other(4)});
  EXPECT_EQ(acl.mode_of(0777), 0644u);
  EXPECT_TRUE(acl.is_only_a_mode());
}

TEST(PosixAcl, TypeAndSpecialBitsStay) {
  const PosixAcl acl = acl_of(kBobWorks);
  EXPECT_EQ(acl.mode_of(S_IFDIR | 07000), S_IFDIR | 07770u);
}

// ---- chmod --------------------------------------------------------------------------------------

TEST(PosixAcl, ChmodSetsTheMaskAndNotTheGroup) {
  PosixAcl acl = acl_of(kBobWorks);
  acl.chmod(S_IFREG | 04641);
  EXPECT_EQ(entries_of(acl),
            (Entries{owner(6), user(1001, 7), owning_group(5), mask(4), other(1)}));
}

TEST(PosixAcl, ChmodSetsTheGroupWhereThereIsNoMask) {
  PosixAcl acl = acl_of({owner(6), owning_group(4), other(4)});
  acl.chmod(0751);
  EXPECT_EQ(entries_of(acl), (Entries{owner(7), owning_group(5), other(1)}));
}

TEST(PosixAcl, ChmodOfNoListIsNone) {
  PosixAcl acl;
  acl.chmod(0777);
  EXPECT_TRUE(acl.none());
}

TEST(PosixAcl, ModeOfAChangedListIsTheModeItWasChangedTo) {
  PosixAcl acl = acl_of(kFull);
  for (uint32_t mode = 0; mode <= 0777; ++mode) {
    acl.chmod(mode);
    EXPECT_EQ(acl.mode_of(0), mode);
  }
}

// ---- Inheriting ---------------------------------------------------------------------------------

TEST(PosixAcl, WithoutADefaultTheUmaskCounts) {
  PosixAcl access = acl_of(kFull);
  const Inherited file = inherit(PosixAcl(), S_IFREG | 04666, 022, access);
  EXPECT_EQ(file.mode, S_IFREG | 04644u);
  EXPECT_FALSE(file.default_too);
  EXPECT_TRUE(access.none());
}

TEST(PosixAcl, DefaultReplacesTheUmaskAndIsLimitedByTheMode) {
  PosixAcl access;
  const Inherited file = inherit(acl_of(kBobWorks), S_IFREG | 0664, 077, access);
  EXPECT_EQ(file.mode, S_IFREG | 0660u);
  EXPECT_FALSE(file.default_too);
  EXPECT_EQ(entries_of(access),
            (Entries{owner(6), user(1001, 7), owning_group(5), mask(6), other(0)}));
}

TEST(PosixAcl, DirectoryGetsTheDefaultToo) {
  PosixAcl access;
  const Inherited directory = inherit(acl_of(kBobWorks), S_IFDIR | 02777, 077, access);
  EXPECT_EQ(directory.mode, S_IFDIR | 02770u);
  EXPECT_TRUE(directory.default_too);
  EXPECT_EQ(entries_of(access), kBobWorks);
}

TEST(PosixAcl, DefaultOfThreeEntriesIsOnlyAMode) {
  PosixAcl access;
  const PosixAcl three = acl_of({owner(7), owning_group(7), other(5)});
  EXPECT_EQ(inherit(three, S_IFREG | 0666, 077, access).mode, S_IFREG | 0664u);
  EXPECT_TRUE(access.none());
  EXPECT_TRUE(inherit(three, S_IFDIR | 0777, 077, access).default_too);
}

TEST(PosixAcl, MaskLimitsInsteadOfTheOwningGroup) {
  PosixAcl access;
  const PosixAcl list = acl_of({owner(7), owning_group(7), mask(5), other(7)});
  EXPECT_EQ(inherit(list, S_IFREG | 0766, 0, access).mode, S_IFREG | 0746u);
  EXPECT_EQ(entries_of(access), (Entries{owner(7), owning_group(7), mask(4), other(6)}));
}

TEST(PosixAcl, SymbolicLinksHaveNeither) {
  PosixAcl access;
  const Inherited link = inherit(acl_of(kBobWorks), S_IFLNK | 0777, 077, access);
  EXPECT_EQ(link.mode, S_IFLNK | 0777u);
  EXPECT_FALSE(link.default_too);
  EXPECT_TRUE(access.none());
}

}  // namespace dpfs::kv
