// SPDX-License-Identifier: Apache-2.0
// What a process sees after it has entered its own root directory.
#include "sandbox/private_root.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "sandbox/capabilities.h"
#include "sandbox/in_child.h"
#include "sandbox/namespaces.h"

namespace dpfs::sandbox {
namespace {

class PrivateRoot : public testing::Test {
 protected:
  PrivateRoot() {
    char path[] = "/tmp/dpfs_root_XXXXXX";
    folder_ = mkdtemp(path);
    std::filesystem::create_directories(folder_ + "/share/below");
    std::filesystem::create_directory(folder_ + "/other");
    std::ofstream(folder_ + "/share/file") << "shared";
    std::ofstream(folder_ + "/secret") << "secret";
  }
  ~PrivateRoot() override { std::filesystem::remove_all(folder_); }

  void SetUp() override {
    if (!Capabilities::of_this_thread().contains({CAP_SYS_ADMIN})) {
      GTEST_SKIP() << "needs CAP_SYS_ADMIN";
    }
    if (kSanitized) GTEST_SKIP() << "a sanitizer needs /proc";
  }
  static bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }
  static std::set<std::string> names_in(const char* path) {
    std::set<std::string> names;
    DIR* const directory = opendir(path);
    while (const dirent* entry = directory != nullptr ? readdir(directory) : nullptr) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.insert(name);
    }
    if (directory != nullptr) closedir(directory);
    return names;
  }
  template <class F>
  int inside(const std::vector<std::string>& folders, F body) {
    return inside(folders, folders, body);
  }
  template <class F>
  int inside(const std::vector<std::string>& folders, const std::vector<std::string>& writable,
             F body) {
    return in_child([&] {
      enter_inner_namespaces(false);
      enter_private_root(folders, writable);
      return body();
    });
  }
  std::string folder_;
};

TEST_F(PrivateRoot, HoldsTheFoldersAndOurDescriptorsOnly) {
  EXPECT_EQ(inside({folder_ + "/share"},
                   [&] {
                     if (!exists(folder_ + "/share/file")) return 1;
                     if (exists(folder_ + "/secret")) return 2;
                     if (names_in("/") != std::set<std::string>{"proc", "tmp"}) return 3;
                     if (names_in("/proc") != std::set<std::string>{"self"}) return 4;
                     if (names_in("/proc/self") != std::set<std::string>{"fd"}) return 5;
                     if (!exists("/proc/self/fd/0")) return 6;
                     if (exists("/etc/passwd") || exists("/dev/null")) return 7;
                     return 0;
                   }),
            0);
}

// A name that sorts between a folder and what lies in it.
TEST_F(PrivateRoot, FolderInAnotherOneIsNoMountOfItsOwn) {
  std::filesystem::create_directory(folder_ + "/share-b");
  EXPECT_EQ(inside({folder_ + "/share", folder_ + "/share-b", folder_ + "/share/below"},
                   [&] {
                     if (!exists(folder_ + "/share-b")) return 1;
                     const std::string file = folder_ + "/share/file";
                     const std::string moved = folder_ + "/share/below/file";
                     return rename(file.c_str(), moved.c_str()) == 0 ? 0 : 2;
                   }),
            0);
}

TEST_F(PrivateRoot, IsLeftByNoPath) {
  EXPECT_EQ(inside({folder_ + "/share"},
                   [&] {
                     const int fd = open((folder_ + "/share").c_str(), O_PATH | O_DIRECTORY);
                     if (faccessat(fd, "../secret", F_OK, 0) == 0) return 1;
                     if (faccessat(fd, "../../../../../../etc/passwd", F_OK, 0) == 0) return 2;
                     return 0;
                   }),
            0);
}

TEST_F(PrivateRoot, IsReadOnlyAroundTheFolders) {
  EXPECT_EQ(inside({folder_ + "/share"},
                   [&] {
                     if (mkdir("/new", 0700) == 0 || errno != EROFS) return 1;
                     if (mkdir((folder_ + "/new").c_str(), 0700) == 0) return 2;
                     return mkdir((folder_ + "/share/new").c_str(), 0700) == 0 ? 0 : 3;
                   }),
            0);
}

