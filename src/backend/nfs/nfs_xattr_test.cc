// SPDX-License-Identifier: Apache-2.0
// Extended attributes over NFS 4.2: RFC 8276.
#include <gtest/gtest.h>
#include <sys/xattr.h>

#include <set>
#include <string>

#include "backend/nfs/nfs_fs_harness.h"

namespace dpfs::nfs {

namespace {

class NfsXattr : public testing::Test, public NfsFsHarness {
 protected:
  explicit NfsXattr(responder::Options options = {}) : NfsFsHarness(options) {
    put("file", "");
    node_ = node("file");
  }
  Result<Unit> set(std::string_view name, std::string value, uint32_t flags = 0) {
    const iovec part{value.data(), value.size()};
    return call(&NfsFs::setxattr, {.node = node_,
                                   .name = name_of(name),
                                   .flags = flags,
                                   .setxattr_flags = 0,
                                   .value = IoView({&part, 1})});
  }
  Result<uint32_t> get(std::string_view name, std::string& into) {
    const iovec part{into.data(), into.size()};
    return call(&NfsFs::getxattr,
                {.node = node_, .name = name_of(name), .into = IoView({&part, 1})});
  }
  std::string value(std::string_view name) {
    std::string into(65536, '\0');
    const Result<uint32_t> bytes = get(name, into);
    EXPECT_TRUE(bytes) << describe(bytes.error());
    return into.substr(0, bytes ? *bytes : 0);
  }
  Result<uint32_t> list(std::string& into) {
    const iovec part{into.data(), into.size()};
    return call(&NfsFs::listxattr, {.node = node_, .into = IoView({&part, 1})});
  }
  std::set<std::string> names() {
    std::string into(1 << 20, '\0');
    const Result<uint32_t> bytes = list(into);
    EXPECT_TRUE(bytes) << describe(bytes.error());
    std::set<std::string> all;
    for (size_t at = 0; bytes && at < *bytes;) {
      all.emplace(into.c_str() + at);
      at += all.empty() ? 1 : std::string_view(into.c_str() + at).size() + 1;
    }
    return all;
  }
  NodeId node_{};
};

TEST_F(NfsXattr, IsSetReadListedAndRemoved) {
  EXPECT_TRUE(set("user.color", "blue"));
  EXPECT_TRUE(set("user.size", "large"));
  EXPECT_EQ(value("user.color"), "blue");
  EXPECT_EQ(names(), (std::set<std::string>{"user.color", "user.size"}));
  EXPECT_TRUE(call(&NfsFs::removexattr, {.node = node_, .name = name_of("user.color")}));
  EXPECT_EQ(names(), (std::set<std::string>{"user.size"}));
  std::string nothing(10, '\0');
  EXPECT_EQ(get("user.color", nothing).error(), Errno::nodata);
  EXPECT_EQ(call(&NfsFs::removexattr, {.node = node_, .name = name_of("user.color")}).error(),
            Errno::nodata);
}

TEST_F(NfsXattr, CreateAndReplaceAreTold) {
  EXPECT_EQ(set("user.color", "blue", XATTR_REPLACE).error(), Errno::nodata);
  EXPECT_TRUE(set("user.color", "blue", XATTR_CREATE));
  EXPECT_EQ(set("user.color", "red", XATTR_CREATE).error(), Errno::exist);
  EXPECT_TRUE(set("user.color", "red", XATTR_REPLACE));
  EXPECT_EQ(value("user.color"), "red");
}

TEST_F(NfsXattr, SizesAreAskedForAndTooLittleRoomIsErange) {
  EXPECT_TRUE(set("user.color", "blue"));
  std::string none;
  const Result<uint32_t> bytes = get("user.color", none);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(*bytes, 4u);
  std::string three(3, '\0');
  EXPECT_EQ(get("user.color", three).error(), Errno::range);
  const Result<uint32_t> listed = list(none);
  ASSERT_TRUE(listed);
  EXPECT_EQ(*listed, std::string_view("user.color").size() + 1);
  EXPECT_EQ(list(three).error(), Errno::range);
}

TEST_F(NfsXattr, EmptyAndLargeValuesAreKept) {
  EXPECT_TRUE(set("user.empty", ""));
  EXPECT_EQ(value("user.empty"), "");
  std::string large(65536, '\0');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 3);
  EXPECT_TRUE(set("user.large", large));
  EXPECT_TRUE(value("user.large") == large);
}

TEST_F(NfsXattr, ManyNamesAreListed) {
  std::set<std::string> expected;
  server.with([&](responder::World& world) {
    const responder::NodePointer file = world.tree.at(path("file"));
    for (int i = 0; i < 250; ++i) {
      const std::string name = std::to_string(i) + std::string(200, 'n');
      file->xattrs[name] = "v";
      expected.insert("user." + name);
    }
  });
  EXPECT_TRUE(names() == expected);
}

TEST_F(NfsXattr, MoreNamesThanLinuxTakesAreAnError) {
  server.with([&](responder::World& world) {
    const responder::NodePointer file = world.tree.at(path("file"));
    for (int i = 0; i < 1000; ++i) file->xattrs[std::to_string(i) + std::string(200, 'n')] = "v";
  });
  std::string none;
  EXPECT_EQ(list(none).error(), Errno::toobig);
}

TEST_F(NfsXattr, OtherNamespacesAreNotSupported) {
  EXPECT_EQ(set("trusted.color", "blue").error(), Errno::opnotsupp);
  EXPECT_EQ(set("security.color", "blue").error(), Errno::opnotsupp);
  EXPECT_EQ(server.executed(Operation::setxattr), 0u);
}

TEST_F(NfsXattr, IsSetOnceWhenTheAnswerIsLost) {
  server.drop_after({.operation = Operation::setxattr});
  EXPECT_TRUE(set("user.color", "blue", XATTR_CREATE));
  server.drop_after({.operation = Operation::removexattr});
  EXPECT_TRUE(call(&NfsFs::removexattr, {.node = node_, .name = name_of("user.color")}));
  EXPECT_EQ(server.executed(Operation::setxattr), 1u);
  EXPECT_EQ(server.executed(Operation::removexattr), 1u);
}

class NfsWithoutXattr : public NfsXattr {
 protected:
  NfsWithoutXattr() : NfsXattr({.xattrs = false}) {}
};

TEST_F(NfsWithoutXattr, IsNotSupportedAndNotAskedForAgain) {
  EXPECT_EQ(set("user.color", "blue").error(), Errno::opnotsupp);
  const uint64_t asked = server.counters().requests;
  EXPECT_EQ(set("user.color", "blue").error(), Errno::opnotsupp);
  EXPECT_EQ(server.counters().requests, asked);
}

class NfsXattrOf41 : public NfsXattr {
 protected:
  NfsXattrOf41() : NfsXattr({.minor_version_max = 1}) {}
};

TEST_F(NfsXattrOf41, IsNotSupported) {
  EXPECT_EQ(set("user.color", "blue").error(), Errno::opnotsupp);
  EXPECT_EQ(server.executed(Operation::setxattr), 0u);
}

}  // namespace

}  // namespace dpfs::nfs
