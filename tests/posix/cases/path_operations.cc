// SPDX-License-Identifier: Apache-2.0
// The table of operations that take a path.
#include "tests/posix/cases/path_operations.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace dpfs::posix {
namespace {

int open_and_close(const char* path, int flags) {
  const int fd = open(path, flags, 0644);
  if (fd >= 0) close(fd);
  return fd < 0 ? -1 : 0;
}

}  // namespace

const std::vector<PathOperation>& path_operations() {
  using enum Wants;
  static const std::vector<PathOperation> kOperations = {
      {"open", existing, true, false, [](auto* p) { return open_and_close(p, O_RDONLY); }},
      {"open for writing", existing, true, true,
       [](auto* p) { return open_and_close(p, O_WRONLY); }},
      {"create", either, true, true, [](auto* p) { return open_and_close(p, O_WRONLY | O_CREAT); }},
      {"create O_EXCL", missing, false, true,
       [](auto* p) { return open_and_close(p, O_WRONLY | O_CREAT | O_EXCL); }},
      {"open O_PATH", existing, true, false, [](auto* p) { return open_and_close(p, O_PATH); }},
      {"mkdir", missing, false, true, [](auto* p) { return mkdir(p, 0755); }},
      {"mknod", missing, false, true, [](auto* p) { return mknod(p, S_IFREG | 0644, 0); }},
      {"mkfifo", missing, false, true, [](auto* p) { return mkfifo(p, 0644); }},
      {"symlink", missing, false, true, [](auto* p) { return symlink("target", p); }},
      {"link to", missing, false, true, [](auto* p) { return link("file", p); }},
      {"link from", existing, false, true, [](auto* p) { return link(p, "other"); }},
      {"unlink", existing, false, true, [](auto* p) { return unlink(p); }},
      {"rename from", existing, false, true, [](auto* p) { return rename(p, "other"); }},
      {"rename to", either, false, true, [](auto* p) { return rename("file", p); }},
      {"stat", existing, true, false,
       [](auto* p) {
         struct stat found;
         return stat(p, &found);
       }},
      {"lstat", existing, false, false,
       [](auto* p) {
         struct stat found;
         return lstat(p, &found);
       }},
      {"statx", existing, true, false,
       [](auto* p) {
         struct statx found;
         return statx(AT_FDCWD, p, 0, STATX_BASIC_STATS, &found);
       }},
      {"statfs", existing, true, false,
       [](auto* p) {
         struct statfs found;
         return statfs(p, &found);
       }},
      {"access", existing, true, false, [](auto* p) { return access(p, F_OK); }},
      {"chmod", existing, true, true, [](auto* p) { return chmod(p, 0644); }},
      {"chown", existing, true, true, [](auto* p) { return chown(p, geteuid(), getegid()); }},
      {"lchown", existing, false, true, [](auto* p) { return lchown(p, geteuid(), getegid()); }},
      {"truncate", existing, true, true, [](auto* p) { return truncate(p, 1); }},
      {"utimensat", existing, true, true,
       [](auto* p) { return utimensat(AT_FDCWD, p, nullptr, 0); }},
      {"getxattr", existing, true, false,
       [](auto* p) {
         char value[64];
         return static_cast<int>(getxattr(p, "user.present", value, sizeof value));
       }},
      {"setxattr", existing, true, true, [](auto* p) { return setxattr(p, "user.a", "v", 1, 0); }},
      {"listxattr", existing, true, false,
       [](auto* p) { return static_cast<int>(listxattr(p, nullptr, 0)); }},
      {"chdir", existing, true, false, [](auto* p) { return chdir(p); }},
      {"rmdir", existing, false, true, [](auto* p) { return rmdir(p); }},
      {"readlink", existing, false, false,
       [](auto* p) {
         char target[64];
         return static_cast<int>(readlink(p, target, sizeof target));
       }},
  };
  return kOperations;
}

}  // namespace dpfs::posix
