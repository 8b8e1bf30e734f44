// SPDX-License-Identifier: Apache-2.0
// Nodes that have lost their last name, and that a tenant still uses: as a working directory, by an
// O_PATH descriptor.
#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

// So few descriptors that the cache alone keeps none of them for long.
class Orphans : public testing::TestWithParam<bool>, public LocalFsHarness {
 protected:
  Orphans() : LocalFsHarness({.path = {}, .descriptors_max = 8, .file_handles = GetParam()}) {}

  void use_other_nodes() {
    for (int i = 0; i < 30; ++i) {
      const std::string name = "other" + std::to_string(i);
      host_write(name, "");
      EXPECT_TRUE(call(&LocalFs::getattr, {.node = node(name)}));
    }
  }
  Errno unlink(std::string_view name) {
    return call(&LocalFs::unlink, {.parent = NodeId::root, .name = name_of(name)}).error();
  }
  Errno rmdir(std::string_view name) {
    return call(&LocalFs::rmdir, {.parent = NodeId::root, .name = name_of(name)}).error();
  }
  Result<fuse::AttrOut> getattr(NodeId node) { return call(&LocalFs::getattr, {.node = node}); }
};

INSTANTIATE_TEST_SUITE_P(Both, Orphans, testing::Bool(), mode_name);

TEST_P(Orphans, RemovedDirectoryIsStillThereForWhoIsInIt) {
  std::filesystem::create_directory(share / "d");
  const NodeId d = node("d");
  use_other_nodes();
  ASSERT_EQ(rmdir("d"), Errno::none);
  use_other_nodes();
  const Result<fuse::AttrOut> attr = getattr(d);
  ASSERT_TRUE(attr) << describe(attr.error());
  EXPECT_EQ(attr->attr.nlink, 0u);
  forget(d);
  EXPECT_EQ(getattr(d).error(), Errno::stale);
}

TEST_P(Orphans, UnlinkedFileIsStillThereForWhoKnowsIt) {
  host_write("f", "text");
  const NodeId file = node("f");
  use_other_nodes();
  ASSERT_EQ(unlink("f"), Errno::none);
  use_other_nodes();
  EXPECT_EQ(getattr(file)->attr.size, 4u);
  EXPECT_EQ(read(file, open(file, O_RDONLY), 0, 10), "text");
}

TEST_P(Orphans, ReplacedFileIsStillThereForWhoKnowsIt) {
  host_write("f", "old");
  host_write("g", "new text");
  const NodeId file = node("f");
  use_other_nodes();
  ASSERT_TRUE(call(&LocalFs::rename2, {.parent = NodeId::root,
                                       .name = name_of("g"),
                                       .new_parent = NodeId::root,
                                       .new_name = name_of("f"),
                                       .flags = 0}));
  use_other_nodes();
  EXPECT_EQ(getattr(file)->attr.size, 3u);
}

TEST_P(Orphans, SpaceIsFreeWhenNobodyKnowsTheFile) {
  host_write("f", "text");
  const NodeId file = node("f");
  const uint32_t before = fs().descriptors();
  ASSERT_EQ(unlink("f"), Errno::none);
  forget(file);
  EXPECT_LE(fs().descriptors(), before);
  EXPECT_EQ(getattr(file).error(), Errno::stale);
}

TEST_P(Orphans, TheyTakeNoMoreThanHalfOfTheDescriptors) {
  std::vector<NodeId> nodes;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "f" + std::to_string(i);
    host_write(name, "");
    nodes.push_back(node(name));
    ASSERT_EQ(unlink(name), Errno::none);
  }
  use_other_nodes();
  EXPECT_LE(fs().descriptors(), 10u);
  int kept = 0;
  for (const NodeId node : nodes) kept += static_cast<bool>(getattr(node));
  EXPECT_GE(kept, 4);
  for (const NodeId node : nodes) forget(node);
  use_other_nodes();
  host_write("last", "");
  const NodeId last = node("last");  // there is room again
  ASSERT_EQ(unlink("last"), Errno::none);
  use_other_nodes();
  EXPECT_TRUE(getattr(last));
}

TEST_P(Orphans, FailedRemovalKeepsNothing) {
  std::filesystem::create_directories(share / "d" / "e");
  const NodeId d = node("d");
  EXPECT_EQ(rmdir("d"), Errno::notempty);
  EXPECT_EQ(unlink("d"), Errno::isdir);
  forget(d);
}

TEST_P(Orphans, AnotherNameIsEnough) {
  host_write("f", "text");
  std::filesystem::create_hard_link(share / "f", share / "g");
  const NodeId file = node("f");
  EXPECT_EQ(node("g"), file);
  ASSERT_EQ(unlink("f"), Errno::none);
  EXPECT_EQ(getattr(file)->attr.nlink, 1u);
  ASSERT_EQ(unlink("g"), Errno::none);
  EXPECT_EQ(getattr(file)->attr.nlink, 0u);
}

}  // namespace
}  // namespace dpfs::local
