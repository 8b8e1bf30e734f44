// SPDX-License-Identifier: Apache-2.0
// The example works as it says.
#include <gtest/gtest.h>

#include <cstring>

#include "examples/hello/hello_fs.h"

namespace dpfs::examples {
namespace {

class HelloTest : public testing::Test {
 protected:
  std::string read_from(uint64_t offset) {
    const iovec part{buffer_, sizeof buffer_};
    const auto n = fs.read(request, {.node = node(), .offset = offset, .into = IoView({&part, 1})});
    return std::string(buffer_, *n.take());
  }
  NodeId node() {
    const auto found = fs.lookup(request, {NodeId::root, Name("hello", 5)});
    return NodeId{found.take()->nodeid};
  }
  Request request;
  HelloFs fs{"Hello, world!\n"};

 private:
  char buffer_[64];
};

TEST_F(HelloTest, GreetsWhoReadsTheFile) { EXPECT_EQ(read_from(0), "Hello, world!\n"); }

TEST_F(HelloTest, EndsWhereTheTextEnds) {
  EXPECT_EQ(read_from(7), "world!\n");
  EXPECT_EQ(read_from(14), "");
}

TEST_F(HelloTest, IsListedByReaddirBecauseItPromisesNoReaddirplus) {
  Negotiated negotiated{.flags = fuse::init_flag::kDoReaddirplus | fuse::init_flag::kAsyncRead};
  fs.begin(negotiated);
  EXPECT_EQ(negotiated.flags, fuse::init_flag::kAsyncRead);
  char listing[256];
  const iovec part{listing, sizeof listing};
  const auto n = fs.readdir(request, {.node = NodeId::root, .into = IoView({&part, 1})});
  EXPECT_EQ(*n.take(), fuse::dirent_size(5));
}

TEST_F(HelloTest, HasNoOtherFile) {
  const auto found = fs.lookup(request, {NodeId::root, Name("other", 5)});
  EXPECT_EQ(found.take().error(), Errno::noent);
}

}  // namespace
}  // namespace dpfs::examples
