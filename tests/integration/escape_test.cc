// SPDX-License-Identifier: Apache-2.0
// A tenant that tries to get out of its directory: forged names, links, node ids and handles, and
// races in which the host swaps directories for links meanwhile. Nothing outside is ever reached,
// with file handles and without, inside the sandbox and without one.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "tests/integration/attacked_daemon.h"

namespace dpfs::test {
namespace {

using driver::Tenant;
using fuse::EntryOut;

constexpr const char* kMarker = "NOT FOR THE TENANT";

struct Setting {
  const char* name;
  const char* sandbox;
  const char* handles;
};

// Everything about what lies outside that a tenant could have changed.
using Picture = std::map<std::string, std::string>;

class Escape : public testing::TestWithParam<Setting> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, whose daemon could reach everything";
    if (kSanitized && GetParam().sandbox != std::string("none")) {
      GTEST_SKIP() << "a sanitizer needs what the sandbox takes away";
    }
    std::filesystem::create_directories(outside() / "deeper");
    write_file(outside() / "secret", kMarker);
    write_file(outside() / "deeper/secret", kMarker);
    std::filesystem::create_directories(share() / "dir/deeper");
    write_file(share() / "file", "inside");
    write_file(share() / "dir/secret", "inside");
    write_file(share() / "dir/deeper/secret", "inside");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      if (lies_outside(entry.path())) outside_inodes_.insert(inode(entry.path()));
    }
    outside_inodes_.insert(inode(folder_.path()));
    before_ = picture();
    std::vector<std::string> arguments{"serve",
                                       "--socket",
                                       socket(),
                                       "--tag",
                                       "t",
                                       "--sandbox",
                                       GetParam().sandbox,
                                       "--inode-file-handles",
                                       GetParam().handles,
                                       "local:" + share().string()};
    daemon_.emplace(arguments);
    ASSERT_TRUE(daemon_->wait_until_ready()) << daemon_->log();
    connect();
  }
  void TearDown() override {
    if (!tenant_) return;
    EXPECT_TRUE(tenant_->mount.getattr(1)) << daemon_->log();
    tenant_.reset();
    EXPECT_EQ(daemon_->end(), 0) << daemon_->log();
    EXPECT_EQ(picture(), before_) << "something outside was changed";
  }

  std::filesystem::path outside() const { return folder_ / "outside"; }
  std::filesystem::path share() const { return folder_ / "share"; }
  std::string socket() const { return folder_ / "s"; }
  driver::Mount& mount() { return tenant_->mount; }

  void connect() {
    driver::TenantOptions options;
    options.device.memory_size = 4 << 20;
    options.client.data_size = 64 << 10;
    options.client.sleep = true;
    tenant_.emplace(socket(), options);
    ASSERT_TRUE(mount().init());
  }

  static uint64_t inode(const std::filesystem::path& path) {
    struct stat status{};
    lstat(path.c_str(), &status);
    return status.st_ino;
  }
  bool lies_outside(const std::filesystem::path& path) const {
    return path.string().starts_with(outside().string());
  }
  Picture picture() const {
    Picture all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      if (!lies_outside(entry.path())) continue;
      struct stat status{};
      lstat(entry.path().c_str(), &status);
      std::stringstream text;
      text << status.st_ino << ' ' << status.st_mode << ' ' << status.st_uid << ' '
           << status.st_size << ' ' << status.st_nlink << ' ' << status.st_mtim.tv_nsec << ' '
           << status.st_ctim.tv_nsec << ' ' << listxattr(entry.path().c_str(), nullptr, 0);
      if (entry.is_regular_file()) text << std::ifstream(entry.path()).rdbuf();
      all[entry.path()] = text.str();
    }
    return all;
  }

  template <class T>
  void expect_inside(const Result<T>& result, const char* what) {
    if (!result) return;
    uint64_t number = 0;
    if constexpr (requires { result->attr.ino; }) {
      number = result->attr.ino;
    } else {
      number = result->entry.attr.ino;
    }
    ASSERT_FALSE(outside_inodes_.contains(number)) << what << " reached inode " << number;
  }
  void expect_no_secret(const Result<driver::File>& file, const char* what) {
    if (!file) return;
    std::byte bytes[64] = {};
    const Result<uint32_t> size = mount().read(*file, 0, bytes);
    if (size) {
      const std::string text(reinterpret_cast<const char*>(bytes), *size);
      ASSERT_EQ(text.find(kMarker), std::string::npos) << what;
    }
    EXPECT_TRUE(mount().release(*file));
  }
  // All that takes a node: reading it, changing it, going on from it.
  void try_node(uint64_t node, const char* what) {
    expect_inside(mount().getattr(node), what);
    expect_inside(mount().lookup({node, "secret"}), what);
    expect_inside(mount().lookup({node, "."}), what);
    expect_inside(mount().lookup({node, ".."}), what);
    expect_no_secret(mount().open(node, O_RDONLY), what);
    if (const Result<driver::File> file = mount().open(node, O_RDWR | O_TRUNC)) {
      EXPECT_TRUE(mount().release(*file));
    }
    std::vector<driver::Mount::Name> names;
    if (mount().list(node, names)) {
      for (const auto& name : names) {
        ASSERT_FALSE(name.name != "." && name.name != ".." && outside_inodes_.contains(name.ino))
            << what << " lists " << name.name;
      }
    }
    if (const Result<driver::Mount::Created> made = mount().create({node, "made"}, O_RDWR)) {
      expect_inside(made, what);
      EXPECT_TRUE(mount().release(made->file()));
    }
    static_cast<void>(mount().mkdir({node, "made too"}).error());
    static_cast<void>(mount().symlink({node, "made link"}, "/").error());
    fuse::SetattrIn in{};
    in.valid = fuse::attr_valid::kMode;
    in.mode = 0777;
    static_cast<void>(mount().setattr(node, in).error());
    const char value[] = "x";
    static_cast<void>(
        mount().setxattr({node, "user.made"}, std::as_bytes(std::span(value))).error());
  }

  TemporaryFolder folder_;
  std::set<uint64_t> outside_inodes_;
  Picture before_;
  std::optional<Daemon> daemon_;
  std::optional<Tenant> tenant_;
};

