// SPDX-License-Identifier: Apache-2.0
// What chattr and lsattr use: FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR.
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

int flags_of(const Fd& file) {
  int flags = 0;
  const int result = ioctl(file.get(), FS_IOC_GETFLAGS, &flags);
  if (result != 0 && (errno == ENOTTY || errno == EOPNOTSUPP)) skip("no inode flags here");
  WORKS(result);
  return flags;
}

void set_flags(const Fd& file, int flags) {
  const int result = ioctl(file.get(), FS_IOC_SETFLAGS, &flags);
  if (result != 0 && (errno == ENOTTY || errno == EOPNOTSUPP)) skip("this inode flag is not kept");
  WORKS(result);
}

// Takes flags back, so that the file can be removed.
class FlagsFor {
 public:
  FlagsFor(const Fd& file, int flags) : file_(file), before_(flags_of(file)) {
    set_flags(file, before_ | flags);
  }
  FlagsFor(const FlagsFor&) = delete;
  FlagsFor& operator=(const FlagsFor&) = delete;
  ~FlagsFor() { ioctl(file_.get(), FS_IOC_SETFLAGS, &before_); }

 private:
  const Fd& file_;
  int before_;
};

}  // namespace

CASE(inode_flags, are_kept) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  const int before = flags_of(file);
  set_flags(file, before | FS_NODUMP_FL);
  EQUAL(before | FS_NODUMP_FL, flags_of(file));
  EQUAL(before | FS_NODUMP_FL, flags_of(open_file("f", O_RDONLY)));
  set_flags(file, before);
  EQUAL(before, flags_of(file));
}

CASE(inode_flags, of_directories) {
  make_directory("d");
  const Fd directory = open_file("d", O_RDONLY | O_DIRECTORY);
  const int before = flags_of(directory);
  set_flags(directory, before | FS_NODUMP_FL);
  EQUAL(before | FS_NODUMP_FL, flags_of(directory));
}

CASE(inode_flags, immutable_files_do_not_change) {
  need_root();
  make_file("f", "text");
  const Fd file = open_file("f", O_RDONLY);
  const FlagsFor guard(file, FS_IMMUTABLE_FL);
  FAILS(EPERM, open("f", O_WRONLY));
  FAILS(EPERM, unlink("f"));
  FAILS(EPERM, rename("f", "g"));
  FAILS(EPERM, link("f", "g"));
  FAILS(EPERM, chmod("f", 0600));
  FAILS(EPERM, truncate("f", 0));
  FAILS(EPERM, utimensat(AT_FDCWD, "f", nullptr, 0));
  EQUAL("text", content("f"));
}

CASE(inode_flags, append_only_files_grow) {
  need_root();
  make_file("f", "text");
  const Fd file = open_file("f", O_RDONLY);
  const FlagsFor guard(file, FS_APPEND_FL);
  FAILS(EPERM, open("f", O_WRONLY));
  FAILS(EPERM, open("f", O_WRONLY | O_APPEND | O_TRUNC));
  FAILS(EPERM, truncate("f", 0));
  FAILS(EPERM, unlink("f"));
  const Fd appender = open_file("f", O_WRONLY | O_APPEND);
  WORKS(write(appender.get(), "more", 4));
  EQUAL("textmore", content("f"));
  WORKS(lockf(appender.get(), F_TLOCK, 0));
}

CASE(inode_flags, immutable_is_roots_to_set) {
  need_root();
  make_file("f");
  WORKS(chown("f", kAlice.uid, kAlice.gid));
  as(kAlice, [] {
    const Fd file = open_file("f", O_RDONLY);
    int flags = flags_of(file) | FS_IMMUTABLE_FL;
    FAILS_EITHER((std::vector<int>{EPERM, EACCES}), ioctl(file.get(), FS_IOC_SETFLAGS, &flags));
  });
}

CASE(inode_flags, extended_ones_are_told) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  flags_of(file);
  fsxattr found = {};
  WORKS(ioctl(file.get(), FS_IOC_FSGETXATTR, &found));
  EQUAL(0, found.fsx_xflags & FS_XFLAG_NODUMP);
  set_flags(file, flags_of(file) | FS_NODUMP_FL);
  WORKS(ioctl(file.get(), FS_IOC_FSGETXATTR, &found));
  EQUAL(FS_XFLAG_NODUMP, found.fsx_xflags & FS_XFLAG_NODUMP);
}

CASE(inode_flags, unknown_requests_are_enotty) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  char block[256] = {};
  FAILS_EITHER((std::vector<int>{ENOTTY, EOPNOTSUPP}),
               ioctl(file.get(), _IOR('z', 99, int), block));
  EQUAL("", content("f"));
}

CASE(inode_flags, waiting_bytes_are_counted) {
  make_file("f", "0123456789");
  const Fd file = open_file("f", O_RDONLY);
  WORKS(lseek(file.get(), 4, SEEK_SET));
  int waiting = 0;
  WORKS(ioctl(file.get(), FIONREAD, &waiting));
  EQUAL(6, waiting);
}

}  // namespace dpfs::posix
