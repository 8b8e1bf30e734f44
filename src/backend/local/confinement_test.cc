// SPDX-License-Identifier: Apache-2.0
// Nothing a tenant does to names, links and special files takes it outside of its directory.
#include <linux/fs.h>
#include <sys/xattr.h>

#include <atomic>

#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

class Confinement : public LocalFsTest {
 protected:
  Confinement() {
    std::filesystem::create_directory(root / "outside");
    std::ofstream(root / "outside" / "secret") << "secret";
    ::chmod((root / "outside" / "secret").c_str(), 0600);
  }
  Result<CreateOut> create(NodeId parent, std::string_view name, uint32_t flags = O_RDWR) {
    return call(
        &LocalFs::create,
        {.parent = parent, .name = name_of(name), .flags = flags, .mode = 0600, .umask = 0});
  }
};

INSTANTIATE_TEST_SUITE_P(Both, Confinement, testing::Bool(), mode_name);

TEST_P(Confinement, LinkToTheOutsideIsALinkAndNothingElse) {
  const std::string target = (root / "outside" / "secret").string();
  std::filesystem::create_symlink(target, share / "link");
  const Result<fuse::EntryOut> entry = look_up(NodeId::root, "link");
  ASSERT_TRUE(entry);
  EXPECT_TRUE(S_ISLNK(entry->attr.mode));
  const NodeId link{entry->nodeid};
  std::string text(4096, '\0');
  const iovec part{text.data(), text.size()};
  const Result<uint32_t> bytes =
      call(&LocalFs::readlink, {.node = link, .into = IoView({&part, 1})});
  ASSERT_TRUE(bytes);
  EXPECT_EQ(text.substr(0, *bytes), target);

  EXPECT_EQ(call(&LocalFs::open, {.node = link, .flags = O_RDONLY}).error(), Errno::loop);
  EXPECT_EQ(call(&LocalFs::opendir, {.node = link, .flags = O_RDONLY}).error(), Errno::notdir);
  EXPECT_EQ(create(NodeId::root, "link").error(), Errno::loop);
  EXPECT_EQ(create(NodeId::root, "link", O_RDWR | O_EXCL).error(), Errno::exist);
  EXPECT_EQ(look_up(link, "x").error(), Errno::notdir);
}