INSTANTIATE_TEST_SUITE_P(All, Escape,
                         testing::Values(Setting{"SandboxHandles", "namespace", "prefer"},
                                         Setting{"SandboxNoHandles", "namespace", "never"},
                                         Setting{"ChrootHandles", "chroot", "prefer"},
                                         Setting{"BareHandles", "none", "prefer"},
                                         Setting{"BareNoHandles", "none", "never"}),
                         [](const auto& setting) { return std::string(setting.param.name); });

TEST_P(Escape, ForgedNamesLeadNowhere) {
  const uint64_t dir = mount().lookup({1, "dir"})->nodeid;
  const std::string absolute = outside() / "secret";
  const std::vector<std::string> names{"..",
                                       ".",
                                       "../outside",
                                       "../outside/secret",
                                       "../../outside/secret",
                                       "dir/../../outside/secret",
                                       "/",
                                       "//",
                                       "/etc/passwd",
                                       absolute,
                                       "./",
                                       "../",
                                       "secret/",
                                       "",
                                       std::string("..\0x", 4),
                                       std::string("..\0", 3),
                                       std::string(300, 'x'),
                                       "dir/secret"};
  for (const std::string& text : names) {
    const std::string_view name = text;
    for (const uint64_t parent : {uint64_t{1}, dir}) {
      expect_inside(mount().lookup({parent, name}), text.c_str());
      for (const uint32_t flags : {O_RDWR, O_RDWR | O_EXCL, O_RDWR | O_TRUNC}) {
        const Result<driver::Mount::Created> made = mount().create({parent, name}, flags);
        expect_inside(made, text.c_str());
      }
      expect_inside(mount().mkdir({parent, name}), text.c_str());
      expect_inside(mount().mknod({parent, name}, S_IFREG | 0600), text.c_str());
      expect_inside(mount().symlink({parent, name}, "x"), text.c_str());
      expect_inside(mount().link(dir, {parent, name}), text.c_str());
      static_cast<void>(mount().unlink({parent, name}).error());
      static_cast<void>(mount().rmdir({parent, name}).error());
      static_cast<void>(mount().rename({parent, name}, {1, "taken"}).error());
      static_cast<void>(mount().rename({1, "file"}, {parent, name}).error());
      static_cast<void>(mount().rename2({1, "dir"}, {parent, name}, RENAME_EXCHANGE).error());
      static_cast<void>(mount().rename2({parent, name}, {1, "file"}, RENAME_NOREPLACE).error());
    }
  }
  for (const char* name : {"../outside/secret", "/etc/passwd"}) {
    EXPECT_FALSE(mount().lookup({1, name})) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(share() / "taken"));
}

