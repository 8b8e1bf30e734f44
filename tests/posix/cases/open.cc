// SPDX-License-Identifier: Apache-2.0
// open(2): its flags.
#include "tests/posix/suite/case.h"

namespace dpfs::posix {

CASE(open, creates_with_the_mode_and_umask) {
  umask(027);
  open_file("f", O_WRONLY | O_CREAT, 0666);
  EQUAL(0640, mode_of("f"));
  EQUAL(0, status("f").st_size);
  HOLDS(S_ISREG(status("f").st_mode));
}

CASE(open, mode_of_a_new_file_does_not_bind_its_creator) {
  const Fd file = open_file("f", O_RDWR | O_CREAT, 0000);
  write_at(file, 0, "text");
  EQUAL("text", content(file));
}

CASE(open, exclusive_creation_happens_once) {
  open_file("f", O_WRONLY | O_CREAT | O_EXCL);
  FAILS(EEXIST, open("f", O_WRONLY | O_CREAT | O_EXCL, 0644));
  make_directory("d");
  FAILS(EEXIST, open("d", O_RDONLY | O_CREAT | O_EXCL, 0644));
}

CASE(open, exclusive_creation_follows_no_symlink) {
  make_symlink("missing", "dangling");
  FAILS(EEXIST, open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0644));
  HOLDS(!exists("missing"));
}

CASE(open, creation_follows_a_dangling_symlink) {
  make_symlink("target", "link");
  open_file("link", O_WRONLY | O_CREAT);
  HOLDS(S_ISREG(status("target").st_mode));
}

CASE(open, creation_of_what_exists_opens_it) {
  make_file("f", "text", 0600);
  const Fd file = open_file("f", O_RDWR | O_CREAT, 0644);
  EQUAL("text", content(file));
  EQUAL(0600, mode_of("f"));
}

CASE(open, truncation_empties) {
  make_file("f", pattern(10000));
  open_file("f", O_WRONLY | O_TRUNC);
  EQUAL(0, status("f").st_size);
  EQUAL("", content("f"));
}

CASE(open, truncation_is_seen_by_open_descriptors) {
  make_file("f", pattern(10000));
  const Fd before = open_file("f", O_RDONLY);
  read_at(before, 0, 10000);
  open_file("f", O_WRONLY | O_TRUNC);
  EQUAL(0, status(before).st_size);
  EQUAL("", content(before));
}

CASE(open, append_writes_at_the_end) {
  make_file("f", "one");
  const Fd file = open_file("f", O_RDWR | O_APPEND);
  WORKS(lseek(file.get(), 0, SEEK_SET));
  EQUAL(3, WORKS(write(file.get(), "two", 3)));
  EQUAL(6, WORKS(lseek(file.get(), 0, SEEK_CUR)));
  EQUAL("onetwo", content("f"));
}

CASE(open, appends_of_two_descriptors_alternate) {
  const Fd first = open_file("f", O_WRONLY | O_CREAT | O_APPEND);
  const Fd second = open_file("f", O_WRONLY | O_APPEND);
  for (int i = 0; i < 20; ++i) {
    WORKS(write(first.get(), "a", 1));
    WORKS(write(second.get(), "bc", 2));
  }
  std::string expected;
  for (int i = 0; i < 20; ++i) expected += "abc";
  EQUAL(expected, content("f"));
}

CASE(open, appends_of_two_processes_lose_nothing) {
  make_file("f");
  const auto append = [](const char* line) {
    const Fd file = open_file("f", O_WRONLY | O_APPEND);
    for (int i = 0; i < 200; ++i) WORKS(write(file.get(), line, 8));
  };
  Peer peer([&](Peer&) { append("peerpee\n"); });
  append("selfsel\n");
  peer.join();
  const std::string text = content("f");
  EQUAL(2 * 200 * 8, text.size());
  int torn = 0;
  for (size_t at = 0; at + 8 <= text.size(); at += 8) {
    const std::string line = text.substr(at, 8);
    if (line != "peerpee\n" && line != "selfsel\n") ++torn;
  }
  EQUAL(0, torn);
}

CASE(open, pwrite_ignores_its_offset_when_appending) {
  make_file("f", "one");
  const Fd file = open_file("f", O_WRONLY | O_APPEND);
  // As Linux documents it, though POSIX says otherwise (pwrite(2), BUGS).
  WORKS(pwrite(file.get(), "two", 3, 0));
  EQUAL("onetwo", content("f"));
}

CASE(open, append_can_be_set_and_cleared_later) {
  make_file("f", "one");
  const Fd file = open_file("f", O_WRONLY);
  WORKS(fcntl(file.get(), F_SETFL, O_APPEND));
  WORKS(write(file.get(), "two", 3));
  WORKS(fcntl(file.get(), F_SETFL, 0));
  WORKS(lseek(file.get(), 0, SEEK_SET));
  WORKS(write(file.get(), "O", 1));
  EQUAL("Onetwo", content("f"));
}

CASE(open, directory_flag_refuses_files) {
  make_file("f");
  make_directory("d");
  make_symlink("d", "to_d");
  make_symlink("f", "to_f");
  FAILS(ENOTDIR, open("f", O_RDONLY | O_DIRECTORY));
  FAILS(ENOTDIR, open("to_f", O_RDONLY | O_DIRECTORY));
  open_file("d", O_RDONLY | O_DIRECTORY);
  open_file("to_d", O_RDONLY | O_DIRECTORY);
}