TEST_F(PrivateRoot, FollowsNoLinksAndOpensNoDevicesInTheFolders) {
  std::filesystem::create_symlink("file", folder_ + "/share/link");
  ASSERT_EQ(mknod((folder_ + "/share/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  EXPECT_EQ(inside({folder_ + "/share"},
                   [&] {
                     if (open((folder_ + "/share/link").c_str(), O_RDONLY) >= 0) return 1;
                     if (errno != ELOOP) return 2;
                     if (open((folder_ + "/share/null").c_str(), O_RDONLY) >= 0) return 3;
                     return 0;
                   }),
            0);
}

TEST_F(PrivateRoot, HoldsSeveralFoldersAlsoOneInAnother) {
  EXPECT_EQ(inside({folder_ + "/share/below", folder_ + "/share", folder_ + "/other"},
                   [&] {
                     if (!exists(folder_ + "/share/below")) return 1;
                     if (!exists(folder_ + "/share/file")) return 2;
                     if (!exists(folder_ + "/other")) return 3;
                     return exists(folder_ + "/secret") ? 4 : 0;
                   }),
            0);
}

TEST_F(PrivateRoot, FolderThatNobodyMayWriteInIsReadOnly) {
  EXPECT_EQ(inside({folder_ + "/share", folder_ + "/other"}, {folder_ + "/other"},
                   [&] {
                     if (mkdir((folder_ + "/share/new").c_str(), 0700) == 0) return 1;
                     if (errno != EROFS) return 2;
                     return mkdir((folder_ + "/other/new").c_str(), 0700) == 0 ? 0 : 3;
                   }),
            0);
}

TEST_F(PrivateRoot, FolderInWhichAWritableOneLiesIsWritable) {
  EXPECT_EQ(inside({folder_ + "/share", folder_ + "/share/below"}, {folder_ + "/share/below"},
                   [&] { return mkdir((folder_ + "/share/below/new").c_str(), 0700); }),
            0);
}

TEST_F(PrivateRoot, ShowsWhatTheHostMountsLater) {
  EXPECT_EQ(in_child([&] {
              // A host of our own, whose mounts are shared as systemd makes them.
              if (unshare(CLONE_NEWNS) != 0) return 1;
              if (mount("none", "/", nullptr, MS_REC | MS_SHARED, nullptr) != 0) return 2;
              int go[2];
              int done[2];
              if (pipe(go) != 0 || pipe(done) != 0) return 3;
              const pid_t confined = fork();
              if (confined == 0) {
                enter_inner_namespaces(false);
                enter_private_root({folder_ + "/share"}, {});
                char word = 0;
                if (write(done[1], "!", 1) != 1 || read(go[0], &word, 1) != 1) _exit(4);
                _exit(exists(folder_ + "/share/below/mounted") ? 0 : 5);
              }
              char word = 0;
              if (read(done[0], &word, 1) != 1) return 6;
              const std::string below = folder_ + "/share/below";
              if (mount("none", below.c_str(), "tmpfs", 0, nullptr) != 0) return 7;
              std::ofstream(below + "/mounted") << "x";
              if (write(go[1], "!", 1) != 1) return 8;
              int status = 0;
              waitpid(confined, &status, 0);
              return WEXITSTATUS(status);
            }),
            0);
}

TEST_F(PrivateRoot, OfEverythingIsTheHostsTree) {
  EXPECT_EQ(inside({"/"},
                   [&] {
                     if (!exists(folder_ + "/secret")) return 1;
                     return exists("/proc/self/fd/0") ? 0 : 2;
                   }),
            0);
}

TEST_F(PrivateRoot, FolderThatIsNotThereIsAnErrorAndNothingHasChanged) {
  EXPECT_EQ(in_child([&] {
              enter_inner_namespaces(false);
              try {
                enter_private_root({folder_ + "/none"}, {});
              } catch (const std::system_error&) {
                return exists(folder_ + "/secret") ? 0 : 1;
              }
              return 2;
            }),
            0);
}

TEST(UserNamespace, LetsUsersWithoutRightsHaveARootOfTheirOwn) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer needs /proc";
  char path[] = "/tmp/dpfs_user_XXXXXX";
  const std::string folder = mkdtemp(path);
  chmod(folder.c_str(), 0755);
  const int code = in_child([&] {
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) return 1;
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);  // as after exec; /proc/self is root's otherwise
    try {
      if (!enter_outer_namespaces({})) return 2;
    } catch (const std::system_error&) {
      return 77;
    }
    return in_child([&] {
      enter_inner_namespaces(false);
      enter_private_root({folder}, {});
      if (access("/etc/passwd", F_OK) == 0) return 3;
      if (getpid() != 1) return 4;
      return access(folder.c_str(), R_OK) == 0 ? 0 : 5;
    });
  });
  rmdir(folder.c_str());
  if (code == 77) GTEST_SKIP() << "no user namespaces for users without rights here";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace dpfs::sandbox
