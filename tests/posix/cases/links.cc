// SPDX-License-Identifier: Apache-2.0
// Hard links and symbolic links.
#include <limits.h>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {

CASE(links, link_is_the_same_file) {
  make_file("f", "text");
  WORKS(link("f", "g"));
  EQUAL(status("f").st_ino, status("g").st_ino);
  EQUAL(2, status("f").st_nlink);
  EQUAL(2, status("g").st_nlink);
  make_file("g", "other");
  EQUAL("other", content("f"));
}

CASE(links, attributes_are_shared) {
  make_file("f");
  WORKS(link("f", "g"));
  WORKS(chmod("g", 0600));
  EQUAL(0600, mode_of("f"));
  WORKS(truncate("f", 100));
  EQUAL(100, status("g").st_size);
}

CASE(links, counts_go_up_and_down) {
  make_file("f");
  make_directory("d");
  for (int i = 1; i <= 20; ++i) {
    WORKS(link("f", ("d/l" + std::to_string(i)).c_str()));
    EQUAL(i + 1, status("f").st_nlink);
  }
  for (int i = 20; i >= 1; --i) {
    WORKS(unlink(("d/l" + std::to_string(i)).c_str()));
    EQUAL(i, status("f").st_nlink);
  }
}

CASE(links, directories_are_not_linked) {
  make_directory("d");
  FAILS(EPERM, link("d", "e"));
}

CASE(links, symlinks_are_linked_themselves) {
  make_file("f", "text");
  make_symlink("f", "s");
  WORKS(link("s", "t"));
  HOLDS(S_ISLNK(status("t").st_mode));
  WORKS(linkat(AT_FDCWD, "s", AT_FDCWD, "u", AT_SYMLINK_FOLLOW));
  EQUAL(status("f").st_ino, status("u").st_ino);
}

CASE(links, fifos_are_linked) {
  WORKS(mkfifo("p", 0644));
  WORKS(link("p", "q"));
  EQUAL(2, status("p").st_nlink);
  HOLDS(S_ISFIFO(status("q").st_mode));
}

CASE(links, descriptors_are_linked_through_proc) {
  make_file("f", "text");
  const Fd file = open_file("f", O_RDONLY);
  WORKS(linkat(AT_FDCWD, proc_path(file).c_str(), AT_FDCWD, "g", AT_SYMLINK_FOLLOW));
  EQUAL("text", content("g"));
  EQUAL(2, status(file).st_nlink);
}

CASE(links, empty_path_links_need_a_privilege) {
  need_root();
  make_file("f", "text");
  const Fd file = open_file("f", O_RDONLY);
  WORKS(linkat(file.get(), "", AT_FDCWD, "g", AT_EMPTY_PATH));
  EQUAL("text", content("g"));
}

CASE(links, no_write_permission_of_the_directory_is_eacces) {
  make_file("f", "", 0666);
  as(kAlice, [] { FAILS(EACCES, link("f", "g")); });
}

CASE(links, the_most_links_are_emlink) {
  if (!settings().slow) skip("takes long (--slow)");
  constexpr int kTried = 70000;
  make_file("f");
  make_directory("d");
  for (int i = 0; i < kTried; ++i) {
    if (link("f", ("d/" + std::to_string(i)).c_str()) == 0) continue;
    EQUAL(EMLINK, errno);
    EQUAL(i + 1, status("f").st_nlink);
    return;
  }
  skip("more than 70000 links are allowed");
}

CASE(links, symlink_has_the_length_of_its_target) {
  make_symlink("some/target", "s");
  EQUAL(11, status("s").st_size);
  EQUAL(0777, mode_of("s"));
  char target[64] = {};
  EQUAL(11, WORKS(readlink("s", target, sizeof target)));
  EQUAL("some/target", std::string(target));
}

CASE(links, readlink_cuts_and_adds_no_zero) {
  make_symlink("target", "s");
  char target[8] = "zzzzzzz";
  EQUAL(3, WORKS(readlink("s", target, 3)));
  EQUAL("tarzzzz", std::string(target));
}

CASE(links, readlink_wants_a_symlink) {
  make_file("f");
  make_directory("d");
  char target[8];
  FAILS(EINVAL, readlink("f", target, sizeof target));
  FAILS(EINVAL, readlink("d", target, sizeof target));
  make_symlink("x", "s");
  FAILS(EINVAL, readlink("s", target, 0));
}

CASE(links, symlink_targets_of_any_length) {
  for (const size_t length : {1, 59, 60, 61, 255, 1000, 4095}) {
    const Row row(std::to_string(length) + " bytes");
    std::string wanted(length, 'x');
    // Some file systems keep less than PATH_MAX: XFS 1024, tmpfs and ext4 a page.
    if (symlink(wanted.c_str(), "s") != 0 && errno == ENAMETOOLONG && length > 1000) continue;
    std::string target(5000, '\0');
    target.resize(WORKS(readlink("s", target.data(), target.size())));
    EQUAL(wanted, target);
    EQUAL(length, status("s").st_size);
    WORKS(unlink("s"));
  }
}

CASE(links, symlink_target_is_any_text) {
  for (const char* text : {"/", "..", "a//b", " ", "\xff\xfe", "line\nbreak", "/no/such/path/"}) {
    const Row row(quoted(text));
    make_symlink(text, "s");
    char target[64] = {};
    WORKS(readlink("s", target, sizeof target));
    EQUAL(text, std::string(target));
    WORKS(unlink("s"));
  }
}

CASE(links, empty_symlink_target_is_enoent) { FAILS(ENOENT, symlink("", "s")); }

CASE(links, symlink_target_over_path_max_is_enametoolong) {
  FAILS(ENAMETOOLONG, symlink(std::string(PATH_MAX, 'x').c_str(), "s"));
}

CASE(links, chmod_of_a_symlink_follows_it) {
  make_file("f", "", 0644);
  make_symlink("f", "s");
  WORKS(chmod("s", 0600));
  EQUAL(0600, mode_of("f"));
  EQUAL(0777, mode_of("s"));
}

CASE(links, owner_of_a_symlink_is_its_own) {
  need_root();
  make_file("f");
  make_symlink("f", "s");
  WORKS(lchown("s", kBob.uid, kBob.gid));
  EQUAL(kBob.uid, status("s").st_uid);
  EQUAL(0, status("f").st_uid);
  WORKS(chown("s", kAlice.uid, kAlice.gid));
  EQUAL(kAlice.uid, status("f").st_uid);
  EQUAL(kBob.uid, status("s").st_uid);
}

CASE(links, times_of_a_symlink_are_its_own) {
  make_file("f");
  make_symlink("f", "s");
  const timespec times[2] = {{1000, 0}, {2000, 0}};
  WORKS(utimensat(AT_FDCWD, "s", times, AT_SYMLINK_NOFOLLOW));
  EQUAL(2000, status("s").st_mtim.tv_sec);
  HOLDS(status("f").st_mtim.tv_sec != 2000);
}

CASE(links, symlink_to_a_directory_is_walked) {
  make_directory("d");
  make_symlink("d", "s");
  make_file("s/f", "text");
  EQUAL("text", content("d/f"));
  FAILS(ENOTDIR, rmdir("s"));
  WORKS(unlink("s"));
  HOLDS(exists("d/f"));
}

}  // namespace dpfs::posix