CASE(open, nofollow_refuses_symlinks) {
  make_file("f");
  make_symlink("f", "link");
  make_symlink("missing", "dangling");
  FAILS(ELOOP, open("link", O_RDONLY | O_NOFOLLOW));
  FAILS(ELOOP, open("dangling", O_RDONLY | O_NOFOLLOW));
  open_file("f", O_RDONLY | O_NOFOLLOW);
  make_directory("d");
  make_symlink("d", "to_d");
  make_file("d/f");
  open_file("to_d/f", O_RDONLY | O_NOFOLLOW);
  FAILS(ENOTDIR, open("to_d", O_RDONLY | O_NOFOLLOW | O_DIRECTORY));
}

CASE(open, directories_are_not_opened_for_writing) {
  make_directory("d");
  FAILS(EISDIR, open("d", O_WRONLY));
  FAILS(EISDIR, open("d", O_RDWR));
  FAILS(EISDIR, open("d", O_RDONLY | O_CREAT, 0644));
  FAILS(EISDIR, open("d", O_WRONLY | O_TRUNC));
  const Fd directory = open_file("d", O_RDONLY);
  char byte;
  FAILS(EISDIR, read(directory.get(), &byte, 1));
  FAILS(EBADF, write(directory.get(), &byte, 1));
}

CASE(open, reading_and_writing_need_the_access_mode) {
  make_file("f", "text");
  const Fd reader = open_file("f", O_RDONLY);
  const Fd writer = open_file("f", O_WRONLY);
  char byte = 'x';
  FAILS(EBADF, write(reader.get(), &byte, 1));
  FAILS(EBADF, read(writer.get(), &byte, 1));
  FAILS(EINVAL, ftruncate(reader.get(), 0));
  EQUAL("text", content("f"));
}

CASE(open, a_name_with_a_slash_at_its_end_is_no_file) {
  make_file("f");
  FAILS(ENOTDIR, open("f/", O_RDONLY));
  FAILS(EISDIR, open("new/", O_WRONLY | O_CREAT, 0644));
  HOLDS(!exists("new"));
}

CASE(open, path_descriptors_name_and_do_no_io) {
  make_file("f", "text", 0000);
  make_symlink("f", "link");
  const Fd named = open_file("f", O_PATH);
  char byte;
  FAILS(EBADF, read(named.get(), &byte, 1));
  FAILS(EBADF, write(named.get(), "x", 1));
  FAILS(EBADF, fchmod(named.get(), 0644));
  FAILS(EBADF, ftruncate(named.get(), 0));
  EQUAL(4, status(named).st_size);
  const Fd link = open_file("link", O_PATH | O_NOFOLLOW);
  HOLDS(S_ISLNK(status(link).st_mode));
  char target[16] = {};
  EQUAL(1, WORKS(readlinkat(link.get(), "", target, sizeof target)));
}

CASE(open, path_descriptors_of_directories_lead_on) {
  make_directory("d");
  const Fd directory = open_file("d", O_PATH | O_DIRECTORY);
  const Fd file(WORKS(openat(directory.get(), "f", O_WRONLY | O_CREAT, 0644)));
  HOLDS(exists("d/f"));
  WORKS(renameat(directory.get(), "f", directory.get(), "g"));
  WORKS(unlinkat(directory.get(), "g", 0));
  EQUAL(0, names_in("d").size());
}

CASE(open, path_descriptors_open_again_through_proc) {
  make_file("f", "text");
  const Fd named = open_file("f", O_PATH);
  const Fd file = open_file(proc_path(named), O_RDWR);
  EQUAL("text", content(file));
  WORKS(rename("f", "g"));
  EQUAL("text", content(proc_path(named)));
}

CASE(open, relative_paths_need_a_directory) {
  make_file("f");
  const Fd file = open_file("f", O_RDONLY);
  FAILS(ENOTDIR, openat(file.get(), "g", O_RDONLY));
  FAILS(EBADF, openat(-5, "g", O_RDONLY));
}

CASE(open, removed_directories_take_no_new_names) {
  make_directory("d");
  const Fd directory = open_file("d", O_RDONLY | O_DIRECTORY);
  WORKS(rmdir("d"));
  FAILS(ENOENT, openat(directory.get(), "f", O_WRONLY | O_CREAT, 0644));
  FAILS(ENOENT, mkdirat(directory.get(), "f", 0755));
  FAILS(ENOENT, symlinkat("x", directory.get(), "f"));
  FAILS(ENOENT, openat(directory.get(), "f", O_RDONLY));
}

CASE(open, many_descriptors_of_one_file_are_independent) {
  make_file("f", pattern(4096));
  std::vector<Fd> files;
  for (int i = 0; i < 100; ++i) files.push_back(open_file("f", O_RDONLY));
  for (int i = 0; i < 100; ++i) WORKS(lseek(files[i].get(), i, SEEK_SET));
  int differences = 0;
  const std::string expected = content("f");
  for (int i = 0; i < 100; ++i) {
    char byte = 0;
    WORKS(read(files[i].get(), &byte, 1));
    if (byte != expected[i]) ++differences;
  }
  EQUAL(0, differences);
}

CASE(open, synchronous_writes_are_written) {
  const Fd file = open_file("f", O_RDWR | O_CREAT | O_SYNC);
  const std::string text = pattern(20000);
  write_at(file, 0, text);
  EQUAL(text, content("f"));
  const Fd data = open_file("g", O_RDWR | O_CREAT | O_DSYNC);
  write_at(data, 0, text);
  EQUAL(text, content("g"));
}

CASE(open, no_access_time_flag_is_for_owners) {
  make_file("f", "text");
  open_file("f", O_RDONLY | O_NOATIME);
  as(kAlice, [] { FAILS(EPERM, open("f", O_RDONLY | O_NOATIME)); });
}

}  // namespace dpfs::posix
