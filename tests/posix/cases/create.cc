// SPDX-License-Identifier: Apache-2.0
// mkdir, mknod, creat: what a new object looks like.
#include "tests/posix/suite/case.h"

namespace dpfs::posix {

CASE(create, umask_takes_bits_away) {
  for (const mode_t mask : {0u, 022u, 077u, 0777u}) {
    const Row row("umask " + std::to_string(mask));
    umask(mask);
    WORKS(mkdir("d", 0777));
    open_file("f", O_WRONLY | O_CREAT, 0777);
    WORKS(mkfifo("p", 0666));
    EQUAL(0777 & ~mask, mode_of("d"));
    EQUAL(0777 & ~mask, mode_of("f"));
    EQUAL(0666 & ~mask, mode_of("p"));
    WORKS(rmdir("d"));
    WORKS(unlink("f"));
    WORKS(unlink("p"));
  }
}

CASE(create, special_bits_of_a_new_file_are_kept) {
  open_file("f", O_WRONLY | O_CREAT, 06755);
  EQUAL(06755, mode_of("f"));
  WORKS(mknod("n", S_IFREG | 01644, 0));
  EQUAL(01644, mode_of("n"));
}

CASE(create, mkdir_keeps_the_sticky_bit) {
  WORKS(mkdir("d", 01777));
  EQUAL(01755, mode_of("d"));
}

CASE(create, new_objects_belong_to_who_made_them) {
  make_directory("open", 0777);
  as(User{kAlice.uid, kAlice.gid, {kStaff}}, [] {
    make_file("open/f");
    make_directory("open/d");
    make_symlink("x", "open/s");
    WORKS(mkfifo("open/p", 0644));
    WORKS(mknod("open/n", S_IFREG | 0644, 0));
    for (const char* name : {"open/f", "open/d", "open/s", "open/p", "open/n"}) {
      const Row row(name);
      EQUAL(kAlice.uid, status(name).st_uid);
      EQUAL(kAlice.gid, status(name).st_gid);
    }
  });
}

CASE(create, effective_ids_count) {
  need_root();
  make_directory("open", 0777);
  apart([] {
    WORKS(setegid(kBob.gid));
    WORKS(seteuid(kBob.uid));
    make_file("open/f");
    EQUAL(kBob.uid, status("open/f").st_uid);
    EQUAL(kBob.gid, status("open/f").st_gid);
  });
}

CASE(create, new_directory_has_two_links_and_counts_for_its_parent) {
  const nlink_t before = status(".").st_nlink;
  make_directory("d");
  const nlink_t links = status("d").st_nlink;
  if (links == 1) skip("this file system does not count links of directories");
  EQUAL(2, links);
  EQUAL(before + 1, status(".").st_nlink);
  make_directory("d/e");
  EQUAL(3, status("d").st_nlink);
  make_file("d/f");
  EQUAL(3, status("d").st_nlink);
}

CASE(create, new_directory_is_empty) {
  make_directory("d");
  EQUAL(0, names_in("d").size());
}

CASE(create, mkdir_with_slashes_at_the_end_works) {
  WORKS(mkdir("d//", 0755));
  HOLDS(S_ISDIR(status("d").st_mode));
  FAILS(ENOENT, mknod("n/", S_IFREG | 0644, 0));
  FAILS(ENOENT, symlink("x", "s/"));
}

CASE(create, mkdir_of_dots_is_refused) {
  FAILS(EEXIST, mkdir(".", 0755));
  FAILS(EEXIST, mkdir("..", 0755));
  make_directory("d");
  FAILS(EEXIST, mkdir("d/.", 0755));
  FAILS(EEXIST, mkdir("d/..", 0755));
}

CASE(create, mknod_without_a_type_makes_a_file) {
  WORKS(mknod("n", 0644, 0));
  HOLDS(S_ISREG(status("n").st_mode));
}

CASE(create, mknod_refuses_directories) { FAILS(EPERM, mknod("n", S_IFDIR | 0755, 0)); }

CASE(create, racing_exclusive_creations_have_one_winner) {
  make_directory("won");
  const auto race = [](const std::string& who) {
    for (int i = 0; i < 50; ++i) {
      const std::string name = "f" + std::to_string(i);
      const int fd = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
      if (fd < 0) continue;
      close(fd);
      make_file("won/" + name + who);
    }
  };
  Peer peer([&](Peer&) { race(".peer"); });
  race(".self");
  peer.join();
  EQUAL(50, names_in("won").size());
}

CASE(create, racing_mkdirs_have_one_winner) {
  make_directory("won");
  const auto race = [](const std::string& who) {
    for (int i = 0; i < 50; ++i) {
      const std::string name = "d" + std::to_string(i);
      if (mkdir(name.c_str(), 0755) == 0) make_file("won/" + name + who);
    }
  };
  Peer peer([&](Peer&) { race(".peer"); });
  race(".self");
  peer.join();
  EQUAL(50, names_in("won").size());
}

}  // namespace dpfs::posix