TEST_P(Confinement, ChangingALinkChangesNothingOutside) {
  const std::filesystem::path secret = root / "outside" / "secret";
  std::filesystem::create_symlink(secret, share / "link");
  struct stat before;
  ASSERT_EQ(::stat(secret.c_str(), &before), 0);
  SetattrArgs args{.node = node("link"), .in = {}};
  for (const uint32_t valid :
       {fuse::attr_valid::kMode, fuse::attr_valid::kUid, fuse::attr_valid::kSize,
        fuse::attr_valid::kMtime | fuse::attr_valid::kMtimeNow}) {
    args.in.valid = valid;
    args.in.mode = 0777;
    args.in.uid = 99;
    [[maybe_unused]] const Result<fuse::AttrOut> ignored = call(&LocalFs::setattr, args);
  }
  char value[] = "x";
  const iovec part{value, 1};
  EXPECT_FALSE(call(
      &LocalFs::setxattr,
      {.node = args.node, .name = name_of("user.test"), .flags = 0, .value = IoView({&part, 1})}));
  struct stat after;
  ASSERT_EQ(::stat(secret.c_str(), &after), 0);
  EXPECT_EQ(after.st_mode, before.st_mode);
  EXPECT_EQ(after.st_uid, before.st_uid);
  EXPECT_EQ(after.st_size, before.st_size);
  EXPECT_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
  EXPECT_EQ(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
}

TEST_P(Confinement, NamesThatLeadElsewhereAreRefused) {
  std::filesystem::create_directory(share / "d");
  host_write("d/f", "");
  const NodeId d = node("d");
  for (const char* name : {"..", ".", "d/f", "/", "../outside", "/etc/passwd", ""}) {
    EXPECT_EQ(look_up(d, name).error(), Errno::inval) << name;
    EXPECT_EQ(look_up(NodeId::root, name).error(), Errno::inval) << name;
    EXPECT_EQ(create(d, name).error(), Errno::inval) << name;
    EXPECT_EQ(call(&LocalFs::mkdir, {.parent = d, .name = name_of(name), .mode = 0700}).error(),
              Errno::inval);
    EXPECT_EQ(call(&LocalFs::unlink, {.parent = d, .name = name_of(name)}).error(), Errno::inval);
    EXPECT_EQ(call(&LocalFs::rename2,
                   {.parent = d, .name = name_of("f"), .new_parent = d, .new_name = name_of(name)})
                  .error(),
              Errno::inval);
  }
}

TEST_P(Confinement, SpecialFilesAreNeverOpened) {
  ASSERT_EQ(::mkfifo((share / "fifo").c_str(), 0600), 0);
  // Opening the FIFO would wait for a writer for ever.
  EXPECT_EQ(call(&LocalFs::open, {.node = node("fifo"), .flags = O_RDONLY}).error(), Errno::nxio);
  EXPECT_EQ(create(NodeId::root, "fifo", O_RDONLY).error(), Errno::nxio);
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_EQ(::mknod((share / "null").c_str(), S_IFCHR | 0600, (1 << 8) | 3), 0);
  EXPECT_EQ(call(&LocalFs::open, {.node = node("null"), .flags = O_RDWR}).error(), Errno::nxio);
  EXPECT_EQ(create(NodeId::root, "null").error(), Errno::nxio);
  SetattrArgs args{.node = node("null"), .in = {}};
  args.in.valid = fuse::attr_valid::kSize;
  EXPECT_EQ(call(&LocalFs::setattr, args).error(), Errno::inval);
}

TEST_P(Confinement, DirectorySwappedForALinkDuringLookupsIsNeverLeft) {
  std::filesystem::create_directory(share / "d");
  host_write("d/secret", "inside");
  std::filesystem::create_symlink(root / "outside", share / "swap");
  std::atomic<bool> over{false};
  std::thread swapper([&] {
    while (!over) {
      ::renameat2(AT_FDCWD, (share / "d").c_str(), AT_FDCWD, (share / "swap").c_str(),
                  RENAME_EXCHANGE);
    }
  });
  int reached = 0;
  for (int i = 0; i < 3000; ++i) {
    const Result<fuse::EntryOut> d = look_up(NodeId::root, "d");
    if (!d) continue;
    const Result<CreateOut> made = create(NodeId{d->nodeid}, "made");
    if (made) release(NodeId{made->entry.nodeid}, Handle{made->open.fh});
    const Result<fuse::EntryOut> secret = look_up(NodeId{d->nodeid}, "secret");
    if (secret) {
      const NodeId file{secret->nodeid};
      const Result<fuse::OpenOut> open = call(&LocalFs::open, {.node = file, .flags = O_RDONLY});
      if (open) {
        EXPECT_EQ(read(file, Handle{open->fh}, 0, 100), "inside");
        release(file, Handle{open->fh});
        ++reached;
      }
    }
  }
  over = true;
  swapper.join();
  EXPECT_GT(reached, 0);
  EXPECT_FALSE(std::filesystem::exists(root / "outside" / "made"));
}

TEST_P(Confinement, NodeIsNotReachedThroughALinkThatTookItsParentsPlace) {
  std::filesystem::create_directories(share / "d" / "e");
  host_write("d/e/secret", "inside");
  std::filesystem::create_directory(root / "outside" / "e");
  std::ofstream(root / "outside" / "e" / "secret") << "secret";
  const NodeId file = node("d/e/secret");
  // Push the descriptors of d, e and secret out of the cache.
  for (int i = 0; i < 1100; ++i) {
    const std::string name = "filler" + std::to_string(i);
    host_write(name, "");
    node(name);
  }
  std::filesystem::rename(share / "d", share / "moved");
  std::filesystem::create_symlink(root / "outside", share / "d");
  const Result<fuse::OpenOut> open = call(&LocalFs::open, {.node = file, .flags = O_RDONLY});
  if (fs().uses_handles()) {
    ASSERT_TRUE(open);
    EXPECT_EQ(read(file, Handle{open->fh}, 0, 100), "inside");
  } else {
    EXPECT_EQ(open.error(), Errno::stale);
  }
  EXPECT_EQ(node("moved/e/secret"), file);  // which also says where it is now
  EXPECT_EQ(read(file, this->open(file, O_RDONLY), 0, 100), "inside");
}

}  // namespace
}  // namespace dpfs::local
