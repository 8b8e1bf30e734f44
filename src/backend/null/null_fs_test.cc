// SPDX-License-Identifier: Apache-2.0
// What the null back end answers.
#include "backend/null/null_fs.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <set>
#include <string>
#include <vector>

namespace dpfs {
namespace {

Name name_of(const char* text) {
  return Name(text, static_cast<uint16_t>(std::string_view(text).size()));
}

class NullFsTest : public testing::Test {
 protected:
  NodeId look_up(const char* name) {
    Result<fuse::EntryOut> out =
        fs_.lookup(request_, {.parent = NodeId::root, .name = name_of(name)}).take();
    EXPECT_TRUE(out) << name;
    return NodeId{out ? out->nodeid : 0};
  }
  Handle open(NodeId node) {
    Result<fuse::OpenOut> out = fs_.open(request_, {.node = node}).take();
    EXPECT_TRUE(out);
    return Handle{out->fh};
  }

  Request request_;
  NullFs fs_{NullFs::Options{.files = 12, .file_bytes = 1 << 20}};
};

TEST_F(NullFsTest, EachFileIsFoundByItsName) {
  const NodeId first = look_up("f0");
  const NodeId last = look_up("f11");
  EXPECT_NE(first, last);
  EXPECT_NE(first, NodeId::root);
}

TEST_F(NullFsTest, OtherNamesAreNotFound) {
  for (const char* name : {"f", "f12", "f01", "g0", "f1x", "f-1", "f4294967296", "F0"}) {
    EXPECT_EQ(fs_.lookup(request_, {.parent = NodeId::root, .name = name_of(name)}).take().error(),
              Errno::noent)
        << name;
  }
}

TEST_F(NullFsTest, FileIsNoDirectory) {
  const NodeId file = look_up("f0");
  EXPECT_EQ(fs_.lookup(request_, {.parent = file, .name = name_of("f0")}).take().error(),
            Errno::notdir);
  EXPECT_EQ(fs_.opendir(request_, {.node = file}).take().error(), Errno::notdir);
  EXPECT_EQ(fs_.open(request_, {.node = NodeId::root}).take().error(), Errno::isdir);
}

TEST_F(NullFsTest, ForgedNodeIsStaleAndForgedHandleIsBad) {
  EXPECT_EQ(fs_.getattr(request_, {.node = NodeId{99}}).take().error(), Errno::stale);
  EXPECT_EQ(fs_.getattr(request_, {.node = NodeId{0}}).take().error(), Errno::stale);
  const NodeId file = look_up("f0");
  EXPECT_EQ(fs_.read(request_, {.node = file, .handle = Handle{77}}).take().error(), Errno::badf);
}

TEST_F(NullFsTest, ReadGivesZerosOfTheAskedLength) {
  const NodeId file = look_up("f3");
  std::array<char, 300> buffer;
  buffer.fill('x');
  const std::array<iovec, 2> parts{iovec{buffer.data(), 100}, iovec{buffer.data() + 100, 200}};
  Result<uint32_t> bytes =
      fs_.read(request_, {.node = file, .handle = open(file), .offset = 512, .into = IoView(parts)})
          .take();
  ASSERT_TRUE(bytes);
  EXPECT_EQ(*bytes, 300u);
  EXPECT_EQ(buffer, (std::array<char, 300>{}));
}

TEST_F(NullFsTest, ReadEndsAtTheEndOfTheFile) {
  const NodeId file = look_up("f3");
  const Handle handle = open(file);
  std::array<char, 300> buffer;
  const iovec part{buffer.data(), buffer.size()};
  const auto read_at = [&](uint64_t offset) {
    return *fs_.read(request_,
                     {.node = file, .handle = handle, .offset = offset, .into = IoView({&part, 1})})
                .take();
  };
  EXPECT_EQ(read_at((1 << 20) - 10), 10u);
  EXPECT_EQ(read_at(1 << 20), 0u);
  EXPECT_EQ(read_at(UINT64_MAX), 0u);
}

TEST_F(NullFsTest, WriteIsAcceptedWhole) {
  const NodeId file = look_up("f3");
  std::array<char, 300> buffer{};
  const iovec part{buffer.data(), buffer.size()};
  Result<fuse::WriteOut> out =
      fs_.write(request_, {.node = file, .handle = open(file), .from = IoView({&part, 1})}).take();
  ASSERT_TRUE(out);
  EXPECT_EQ(out->size, 300u);
}

TEST_F(NullFsTest, SetattrAnswersAttributesAsTheyWere) {
  const NodeId file = look_up("f0");
  SetattrArgs args{.node = file, .in = {}};
  args.in.valid = fuse::attr_valid::kSize;
  Result<fuse::AttrOut> out = fs_.setattr(request_, args).take();
  ASSERT_TRUE(out);
  EXPECT_EQ(out->attr.size, 1u << 20);
  EXPECT_TRUE(S_ISREG(out->attr.mode));
}

TEST_F(NullFsTest, StatfsHasOneBlockSize) {
  Result<fuse::StatfsOut> out = fs_.statfs(request_, {.node = NodeId::root}).take();
  ASSERT_TRUE(out);
  EXPECT_EQ(out->st.bsize, out->st.frsize);
  EXPECT_EQ(out->st.blocks * out->st.frsize, 12u << 20);
}

// Lists the root through buffers of `room` bytes; `head_size` tells the two replies apart.
std::vector<std::string> list(NullFs& fs, Request& request, size_t room, bool plus) {
  std::vector<std::string> names;
  uint64_t offset = 0;
  while (true) {
    std::vector<char> buffer(room);
    const iovec part{buffer.data(), buffer.size()};
    const ReaddirArgs args{
        .node = NodeId::root, .handle = Handle{1}, .offset = offset, .into = IoView({&part, 1})};
    const Result<uint32_t> bytes =
        plus ? fs.readdirplus(request, args).take() : fs.readdir(request, args).take();
    if (!bytes || *bytes == 0) return names;
    IoView left = IoView({&part, 1}).first(*bytes);
    while (!left.empty()) {
      if (plus) left.skip(sizeof(fuse::EntryOut));
      const fuse::Dirent head = *left.load<fuse::Dirent>();
      std::string name(head.namelen, '\0');
      left.copy_out(name.data(), name.size());
      left.skip(fuse::dirent_size(head.namelen) - sizeof head - head.namelen);
      names.push_back(name);
      offset = head.off;
    }
  }
}

TEST_F(NullFsTest, ListingThroughSmallBuffersHasEachEntryOnce) {
  for (const bool plus : {false, true}) {
    const std::vector<std::string> names = list(fs_, request_, 400, plus);
    EXPECT_EQ(names.size(), 14u);
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 14u);
    EXPECT_EQ(names.front(), ".");
    EXPECT_EQ(names.back(), "f11");
  }
}

}  // namespace
}  // namespace dpfs
