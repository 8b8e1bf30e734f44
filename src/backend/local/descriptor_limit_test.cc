// SPDX-License-Identifier: Apache-2.0
// Many files and few descriptors. A program of its own, because the limit is the process's.
#include <sys/resource.h>

#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

constexpr int kFiles = 2000;

void limit_descriptors(rlim_t count) {
  const rlimit limit{count, count};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
}

class DescriptorLimit : public testing::TestWithParam<bool> {
 protected:
  DescriptorLimit() { limit_descriptors(64); }
};
INSTANTIATE_TEST_SUITE_P(Both, DescriptorLimit, testing::Bool(), mode_name);

TEST_P(DescriptorLimit, ManyFilesAreListedStatedAndOpened) {
  LocalFsHarness harness({.path = {}, .file_handles = GetParam()});
  for (int i = 0; i < kFiles; ++i) harness.host_write("f" + std::to_string(i), std::to_string(i));
  std::map<std::string, NodeId> nodes;
  for (const LocalFsHarness::Listed& entry : harness.list(NodeId::root, 4096, true)) {
    if (entry.name[0] == '.') continue;
    EXPECT_NE(entry.node, NodeId{0}) << entry.name;
    nodes[entry.name] = entry.node;
  }
  ASSERT_EQ(nodes.size(), size_t{kFiles});
  for (const auto& [name, node] : nodes) {
    ASSERT_TRUE(harness.call(&LocalFs::getattr, {.node = node})) << name;
    const Handle handle = harness.open(node, O_RDONLY);
    EXPECT_EQ(harness.read(node, handle, 0, 10), name.substr(1));
    harness.release(node, handle);
  }
  EXPECT_LE(harness.fs().descriptors(), 9u);
}

TEST_P(DescriptorLimit, TooManyOpenFilesAreEmfileAndNothingElseSuffers) {
  LocalFsHarness harness({.path = {}, .file_handles = GetParam()});
  for (int i = 0; i < 100; ++i) harness.host_write("f" + std::to_string(i), "text");
  std::vector<std::pair<NodeId, Handle>> open;
  Errno why = Errno::none;
  for (int i = 0; i < 100 && why == Errno::none; ++i) {
    const Result<fuse::EntryOut> entry = harness.look_up(NodeId::root, "f" + std::to_string(i));
    if (!entry) {
      why = entry.error();
      break;
    }
    const NodeId node{entry->nodeid};
    const Result<fuse::OpenOut> out =
        harness.call(&LocalFs::open, {.node = node, .flags = O_RDONLY});
    if (out) open.emplace_back(node, Handle{out->fh});
    why = out.error();
  }
  EXPECT_EQ(why, Errno::mfile);
  EXPECT_GT(open.size(), 10u);
  for (const auto& [node, handle] : open) EXPECT_EQ(harness.read(node, handle, 0, 9), "text");
  for (const auto& [node, handle] : open) harness.release(node, handle);
  const NodeId node = harness.node("f99");
  EXPECT_EQ(harness.read(node, harness.open(node), 0, 9), "text");
}

TEST_P(DescriptorLimit, WhatCannotBeToldOfIsNotMade) {
  LocalFsHarness harness({.path = {}, .file_handles = GetParam()});
  harness.host_write("file", "");
  const NodeId file = harness.node("file");
  std::vector<Handle> open;
  while (const Result<fuse::OpenOut> out =
             harness.call(&LocalFs::open, {.node = file, .flags = O_RDONLY})) {
    open.push_back(Handle{out->fh});
  }
  const Result<fuse::EntryOut> made = harness.call(
      &LocalFs::mkdir, {.parent = NodeId::root, .name = name_of("made"), .mode = 0755, .umask = 0});
  EXPECT_EQ(made.error(), Errno::mfile);
  EXPECT_FALSE(std::filesystem::exists(harness.share / "made"));
  for (const Handle handle : open) harness.release(file, handle);
}

}  // namespace
}  // namespace dpfs::local
