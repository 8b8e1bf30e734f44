// SPDX-License-Identifier: Apache-2.0
// fallocate in all its modes, SEEK_HOLE and SEEK_DATA.
#include <linux/falloc.h>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

constexpr int64_t kUnit = 65536;  // as large as the blocks of usual file systems, and larger

// Skips where the file system has no such mode.
void allocate(const Fd& file, int mode, int64_t offset, int64_t size) {
  const int result = fallocate(file.get(), mode, offset, size);
  if (result != 0 && errno == EOPNOTSUPP) skip("this fallocate mode is not offered here");
  WORKS(result);
}

std::string zeros(size_t size) { return std::string(size, '\0'); }

}  // namespace

CASE(fallocate, extends_with_zeros) {
  make_file("f", "text");
  const Fd file = open_file("f", O_RDWR);
  allocate(file, 0, 0, 100000);
  EQUAL(100000, status("f").st_size);
  EQUAL("text" + zeros(99996), content("f"));
  WORKS(fsync(file.get()));
  ORDERED(status("f").st_blocks * 512, >=, 100000);
}

CASE(fallocate, leaves_what_is_there) {
  make_file("f", pattern(10000));
  const Fd file = open_file("f", O_RDWR);
  allocate(file, 0, 2000, 4000);
  EQUAL(pattern(10000), content("f"));
}

CASE(fallocate, keep_size_reserves_behind_the_end) {
  make_file("f", "text");
  const Fd file = open_file("f", O_RDWR);
  allocate(file, FALLOC_FL_KEEP_SIZE, 0, kMib);
  EQUAL(4, status("f").st_size);
  EQUAL("text", content("f"));
  WORKS(fsync(file.get()));
  ORDERED(status("f").st_blocks * 512, >=, kMib);
}

CASE(fallocate, punch_makes_zeros) {
  const std::string text = pattern(4 * kUnit);
  make_file("f", text);
  const Fd file = open_file("f", O_RDWR);
  EQUAL(text, content(file));
  allocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kUnit + 100, kUnit);
  std::string expected = text;
  expected.replace(kUnit + 100, kUnit, zeros(kUnit));
  EQUAL(4 * kUnit, status("f").st_size);
  HOLDS(content("f") == expected);
  HOLDS(content(file) == expected);
}

CASE(fallocate, punch_gives_blocks_back) {
  make_file("f", pattern(32 * kUnit));
  const Fd file = open_file("f", O_RDWR);
  WORKS(fsync(file.get()));
  const blkcnt_t before = status("f").st_blocks;
  allocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 31 * kUnit);
  WORKS(fsync(file.get()));
  ORDERED(status("f").st_blocks, <, before / 2);
}

CASE(fallocate, punch_behind_the_end_changes_nothing) {
  make_file("f", "text");
  const Fd file = open_file("f", O_RDWR);
  allocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kUnit, kUnit);
  EQUAL("text", content("f"));
}

CASE(fallocate, punch_needs_keep_size) {
  make_file("f", pattern(kUnit));
  const Fd file = open_file("f", O_RDWR);
  FAILS_EITHER((std::vector<int>{EOPNOTSUPP, EINVAL}),
               fallocate(file.get(), FALLOC_FL_PUNCH_HOLE, 0, 4096));
}

CASE(fallocate, zero_range_makes_zeros) {
  const std::string text = pattern(4 * kUnit);
  make_file("f", text);
  const Fd file = open_file("f", O_RDWR);
  allocate(file, FALLOC_FL_ZERO_RANGE, 1000, kUnit);
  std::string expected = text;
  expected.replace(1000, kUnit, zeros(kUnit));
  HOLDS(content("f") == expected);
  allocate(file, FALLOC_FL_ZERO_RANGE, 4 * kUnit - 10, 100);
  EQUAL(4 * kUnit + 90, status("f").st_size);
  expected.replace(4 * kUnit - 10, 10, zeros(100));
  HOLDS(content("f") == expected);
}

CASE(fallocate, zero_range_with_keep_size_keeps_it) {
  make_file("f", pattern(1000));
  const Fd file = open_file("f", O_RDWR);
  allocate(file, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 500, 10000);
  EQUAL(pattern(1000).substr(0, 500) + zeros(500), content("f"));
}

CASE(fallocate, collapse_takes_a_range_out) {
  const std::string text = pattern(4 * kUnit);
  make_file("f", text);
  const Fd file = open_file("f", O_RDWR);
  EQUAL(text, content(file));
  allocate(file, FALLOC_FL_COLLAPSE_RANGE, kUnit, kUnit);
  EQUAL(3 * kUnit, status("f").st_size);
  HOLDS(content(file) == text.substr(0, kUnit) + text.substr(2 * kUnit));
}

CASE(fallocate, insert_moves_what_follows) {
  const std::string text = pattern(3 * kUnit);
  make_file("f", text);
  const Fd file = open_file("f", O_RDWR);
  EQUAL(text, content(file));
  allocate(file, FALLOC_FL_INSERT_RANGE, kUnit, kUnit);
  EQUAL(4 * kUnit, status("f").st_size);
  HOLDS(content(file) == text.substr(0, kUnit) + zeros(kUnit) + text.substr(kUnit));
}

