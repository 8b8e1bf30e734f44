// SPDX-License-Identifier: Apache-2.0
// Listing directories: every entry once, whatever the size of the replies.
#include <sys/mount.h>

#include <algorithm>
#include <atomic>

#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

using Listed = LocalFsHarness::Listed;

class Listing : public LocalFsTest {
 protected:
  void make_files(int count, const std::string& prefix) {
    for (int i = 0; i < count; ++i) host_write(prefix + std::to_string(i), "");
  }
};

INSTANTIATE_TEST_SUITE_P(Both, Listing, testing::Bool(), mode_name);

std::set<std::string> names_of(const std::vector<Listed>& entries) {
  std::set<std::string> names;
  for (const Listed& entry : entries) EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
  return names;
}

TEST_P(Listing, ManyEntriesThroughSmallRepliesAreEachThereOnce) {
  make_files(5000, "a file with a name of some length ");
  for (const bool plus : {false, true}) {
    for (const size_t room : {600u, 4096u, 1u << 20}) {
      const std::vector<Listed> entries = list(NodeId::root, room, plus);
      EXPECT_EQ(names_of(entries).size(), 5002u) << room;
    }
  }
}

TEST_P(Listing, DotsAreThereAndCountAsNoLookup) {
  for (const bool plus : {false, true}) {
    const std::vector<Listed> entries = list(NodeId::root, 4096, plus);
    EXPECT_EQ(names_of(entries), (std::set<std::string>{".", ".."}));
    for (const Listed& entry : entries) EXPECT_EQ(entry.node, NodeId{0});
    EXPECT_EQ(entries[0].ino, entries[1].ino);  // what is above the root is not shown
  }
  EXPECT_EQ(fs().nodes(), 1u);
}

TEST_P(Listing, ReaddirplusCountsOneLookupForEachEntry) {
  make_files(300, "f");
  const std::vector<Listed> entries = list(NodeId::root, 4096, true);
  EXPECT_EQ(fs().nodes(), 301u);
  for (const Listed& entry : entries) {
    if (entry.node == NodeId{0}) continue;
    EXPECT_EQ(node(entry.name), entry.node);
    forget(entry.node, 1);
    EXPECT_TRUE(call(&LocalFs::getattr, {.node = entry.node}));
    forget(entry.node, 1);
  }
  EXPECT_EQ(fs().nodes(), 1u);
}

TEST_P(Listing, GoesOnAtAnyOffsetThatWasGivenBefore) {
  make_files(500, "f");
  const std::vector<Listed> all = list(NodeId::root, 1 << 20, false);
  const Handle handle = open_directory(NodeId::root);
  for (size_t i = 0; i < all.size(); i = i * 2 + 7) {
    std::vector<Listed> rest;
    ASSERT_TRUE(list_some(NodeId::root, handle, all[i].offset, 1 << 20, false, rest));
    ASSERT_EQ(rest.size(), all.size() - i - 1);
    for (size_t k = 0; k < rest.size(); ++k) EXPECT_EQ(rest[k].name, all[i + 1 + k].name);
  }
  std::vector<Listed> again;
  ASSERT_TRUE(list_some(NodeId::root, handle, 0, 1 << 20, false, again));
  EXPECT_EQ(again.size(), all.size());
}

TEST_P(Listing, TwoReadersOfOneHandleDoNotDisturbEachOther) {
  make_files(500, "f");
  const Handle handle = open_directory(NodeId::root);
  std::vector<Listed> one;
  std::vector<Listed> two;
  for (int i = 0; i < 600; ++i) {
    for (std::vector<Listed>* entries : {&one, &two}) {
      const uint64_t offset = entries->empty() ? 0 : entries->back().offset;
      const size_t room = entries == &one ? 700 : 2000;
      ASSERT_TRUE(list_some(NodeId::root, handle, offset, room, entries == &one, *entries));
    }
  }
  EXPECT_EQ(names_of(one).size(), 502u);
  EXPECT_EQ(names_of(two).size(), 502u);
}

TEST_P(Listing, EntriesThatVanishMeanwhileTakeNoOtherWithThem) {
  make_files(1000, "stays");
  make_files(1000, "goes");
  std::thread remover([&] {
    for (int i = 0; i < 1000; ++i) std::filesystem::remove(share / ("goes" + std::to_string(i)));
  });
  const std::vector<Listed> entries = list(NodeId::root, 4096, true);
  remover.join();
  const std::set<std::string> names = names_of(entries);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(names.contains("stays" + std::to_string(i))) << i;
}

TEST_P(Listing, ReplyTooSmallForOneEntryIsEinval) {
  std::vector<Listed> entries;
  const Handle handle = open_directory(NodeId::root);
  EXPECT_EQ(list_some(NodeId::root, handle, 0, 16, false, entries).error(), Errno::inval);
  EXPECT_EQ(list_some(NodeId::root, handle, 0, 100, true, entries).error(), Errno::inval);
}

TEST_P(Listing, FileAndUnknownHandleAreNoDirectories) {
  host_write("file", "");
  const NodeId file = node("file");
  EXPECT_EQ(call(&LocalFs::opendir, {.node = file, .flags = 0}).error(), Errno::notdir);
  EXPECT_EQ(call(&LocalFs::open, {.node = NodeId::root, .flags = 0}).error(), Errno::isdir);
  std::vector<Listed> entries;
  EXPECT_EQ(list_some(file, open(file), 0, 4096, false, entries).error(), Errno::notdir);
  EXPECT_EQ(list_some(NodeId::root, Handle{99}, 0, 4096, false, entries).error(), Errno::badf);
}

TEST_P(Listing, MountInsideTheDirectoryIsPartOfIt) {
  const std::filesystem::path inner = share / "inner";
  std::filesystem::create_directory(inner);
  if (::mount("dpfs-test", inner.c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "may not mount";
  }
  host_write("inner/file", "on another file system");
  const NodeId file = node("inner/file");
  EXPECT_EQ(read(file, open(file, O_RDONLY), 0, 100), "on another file system");
  EXPECT_EQ(names_of(list(node("inner"), 4096, true)).size(), 3u);
  on_reactor([&] { fs().end(); });
  EXPECT_EQ(::umount(inner.c_str()), 0) << "a descriptor of it is left";
}

}  // namespace
}  // namespace dpfs::local
