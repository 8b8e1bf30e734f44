// SPDX-License-Identifier: Apache-2.0
// stat, statx, statfs: what they say of themselves.
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

struct statx extended(const char* path, unsigned mask, int flags = AT_SYMLINK_NOFOLLOW) {
  struct statx found = {};
  WORKS(statx(AT_FDCWD, path, flags, mask, &found));
  return found;
}

}  // namespace

CASE(stat, types) {
  make_file("f");
  make_directory("d");
  make_symlink("x", "s");
  WORKS(mkfifo("p", 0644));
  HOLDS(S_ISREG(status("f").st_mode));
  HOLDS(S_ISDIR(status("d").st_mode));
  HOLDS(S_ISLNK(status("s").st_mode));
  HOLDS(S_ISFIFO(status("p").st_mode));
}

CASE(stat, inode_numbers_differ_and_stay) {
  make_file("f");
  make_file("g");
  const ino_t number = status("f").st_ino;
  HOLDS(number != status("g").st_ino);
  HOLDS(number != 0);
  make_file("f", "text");
  WORKS(chmod("f", 0600));
  WORKS(rename("f", "h"));
  EQUAL(number, status("h").st_ino);
  EQUAL(number, status(open_file("h", O_RDONLY)).st_ino);
}

CASE(stat, whole_tree_has_one_device) {
  make_file("f");
  make_directory("d");
  make_file("d/f");
  EQUAL(status(".").st_dev, status("f").st_dev);
  EQUAL(status(".").st_dev, status("d/f").st_dev);
}

CASE(stat, blocks_tell_what_is_allocated) {
  make_file("f", pattern(kMib));
  const Fd file = open_file("f", O_RDWR);
  WORKS(fsync(file.get()));
  ORDERED(status("f").st_blocks * 512, >=, kMib);
  ORDERED(status("f").st_blocks * 512, <=, 2 * kMib);
  ORDERED(status("f").st_blksize, >=, 512);
  make_file("empty");
  EQUAL(0, status("empty").st_blocks);
}

CASE(stat, size_is_current_for_every_descriptor) {
  make_file("f", "text");
  const Fd first = open_file("f", O_RDONLY);
  const Fd second = open_file("f", O_WRONLY);
  for (int i = 1; i <= 5; ++i) {
    write_at(second, i * 1000, "x");
    EQUAL(i * 1000 + 1, status(first).st_size);
    EQUAL(i * 1000 + 1, status("f").st_size);
  }
}

CASE(stat, another_process_sees_changes_at_once) {
  make_file("f", "text");
  EQUAL(4, status("f").st_size);
  apart([] {
    WORKS(truncate("f", 100));
    WORKS(chmod("f", 0600));
  });
  EQUAL(100, status("f").st_size);
  EQUAL(0600, mode_of("f"));
}

CASE(statx, agrees_with_stat) {
  make_file("f", pattern(5000), 0640);
  const struct stat old = status("f");
  const struct statx found = extended("f", STATX_BASIC_STATS);
  EQUAL(STATX_BASIC_STATS, found.stx_mask & STATX_BASIC_STATS);
  EQUAL(old.st_mode, found.stx_mode);
  EQUAL(old.st_nlink, found.stx_nlink);
  EQUAL(old.st_uid, found.stx_uid);
  EQUAL(old.st_gid, found.stx_gid);
  EQUAL(old.st_size, found.stx_size);
  EQUAL(old.st_blocks, found.stx_blocks);
  EQUAL(old.st_ino, found.stx_ino);
  EQUAL(old.st_dev, makedev(found.stx_dev_major, found.stx_dev_minor));
  EQUAL(old.st_mtim.tv_sec, found.stx_mtime.tv_sec);
  EQUAL(old.st_mtim.tv_nsec, found.stx_mtime.tv_nsec);
  EQUAL(old.st_ctim.tv_nsec, found.stx_ctime.tv_nsec);
}

CASE(statx, birth_time) {
  make_file("f");
  const struct statx found = extended("f", STATX_BTIME);
  if ((found.stx_mask & STATX_BTIME) == 0) skip("no birth times here");
  const int64_t birth = found.stx_btime.tv_sec;
  ORDERED(birth, >, 1'600'000'000);
  ORDERED(birth, <=, status("f").st_mtim.tv_sec + 1);
  const timespec times[2] = {{1000, 0}, {2000, 0}};
  WORKS(utimensat(AT_FDCWD, "f", times, 0));
  WORKS(rename("f", "g"));
  EQUAL(birth, extended("g", STATX_BTIME).stx_btime.tv_sec);
  EQUAL(found.stx_btime.tv_nsec, extended("g", STATX_BTIME).stx_btime.tv_nsec);
}

CASE(statx, sync_flags_are_taken) {
  make_file("f", "text");
  const int kinds[] = {AT_STATX_SYNC_AS_STAT, AT_STATX_FORCE_SYNC, AT_STATX_DONT_SYNC};
  for (const int kind : kinds) EQUAL(4, extended("f", STATX_SIZE, kind).stx_size);
  struct statx found;
  FAILS(EINVAL, statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, &found));
  FAILS(EINVAL, statx(AT_FDCWD, "f", 0, STATX__RESERVED, &found));
}

CASE(statx, of_descriptors_and_symlinks) {
  make_file("f", "text");
  make_symlink("f", "s");
  const Fd file = open_file("f", O_RDONLY);
  struct statx found = {};
  WORKS(statx(file.get(), "", AT_EMPTY_PATH, STATX_SIZE, &found));
  EQUAL(4, found.stx_size);
  EQUAL(1, extended("s", STATX_SIZE).stx_size);
  EQUAL(4, extended("s", STATX_SIZE, 0).stx_size);
}

CASE(statfs, numbers_make_sense) {
  struct statvfs found = {};
  WORKS(statvfs(".", &found));
  EQUAL(found.f_bsize, found.f_frsize);
  ORDERED(found.f_bsize, >=, 512u);
  ORDERED(found.f_blocks, >, 0u);
  ORDERED(found.f_bfree, <=, found.f_blocks);
  ORDERED(found.f_bavail, <=, found.f_bfree);
  ORDERED(found.f_ffree, <=, found.f_files);
  EQUAL(255, found.f_namemax);
}

CASE(statfs, same_for_every_file_of_it) {
  make_file("f");
  make_directory("d");
  struct statfs here = {};
  struct statfs there = {};
  WORKS(statfs(".", &here));
  WORKS(statfs("d", &there));
  EQUAL(here.f_type, there.f_type);
  EQUAL(here.f_blocks, there.f_blocks);
  const Fd file = open_file("f", O_RDONLY);
  WORKS(fstatfs(file.get(), &there));
  EQUAL(here.f_blocks, there.f_blocks);
}

CASE(statfs, same_by_another_path) {
  const std::string also = also_path("");
  struct statvfs here = {};
  struct statvfs there = {};
  WORKS(statvfs(".", &here));
  WORKS(statvfs(also.c_str(), &there));
  EQUAL(there.f_blocks * there.f_frsize, here.f_blocks * here.f_frsize);
  EQUAL(there.f_files, here.f_files);
}

}  // namespace dpfs::posix
