// SPDX-License-Identifier: Apache-2.0
// O_TMPFILE: files that have no name yet.
#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

Fd open_tmpfile(int flags = O_RDWR, mode_t mode = 0644) {
  const int fd = open(".", O_TMPFILE | O_CLOEXEC | flags, mode);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) skip("no O_TMPFILE here");
  return Fd(WORKS(fd));
}

void give_name(const Fd& file, const char* name) {
  WORKS(linkat(AT_FDCWD, proc_path(file).c_str(), AT_FDCWD, name, AT_SYMLINK_FOLLOW));
}

}  // namespace

CASE(tmpfile, has_no_name_and_no_links) {
  const Fd file = open_tmpfile();
  EQUAL(0, names_in(".").size());
  EQUAL(0, status(file).st_nlink);
  HOLDS(S_ISREG(status(file).st_mode));
}

CASE(tmpfile, reads_and_writes) {
  const Fd file = open_tmpfile();
  write_at(file, 0, pattern(20000));
  EQUAL(pattern(20000), content(file));
  WORKS(ftruncate(file.get(), 100));
  EQUAL(100, status(file).st_size);
}

CASE(tmpfile, gets_a_name) {
  const Fd file = open_tmpfile();
  write_at(file, 0, "text");
  give_name(file, "f");
  EQUAL("text", content("f"));
  EQUAL(1, status(file).st_nlink);
  EQUAL(status("f").st_ino, status(file).st_ino);
  write_at(file, 4, " and more");
  EQUAL("text and more", content("f"));
}

CASE(tmpfile, gets_no_name_that_is_taken) {
  make_file("f", "old");
  const Fd file = open_tmpfile();
  FAILS(EEXIST, linkat(AT_FDCWD, proc_path(file).c_str(), AT_FDCWD, "f", AT_SYMLINK_FOLLOW));
  EQUAL("old", content("f"));
}

CASE(tmpfile, exclusive_one_never_gets_a_name) {
  const Fd file = open_tmpfile(O_RDWR | O_EXCL);
  FAILS(ENOENT, linkat(AT_FDCWD, proc_path(file).c_str(), AT_FDCWD, "f", AT_SYMLINK_FOLLOW));
}

CASE(tmpfile, has_the_mode_and_umask) {
  umask(027);
  const Fd file = open_tmpfile(O_RDWR, 0666);
  EQUAL(0640, status(file).st_mode & 07777);
}

CASE(tmpfile, belongs_to_who_opened_it) {
  open_tmpfile();
  WORKS(chmod(".", 0777));
  as(kAlice, [] {
    const Fd file = open_tmpfile();
    EQUAL(kAlice.uid, status(file).st_uid);
    give_name(file, "f");
    EQUAL(kAlice.uid, status("f").st_uid);
  });
}

CASE(tmpfile, needs_write_permission_of_the_directory) {
  open_tmpfile();
  as(kAlice, [] { FAILS(EACCES, open(".", O_TMPFILE | O_RDWR, 0644)); });
}

CASE(tmpfile, needs_a_writing_access_mode) {
  open_tmpfile();
  FAILS(EINVAL, open(".", O_TMPFILE | O_RDONLY, 0644));
  FAILS(ENOENT, open("missing", O_TMPFILE | O_RDWR, 0644));
  make_file("f");
  FAILS(ENOTDIR, open("f", O_TMPFILE | O_RDWR, 0644));
}

}  // namespace dpfs::posix
