// SPDX-License-Identifier: Apache-2.0
// Ids in requests and answers, wherever they stand.
#include "layer/id_map_layer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "fuse/dirent_writer.h"
#include "layer/fake_below.h"

namespace dpfs {
namespace {

// The tenant's users 0 to 999 are the host's 1000 to 1999, its groups the host's 5000 to 5999. User
// 2000 and group 6000 are forbidden.
IdMaps maps() {
  IdMaps maps;
  maps.uids.add("map:0:1000:1000");
  maps.uids.add("forbid-guest:2000:1");
  maps.gids.add("map:0:5000:1000");
  maps.gids.add("forbid-guest:6000:1");
  return maps;
}

class IdMapLayerTest : public testing::Test {
 protected:
  IdMapLayerTest() {
    below.attr.uid = 1007;
    below.attr.gid = 5008;
    request.header.uid = 1;
    request.header.gid = 2;
  }
  Op<fuse::AttrOut> getattr() {
    return layer.getattr(request, {.node = NodeId{7}, .has_handle = false, .handle = {}});
  }
  Op<fuse::EntryOut> mkdir() {
    return layer.mkdir(request,
                       {.parent = NodeId::root, .name = Name("d", 1), .mode = 0755, .umask = 0});
  }
  Errno chown(uint32_t valid, uint32_t uid, uint32_t gid) {
    SetattrArgs args{.node = NodeId{7}, .in = {}};
    args.in.valid = valid;
    args.in.uid = uid;
    args.in.gid = gid;
    const Op<fuse::AttrOut> op = layer.setattr(request, args);
    return op.take().error();
  }