TEST_P(Escape, LinksToTheOutsideAreOnlyLinks) {
  const std::vector<std::filesystem::path> targets{outside(),
                                                   outside() / "secret",
                                                   "../outside",
                                                   "../outside/secret",
                                                   "/",
                                                   "/proc/self/root",
                                                   "/proc/self/cwd",
                                                   "/proc/1/root",
                                                   "/proc/self/fd/0",
                                                   "dir/../../outside",
                                                   "."};
  int count = 0;
  for (const std::filesystem::path& target : targets) {
    const std::string host_made = "host" + std::to_string(count);
    const std::string tenant_made = "tenant" + std::to_string(count++);
    std::filesystem::create_symlink(target, share() / host_made);
    ASSERT_TRUE(mount().symlink({1, tenant_made}, target.string()));
    for (const std::string& name : {host_made, tenant_made}) {
      const Result<EntryOut> link = mount().lookup({1, name});
      ASSERT_TRUE(link) << name;
      EXPECT_TRUE(S_ISLNK(link->attr.mode)) << name;
      EXPECT_FALSE(mount().lookup({link->nodeid, "secret"})) << name;
      EXPECT_FALSE(mount().lookup({link->nodeid, ".."})) << name;
      EXPECT_FALSE(mount().open(link->nodeid, O_RDONLY)) << name;
      EXPECT_FALSE(mount().opendir(link->nodeid)) << name;
      EXPECT_FALSE(mount().truncate(link->nodeid, 0)) << name;
      EXPECT_FALSE(mount().create({1, name}, O_RDWR)) << name;
      EXPECT_FALSE(mount().create({link->nodeid, "made"}, O_RDWR)) << name;
      EXPECT_FALSE(mount().mkdir({link->nodeid, "made"})) << name;
      EXPECT_FALSE(mount().rename({1, "file"}, {link->nodeid, "made"})) << name;
      try_node(link->nodeid, name.c_str());
      // A second name of the link itself, not of what it points to.
      const Result<EntryOut> second = mount().link(link->nodeid, {1, name + "b"});
      EXPECT_TRUE(!second || S_ISLNK(second->attr.mode));
      expect_inside(second, name.c_str());
    }
  }
}

TEST_P(Escape, ForgedNodesAndHandlesReachNothing) {
  const uint64_t file = mount().lookup({1, "file"})->nodeid;
  const Result<driver::File> open = mount().open(file, O_RDONLY);
  ASSERT_TRUE(open);
  std::set<uint64_t> numbers{0, 2, 3, UINT64_MAX, UINT64_MAX - 1, INT64_MAX, uint64_t{1} << 63};
  for (const uint64_t inode_number : outside_inodes_) {
    for (const int shift : {0, 1, 8, 16, 24, 32}) numbers.insert(inode_number << shift);
    for (const uint64_t generation : {1ull, 2ull, 3ull, 16ull}) {
      numbers.insert(inode_number | generation << 32);
      numbers.insert(inode_number << 32 | generation);
      numbers.insert(inode_number | generation << 48);
    }
  }
  std::mt19937_64 random(7);
  for (int i = 0; i < 300; ++i) {
    numbers.insert(random());
    numbers.insert(file ^ uint64_t{1} << (random() % 64));
    numbers.insert(random() % 4096);
  }
  numbers.erase(1);
  std::byte bytes[64];
  for (const uint64_t number : numbers) {
    expect_inside(mount().getattr(number), "a forged node");
    expect_inside(mount().lookup({number, "."}), "a forged node's .");
    expect_inside(mount().lookup({number, ".."}), "a forged node's ..");
    expect_inside(mount().lookup({number, "secret"}), "a forged parent");
    expect_no_secret(mount().open(number, O_RDONLY), "a forged node opened");
    if (number != open->handle) {
      EXPECT_FALSE(mount().read({file, number}, 0, bytes)) << "handle " << number;
    }
  }
}

TEST_P(Escape, DirectoryThatWasMovedOutTellsNothingOfItsNewPlace) {
  const Result<EntryOut> dir = mount().lookup({1, "dir"});
  const Result<EntryOut> deeper = mount().lookup({dir->nodeid, "deeper"});
  ASSERT_TRUE(deeper);
  const Result<driver::File> open = mount().opendir(deeper->nodeid);
  ASSERT_TRUE(open);
  std::filesystem::rename(share() / "dir/deeper", outside() / "moved");
  for (int i = 0; i < 2; ++i) {
    expect_inside(mount().lookup({deeper->nodeid, ".."}), "..");
    std::vector<driver::Mount::Name> names;
    static_cast<void>(mount().readdirplus(*open, 0, names).error());
    for (const auto& name : names) {
      EXPECT_FALSE(name.name == ".." && outside_inodes_.contains(name.entry.attr.ino));
    }
    EXPECT_FALSE(mount().lookup({deeper->nodeid, "../secret"}));
    // Once more with nothing in the kernel's caches.
    if (i == 0) write_file("/proc/sys/vm/drop_caches", "2");
  }
  EXPECT_TRUE(mount().releasedir(*open));
  std::filesystem::rename(outside() / "moved", share() / "dir/deeper");
  before_ = picture();  // the host's own renames
}

