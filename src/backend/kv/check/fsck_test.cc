// SPDX-License-Identifier: Apache-2.0
// Each kind of damage is found, and mended so that the next check finds nothing.
#include "backend/kv/check/fsck.h"

#include <gmock/gmock.h>

#include "backend/kv/check/sample.h"

namespace dpfs::kv {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using Words = std::vector<std::string>;

class FsckTest : public SampleFileSystem {
 protected:
  std::string contents_of(uint64_t ino) { return client_->get(contents_key(ino)).value_or("-"); }
  uint64_t ino_of(uint64_t directory, std::string_view name) {
    Entry entry;
    const std::optional<std::string> value = client_->get(entry_key(directory, name));
    return value && decode(*value, entry) ? entry.ino : 0;
  }
  uint64_t lost(const std::string& name) {
    const uint64_t place = ino_of(kRootIno, "lost+found");
    return place == 0 ? 0 : ino_of(place, name);
  }
};

TEST_F(FsckTest, AWholeFileSystemHasNoFindings) { EXPECT_THAT(check(), IsEmpty()); }

TEST_F(FsckTest, CheckingChangesNoRecordButTheOwners) {
  put(inode_key(kPipe), "?");
  check();
  EXPECT_EQ(client_->get(inode_key(kPipe)), "?");
}

TEST_F(FsckTest, AFindingHasItsPath) {
  change(kInner, [](Inode& inode) { inode.nlink = 7; });
  check();
  ASSERT_EQ(items_.size(), 1u);
  EXPECT_EQ(items_[0].path, "/dir/inner");
}

// ---- Records that cannot be read

TEST_F(FsckTest, AnInodeWithAWrongTimeKeepsTheRest) {
  std::string bytes = of(inode(kSmall));
  bytes[24 + 16 + 8] = '\xff';  // nanoseconds
  put(inode_key(kSmall), bytes);
  EXPECT_THAT(check(), ElementsAre("bad-inode"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(inode(kSmall).mode, uint32_t{S_IFREG | 0644});
}

TEST_F(FsckTest, AnUnreadableInodeOfAFileIsMadeAgainWithItsContents) {
  put(inode_key(kSmall), "?");
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(inode(kSmall).size, 5u);
  EXPECT_EQ(inode(kSmall).nlink, 2u);
  EXPECT_EQ(inode(kSmall).mode, uint32_t{S_IFREG | 0600});
  EXPECT_EQ(contents_of(kSmall), "hello");
}

TEST_F(FsckTest, AMissingInodeOfALargeFileIsMadeAgainWithItsSize) {
  erase(inode_key(kLarge));
  EXPECT_THAT(check(), IsSupersetOf({"entry-of-nothing", "lost-contents"}));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(inode(kLarge).size, 100'000u);
  EXPECT_EQ(ino_of(kRootIno, "large"), kLarge);
}

TEST_F(FsckTest, AMissingInodeOfADirectoryIsMadeAgainWithItsNames) {
  erase(inode_key(kDir));
  EXPECT_THAT(check(), IsSupersetOf({"entry-of-nothing", "lost-directory"}));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(inode(kDir).entries, 2u);
  EXPECT_EQ(ino_of(kDir, "small"), kSmall);
}

TEST_F(FsckTest, AMissingRootIsMadeAgain) {
  erase(inode_key(kRootIno));
  EXPECT_THAT(check(), Contains("root-missing"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(inode(kRootIno).entries, 5u);
}

TEST_F(FsckTest, AnUnreadableEntryComesBackFromItsListing) {
  put(entry_key(kDir, "small"), "?");
  EXPECT_THAT(check(), IsSupersetOf({"bad-entry", "listing-of-nothing"}));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(ino_of(kDir, "small"), kSmall);
}

TEST_F(FsckTest, AnUnreadableListingComesBackFromItsEntry) {
  put(listing_key(kDir, 4), "?");
  EXPECT_THAT(check(), ElementsAre("bad-listing", "entry-not-listed"));
  EXPECT_THAT(mend(), IsEmpty());
}

TEST_F(FsckTest, AnUnreadableMapComesBackFromItsChunks) {
  put(pages_key(kLarge, 0), "?");
  EXPECT_THAT(check(), ElementsAre("bad-pages", "leftover-chunk", "stored"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(inode(kLarge).stored, 25u * kPageBytes);
}

TEST_F(FsckTest, AnUnreadableAccessListGoesAndTheGroupMayNoMoreThanBefore) {
  put(xattr_key(kSmall, kAccessAclName), "?");
  EXPECT_THAT(check(), ElementsAre("bad-acl"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(inode(kSmall).mode, uint32_t{S_IFREG | 0604});
}

TEST_F(FsckTest, UnreadableNumbersAreCountedAgain) {
  put({.collection = Collection::allocator}, "?");
  put(kv::usage_key(UsageCounter::bytes), "?");
  put(kv::usage_key(UsageCounter::inodes), "?");
  EXPECT_THAT(check(), ElementsAre("allocator", "used-bytes", "used-inodes"));
  EXPECT_THAT(mend(), IsEmpty());
}

// ---- Names

TEST_F(FsckTest, ANameOfNothingGoes) {
  erase(inode_key(kPipe));
  EXPECT_THAT(check(), ElementsAre("entry-of-nothing", "used-inodes"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(ino_of(kRootIno, "pipe"), 0u);
}

TEST_F(FsckTest, ANameWithoutAListingIsListed) {
  erase(listing_key(kRootIno, 5));
  EXPECT_THAT(check(), ElementsAre("entry-not-listed"));
  EXPECT_THAT(mend(), IsEmpty());
}

TEST_F(FsckTest, ANameWithAnothersCookieGetsOneOfItsOwn) {
  put(entry_key(kRootIno, "large"), of(Entry{.ino = kLarge, .cookie = 7, .type = DT_REG}));
  EXPECT_THAT(check(), ElementsAre("entry-not-listed", "listing-of-nothing"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(ino_of(kRootIno, "large"), kLarge);
  EXPECT_EQ(ino_of(kRootIno, "pipe"), kPipe);
}

TEST_F(FsckTest, AListingWithoutANameBringsItBack) {
  erase(entry_key(kRootIno, "pipe"));
  EXPECT_THAT(check(), IsSupersetOf({"listing-of-nothing", "unreachable"}));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(ino_of(kRootIno, "pipe"), kPipe);
}

TEST_F(FsckTest, AListingOfWhatIsGoneGoes) {
  put(listing_key(kRootIno, 6'000), of(Listing{77, DT_REG, "gone"}));
  EXPECT_THAT(check(), ElementsAre("listing-of-nothing"));
  EXPECT_THAT(mend(), IsEmpty());
}

TEST_F(FsckTest, AWrongTypeIsCorrected) {
  put_name(kRootIno, "large", {.ino = kLarge, .cookie = 5, .type = DT_FIFO});
  EXPECT_THAT(check(), ElementsAre("entry-type"));
  EXPECT_THAT(mend(), IsEmpty());
}

TEST_F(FsckTest, TheRootHasNoName) {
  put_name(kDir, "root", {.ino = kRootIno, .cookie = 9, .type = DT_DIR});
  EXPECT_THAT(check(), IsSupersetOf({"entry-of-root", "cookie", "entries"}));
  EXPECT_THAT(mend(), IsEmpty());
}

TEST_F(FsckTest, ADirectoryKeepsTheNameItKnowsOf) {
  put_name(kInner, "again", {.ino = kDir, .cookie = 3, .type = DT_DIR});
  EXPECT_THAT(check(), Contains("names-of-directory"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(ino_of(kRootIno, "dir"), kDir);
  EXPECT_EQ(ino_of(kInner, "again"), 0u);
}

TEST_F(FsckTest, ANameInAFileGoesAndWhatIsBehindItIsKept) {
  put_name(kLarge, "below", {.ino = 50, .cookie = 3, .type = DT_REG});
  put(inode_key(50), of(file(0)));
  EXPECT_THAT(check(), Contains("entry-in-file"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(lost("#50"), 50u);
}

TEST_F(FsckTest, WhatNoNameLeadsToGoesToLostAndFound) {
  put(inode_key(50), of(file(3)));
  put(contents_key(50), "abc");
  EXPECT_THAT(check(), ElementsAre("unreachable", "used-bytes", "used-inodes"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(lost("#50"), 50u);
  EXPECT_EQ(contents_of(50), "abc");
}

TEST_F(FsckTest, ATreeThatIsCutOffGoesToLostAndFoundAsOne) {
  erase(entry_key(kRootIno, "dir"));
  erase(listing_key(kRootIno, 3));
  EXPECT_THAT(check(), Contains("unreachable"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(lost("#10"), kDir);
  EXPECT_EQ(ino_of(kDir, "inner"), kInner);
}

TEST_F(FsckTest, ACircleIsBrokenAndKept) {
  erase(entry_key(kRootIno, "dir"));
  erase(listing_key(kRootIno, 3));
  put_name(kInner, "up", {.ino = kDir, .cookie = 3, .type = DT_DIR});
  EXPECT_THAT(check(), Contains("circle"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_TRUE(lost("#10") == kDir || lost("#11") == kInner);
}

TEST_F(FsckTest, AFileNamedLostAndFoundStays) {
  put_name(kRootIno, "lost+found", {.ino = 51, .cookie = 9, .type = DT_REG});
  put(inode_key(51), of(file(0)));
  put(inode_key(50), of(file(0)));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(ino_of(kRootIno, "lost+found"), 51u);
  EXPECT_EQ(ino_of(ino_of(kRootIno, "lost+found.1"), "#50"), 50u);
}

TEST_F(FsckTest, CountsOfADirectoryAreCorrected) {
  change(kDir, [](Inode& inode) {
    inode.entries = 1;
    inode.next_cookie = 4;
    inode.nlink = 2;
    inode.parent = kInner;
  });
  EXPECT_THAT(check(), ElementsAre("cookie", "entries", "links", "parent"));
  EXPECT_THAT(mend(), IsEmpty());
}

TEST_F(FsckTest, LinksOfAFileAreCounted) {
  change(kSmall, [](Inode& inode) { inode.nlink = 1; });
  EXPECT_THAT(check(), ElementsAre("links"));
  EXPECT_THAT(mend(), IsEmpty());
}

// ---- Files without a name, garbage

TEST_F(FsckTest, AnOrphanAndGarbageAreNoDamage) {
  Inode orphan = file(0);
  orphan.nlink = 0;
  put(inode_key(50), of(orphan));
  put(orphan_key(50), "");
  put(garbage_key(51), "");
  PageMap map;
  map.set(0, 2);
  put(pages_key(51, 0), of(map));
  put(kv::usage_key(UsageCounter::inodes), number_text(8));
  put(kv::usage_key(UsageCounter::bytes), number_text(28 * 4096));
  EXPECT_THAT(check(), ElementsAre("garbage", "orphan"));
}

TEST_F(FsckTest, AnOrphanThatHasANameIsNone) {
  put(orphan_key(kSmall), "");
  put(orphan_key(99), "");
  EXPECT_THAT(check(), ElementsAre("orphan-in-use", "orphan-of-nothing"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(contents_of(kSmall), "hello");
}

TEST_F(FsckTest, WhatIsThereIsNoGarbage) {
  put(garbage_key(kLarge), "");
  EXPECT_THAT(check(), ElementsAre("garbage-of-living"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(inode(kLarge).stored, 25u * kPageBytes);
}

TEST_F(FsckTest, ChunksOfAWriteThatWasNotFinishedGo) {
  put(chunk_key(kLarge, 9), "leftover");
  put(chunk_key(60, 0), "leftover");
  put(chunk_key(kLarge, 1), std::string(kChunk, 'c'));
  EXPECT_THAT(check(), ElementsAre("leftover-chunk", "leftover-tail"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(client_->get(chunk_key(kLarge, 9)), std::nullopt);
  EXPECT_EQ(client_->get(chunk_key(kLarge, 1))->size(), 100'000u - kChunk);
}

// ---- Contents

TEST_F(FsckTest, ContentsOfNoFileGetOne) {
  put(contents_key(50), "found again");
  EXPECT_THAT(check(), ElementsAre("lost-contents"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(lost("#50"), 50u);
  EXPECT_EQ(inode(50).size, 11u);
}

TEST_F(FsckTest, AttributesOfNoFileGo) {
  put(xattr_key(50, "user.x"), "y");
  EXPECT_THAT(check(), ElementsAre("lost-attributes"));
  EXPECT_THAT(mend(), IsEmpty());
}

TEST_F(FsckTest, AttributesThatTheInodeDoesNotKnowOfAreSeenAgain) {
  change(kSmall, [](Inode& inode) { inode.flags &= ~inode_flag::kAccessAcl; });
  EXPECT_THAT(check(), ElementsAre("attribute-flags"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_NE(inode(kSmall).flags & inode_flag::kAccessAcl, 0u);
}

TEST_F(FsckTest, SmallContentsOfALargeFileAreKeptAside) {
  put(contents_key(kLarge), "aside");
  EXPECT_THAT(check(), ElementsAre("contents-of-large"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(inode(kLarge).size, 100'000u);
  EXPECT_EQ(contents_of(lost("#1026")), "aside");
}

TEST_F(FsckTest, AFileWhoseFlagIsWrongHasItsContentsAgain) {
  change(kSmall, [](Inode& inode) { inode.flags &= ~inode_flag::kInline; });
  change(kLarge, [](Inode& inode) { inode.flags |= inode_flag::kInline; });
  EXPECT_THAT(check(), IsSupersetOf({"contents-of-large", "pages-of-small"}));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(contents_of(kSmall), "hello");
  EXPECT_EQ(inode(kLarge).stored, 25u * kPageBytes);
}

TEST_F(FsckTest, ContentsOfAPipeAreKeptAside) {
  put(contents_key(kPipe), "aside");
  EXPECT_THAT(check(), ElementsAre("contents-of-none"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(contents_of(lost("#1026")), "aside");
}

TEST_F(FsckTest, AFileIsAsLongAsItsContents) {
  put(contents_key(kSmall), "hello, world");
  EXPECT_THAT(check(), ElementsAre("contents-long"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(inode(kSmall).size, 12u);
}

TEST_F(FsckTest, ContentsThatAreTooLongForARecordBecomeAChunk) {
  put(contents_key(kSmall), std::string(5'000, 'x'));
  EXPECT_THAT(check(), ElementsAre("contents-long"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(inode(kSmall).size, 5'000u);
  EXPECT_EQ(client_->get(chunk_key(kSmall, 0)), std::string(5'000, 'x'));
}

TEST_F(FsckTest, ALinkHasItsTargetsLength) {
  change(kLink, [](Inode& inode) { inode.size = 4; });
  EXPECT_THAT(check(), ElementsAre("link-target"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(inode(kLink).size, 9u);
}

TEST_F(FsckTest, ALinkToNowhereGoes) {
  erase(contents_key(kLink));
  EXPECT_THAT(check(), ElementsAre("link-target"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(ino_of(kRootIno, "link"), 0u);
}

TEST_F(FsckTest, PagesBehindTheEndGoBeforeTheFileGrows) {
  change(kLarge, [](Inode& inode) { inode.size = 70'000; });
  EXPECT_THAT(check(), ElementsAre("leftover-tail", "pages-behind-end"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_NE(inode(kLarge).flags & inode_flag::kShrinking, 0u);
}

TEST_F(FsckTest, WhatIsStoredIsCounted) {
  change(kLarge, [](Inode& inode) { inode.stored = 0; });
  change(kSmall, [](Inode& inode) { inode.stored = 0; });
  change(kPipe, [](Inode& inode) { inode.stored = 4096; });
  EXPECT_THAT(check(), ElementsAre("stored", "used-bytes"));
  EXPECT_THAT(mend(), IsEmpty());
  EXPECT_EQ(inode(kLarge).stored, 25u * kPageBytes);
}

TEST_F(FsckTest, AnEmptyMapAndALongChunkAreMended) {
  put(pages_key(kLarge, 3), of(PageMap()));
  put(chunk_key(kLarge, 0), std::string(kChunk + 1, 'a'));
  EXPECT_THAT(check(), ElementsAre("chunk-long", "pages-empty"));
  EXPECT_THAT(mend(), IsEmpty());
}

TEST_F(FsckTest, AnInodeNumberIsNeverHandedOutTwice) {
  put({.collection = Collection::allocator}, number_text(kPipe));
  EXPECT_THAT(check(), ElementsAre("allocator"));
  EXPECT_THAT(mend(), IsEmpty());
}

}  // namespace
}  // namespace dpfs::kv
