// SPDX-License-Identifier: Apache-2.0
// The sticky bit, setgid directories, and when setuid and setgid bits go away.
#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

constexpr gid_t kGroup = 5200;
const User kMember{kBob.uid, kBob.gid, {kGroup}};

void make_owned(const std::string& path, const User& user, mode_t mode) {
  make_file(path, "text");
  WORKS(chown(path.c_str(), user.uid, user.gid));
  WORKS(chmod(path.c_str(), mode));
}

}  // namespace

CASE(sticky, only_owners_remove_and_rename) {
  need_root();
  make_directory("d", 01777);
  make_owned("d/f", kAlice, 0666);
  make_directory("d/e", 0777);
  WORKS(chown("d/e", kAlice.uid, kAlice.gid));
  as(kBob, [] {
    FAILS(EPERM, unlink("d/f"));
    FAILS(EPERM, rename("d/f", "d/g"));
    FAILS(EPERM, rmdir("d/e"));
    FAILS(EPERM, rename("d/e", "d/x"));
    make_file("d/mine");
    FAILS(EPERM, rename("d/mine", "d/f"));
    WORKS(rename("d/mine", "d/mine2"));
    WORKS(unlink("d/mine2"));
  });
  as(kAlice, [] {
    WORKS(rename("d/f", "d/g"));
    WORKS(unlink("d/g"));
    WORKS(rmdir("d/e"));
  });
}

CASE(sticky, owner_of_the_directory_removes_anything) {
  need_root();
  make_directory("d");
  WORKS(chown("d", kAlice.uid, kAlice.gid));
  WORKS(chmod("d", 01777));
  make_owned("d/f", kBob, 0600);
  as(kAlice, [] {
    WORKS(rename("d/f", "d/g"));
    WORKS(unlink("d/g"));
  });
}

CASE(sticky, without_the_bit_anybody_who_may_write_removes) {
  need_root();
  make_directory("d", 0777);
  make_owned("d/f", kAlice, 0600);
  as(kBob, [] { WORKS(unlink("d/f")); });
}

CASE(setgid, directory_gives_its_group) {
  need_root();
  make_directory("d");
  WORKS(chown("d", 0, kGroup));
  WORKS(chmod("d", 02777));
  as(kAlice, [] {
    make_file("d/f");
    WORKS(mkdir("d/e", 0755));
    make_symlink("x", "d/s");
    WORKS(mkfifo("d/p", 0644));
    for (const char* name : {"d/f", "d/e", "d/s", "d/p"}) {
      const Row row(name);
      EQUAL(kAlice.uid, status(name).st_uid);
      EQUAL(kGroup, status(name).st_gid);
    }
    EQUAL(02755, mode_of("d/e"));
    EQUAL(0644, mode_of("d/f"));
  });
}

CASE(setgid, directories_below_go_on_giving) {
  need_root();
  make_directory("d");
  WORKS(chown("d", 0, kGroup));
  WORKS(chmod("d", 02777));
  as(kAlice, [] {
    WORKS(mkdir("d/a", 0755));
    WORKS(mkdir("d/a/b", 0700));
    EQUAL(kGroup, status("d/a/b").st_gid);
    EQUAL(02700, mode_of("d/a/b"));
  });
}

CASE(setgid, new_executable_of_a_foreign_group_has_no_bit) {
  need_root();
  make_directory("d");
  WORKS(chown("d", 0, kGroup));
  WORKS(chmod("d", 02777));
  as(kAlice, [] {
    open_file("d/f", O_WRONLY | O_CREAT, 02775);
    EQUAL(0755, mode_of("d/f"));
  });
  as(kMember, [] {
    open_file("d/g", O_WRONLY | O_CREAT, 02775);
    EQUAL(02755, mode_of("d/g"));
  });
}

CASE(setgid, chmod_by_an_owner_of_another_group_drops_the_bit) {
  need_root();
  make_file("f");
  WORKS(chown("f", kAlice.uid, kGroup));
  as(kAlice, [] {
    WORKS(chmod("f", 02755));
    EQUAL(0755, mode_of("f"));
  });
  WORKS(chown("f", kBob.uid, kGroup));
  as(kMember, [] {
    WORKS(chmod("f", 02755));
    EQUAL(02755, mode_of("f"));
  });
}

CASE(killed_bits, write_by_another_user_takes_them) {
  need_root();
  make_owned("f", kAlice, 06777);
  as(kBob, [] {
    const Fd file = open_file("f", O_WRONLY);
    EQUAL(06777, mode_of("f"));
    write_at(file, 0, "TEXT");
    EQUAL(0777, mode_of("f"));
  });
}

CASE(killed_bits, write_by_the_owner_takes_them) {
  need_root();
  make_owned("f", kAlice, 06755);
  as(kAlice, [] {
    write_at(open_file("f", O_WRONLY), 0, "TEXT");
    EQUAL(0755, mode_of("f"));
  });
}

CASE(killed_bits, write_by_root_leaves_them) {
  need_root();
  make_owned("f", kAlice, 06755);
  write_at(open_file("f", O_WRONLY), 0, "TEXT");
  EQUAL(06755, mode_of("f"));
}

CASE(killed_bits, setgid_without_execution_is_left) {
  need_root();
  make_file("f", "text");
  WORKS(chown("f", kBob.uid, kGroup));
  WORKS(chmod("f", 02666));
  as(kMember, [] {
    write_at(open_file("f", O_WRONLY), 0, "TEXT");
    EQUAL(02666, mode_of("f"));
  });
}

