// SPDX-License-Identifier: Apache-2.0
// What Linux makes of the local back end's answers, where that is more than the answer says.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>

#include "base/errno.h"
#include "base/fd.h"
#include "tests/integration/mounted.h"

namespace dpfs::test {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPage = 4096;

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// What name_to_handle_at(2) gives, and what an NFS server would give its clients.
struct KernelHandle {
  static constexpr unsigned kBytesMax = 128;
  unsigned size = kBytesMax;
  int type = 0;
  unsigned char bytes[kBytesMax] = {};

  explicit KernelHandle(const std::string& path) {
    int mount_id = 0;
    made = ::name_to_handle_at(AT_FDCWD, path.c_str(), reinterpret_cast<file_handle*>(this),
                               &mount_id, 0) == 0;
  }
  Fd open(int mount, int flags) {
    return Fd(::open_by_handle_at(mount, reinterpret_cast<file_handle*>(this), flags));
  }
  bool made;
};

// Runs `task` in a process of its own, which it may turn into another user's. Its exit status: 0.
int in_child(const std::function<bool()>& task) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(task() ? 0 : 1);
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

bool become(uid_t uid, gid_t gid, const std::vector<gid_t>& groups) {
  ::umask(0);
  return ::setgroups(groups.size(), groups.data()) == 0 && ::setgid(gid) == 0 && ::setuid(uid) == 0;
}

// A user namespace in which `outside` has the number `inside`; for mount_setattr(2).
class MappedIds {
 public:
  MappedIds(int inside, int outside) {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::unshare(CLONE_NEWUSER);
      ::close(ready[1]);
      ::pause();
      ::_exit(0);
    }
    ::close(ready[1]);
    char nothing;
    EXPECT_EQ(::read(ready[0], &nothing, 1), 0);  // its end is closed
    ::close(ready[0]);
    const std::string process = "/proc/" + std::to_string(child_);
    const std::string map = std::to_string(inside) + " " + std::to_string(outside) + " 1";
    write_file(process + "/uid_map", map);
    write_file(process + "/gid_map", map);
    fd_.reset(::open((process + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
  }
  MappedIds(const MappedIds&) = delete;
  MappedIds& operator=(const MappedIds&) = delete;
  ~MappedIds() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  int fd() const { return fd_.get(); }

 private:
  pid_t child_ = -1;
  Fd fd_;
};

class MountedLocal : public testing::Test {
 protected:
  void SetUp() override {
    if (!mounting_possible()) GTEST_SKIP() << "needs root and /dev/fuse";
    fs::create_directory(share_);
    fs::create_directory(mount_point_);
  }
  void TearDown() override { umount2(mount_point_.c_str(), MNT_DETACH); }
  void mount(std::vector<std::string> options = {}) {
    daemon_ = std::make_unique<MountedDaemon>(Way::read_write, "local:" + share_, mount_point_,
                                              std::move(options));
    ASSERT_TRUE(daemon_->wait_until_ready());
  }
  // The kernel forgets every inode that nobody uses, and says so to the daemon.
  static void drop_caches() { write_file("/proc/sys/vm/drop_caches", "2"); }
  // How much of a file the page cache has.
  static size_t pages_cached(const std::string& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY));
    const size_t bytes = fs::file_size(path);
    void* map = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd.get(), 0);
    std::vector<unsigned char> there((bytes + kPage - 1) / kPage);
    EXPECT_EQ(::mincore(map, bytes, there.data()), 0);
    ::munmap(map, bytes);
    size_t count = 0;
    for (const unsigned char page : there) count += page & 1;
    return count;
  }

  TemporaryFolder folder_;
  const std::string share_ = folder_ / "share";
  const std::string mount_point_ = folder_ / "mnt";
  std::unique_ptr<MountedDaemon> daemon_;
};