// A helper on the host that swaps `a` and `b` until it is destroyed.
class Swapper {
 public:
  Swapper(std::filesystem::path a, std::filesystem::path b)
      : thread_([this, a = std::move(a), b = std::move(b)] {
          while (!over_) {
            renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE);
            ++swaps_;
          }
        }) {}
  Swapper(const Swapper&) = delete;
  Swapper& operator=(const Swapper&) = delete;
  ~Swapper() {
    over_ = true;
    thread_.join();
  }
  int swaps() const { return swaps_; }

 private:
  std::atomic<bool> over_{false};
  std::atomic<int> swaps_{0};
  std::thread thread_;
};

TEST_P(Escape, DirectorySwappedForALinkDuringAWalkIsNeverLeft) {
  std::filesystem::create_directory_symlink(outside(), share() / "link");
  std::filesystem::create_directory_symlink("../../outside", share() / "dir/link");
  std::filesystem::create_directories(share() / "a/b/c");
  write_file(share() / "a/b/c/secret", "inside");
  std::filesystem::create_directory_symlink("../../outside", share() / "a/link");
  std::filesystem::create_directory(share() / "files");
  write_file(share() / "files/secret", "inside");
  std::filesystem::create_symlink(outside() / "secret", share() / "files/link");
  {
    const Swapper top(share() / "dir", share() / "link");
    const Swapper deep(share() / "a/b", share() / "a/link");
    const Swapper files(share() / "files/secret", share() / "files/link");
    int reached = 0;
    for (int i = 0; i < 200 && !HasFatalFailure(); ++i) {
      for (const char* path : {"dir", "dir/deeper", "a", "a/b", "a/b/c", "files"}) {
        const Result<EntryOut> node = mount().walk(path);
        expect_inside(node, path);
        if (!node) continue;
        try_node(node->nodeid, path);
        const Result<EntryOut> secret = mount().lookup({node->nodeid, "secret"});
        expect_inside(secret, path);
        if (!secret) continue;
        if (S_ISREG(secret->attr.mode)) ++reached;
        expect_no_secret(mount().open(secret->nodeid, O_RDONLY), path);
        const Result<driver::Mount::Created> existing =
            mount().create({node->nodeid, "secret"}, O_RDWR);
        if (existing) expect_no_secret(existing->file(), path);
        static_cast<void>(mount().rename({node->nodeid, "made"}, {1, "moved"}).error());
        static_cast<void>(mount().unlink({node->nodeid, "made"}).error());
        static_cast<void>(mount().rmdir({node->nodeid, "made too"}).error());
        static_cast<void>(mount().link(secret->nodeid, {node->nodeid, "second"}).error());
        static_cast<void>(mount().unlink({node->nodeid, "second"}).error());
        if (i % 50 == 0) {
          static_cast<void>(mount().forget(secret->nodeid, 1).error());
          write_file("/proc/sys/vm/drop_caches", "2");
        }
      }
    }
    EXPECT_GT(reached, 0) << "the race has to be won by the right side now and then";
    EXPECT_GT(top.swaps(), 100);
  }
}

// Landlock refuses files that were opened by handle when their names have left the kernel's cache;
// so it is not used for files where handles are.
TEST_P(Escape, FilesInsideAreReachedWhenTheKernelHasForgottenTheirNames) {
  const Result<EntryOut> entry = mount().walk("dir/deeper/secret");
  ASSERT_TRUE(entry);
  // More nodes than the daemon keeps descriptors for.
  for (int i = 0; i < 1100; ++i) {
    const std::string name = "filler" + std::to_string(i);
    write_file(share() / name, "");
    ASSERT_TRUE(mount().lookup({1, name}));
  }
  write_file("/proc/sys/vm/drop_caches", "2");
  EXPECT_TRUE(mount().link(entry->nodeid, {1, "second name"}));
  write_file("/proc/sys/vm/drop_caches", "2");
  EXPECT_TRUE(mount().truncate(entry->nodeid, 3));
  write_file("/proc/sys/vm/drop_caches", "2");
  EXPECT_TRUE(mount().open(entry->nodeid, O_RDWR));
}

}  // namespace
}  // namespace dpfs::test
