// SPDX-License-Identifier: Apache-2.0
// Nodes: found by number and by the server's handle, forgotten when the tenant has.
#include "backend/nfs/nodes.h"

#include <gtest/gtest.h>

#include <string>

#include "backend/nfs/wire_harness.h"

namespace dpfs::nfs {
namespace {

Attributes attributes_of(uint64_t fileid) {
  Attributes attributes;
  attributes.fileid = fileid;
  attributes.change = fileid + 1;
  attributes.type = FileType::regular;
  return attributes;
}

struct Table : Nodes {
  Table() { set_root(handle_of("root"), attributes_of(1)); }
};

TEST(Nodes, TheFirstIsTheRootAndIsNeverForgotten) {
  Table nodes;
  NodeRow* root = nodes.find(NodeId::root);
  ASSERT_NE(root, nullptr);
  EXPECT_EQ(nodes.find(handle_of("root")), root);
  nodes.forget(*root, UINT64_MAX);
  EXPECT_EQ(nodes.find(NodeId::root), root);
}

TEST(Nodes, TheRootMayGetAnotherHandle) {
  Table nodes;
  NodeRow* root = nodes.set_root(handle_of("another server's"), attributes_of(2));
  EXPECT_EQ(Nodes::id_of(*root), NodeId::root);
  EXPECT_EQ(nodes.find(handle_of("another server's")), root);
  EXPECT_EQ(nodes.find(handle_of("root")), nullptr);
  EXPECT_EQ(nodes.size(), 1u);
}

TEST(Nodes, OneHandleIsOneNode) {
  Table nodes;
  NodeRow* row = nodes.find_or_add(handle_of("a"), attributes_of(5));
  EXPECT_EQ(row->fileid, 5u);
  EXPECT_EQ(row->change, 6u);
  EXPECT_EQ(row->lookups, 0u);
  EXPECT_EQ(row->file, kNoFile);
  EXPECT_EQ(nodes.find_or_add(handle_of("a"), attributes_of(7)), row);
  EXPECT_EQ(row->fileid, 5u);
  EXPECT_NE(nodes.find_or_add(handle_of("b"), attributes_of(5)), row);
  EXPECT_EQ(nodes.size(), 3u);
}

TEST(Nodes, HandlesThatDifferInTheirLengthOnlyAreTwo) {
  Table nodes;
  NodeRow* one = nodes.find_or_add(handle_of(std::string_view("h\0", 1)), attributes_of(1));
  NodeRow* two = nodes.find_or_add(handle_of(std::string_view("h\0", 2)), attributes_of(2));
  EXPECT_NE(one, two);
  EXPECT_EQ(nodes.find(handle_of("h")), one);
  EXPECT_EQ(nodes.find_or_add(handle_of(""), attributes_of(3))->fileid, 3u);
}

TEST(Nodes, IsForgottenWithItsLastLookup) {
  Table nodes;
  NodeRow* row = nodes.find_or_add(handle_of("a"), attributes_of(5));
  row->lookups = 3;
  const NodeId id = Nodes::id_of(*row);
  nodes.forget(*row, 2);
  EXPECT_EQ(nodes.find(id), row);
  nodes.forget(*row, 5);  // more than there were
  EXPECT_EQ(nodes.find(id), nullptr);
  EXPECT_EQ(nodes.find(handle_of("a")), nullptr);
  NodeRow* again = nodes.find_or_add(handle_of("a"), attributes_of(5));
  EXPECT_NE(Nodes::id_of(*again), id);
}

TEST(Nodes, AnOpenFileIsKept) {
  Table nodes;
  NodeRow* row = nodes.find_or_add(handle_of("a"), attributes_of(5));
  row->lookups = 1;
  row->file = 0;
  nodes.forget(*row, 1);
  EXPECT_EQ(nodes.find(handle_of("a")), row);
  row->file = kNoFile;
  nodes.forget(*row, 0);
  EXPECT_EQ(nodes.find(handle_of("a")), nullptr);
}

TEST(Nodes, ManyAreFound) {
  constexpr uint64_t kNodes = 20'000;
  Table nodes;
  for (uint64_t i = 0; i < kNodes; ++i) {
    nodes.find_or_add(handle_of("handle number " + std::to_string(i)), attributes_of(i));
  }
  for (uint64_t i = 0; i < kNodes; ++i) {
    NodeRow* row = nodes.find(handle_of("handle number " + std::to_string(i)));
    ASSERT_NE(row, nullptr);
    ASSERT_EQ(row->fileid, i);
    ASSERT_EQ(nodes.find(Nodes::id_of(*row)), row);
  }
  EXPECT_EQ(nodes.find(handle_of("handle number x")), nullptr);
}

}  // namespace
}  // namespace dpfs::nfs
