// SPDX-License-Identifier: Apache-2.0
// Landlock's walls, and the one trap they have: files that were opened by handle.
#include "sandbox/landlock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "sandbox/in_child.h"

namespace dpfs::sandbox {
namespace {

class Landlock : public testing::Test {
 protected:
  Landlock() {
    char path[] = "/tmp/dpfs_landlock_XXXXXX";
    folder_ = mkdtemp(path);
    std::filesystem::create_directories(folder_ + "/inside/deeper");
    std::filesystem::create_directory(folder_ + "/outside");
    std::ofstream(folder_ + "/inside/file") << "inside";
    std::ofstream(folder_ + "/outside/file") << "outside";
  }
  ~Landlock() override { std::filesystem::remove_all(folder_); }

  void SetUp() override {
    if (in_child([] { return raise_walls({}).empty() ? 1 : 0; }) != 0) {
      GTEST_SKIP() << "no Landlock in this kernel";
    }
  }
  // Errno of opening (and closing) a path below the folder.
  int open_errno(const std::string& name, int flags) const {
    const int fd = open((folder_ + "/" + name).c_str(), flags, 0600);
    if (fd < 0) return errno;
    close(fd);
    return 0;
  }
  void raise() const { raise_walls({.folders = {folder_ + "/inside"}}); }

  std::string folder_;
};

TEST_F(Landlock, InsideAllIsAllowed) {
  EXPECT_EQ(in_child([&] {
              raise();
              if (open_errno("inside/file", O_RDWR) != 0) return 1;
              if (open_errno("inside/new", O_RDWR | O_CREAT) != 0) return 2;
              const std::string from = folder_ + "/inside/new";
              const std::string to = folder_ + "/inside/deeper/new";
              if (rename(from.c_str(), to.c_str()) != 0) return 3;
              if (link(to.c_str(), from.c_str()) != 0) return 4;
              if (unlink(to.c_str()) != 0) return 5;
              return 0;
            }),
            0);
}

TEST_F(Landlock, OutsideNothingIs) {
  EXPECT_EQ(in_child([&] {
              raise();
              if (open_errno("outside/file", O_RDONLY) != EACCES) return 1;
              if (open_errno("outside", O_RDONLY | O_DIRECTORY) != EACCES) return 2;
              if (open_errno("outside/new", O_RDWR | O_CREAT) != EACCES) return 3;
              if (open_errno("inside/../outside/file", O_RDONLY) != EACCES) return 4;
              const std::string from = folder_ + "/outside/file";
              const std::string to = folder_ + "/inside/stolen";
              if (link(from.c_str(), to.c_str()) == 0) return 5;
              if (mkdir((folder_ + "/outside/new").c_str(), 0700) == 0) return 6;
              return 0;
            }),
            0);
}

TEST_F(Landlock, NoTcpConnectionIsMade) {
  const std::string in_force = [&] {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    in_child([&] {
      const std::string text = raise_walls({});
      return write(ends[1], text.data(), text.size()) < 0 ? 1 : 0;
    });
    char text[64] = {};
    EXPECT_GT(read(ends[0], text, sizeof text - 1), 0);
    close(ends[0]);
    close(ends[1]);
    return std::string(text);
  }();
  if (in_force.find("network") == std::string::npos) GTEST_SKIP() << "this kernel's is too old";
  EXPECT_EQ(in_child([] {
              raise_walls({});
              const int fd = socket(AF_INET, SOCK_STREAM, 0);
              sockaddr_in address{};
              address.sin_family = AF_INET;
              address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
              address.sin_port = htons(1);
              return connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ? errno
                                                                                            : 0;
            }),
            EACCES);
}

}  // namespace
}  // namespace dpfs::sandbox