CASE(fallocate, collapse_and_insert_want_blocks_within_the_file) {
  make_file("f", pattern(3 * kUnit));
  const Fd file = open_file("f", O_RDWR);
  allocate(file, FALLOC_FL_COLLAPSE_RANGE, 0, kUnit);
  FAILS(EINVAL, fallocate(file.get(), FALLOC_FL_COLLAPSE_RANGE, 1, kUnit));
  FAILS(EINVAL, fallocate(file.get(), FALLOC_FL_COLLAPSE_RANGE, kUnit, kUnit));
  FAILS(EINVAL, fallocate(file.get(), FALLOC_FL_INSERT_RANGE, 2 * kUnit, kUnit));
  FAILS(EINVAL, fallocate(file.get(), FALLOC_FL_INSERT_RANGE, 100, kUnit));
  EQUAL(2 * kUnit, status("f").st_size);
}

CASE(fallocate, nonsense_is_refused) {
  make_file("f", "text");
  const Fd file = open_file("f", O_RDWR);
  allocate(file, 0, 0, 4);
  FAILS(EINVAL, fallocate(file.get(), 0, -1, 10));
  FAILS(EINVAL, fallocate(file.get(), 0, 0, 0));
  FAILS(EINVAL, fallocate(file.get(), 0, 0, -1));
  FAILS(EFBIG, fallocate(file.get(), 0, INT64_MAX - 10, 100));
  const Fd reader = open_file("f", O_RDONLY);
  FAILS(EBADF, fallocate(reader.get(), 0, 0, 10));
  int ends[2];
  WORKS(pipe(ends));
  FAILS(ESPIPE, fallocate(ends[1], 0, 0, 10));
  make_directory("d");
  EQUAL("text", content("f"));
}

CASE(seek, hole_and_data_are_found) {
  const Fd file = open_file("f", O_RDWR | O_CREAT);
  write_at(file, 2 * kUnit, pattern(kUnit));
  WORKS(ftruncate(file.get(), 6 * kUnit));
  WORKS(fsync(file.get()));
  if (WORKS(lseek(file.get(), 0, SEEK_HOLE)) == 6 * kUnit) skip("holes are not told here");
  EQUAL(0, WORKS(lseek(file.get(), 0, SEEK_HOLE)));
  EQUAL(2 * kUnit, WORKS(lseek(file.get(), 0, SEEK_DATA)));
  EQUAL(3 * kUnit, WORKS(lseek(file.get(), 2 * kUnit, SEEK_HOLE)));
  EQUAL(2 * kUnit + 5, WORKS(lseek(file.get(), 2 * kUnit + 5, SEEK_DATA)));
  EQUAL(4 * kUnit, WORKS(lseek(file.get(), 4 * kUnit, SEEK_HOLE)));
}

CASE(seek, behind_the_last_data_is_enxio) {
  const Fd file = open_file("f", O_RDWR | O_CREAT);
  write_at(file, 0, pattern(kUnit));
  WORKS(ftruncate(file.get(), 4 * kUnit));
  WORKS(fsync(file.get()));
  if (WORKS(lseek(file.get(), 0, SEEK_HOLE)) == 4 * kUnit) skip("holes are not told here");
  FAILS(ENXIO, lseek(file.get(), 2 * kUnit, SEEK_DATA));
  FAILS(ENXIO, lseek(file.get(), 4 * kUnit, SEEK_DATA));
  FAILS(ENXIO, lseek(file.get(), 4 * kUnit, SEEK_HOLE));
  FAILS(ENXIO, lseek(file.get(), -1, SEEK_DATA));
}

CASE(seek, end_of_a_full_file_is_a_hole) {
  make_file("f", pattern(10000));
  const Fd file = open_file("f", O_RDONLY);
  EQUAL(10000, WORKS(lseek(file.get(), 0, SEEK_HOLE)));
  EQUAL(10000, WORKS(lseek(file.get(), 0, SEEK_CUR)));
  EQUAL(100, WORKS(lseek(file.get(), 100, SEEK_DATA)));
}

CASE(seek, fresh_writes_are_data) {
  const Fd file = open_file("f", O_RDWR | O_CREAT);
  WORKS(ftruncate(file.get(), 4 * kUnit));
  write_at(file, kUnit, "x");
  const int64_t found = WORKS(lseek(file.get(), 0, SEEK_DATA));
  ORDERED(found, <=, kUnit);
  ORDERED(WORKS(lseek(file.get(), kUnit, SEEK_HOLE)), >, kUnit);
}

CASE(seek, punched_ranges_are_holes) {
  make_file("f", pattern(4 * kUnit));
  const Fd file = open_file("f", O_RDWR);
  WORKS(fsync(file.get()));
  allocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kUnit, kUnit);
  const int64_t hole = WORKS(lseek(file.get(), 0, SEEK_HOLE));
  if (hole == 4 * kUnit) skip("holes are not told here");
  EQUAL(kUnit, hole);
  EQUAL(2 * kUnit, WORKS(lseek(file.get(), kUnit, SEEK_DATA)));
}

}  // namespace dpfs::posix
