// SPDX-License-Identifier: Apache-2.0
// File systems that are mounted inside the shared directory. In a mount namespace of the test's
// own.
#include <sched.h>
#include <sys/mount.h>

#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

// Before the harness makes its thread, which is to be in the same namespace.
struct OwnNamespace {
  bool made = ::unshare(CLONE_NEWNS) == 0 &&
              ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
};

class Mounts : public testing::TestWithParam<bool>, public OwnNamespace, public LocalFsHarness {
 protected:
  Mounts() : LocalFsHarness({.path = {}, .file_handles = GetParam()}) {
    std::filesystem::create_directory(share / "below");
    std::filesystem::create_directory(share / "bound");
    std::filesystem::create_directories(share / "plain");
    mounted_ = made && ::mount("none", below().c_str(), "tmpfs", 0, "size=1m") == 0 &&
               ::mount((share / "plain").c_str(), bound().c_str(), nullptr, MS_BIND, nullptr) == 0;
  }
  ~Mounts() override {
    begin_with(0);
    ::umount2(below().c_str(), MNT_DETACH);
    ::umount2(bound().c_str(), MNT_DETACH);
  }
  void SetUp() override {
    if (!mounted_) GTEST_SKIP() << "mounting is not allowed here";
  }
  std::filesystem::path below() const { return share / "below"; }
  std::filesystem::path bound() const { return share / "bound"; }
  bool is_submount(NodeId parent, std::string_view name) {
    const Result<fuse::EntryOut> entry = look_up(parent, name);
    EXPECT_TRUE(entry) << name;
    return (entry->attr.flags & fuse::attr_flag::kSubmount) != 0;
  }

 private:
  bool mounted_ = false;
};

INSTANTIATE_TEST_SUITE_P(Both, Mounts, testing::Bool(), mode_name);

TEST_P(Mounts, DirectoryWhereAMountBeginsIsAnnounced) {
  ASSERT_EQ(begin_with(fuse::init_flag::kSubmounts), fuse::init_flag::kSubmounts);
  std::filesystem::create_directory(below() / "d");
  EXPECT_TRUE(is_submount(NodeId::root, "below"));
  EXPECT_TRUE(is_submount(NodeId::root, "below"));  // and the second time
  EXPECT_TRUE(is_submount(NodeId::root, "bound"));  // the same file system, seen twice
  EXPECT_FALSE(is_submount(NodeId::root, "plain"));
  EXPECT_FALSE(is_submount(node("below"), "d"));
  EXPECT_NE(node("bound"), node("plain"));
}

// Linux keeps no generation for a mount point, compares what it gets with 0, and unmounts.
TEST_P(Mounts, MountPointHasNoGeneration) {
  begin_with(fuse::init_flag::kSubmounts);
  EXPECT_EQ(look_up(NodeId::root, "below")->generation, 0u);
  EXPECT_NE(look_up(NodeId::root, "plain")->generation, 0u);
}

TEST_P(Mounts, ListingWithAttributesAnnouncesToo) {
  begin_with(fuse::init_flag::kSubmounts);
  const Handle handle = open_directory(NodeId::root);
  std::vector<char> buffer(4096);
  const iovec part{buffer.data(), buffer.size()};
  const Result<uint32_t> bytes =
      call(&LocalFs::readdirplus,
           {.node = NodeId::root, .handle = handle, .offset = 0, .into = IoView({&part, 1})});
  ASSERT_TRUE(bytes);
  std::map<std::string, bool> announced;
  IoView left = IoView({&part, 1}).first(*bytes);
  while (!left.empty()) {
    const fuse::EntryOut entry = *left.load<fuse::EntryOut>();
    const fuse::Dirent head = *left.load<fuse::Dirent>();
    std::string name(head.namelen, '\0');
    left.copy_out(name.data(), name.size());
    left.skip(fuse::dirent_size(head.namelen) - sizeof head - head.namelen);
    announced[name] = (entry.attr.flags & fuse::attr_flag::kSubmount) != 0;
  }
  EXPECT_TRUE(announced["below"]);
  EXPECT_TRUE(announced["bound"]);
  EXPECT_FALSE(announced["plain"]);
  EXPECT_FALSE(announced[".."]);
}

TEST_P(Mounts, NothingIsAnnouncedToATenantThatDoesNotAsk) {
  EXPECT_EQ(begin_with(0), 0u);
  EXPECT_FALSE(is_submount(NodeId::root, "below"));
}

TEST_P(Mounts, FileThatIsAMountOfItsOwnIsAFile) {
  begin_with(fuse::init_flag::kSubmounts);
  host_write("a", "text of a");
  host_write("b", "");
  ASSERT_EQ(::mount((share / "a").c_str(), (share / "b").c_str(), nullptr, MS_BIND, nullptr), 0);
  EXPECT_FALSE(is_submount(NodeId::root, "b"));
  const NodeId b = node("b");
  EXPECT_EQ(read(b, open(b, O_RDONLY), 0, 100), "text of a");
  ::umount2((share / "b").c_str(), MNT_DETACH);
}

TEST_P(Mounts, StatfsIsOfTheMountThatIsAskedAbout) {
  const Result<fuse::StatfsOut> out = call(&LocalFs::statfs, {.node = node("below")});
  ASSERT_TRUE(out);
  EXPECT_EQ(out->st.blocks * out->st.frsize, 1u << 20);
  EXPECT_EQ(out->st.namelen, 255u);
}

TEST_P(Mounts, SyncsOneMountOrAll) {
  node("below");
  EXPECT_TRUE(call(&LocalFs::syncfs, {.node = NodeId::root}));
  begin_with(fuse::init_flag::kSubmounts);
  EXPECT_TRUE(call(&LocalFs::syncfs, {.node = node("below")}));
  EXPECT_EQ(call(&LocalFs::syncfs, {.node = NodeId{99}}).error(), Errno::stale);
}

// Every node on it, forgotten or not, would keep it busy.
TEST_P(Mounts, ForgottenMountCanBeUnmounted) {
  begin_with(fuse::init_flag::kExportSupport | fuse::init_flag::kSubmounts);
  std::filesystem::create_directory(below() / "d");
  const NodeId mount = node("below");
  const NodeId d{look_up(mount, "d")->nodeid};
  EXPECT_NE(::umount2(below().c_str(), 0), 0);
  forget(d);
  forget(mount);
  EXPECT_EQ(::umount2(below().c_str(), 0), 0) << describe(last_errno());
}

}  // namespace
}  // namespace dpfs::local
