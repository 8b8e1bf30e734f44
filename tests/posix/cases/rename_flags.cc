// SPDX-License-Identifier: Apache-2.0
// renameat2(2): NOREPLACE, EXCHANGE, WHITEOUT.
#include <stdio.h>
#include <sys/sysmacros.h>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

int rename_with(const char* from, const char* to, unsigned flags) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

void need_flag(unsigned flag, const char* name) {
  make_file("probe");
  make_file("probe2");
  const char* to = flag == RENAME_NOREPLACE ? "probe3" : "probe2";
  const int result = rename_with("probe", to, flag);
  if (result != 0 && errno == EINVAL) skip(std::string(name) + " is not offered here");
  for (const char* left : {"probe", "probe2", "probe3"}) unlink(left);
}

}  // namespace

CASE(rename_flags, noreplace_moves_to_a_free_name) {
  need_flag(RENAME_NOREPLACE, "RENAME_NOREPLACE");
  make_file("f", "text");
  WORKS(rename_with("f", "g", RENAME_NOREPLACE));
  EQUAL("text", content("g"));
  HOLDS(!exists("f"));
}

CASE(rename_flags, noreplace_leaves_what_exists) {
  need_flag(RENAME_NOREPLACE, "RENAME_NOREPLACE");
  make_file("f", "text");
  make_file("g", "other");
  make_directory("d");
  make_directory("e");
  make_symlink("nowhere", "s");
  FAILS(EEXIST, rename_with("f", "g", RENAME_NOREPLACE));
  FAILS(EEXIST, rename_with("d", "e", RENAME_NOREPLACE));
  FAILS(EEXIST, rename_with("f", "s", RENAME_NOREPLACE));
  FAILS(EEXIST, rename_with("f", "f", RENAME_NOREPLACE));
  FAILS(EEXIST, rename_with("f", "d", RENAME_NOREPLACE));
  FAILS(ENOENT, rename_with("missing", "x", RENAME_NOREPLACE));
  EQUAL("text", content("f"));
  EQUAL("other", content("g"));
}

CASE(rename_flags, exchange_swaps_files) {
  need_flag(RENAME_EXCHANGE, "RENAME_EXCHANGE");
  make_file("f", "text");
  make_file("g", "other");
  const ino_t f = status("f").st_ino;
  WORKS(rename_with("f", "g", RENAME_EXCHANGE));
  EQUAL("text", content("g"));
  EQUAL("other", content("f"));
  EQUAL(f, status("g").st_ino);
}

CASE(rename_flags, exchange_swaps_types) {
  need_flag(RENAME_EXCHANGE, "RENAME_EXCHANGE");
  make_file("f", "text");
  make_directory("a");
  make_directory("a/d");
  make_file("a/d/inside");
  make_symlink("nowhere", "s");
  WORKS(rename_with("f", "a/d", RENAME_EXCHANGE));
  EQUAL("text", content("a/d"));
  HOLDS(exists("f/inside"));
  WORKS(rename_with("f", "s", RENAME_EXCHANGE));
  HOLDS(S_ISLNK(status("f").st_mode));
  HOLDS(S_ISDIR(status("s").st_mode));
}

CASE(rename_flags, exchange_of_directories_moves_link_counts) {
  need_flag(RENAME_EXCHANGE, "RENAME_EXCHANGE");
  make_directory("a");
  make_directory("b");
  make_directory("a/d");
  make_file("b/f");
  if (status("a").st_nlink == 1) skip("this file system does not count links of directories");
  WORKS(rename_with("a/d", "b/f", RENAME_EXCHANGE));
  EQUAL(2, status("a").st_nlink);
  EQUAL(3, status("b").st_nlink);
  EQUAL(status("b").st_ino, status("b/f/..").st_ino);
}

CASE(rename_flags, exchange_needs_both) {
  need_flag(RENAME_EXCHANGE, "RENAME_EXCHANGE");
  make_file("f");
  FAILS(ENOENT, rename_with("f", "missing", RENAME_EXCHANGE));
  FAILS(ENOENT, rename_with("missing", "f", RENAME_EXCHANGE));
  make_directory("d");
  make_directory("d/e");
  FAILS(EINVAL, rename_with("d", "d/e", RENAME_EXCHANGE));
  FAILS(EINVAL, rename_with("d/e", "d", RENAME_EXCHANGE));
}

CASE(rename_flags, whiteout_leaves_a_device_0_0) {
  need_root();
  need_flag(RENAME_WHITEOUT, "RENAME_WHITEOUT");
  make_file("f", "text");
  WORKS(rename_with("f", "g", RENAME_WHITEOUT));
  EQUAL("text", content("g"));
  const struct stat left = status("f");
  HOLDS(S_ISCHR(left.st_mode));
  EQUAL(makedev(0, 0), left.st_rdev);
}

CASE(rename_flags, contradicting_flags_are_einval) {
  make_file("f");
  make_file("g");
  FAILS(EINVAL, rename_with("f", "g", RENAME_NOREPLACE | RENAME_EXCHANGE));
  FAILS(EINVAL, rename_with("f", "g", RENAME_WHITEOUT | RENAME_EXCHANGE));
  FAILS(EINVAL, rename_with("f", "g", 1u << 20));
}

}  // namespace dpfs::posix