// The handle has the node's number, which the daemon has been told to forget meanwhile.
TEST_F(MountedLocal, HandlesOutliveTheKernelsCaches) {
  mount();
  fs::create_directories(mount_point_ + "/a/b");
  write_file(mount_point_ + "/a/b/file", "text");
  KernelHandle file(mount_point_ + "/a/b/file");
  KernelHandle directory(mount_point_ + "/a/b");
  if (!file.made || !directory.made) GTEST_SKIP() << "no handles: " << describe(last_errno());
  const Fd root(::open(mount_point_.c_str(), O_RDONLY | O_DIRECTORY));
  drop_caches();
  char text[10] = {};
  EXPECT_EQ(::read(file.open(root.get(), O_RDONLY).get(), text, sizeof text), 4);
  EXPECT_STREQ(text, "text");
  drop_caches();
  const Fd reopened = directory.open(root.get(), O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(reopened) << describe(last_errno());
  // Linux has asked for its parents, up to the root.
  EXPECT_EQ(fs::read_symlink("/proc/self/fd/" + std::to_string(reopened.get())),
            fs::canonical(mount_point_) / "a" / "b");
  fs::rename(mount_point_ + "/a/b/file", mount_point_ + "/moved");
  drop_caches();
  EXPECT_TRUE(file.open(root.get(), O_RDONLY));
  fs::remove(mount_point_ + "/moved");
  // Linux lets other requests pass a FORGET, and until that has come the daemon knows the node.
  EXPECT_TRUE(eventually([&] {
    drop_caches();
    return !file.open(root.get(), O_RDONLY) && last_errno() == Errno::stale;
  }));
}

// Which of many groups it is, Linux tells us (FUSE_CREATE_SUPP_GROUP).
TEST_F(MountedLocal, SetGroupIdStaysForWhoIsInTheDirectorysGroup) {
  mount();
  const std::string team = mount_point_ + "/team";
  fs::create_directory(team);
  ASSERT_EQ(::chown(team.c_str(), 1000, 4242), 0);
  ASSERT_EQ(::chmod(team.c_str(), 02777), 0);
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  const auto create_as = [&](const std::vector<gid_t>& groups, const std::string& name) {
    EXPECT_EQ(in_child([&] {
                return become(1234, 5678, groups) &&
                       ::open((team + "/" + name).c_str(), O_CREAT | O_RDWR, 02755) >= 0;
              }),
              0);
    struct stat stat{};
    EXPECT_EQ(::stat((share_ + "/team/" + name).c_str(), &stat), 0);
    EXPECT_EQ(stat.st_gid, 4242u);
    return stat.st_mode & 07777;
  };
  EXPECT_EQ(create_as({7, 8}, "stranger"), 0755u);
  const uint32_t mode = create_as({7, 4242, 8}, "member");
  if (mode == 0755) GTEST_SKIP() << "before Linux 6.3";
  EXPECT_EQ(mode, 02755u);
}

TEST_F(MountedLocal, MountWithMappedIdsHasThem) {
  mount();
  const std::string mapped = folder_ / "mapped";
  fs::create_directory(mapped);
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chown(share_.c_str(), 1000, 1000), 0);
  const MappedIds ids(1000, 2000);
  const Fd tree(static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, mount_point_.c_str(), 1)));
  ASSERT_TRUE(tree);
  struct {
    uint64_t set, clear, propagation, user_namespace;
  } attributes{.set = 0x0010'0000, .clear = 0, .propagation = 0, .user_namespace = 0};
  attributes.user_namespace = static_cast<uint64_t>(ids.fd());
  if (::syscall(442 /* mount_setattr */, tree.get(), "", AT_EMPTY_PATH, &attributes,
                sizeof attributes) != 0) {
    GTEST_SKIP() << "before Linux 6.12: " << describe(last_errno());
  }
  ASSERT_EQ(::syscall(SYS_move_mount, tree.get(), "", AT_FDCWD, mapped.c_str(), 4), 0);
  EXPECT_EQ(in_child([&] {
              return become(2000, 2000, {}) && ::mkdir((mapped + "/d").c_str(), 0700) == 0;
            }),
            0);
  struct stat stat{};
  EXPECT_EQ(::stat((share_ + "/d").c_str(), &stat), 0);
  EXPECT_EQ(stat.st_uid, 1000u);
  EXPECT_EQ(stat.st_gid, 1000u);
  EXPECT_EQ(::stat((mapped + "/d").c_str(), &stat), 0);
  EXPECT_EQ(stat.st_uid, 2000u);
  ::umount2(mapped.c_str(), MNT_DETACH);
}