CASE(killed_bits, truncation_takes_them) {
  need_root();
  make_owned("f", kAlice, 06777);
  as(kBob, [] { WORKS(truncate("f", 1)); });
  EQUAL(0777, mode_of("f"));
  WORKS(chmod("f", 06777));
  as(kBob, [] {
    const Fd file = open_file("f", O_RDWR);
    WORKS(ftruncate(file.get(), 0));
  });
  EQUAL(0777, mode_of("f"));
  WORKS(chmod("f", 06777));
  as(kBob, [] { open_file("f", O_WRONLY | O_TRUNC); });
  EQUAL(0777, mode_of("f"));
}

CASE(killed_bits, fallocate_takes_them) {
  need_root();
  make_owned("f", kAlice, 06777);
  as(kBob, [] {
    const Fd file = open_file("f", O_RDWR);
    if (fallocate(file.get(), 0, 0, 8192) != 0 && errno == EOPNOTSUPP) skip("no fallocate here");
    EQUAL(0777, mode_of("f"));
  });
}

CASE(killed_bits, fallocate_by_root_leaves_them) {
  need_root();
  make_owned("f", kAlice, 06755);
  const Fd file = open_file("f", O_RDWR);
  if (fallocate(file.get(), 0, 0, 8192) != 0 && errno == EOPNOTSUPP) skip("no fallocate here");
  EQUAL(06755, mode_of("f"));
}

CASE(killed_bits, copy_takes_them) {
  need_root();
  make_owned("f", kAlice, 06777);
  make_file("g", "other");
  as(kBob, [] {
    const Fd from = open_file("g", O_RDONLY);
    const Fd to = open_file("f", O_RDWR);
    EQUAL(5, WORKS(copy_file_range(from.get(), nullptr, to.get(), nullptr, 5, 0)));
    EQUAL(0777, mode_of("f"));
  });
}

CASE(killed_bits, copy_by_root_leaves_them) {
  need_root();
  make_owned("f", kAlice, 06755);
  make_file("g", "other");
  const Fd from = open_file("g", O_RDONLY);
  const Fd to = open_file("f", O_RDWR);
  EQUAL(5, WORKS(copy_file_range(from.get(), nullptr, to.get(), nullptr, 5, 0)));
  EQUAL(06755, mode_of("f"));
}

CASE(killed_bits, setgid_alone_goes_when_a_stranger_to_the_group_writes) {
  need_root();
  make_owned("f", kAlice, 02606);
  as(kBob, [] {
    write_at(open_file("f", O_WRONLY), 0, "TEXT");
    EQUAL(0606, mode_of("f"));
  });
}

CASE(killed_bits, change_to_the_same_owner_takes_them) {
  need_root();
  make_owned("f", kAlice, 06755);
  WORKS(chown("f", static_cast<uid_t>(-1), static_cast<gid_t>(-1)));
  EQUAL(0755, mode_of("f"));
}

CASE(killed_bits, change_of_owner_takes_them) {
  need_root();
  for (const mode_t mode : {04755, 02755, 06711}) {
    const Row row(std::to_string(mode));
    make_owned("f", kAlice, mode);
    WORKS(chown("f", kBob.uid, kBob.gid));
    EQUAL(mode & 0777, mode_of("f"));
  }
}

CASE(killed_bits, change_of_group_by_the_owner_takes_them) {
  need_root();
  make_owned("f", kMember, 06755);
  as(kMember, [] {
    WORKS(chown("f", static_cast<uid_t>(-1), kGroup));
    EQUAL(0755, mode_of("f"));
  });
}

CASE(killed_bits, change_of_owner_of_a_directory_leaves_them) {
  need_root();
  make_directory("d");
  WORKS(chmod("d", 06755));
  WORKS(chown("d", kBob.uid, kBob.gid));
  EQUAL(06755, mode_of("d"));
}

CASE(chown, of_the_owner_is_roots) {
  need_root();
  make_owned("f", kAlice, 0666);
  as(kAlice, [] {
    FAILS(EPERM, chown("f", kBob.uid, static_cast<gid_t>(-1)));
    WORKS(chown("f", kAlice.uid, static_cast<gid_t>(-1)));
  });
  as(kBob, [] { FAILS(EPERM, chown("f", kBob.uid, kBob.gid)); });
  EQUAL(kAlice.uid, status("f").st_uid);
}

CASE(chown, of_the_group_is_the_owners_within_the_groups) {
  need_root();
  make_owned("f", kMember, 0644);
  as(kMember, [] {
    WORKS(chown("f", static_cast<uid_t>(-1), kGroup));
    EQUAL(kGroup, status("f").st_gid);
    WORKS(chown("f", static_cast<uid_t>(-1), kBob.gid));
    FAILS(EPERM, chown("f", static_cast<uid_t>(-1), kStaff));
  });
  EQUAL(kBob.gid, status("f").st_gid);
}

CASE(chown, minus_one_leaves_as_it_is) {
  need_root();
  make_owned("f", kAlice, 0644);
  WORKS(chown("f", static_cast<uid_t>(-1), static_cast<gid_t>(-1)));
  EQUAL(kAlice.uid, status("f").st_uid);
  WORKS(chown("f", kBob.uid, static_cast<gid_t>(-1)));
  EQUAL(kBob.uid, status("f").st_uid);
  EQUAL(kAlice.gid, status("f").st_gid);
}

CASE(chown, descriptors_and_large_ids) {
  need_root();
  make_file("f");
  const Fd file = open_file("f", O_RDONLY);
  WORKS(fchown(file.get(), 4000000000u, 4000000001u));
  EQUAL(4000000000u, status("f").st_uid);
  EQUAL(4000000001u, status("f").st_gid);
  WORKS(fchownat(file.get(), "", 0, 0, AT_EMPTY_PATH));
  EQUAL(0, status("f").st_uid);
}

}  // namespace dpfs::posix