  Request request;
  FakeBelow below;
  IdMapLayer layer{below, maps()};
};

TEST_F(IdMapLayerTest, RequestIsTheHostsUsers) {
  const Op<fuse::AttrOut> op = getattr();
  EXPECT_TRUE(op.take());
  EXPECT_EQ(below.header.uid, 1001u);
  EXPECT_EQ(below.header.gid, 5002u);
}

TEST_F(IdMapLayerTest, OwnerIsTheTenants) {
  const auto expect_owner = [](const fuse::Attr& attr) {
    EXPECT_EQ(attr.uid, 7u);
    EXPECT_EQ(attr.gid, 8u);
  };
  const Name name("n", 1);
  expect_owner(getattr().take()->attr);
  expect_owner(mkdir().take()->attr);
  expect_owner(layer.lookup(request, {NodeId::root, name}).take()->attr);
  expect_owner(layer.symlink(request, {NodeId::root, name, "t", 1}).take()->attr);
  expect_owner(layer.mknod(request, {NodeId::root, name, 0, 0, 0}).take()->attr);
  expect_owner(layer.link(request, {NodeId{7}, NodeId::root, name}).take()->attr);
  expect_owner(layer.create(request, CreateArgs{}).take()->entry.attr);
  expect_owner(layer.tmpfile(request, TmpfileArgs{}).take()->entry.attr);
  expect_owner(layer.setattr(request, SetattrArgs{}).take()->attr);
  const Op<fuse::StatxOut> op = layer.statx(request, StatxArgs{});
  EXPECT_EQ(op.take()->stat.uid, 7u);
  EXPECT_EQ(op.take()->stat.gid, 8u);
}

TEST_F(IdMapLayerTest, OwnerThatComesLaterIsTheTenantsToo) {
  below.hold();
  const Op<fuse::AttrOut> op = getattr();
  ASSERT_FALSE(op.ready());
  below.go_on();
  EXPECT_EQ(op.take()->attr.uid, 7u);
}

TEST_F(IdMapLayerTest, ErrorStaysAnError) {
  below.refusal = Errno::noent;
  EXPECT_EQ(getattr().take().error(), Errno::noent);
  below.hold();
  const Op<fuse::AttrOut> op = getattr();
  below.go_on();
  EXPECT_EQ(op.take().error(), Errno::noent);
}

TEST_F(IdMapLayerTest, NothingIsMadeByWhoIsForbidden) {
  request.header.uid = 2000;
  EXPECT_EQ(mkdir().take().error(), Errno::perm);
  EXPECT_EQ(layer.create(request, CreateArgs{}).take().error(), Errno::perm);
  EXPECT_EQ(layer.tmpfile(request, TmpfileArgs{}).take().error(), Errno::perm);
  EXPECT_EQ(layer.symlink(request, SymlinkArgs{}).take().error(), Errno::perm);
  EXPECT_EQ(layer.mknod(request, MknodArgs{}).take().error(), Errno::perm);
  request.header.uid = 1;
  request.header.gid = 6000;
  EXPECT_EQ(mkdir().take().error(), Errno::perm);
  EXPECT_EQ(below.calls, 0u);
}

TEST_F(IdMapLayerTest, WhoIsForbiddenIsNobodyElsewhere) {
  request.header.uid = 2000;
  request.header.gid = 6000;
  EXPECT_TRUE(getattr().take());
  EXPECT_EQ(below.header.uid, 65534u);
  EXPECT_EQ(below.header.gid, 65534u);
}

TEST_F(IdMapLayerTest, ForgetIsNobodys) {
  const Op<Unit> op = layer.forget(request, {.node = NodeId{7}, .lookups = 1});
  EXPECT_TRUE(op.take());
  EXPECT_EQ(request.header.uid, 1u);
}

TEST_F(IdMapLayerTest, GroupOfWhatIsMadeIsTheHosts) {
  request.creation.group = 3;
  EXPECT_TRUE(mkdir().take());
  EXPECT_EQ(below.creation.group, 5003u);
  request.header.uid = 1;
  request.header.gid = 2;
  request.creation.group = 6000;
  EXPECT_TRUE(mkdir().take());
  EXPECT_EQ(below.creation.group, Creation::kNoGroup);
}

TEST_F(IdMapLayerTest, NewOwnerIsTheHosts) {
  using fuse::attr_valid::kGid;
  using fuse::attr_valid::kUid;
  EXPECT_EQ(chown(kUid | kGid, 3, 4), Errno::none);
  EXPECT_EQ(below.setattr_in.uid, 1003u);
  EXPECT_EQ(below.setattr_in.gid, 5004u);
  EXPECT_EQ(chown(kGid, 2000, 4), Errno::none);  // a uid that is not meant
  EXPECT_EQ(chown(kUid, 2000, 4), Errno::perm);
  EXPECT_EQ(chown(kGid, 3, 6000), Errno::perm);
  EXPECT_EQ(chown(0, 2000, 6000), Errno::none);
}

// ---- READDIRPLUS --------------------------------------------------------------------------------

std::string listing(const std::vector<std::pair<std::string, uint64_t>>& entries) {
  std::string bytes(8192, '\0');
  iovec part{bytes.data(), bytes.size()};
  DirentWriter writer(IoView({&part, 1}));
  for (const auto& [name, node] : entries) {
    fuse::EntryOut out{.nodeid = node};
    if (node != 0) out.attr = {.ino = node, .uid = 1007, .gid = 5008};
    EXPECT_TRUE(writer.add_plus({.ino = 9, .next_offset = 1, .type = 0, .name = name}, out));
  }
  bytes.resize(writer.bytes());
  return bytes;
}

class ListingTest : public IdMapLayerTest {
 protected:
  Op<uint32_t> list() {
    return layer.readdirplus(
        request, {.node = NodeId::root, .handle = {}, .offset = 0, .into = IoView({&part, 1})});
  }
  fuse::Direntplus entry_at(size_t at) const {
    fuse::Direntplus entry;
    std::memcpy(&entry, memory.data() + at, sizeof entry);
    return entry;
  }
  std::string memory = std::string(4096, '\xaa');
  iovec part{memory.data(), memory.size()};
};

TEST_F(ListingTest, OwnersOfAllEntriesAreTheTenants) {
  below.bytes = listing({{".", 0}, {"first", 2}, {"second-with-a-longer-name", 3}});
  const Op<uint32_t> op = list();
  ASSERT_EQ(*op.take(), below.bytes.size());
  const size_t second = fuse::direntplus_size(1);
  const size_t third = second + fuse::direntplus_size(5);
  EXPECT_EQ(entry_at(0).entry_out.attr.uid, 0u);  // has no attributes
  EXPECT_EQ(entry_at(second).entry_out.attr.uid, 7u);
  EXPECT_EQ(entry_at(second).entry_out.attr.gid, 8u);
  EXPECT_EQ(entry_at(third).entry_out.attr.uid, 7u);
  EXPECT_EQ(memory.substr(third + sizeof(fuse::Direntplus), 25), "second-with-a-longer-name");
  EXPECT_EQ(memory[below.bytes.size()], '\xaa');
}

TEST_F(ListingTest, ListThatComesLaterIsTranslatedToo) {
  below.bytes = listing({{"first", 2}});
  below.hold();
  const Op<uint32_t> op = list();
  ASSERT_FALSE(op.ready());
  below.go_on();
  ASSERT_EQ(*op.take(), below.bytes.size());
  EXPECT_EQ(entry_at(0).entry_out.attr.uid, 7u);
}

TEST_F(ListingTest, ErrorAndEndStayWhatTheyAre) {
  EXPECT_EQ(*list().take(), 0u);
  below.refusal = Errno::notdir;
  EXPECT_EQ(list().take().error(), Errno::notdir);
  EXPECT_EQ(memory, std::string(4096, '\xaa'));
}

// ---- Access control lists -----------------------------------------------------------------------

struct AclEntry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id;
};
constexpr uint16_t kUserObject = 1;
constexpr uint16_t kUser = 2;
constexpr uint16_t kGroup = 8;

std::string acl(const std::vector<AclEntry>& entries, uint32_t version = 2) {
  std::string bytes(reinterpret_cast<const char*>(&version), sizeof version);
  for (const AclEntry& entry : entries) {
    bytes.append(reinterpret_cast<const char*>(&entry), sizeof entry);
  }
  return bytes;
}

class AclTest : public IdMapLayerTest {
 protected:
  Errno set(std::string value, std::string_view name = "system.posix_acl_access") {
    const iovec part{value.data(), value.size()};
    const Op<Unit> op = layer.setxattr(
        request, {.node = NodeId{7}, .name = named(name), .flags = 0, .value = IoView({&part, 1})});
    return op.take().error();
  }
  // What the tenant gets with room for so many bytes.
  std::string get(size_t room, std::string_view name = "system.posix_acl_access") {
    std::string memory(room, '\xaa');
    const iovec part{memory.data(), memory.size()};
    const Op<uint32_t> op = layer.getxattr(
        request, {.node = NodeId{7}, .name = named(name), .into = IoView({&part, 1})});
    size = op.take();
    return size ? memory.substr(0, *size) : "";
  }
  static Name named(std::string_view name) {
    return Name(name.data(), static_cast<uint16_t>(name.size()));
  }
  Result<uint32_t> size = 0u;
};

TEST_F(AclTest, NamedUsersAndGroupsAreTranslatedBothWays) {
  const std::string guests = acl({{kUserObject, 7, UINT32_MAX}, {kUser, 6, 3}, {kGroup, 4, 3}});
  const std::string hosts =
      acl({{kUserObject, 7, UINT32_MAX}, {kUser, 6, 1003}, {kGroup, 4, 5003}});
  for (const char* name : {"system.posix_acl_access", "system.posix_acl_default"}) {
    EXPECT_EQ(set(guests, name), Errno::none);
    EXPECT_EQ(below.value, hosts);
    below.bytes = hosts;
    EXPECT_EQ(get(100, name), guests);
  }
}

TEST_F(AclTest, OtherAttributesAreLeftAlone) {
  const std::string value = acl({{kUser, 6, 3}});
  EXPECT_EQ(set(value, "user.acl"), Errno::none);
  EXPECT_EQ(below.value, value);
  below.bytes = acl({{kUser, 6, 1003}});
  EXPECT_EQ(get(100, "user.acl"), below.bytes);
}

TEST_F(AclTest, WhoIsForbiddenIsNotNamed) {
  EXPECT_EQ(set(acl({{kUser, 6, 2000}})), Errno::perm);
  EXPECT_EQ(set(acl({{kGroup, 6, 6000}})), Errno::perm);
  EXPECT_EQ(set(acl({{kUserObject, 6, 2000}})), Errno::none);  // which names nobody
}

TEST_F(AclTest, WhatIsNoListIsRefused) {
  EXPECT_EQ(set(""), Errno::inval);
  EXPECT_EQ(set("abc"), Errno::inval);
  EXPECT_EQ(set(acl({}, 1)), Errno::inval);
  EXPECT_EQ(set(acl({{kUser, 6, 3}}).substr(0, 11)), Errno::inval);
  EXPECT_EQ(below.calls, 0u);
  EXPECT_EQ(set(acl({})), Errno::none);
}

TEST_F(AclTest, LengthIsToldWithoutAList) {
  below.bytes = acl({{kUser, 6, 1003}});
  get(0);
  EXPECT_EQ(*size, 12u);
  get(11);
  EXPECT_EQ(size.error(), Errno::range);
}

TEST_F(AclTest, WhatTheHostHasAndIsNoListStaysAsItIs) {
  below.bytes = "no list";
  EXPECT_EQ(get(100), "no list");
}

TEST_F(AclTest, SettingThatTakesTimeHasItsListUntilTheEnd) {
  below.hold();
  std::string value = acl({{kUser, 6, 3}});
  const iovec part{value.data(), value.size()};
  const Op<Unit> op = layer.setxattr(request, {.node = NodeId{7},
                                               .name = named("system.posix_acl_access"),
                                               .flags = 0,
                                               .value = IoView({&part, 1})});
  ASSERT_FALSE(op.ready());
  below.go_on();
  EXPECT_TRUE(op.take());
}

}  // namespace
}  // namespace dpfs
