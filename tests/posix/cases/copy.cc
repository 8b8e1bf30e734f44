// SPDX-License-Identifier: Apache-2.0
// copy_file_range.
#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

// All of it, in as many calls as it takes.
void copy_all(const Fd& from, int64_t at, const Fd& to, int64_t to_at, size_t size) {
  off64_t in = at;
  off64_t out = to_at;
  while (size > 0) {
    const ssize_t count = WORKS(copy_file_range(from.get(), &in, to.get(), &out, size, 0));
    if (count == 0) break;
    size -= static_cast<size_t>(count);
  }
  EQUAL(0, size);
}

}  // namespace

CASE(copy, between_files) {
  const std::string text = pattern(300000);
  make_file("f", text);
  const Fd from = open_file("f", O_RDONLY);
  const Fd to = open_file("g", O_RDWR | O_CREAT);
  copy_all(from, 0, to, 0, text.size());
  HOLDS(content("g") == text);
  copy_all(from, 1001, to, 5003, 10007);
  std::string expected = text;
  expected.replace(5003, 10007, text.substr(1001, 10007));
  HOLDS(content("g") == expected);
}

CASE(copy, moves_positions_where_no_offset_is_given) {
  make_file("f", pattern(10000));
  const Fd from = open_file("f", O_RDONLY);
  const Fd to = open_file("g", O_RDWR | O_CREAT);
  EQUAL(6000, WORKS(copy_file_range(from.get(), nullptr, to.get(), nullptr, 6000, 0)));
  EQUAL(6000, WORKS(lseek(from.get(), 0, SEEK_CUR)));
  EQUAL(6000, WORKS(lseek(to.get(), 0, SEEK_CUR)));
  EQUAL(4000, WORKS(copy_file_range(from.get(), nullptr, to.get(), nullptr, 6000, 0)));
  EQUAL(0, WORKS(copy_file_range(from.get(), nullptr, to.get(), nullptr, 6000, 0)));
  EQUAL(pattern(10000), content("g"));
}

CASE(copy, takes_what_was_just_written) {
  const Fd from = open_file("f", O_RDWR | O_CREAT);
  const Fd to = open_file("g", O_RDWR | O_CREAT);
  for (int i = 0; i < 5; ++i) {
    write_at(from, 0, pattern(20000, i + 1));
    copy_all(from, 0, to, 0, 20000);
    EQUAL(pattern(20000, i + 1), content(to));
  }
}

CASE(copy, shows_in_readers_of_the_target) {
  make_file("f", pattern(20000));
  make_file("g", pattern(20000, 2));
  const Fd from = open_file("f", O_RDONLY);
  const Fd to = open_file("g", O_RDWR);
  const Fd reader = open_file("g", O_RDONLY);
  EQUAL(pattern(20000, 2), content(reader));
  copy_all(from, 0, to, 0, 20000);
  EQUAL(pattern(20000), content(reader));
}

CASE(copy, within_a_file) {
  const std::string text = pattern(100000);
  make_file("f", text);
  const Fd file = open_file("f", O_RDWR);
  copy_all(file, 0, file, 50000, 40000);
  HOLDS(content("f") == text.substr(0, 50000) + text.substr(0, 40000) + text.substr(90000));
  off64_t in = 0;
  off64_t out = 100;
  FAILS(EINVAL, copy_file_range(file.get(), &in, file.get(), &out, 1000, 0));
}

CASE(copy, leaves_holes_readable_as_zeros) {
  const Fd from = open_file("f", O_RDWR | O_CREAT);
  write_at(from, 200000, "end");
  const Fd to = open_file("g", O_RDWR | O_CREAT);
  copy_all(from, 0, to, 0, 200003);
  HOLDS(content("g") == std::string(200000, '\0') + "end");
}

CASE(copy, behind_the_end_is_nothing) {
  make_file("f", "text");
  const Fd from = open_file("f", O_RDONLY);
  const Fd to = open_file("g", O_RDWR | O_CREAT);
  off64_t in = 100;
  EQUAL(0, WORKS(copy_file_range(from.get(), &in, to.get(), nullptr, 10, 0)));
  EQUAL(0, status("g").st_size);
}

CASE(copy, refuses_what_it_should) {
  make_file("f", "text");
  const Fd reader = open_file("f", O_RDONLY);
  const Fd writer = open_file("g", O_WRONLY | O_CREAT);
  const Fd appender = open_file("g", O_WRONLY | O_APPEND);
  make_directory("d");
  const Fd directory = open_file("d", O_RDONLY);
  FAILS(EBADF, copy_file_range(writer.get(), nullptr, writer.get(), nullptr, 4, 0));
  FAILS(EBADF, copy_file_range(reader.get(), nullptr, reader.get(), nullptr, 4, 0));
  FAILS(EBADF, copy_file_range(reader.get(), nullptr, appender.get(), nullptr, 4, 0));
  FAILS(EISDIR, copy_file_range(directory.get(), nullptr, writer.get(), nullptr, 4, 0));
  FAILS(EINVAL, copy_file_range(reader.get(), nullptr, writer.get(), nullptr, 4, 1));
}

CASE(copy, moves_the_modification_of_the_target) {
  make_file("f", "text");
  make_file("g");
  const struct stat before = status("g");
  sleep_ms(25);
  copy_all(open_file("f", O_RDONLY), 0, open_file("g", O_RDWR), 0, 4);
  ORDERED(nanoseconds(status("g").st_mtim), >, nanoseconds(before.st_mtim));
  EQUAL(4, status("g").st_size);
}

}  // namespace dpfs::posix
