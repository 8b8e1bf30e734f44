// SPDX-License-Identifier: Apache-2.0
// Names of extended attributes in requests and answers, wherever they stand.
#include "layer/xattr_map_layer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "layer/fake_below.h"

namespace dpfs {
namespace {

class XattrMapLayerTest : public testing::Test {
 protected:
  Name named(std::string_view name) {
    // As decoding has it: the text lies at the front of the request's room for names.
    std::memcpy(request.names, name.data(), name.size());
    request.names[name.size()] = '\0';
    return Name(request.names, static_cast<uint16_t>(name.size()));
  }
  Errno set(std::string_view name) {
    const Op<Unit> op =
        layer.setxattr(request, {.node = NodeId{7}, .name = named(name), .flags = 0, .value = {}});
    return op.take().error();
  }
  Errno get(std::string_view name) {
    const Op<uint32_t> op =
        layer.getxattr(request, {.node = NodeId{7}, .name = named(name), .into = {}});
    return op.take().error();
  }
  Errno remove(std::string_view name) {
    const Op<Unit> op = layer.removexattr(request, {.node = NodeId{7}, .name = named(name)});
    return op.take().error();
  }
  Op<uint32_t> list(size_t room) {
    memory.assign(room, '\xaa');
    part = {memory.data(), memory.size()};
    return layer.listxattr(request, {.node = NodeId{7}, .into = IoView({&part, 1})});
  }
  void list_of_host(std::string list) {
    for (char& c : list) c = c == '|' ? '\0' : c;
    below.bytes = list;
  }
  Errno mkdir_with_label(std::string_view label) {
    char* text = request.names + Request::kNamesMax - 256;
    std::memcpy(text, label.data(), label.size());
    request.creation.context_name = Name(text, static_cast<uint16_t>(label.size()));
    const Op<fuse::EntryOut> op = layer.mkdir(
        request, {.parent = NodeId::root, .name = named("directory"), .mode = 0755, .umask = 0});
    return op.take().error();
  }

  Request request;
  FakeBelow below;
  XattrMapLayer layer{below, XattrMap::parse(":prefix:all:security.:user.guest.:"
                                             ":bad:all:trusted.:trusted.:"
                                             ":unsupported:all:system.:system.:"
                                             ":bad:client:user.guest.::"
                                             ":ok:all:::")};
  std::string memory;
  iovec part{};
};

TEST_F(XattrMapLayerTest, NamesAreTheHosts) {
  EXPECT_EQ(set("security.x"), Errno::none);
  EXPECT_EQ(below.name, "user.guest.security.x");
  EXPECT_EQ(get("security.y"), Errno::none);
  EXPECT_EQ(below.name, "user.guest.security.y");
  EXPECT_EQ(remove("security.z"), Errno::none);
  EXPECT_EQ(below.name, "user.guest.security.z");
  EXPECT_EQ(get("user.a"), Errno::none);
  EXPECT_EQ(below.name, "user.a");
}

TEST_F(XattrMapLayerTest, RefusedNamesReachNobody) {
  for (const char* name : {"trusted.x", "user.guest.security.x"}) {
    EXPECT_EQ(set(name), Errno::perm);
    EXPECT_EQ(get(name), Errno::perm);
    EXPECT_EQ(remove(name), Errno::perm);
  }
  EXPECT_EQ(get("system.posix_acl_access"), Errno::opnotsupp);
  EXPECT_EQ(get("security." + std::string(240, 'x')), Errno::range);
  EXPECT_EQ(below.calls, 0u);
}

TEST_F(XattrMapLayerTest, ListIsTheTenants) {
  list_of_host("user.guest.security.x|trusted.y|user.a|system.posix_acl_access|");
  const Op<uint32_t> op = list(100);
  ASSERT_EQ(*op.take(), 18u);
  EXPECT_EQ(memory.substr(0, 18), std::string("security.x\0user.a\0", 18));
  EXPECT_EQ(memory[18], '\xaa');
}

TEST_F(XattrMapLayerTest, LengthOfTheListIsThatOfTheTenants) {
  list_of_host("user.guest.security.x|trusted.y|user.a|");
  EXPECT_EQ(*list(0).take(), 18u);
  EXPECT_EQ(*list(18).take(), 18u);
  EXPECT_EQ(list(17).take().error(), Errno::range);
}

TEST_F(XattrMapLayerTest, ListWithoutAnythingToShowIsEmpty) {
  list_of_host("trusted.y|");
  EXPECT_EQ(*list(100).take(), 0u);
  EXPECT_EQ(*list(0).take(), 0u);
}

TEST_F(XattrMapLayerTest, ListThatComesLaterIsTheTenantsToo) {
  list_of_host("user.guest.security.x|");
  below.hold();
  const Op<uint32_t> op = list(100);
  ASSERT_FALSE(op.ready());
  below.go_on();
  EXPECT_EQ(*op.take(), 11u);
  EXPECT_STREQ(memory.c_str(), "security.x");
}

TEST_F(XattrMapLayerTest, ErrorStaysAnError) {
  below.refusal = Errno::nosys;
  EXPECT_EQ(list(100).take().error(), Errno::nosys);
}

TEST_F(XattrMapLayerTest, LabelOfSomethingNewIsTheHosts) {
  EXPECT_EQ(mkdir_with_label("security.selinux"), Errno::none);
  EXPECT_EQ(below.label, "user.guest.security.selinux");
  EXPECT_EQ(below.name, "directory");
  EXPECT_EQ(mkdir_with_label("trusted.x"), Errno::perm);
}

TEST_F(XattrMapLayerTest, LabelOfAnEarlierRequestIsNotLookedAt) {
  EXPECT_EQ(mkdir_with_label("trusted.x"), Errno::perm);
  EXPECT_EQ(get("user.a"), Errno::none);
}

TEST_F(XattrMapLayerTest, TenantDropsCapabilitiesThatTheHostDoesNotKnowOf) {
  Negotiated negotiated{.flags = fuse::init_flag::kHandleKillprivV2 | fuse::init_flag::kAsyncRead};
  layer.begin(negotiated);
  EXPECT_EQ(below.negotiated.flags, fuse::init_flag::kAsyncRead);
}

TEST_F(XattrMapLayerTest, ListsThatTheHostDoesNotKnowOfAreNotPromised) {
  XattrMapLayer everything{below, XattrMap::parse(":map::user.guest.:")};
  Negotiated negotiated{.flags = fuse::init_flag::kPosixAcl | fuse::init_flag::kAsyncRead};
  layer.begin(negotiated);
  EXPECT_NE(below.negotiated.flags & fuse::init_flag::kPosixAcl, 0u);
  everything.begin(negotiated);
  EXPECT_EQ(below.negotiated.flags, fuse::init_flag::kAsyncRead);
}

}  // namespace
}  // namespace dpfs
