// SPDX-License-Identifier: Apache-2.0
// Nodes that are found again by their number: what an NFS server in the tenant needs.
#include <atomic>
#include <filesystem>
#include <thread>

#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

class Export : public LocalFsHarness, public testing::Test {
 protected:
  Export() : LocalFsHarness({.path = {}, .forgotten_max = 4}) {}
  void SetUp() override {
    if (!fs().uses_handles()) GTEST_SKIP() << "no file handles here";
    ASSERT_EQ(begin_with(fuse::init_flag::kExportSupport), fuse::init_flag::kExportSupport);
  }
  // As the tenant's kernel names a file for others.
  Result<fuse::EntryOut> look_up_handle(NodeId node) { return look_up(node, "."); }
};

TEST_F(Export, ForgottenNodeIsFoundByItsNumber) {
  host_write("file", "text");
  const Result<fuse::EntryOut> entry = look_up(NodeId::root, "file");
  const NodeId file{entry->nodeid};
  forget(file);
  const Result<fuse::EntryOut> again = look_up_handle(file);
  ASSERT_TRUE(again) << describe(again.error());
  EXPECT_EQ(NodeId{again->nodeid}, file);
  EXPECT_EQ(again->generation, entry->generation);
  EXPECT_EQ(again->attr.size, 4u);
  EXPECT_EQ(read(file, open(file, O_RDONLY), 0, 10), "text");
}

TEST_F(Export, ForgottenNodeIsFoundUnderItsNewName) {
  host_write("file", "");
  const NodeId file = node("file");
  forget(file);
  std::filesystem::rename(share / "file", share / "moved");
  EXPECT_TRUE(look_up_handle(file));
  forget(file);
  EXPECT_EQ(node("moved"), file);
}

TEST_F(Export, ForgottenNodeOfAnUnlinkedFileIsStale) {
  host_write("file", "");
  const NodeId file = node("file");
  forget(file);
  std::filesystem::remove(share / "file");
  EXPECT_EQ(look_up_handle(file).error(), Errno::stale);
  host_write("file", "");  // perhaps with the same inode number
  EXPECT_NE(node("file"), file);
  EXPECT_EQ(look_up_handle(file).error(), Errno::stale);
}

// While the number is being given to a new inode, Linux says ENOMEM of the old one.
TEST_F(Export, ForgottenNodeOfAnUnlinkedFileIsStaleAlsoWhileItsNumberIsUsedAgain) {
  host_write("file", "");
  const NodeId file = node("file");
  forget(file);
  std::filesystem::remove(share / "file");
  std::atomic<bool> enough{false};
  std::thread maker([&] {
    while (!enough) {
      host_write("other", "");
      std::filesystem::remove(share / "other");
    }
  });
  for (int i = 0; i < 20'000; ++i) {
    const Errno why = look_up_handle(file).error();
    if (why == Errno::stale) continue;
    ADD_FAILURE() << describe(why);
    break;
  }
  enough = true;
  maker.join();
}

TEST_F(Export, ForgottenNodesHaveNoDescriptor) {
  for (const char* name : {"a", "b", "c"}) {
    host_write(name, "");
    forget(node(name));
  }
  EXPECT_EQ(fs().descriptors(), 1u);  // the root's
  EXPECT_EQ(fs().nodes(), 4u);
}

TEST_F(Export, OldestForgottenNodesAreLost) {
  std::vector<NodeId> nodes;
  for (int i = 0; i < 6; ++i) {
    host_write(std::to_string(i), "");
    nodes.push_back(node(std::to_string(i)));
  }
  forget(nodes[0]);
  forget(nodes[1]);
  EXPECT_EQ(node("0"), nodes[0]);  // wanted again, and so the latest when it goes
  for (int i = 2; i < 6; ++i) forget(nodes[static_cast<size_t>(i)]);
  EXPECT_EQ(fs().nodes(), 6u);  // four forgotten ones
  forget(nodes[0]);
  EXPECT_EQ(fs().nodes(), 5u);
  EXPECT_EQ(look_up_handle(nodes[1]).error(), Errno::stale);
  EXPECT_EQ(look_up_handle(nodes[2]).error(), Errno::stale);
  EXPECT_TRUE(look_up_handle(nodes[3]));
  EXPECT_TRUE(look_up_handle(nodes[0]));
}

TEST_F(Export, ForgottenNodeCannotBeForgottenTwice) {
  host_write("file", "");
  const NodeId file = node("file");
  forget(file);
  forget(file, 1000);
  EXPECT_EQ(node("file"), file);
  forget(file, 2);
  EXPECT_TRUE(look_up_handle(file));
}

TEST_F(Export, ParentIsFoundFromADirectory) {
  std::filesystem::create_directories(share / "a" / "b");
  const NodeId a = node("a");
  const NodeId b = node("a/b");
  forget(a, 2);
  EXPECT_EQ(NodeId{look_up(b, "..")->nodeid}, a);
  EXPECT_EQ(NodeId{look_up(a, "..")->nodeid}, NodeId::root);
  EXPECT_EQ(NodeId{look_up(NodeId::root, "..")->nodeid}, NodeId::root);
  EXPECT_EQ(NodeId{look_up(NodeId::root, ".")->nodeid}, NodeId::root);
}

TEST_F(Export, ParentOfAFileIsNobodys) {
  host_write("file", "");
  EXPECT_EQ(look_up(node("file"), "..").error(), Errno::notdir);
}

// It stays reachable itself, as an open file would. What lies around it does not become so.
TEST_F(Export, ParentOutsideOfTheShareIsStale) {
  std::filesystem::create_directories(share / "a" / "b");
  std::filesystem::create_directory(root / "outside");
  const NodeId a = node("a");
  const NodeId b = node("a/b");
  std::filesystem::rename(share / "a", root / "outside" / "a");
  EXPECT_TRUE(look_up(a, "."));
  EXPECT_EQ(look_up(a, "..").error(), Errno::stale);
  EXPECT_EQ(look_up(b, "..").error(), Errno::stale);
}

TEST_F(Export, NumbersThatNobodyGaveOutAreStale) {
  for (const uint64_t number : {uint64_t{0}, uint64_t{2}, uint64_t{1} << 32 | 1, UINT64_MAX}) {
    EXPECT_EQ(look_up_handle(NodeId{number}).error(), Errno::stale) << number;
  }
}

TEST_F(Export, ForgettingIsFinalWithoutIt) {
  begin_with(0);
  host_write("file", "");
  const NodeId file = node("file");
  forget(file);
  EXPECT_EQ(fs().nodes(), 1u);
  EXPECT_EQ(look_up(NodeId::root, ".").error(), Errno::inval);
}

// Handles that work until the tenant's kernel drops the inode are worse than none.
TEST(ExportWithoutHandles, IsRuledOut) {
  LocalFsHarness harness({.path = {}, .file_handles = false});
  EXPECT_EQ(harness.begin_with(fuse::init_flag::kExportSupport | fuse::init_flag::kNoExportSupport),
            fuse::init_flag::kNoExportSupport);
}

}  // namespace
}  // namespace dpfs::local
