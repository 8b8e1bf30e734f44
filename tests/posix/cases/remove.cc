// SPDX-License-Identifier: Apache-2.0
// unlink and rmdir.
#include "tests/posix/suite/case.h"

namespace dpfs::posix {

CASE(remove, unlink_takes_the_name_away) {
  make_file("f");
  WORKS(unlink("f"));
  HOLDS(!exists("f"));
  FAILS(ENOENT, unlink("f"));
}

CASE(remove, unlink_removes_each_type_but_directories) {
  make_symlink("missing", "s");
  WORKS(mkfifo("p", 0644));
  make_directory("d");
  WORKS(unlink("s"));
  WORKS(unlink("p"));
  FAILS(EISDIR, unlink("d"));
  FAILS(EISDIR, unlinkat(AT_FDCWD, "d", 0));
}

CASE(remove, unlink_of_a_symlink_leaves_its_target) {
  make_file("f", "text");
  make_symlink("f", "s");
  WORKS(unlink("s"));
  EQUAL("text", content("f"));
}

CASE(remove, unlink_of_one_name_leaves_the_others) {
  make_file("f", "text");
  WORKS(link("f", "g"));
  WORKS(unlink("f"));
  EQUAL("text", content("g"));
  EQUAL(1, status("g").st_nlink);
}

CASE(remove, unlink_with_a_slash_is_enotdir) {
  make_file("f");
  FAILS(ENOTDIR, unlink("f/"));
  HOLDS(exists("f"));
}

CASE(remove, rmdir_wants_a_directory) {
  make_file("f");
  make_directory("d");
  make_symlink("d", "s");
  FAILS(ENOTDIR, rmdir("f"));
  FAILS(ENOTDIR, rmdir("s"));
  FAILS(ENOTDIR, unlinkat(AT_FDCWD, "f", AT_REMOVEDIR));
}

CASE(remove, rmdir_wants_an_empty_directory) {
  make_directory("d");
  make_file("d/f");
  FAILS_EITHER((std::vector<int>{ENOTEMPTY, EEXIST}), rmdir("d"));
  WORKS(unlink("d/f"));
  make_directory("d/e");
  FAILS_EITHER((std::vector<int>{ENOTEMPTY, EEXIST}), rmdir("d"));
  WORKS(rmdir("d/e"));
  WORKS(rmdir("d"));
}

CASE(remove, rmdir_of_dots_is_refused) {
  make_directory("d");
  FAILS(EINVAL, rmdir("d/."));
  FAILS_EITHER((std::vector<int>{ENOTEMPTY, EINVAL, EEXIST, EBUSY}), rmdir("d/.."));
}

CASE(remove, rmdir_with_a_slash_works) {
  make_directory("d");
  WORKS(rmdir("d/"));
  HOLDS(!exists("d"));
}

CASE(remove, rmdir_counts_down_its_parent) {
  make_directory("d");
  const nlink_t before = status(".").st_nlink;
  WORKS(rmdir("d"));
  if (before == 1) skip("this file system does not count links of directories");
  EQUAL(before - 1, status(".").st_nlink);
}

CASE(remove, removed_working_directory_is_gone_but_usable) {
  make_directory("d");
  WORKS(chdir("d"));
  WORKS(rmdir("../d"));
  FAILS(ENOENT, open("f", O_WRONLY | O_CREAT, 0644));
  struct stat found = {};
  WORKS(stat(".", &found));
  EQUAL(0, found.st_nlink);
  char path[4096];
  FAILS(ENOENT, getcwd(path, sizeof path));
}

CASE(remove, name_can_be_used_again_at_once) {
  for (int i = 0; i < 20; ++i) {
    make_file("x", std::to_string(i));
    EQUAL(std::to_string(i), content("x"));
    WORKS(unlink("x"));
    make_directory("x");
    HOLDS(S_ISDIR(status("x").st_mode));
    WORKS(rmdir("x"));
    make_symlink("target", "x");
    HOLDS(S_ISLNK(status("x").st_mode));
    WORKS(unlink("x"));
  }
}

CASE(remove, racing_unlinks_have_one_winner) {
  make_directory("won");
  for (int i = 0; i < 50; ++i) make_file("f" + std::to_string(i));
  const auto race = [](const std::string& who) {
    for (int i = 0; i < 50; ++i) {
      const std::string name = "f" + std::to_string(i);
      if (unlink(name.c_str()) == 0) make_file("won/" + name + who);
    }
  };
  Peer peer([&](Peer&) { race(".peer"); });
  race(".self");
  peer.join();
  EQUAL(50, names_in("won").size());
}

}  // namespace dpfs::posix