TEST_F(MountedLocal, FileWithoutANameGetsOne) {
  mount();
  const Fd fd(::open(mount_point_.c_str(), O_TMPFILE | O_RDWR, 0640));
  if (!fd && last_errno() == Errno::opnotsupp) GTEST_SKIP() << "before Linux 6.1";
  ASSERT_TRUE(fd) << describe(last_errno());
  ASSERT_EQ(::write(fd.get(), "text", 4), 4);
  EXPECT_TRUE(fs::is_empty(mount_point_));
  const std::string self = "/proc/self/fd/" + std::to_string(fd.get());
  ASSERT_EQ(::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, (mount_point_ + "/named").c_str(),
                     AT_SYMLINK_FOLLOW),
            0)
      << describe(last_errno());
  EXPECT_EQ(read_file(share_ + "/named"), "text");
}

TEST_F(MountedLocal, BirthIsTheHosts) {
  mount();
  write_file(share_ + "/file", "");
  struct statx host{};
  struct statx mounted{};
  ASSERT_EQ(::statx(AT_FDCWD, (share_ + "/file").c_str(), 0, STATX_BTIME, &host), 0);
  ASSERT_EQ(::statx(AT_FDCWD, (mount_point_ + "/file").c_str(), 0, STATX_BTIME, &mounted), 0);
  if ((mounted.stx_mask & STATX_BTIME) == 0) GTEST_SKIP() << "before Linux 6.6";
  EXPECT_EQ(mounted.stx_btime.tv_sec, host.stx_btime.tv_sec);
  EXPECT_EQ(mounted.stx_btime.tv_nsec, host.stx_btime.tv_nsec);
}

TEST_F(MountedLocal, PageOfAMappingGoesToItsPlaceThroughAnAppendingDescriptor) {
  mount();
  write_file(mount_point_ + "/file", std::string(2 * kPage, 'a'));
  const Fd fd(::open((mount_point_ + "/file").c_str(), O_RDWR | O_APPEND));
  auto* map = static_cast<char*>(
      ::mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
  ASSERT_NE(map, MAP_FAILED);
  map[kPage] = 'b';
  ASSERT_EQ(::msync(map, 2 * kPage, MS_SYNC), 0);
  ::munmap(map, 2 * kPage);
  EXPECT_EQ(fs::file_size(share_ + "/file"), 2 * kPage);
  EXPECT_EQ(read_file(share_ + "/file")[kPage], 'b');
}

TEST_F(MountedLocal, DirectIoGoesAroundTheHostsPageCacheWhereItMay) {
  write_file(share_ + "/probe", "");
  if (!Fd(::open((share_ + "/probe").c_str(), O_RDWR | O_DIRECT))) {
    GTEST_SKIP() << "the file system of " << share_ << " has no O_DIRECT";
  }
  mount({"--allow-direct-io"});
  const std::string path = mount_point_ + "/file";
  const Fd fd(::open(path.c_str(), O_CREAT | O_RDWR | O_DIRECT, 0644));
  const std::unique_ptr<char, decltype(&std::free)> buffer(
      static_cast<char*>(std::aligned_alloc(kPage, 16 * kPage)), &std::free);
  std::memset(buffer.get(), 'x', 16 * kPage);
  ASSERT_EQ(::pwrite(fd.get(), buffer.get(), 16 * kPage, 0), static_cast<ssize_t>(16 * kPage));
  ASSERT_EQ(::pread(fd.get(), buffer.get(), 16 * kPage, 0), static_cast<ssize_t>(16 * kPage));
  EXPECT_EQ(pages_cached(share_ + "/file"), 0u);
  // Whatever the tenant's kernel lets through is served.
  EXPECT_EQ(::pwrite(fd.get(), "odd", 3, 5), 3);
  EXPECT_EQ(read_file(share_ + "/file").substr(4, 5), "xoddx");
}

TEST_F(MountedLocal, WritebackKeepsSizesAndAppends) {
  mount({"--writeback"});
  const std::string path = mount_point_ + "/log";
  {
    const Fd fd(::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644));
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(::write(fd.get(), "0123456789", 10), 10);
    EXPECT_EQ(fs::file_size(path), 10'000u);
    // A page that is only partly written, through a descriptor that cannot read.
    const Fd other(::open(path.c_str(), O_WRONLY));
    ASSERT_EQ(::pwrite(other.get(), "xx", 2, 5000), 2);
  }
  const std::string text = read_file(share_ + "/log");
  EXPECT_EQ(text.size(), 10'000u);
  EXPECT_EQ(text.substr(4999, 4), "9xx2");
}

}  // namespace
}  // namespace dpfs::test
