// SPDX-License-Identifier: Apache-2.0
// Which times each operation moves, and setting them.
#include <sys/mman.h>
#include <sys/xattr.h>
#include <time.h>

#include <functional>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

// More than the kernel's clock tick, which times are taken from.
constexpr int kTickMs = 25;
constexpr timespec kNow{0, UTIME_NOW};
constexpr timespec kOmit{0, UTIME_OMIT};

// Exactly these times move forward: 'm' modification, 'c' change.
void moves(const std::string& path, const std::string& which, const std::function<void()>& act) {
  const struct stat before = status(path);
  sleep_ms(kTickMs);
  act();
  const struct stat after = status(path);
  const auto moved = [](const timespec& old, const timespec& now) {
    return nanoseconds(old) == nanoseconds(now)  ? ""
           : nanoseconds(now) > nanoseconds(old) ? "+"
                                                 : "-";
  };
  std::string got;
  std::string wanted;
  for (const char letter : std::string("mc")) {
    if (which.find(letter) != std::string::npos) wanted += std::string(1, letter) + "+";
  }
  const std::string m = moved(before.st_mtim, after.st_mtim);
  const std::string c = moved(before.st_ctim, after.st_ctim);
  if (!m.empty()) got += "m" + m;
  if (!c.empty()) got += "c" + c;
  EQUAL(wanted, got);
}

struct stat set(const char* path, timespec access, timespec modification) {
  const timespec times[2] = {access, modification};
  WORKS(utimensat(AT_FDCWD, path, times, 0));
  return status(path);
}

}  // namespace

CASE(times, of_a_new_file_are_now) {
  timespec now = {};
  clock_gettime(CLOCK_REALTIME, &now);
  make_file("f");
  const struct stat found = status("f");
  // Another machine may be behind the file system: some seconds are granted.
  constexpr int64_t kGranted = 5'000'000'000;
  for (const timespec& time : {found.st_atim, found.st_mtim, found.st_ctim}) {
    ORDERED(nanoseconds(time), >, nanoseconds(now) - kGranted);
    ORDERED(nanoseconds(time), <, nanoseconds(now) + kGranted);
  }
}

CASE(times, creation_moves_those_of_the_directory) {
  make_file("f");
  moves(".", "mc", [] { make_file("g"); });
  moves(".", "mc", [] { make_directory("d"); });
  moves(".", "mc", [] { make_symlink("x", "s"); });
  moves(".", "mc", [] { WORKS(mkfifo("p", 0644)); });
  moves(".", "mc", [] { WORKS(link("f", "l")); });
}

CASE(times, opening_what_exists_moves_nothing) {
  make_file("f", "text");
  moves(".", "", [] { open_file("f", O_RDWR | O_CREAT); });
  moves("f", "", [] { open_file("f", O_RDWR | O_CREAT); });
}

CASE(times, removal_moves_those_of_the_directory) {
  make_file("f");
  make_directory("d");
  moves(".", "mc", [] { WORKS(unlink("f")); });
  moves(".", "mc", [] { WORKS(rmdir("d")); });
}

CASE(times, write_moves_modification_and_change) {
  const Fd file = open_file("f", O_RDWR | O_CREAT);
  moves("f", "mc", [&] { write_at(file, 0, "text"); });
  moves("f", "mc", [&] { write_at(file, 0, "text"); });
}

CASE(times, empty_write_moves_nothing) {
  const Fd file = open_file("f", O_RDWR | O_CREAT);
  moves("f", "", [&] { WORKS(write(file.get(), "", 0)); });
}

CASE(times, read_moves_neither) {
  make_file("f", "text");
  moves("f", "", [] { EQUAL("text", content("f")); });
}

CASE(times, read_moves_the_access_time) {
  make_file("f", "text");
  // Older than the modification, so that relatime moves it as well.
  set("f", {1000, 0}, kNow);
  EQUAL(1000, status("f").st_atim.tv_sec);
  EQUAL("text", content("f"));
  HOLDS(status("f").st_atim.tv_sec != 1000);
}

CASE(times, listing_moves_the_access_time) {
  make_directory("d");
  make_file("d/f");
  set("d", {1000, 0}, kNow);
  EQUAL(1, names_in("d").size());
  HOLDS(status("d").st_atim.tv_sec != 1000);
}

CASE(times, reading_without_access_time_leaves_it) {
  make_file("f", "text");
  set("f", {1000, 0}, kNow);
  EQUAL("text", content(open_file("f", O_RDONLY | O_NOATIME)));
  EQUAL(1000, status("f").st_atim.tv_sec);
}

CASE(times, truncation_moves_modification_and_change) {
  make_file("f", "text");
  moves("f", "mc", [] { WORKS(truncate("f", 2)); });
  moves("f", "mc", [] { WORKS(truncate("f", 100)); });
  moves("f", "mc", [] { open_file("f", O_WRONLY | O_TRUNC); });
  moves("f", "mc", [] { open_file("f", O_WRONLY | O_TRUNC); });
  const Fd file = open_file("f", O_RDWR);
  moves("f", "mc", [&] { WORKS(ftruncate(file.get(), 10)); });
  moves("f", "mc", [&] { WORKS(ftruncate(file.get(), 10)); });
}

CASE(times, attributes_move_the_change) {
  make_file("f");
  moves("f", "c", [] { WORKS(chmod("f", 0600)); });
  moves("f", "c", [] { WORKS(chown("f", geteuid(), getegid())); });
  moves("f", "c", [] { WORKS(link("f", "g")); });
  moves("f", "c", [] { WORKS(unlink("g")); });
}

CASE(times, extended_attributes_move_the_change) {
  make_file("f");
  if (setxattr("f", "user.probe", "", 0, 0) != 0) skip("no user attributes here");
  moves("f", "c", [] { WORKS(setxattr("f", "user.a", "1", 1, 0)); });
  moves("f", "c", [] { WORKS(removexattr("f", "user.a")); });
}

CASE(times, rename_moves_those_of_both_directories) {
  make_directory("a");
  make_directory("b");
  make_file("a/f");
  moves("a", "mc", [] { WORKS(rename("a/f", "b/f")); });
  moves("b", "mc", [] { WORKS(rename("b/f", "a/f")); });
  moves("a/f", "", [] {
    WORKS(rename("a", "c"));
    WORKS(rename("c", "a"));
  });
}

CASE(times, rename_moves_the_change_of_the_file) {
  make_file("f");
  const struct stat before = status("f");
  sleep_ms(kTickMs);
  WORKS(rename("f", "g"));
  ORDERED(nanoseconds(status("g").st_ctim), >, nanoseconds(before.st_ctim));
  EQUAL(nanoseconds(before.st_mtim), nanoseconds(status("g").st_mtim));
}

CASE(times, failures_move_nothing) {
  make_file("f");
  make_directory("d");
  make_file("d/f");
  moves(".", "", [] { FAILS(EEXIST, mkdir("f", 0755)); });
  moves(".", "", [] { FAILS(ENOTEMPTY, rmdir("d")); });
  moves(".", "", [] { FAILS(ENOENT, unlink("missing")); });
  moves(".", "", [] { FAILS(EISDIR, rename("f", "d")); });
}

CASE(times, map_write_moves_modification_and_change) {
  make_file("f", pattern(4096));
  const Fd file = open_file("f", O_RDWR);
  moves("f", "mc", [&] {
    void* memory = WORKS(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
    static_cast<char*>(memory)[10] = 'x';
    WORKS(msync(memory, 4096, MS_SYNC));
    WORKS(munmap(memory, 4096));
  });
}

CASE(times, are_set_to_the_nanosecond) {
  make_file("f");
  const struct stat found = set("f", {1'000'000'000, 123'456'789}, {1'100'000'000, 987'654'321});
  EQUAL(1'000'000'000, found.st_atim.tv_sec);
  EQUAL(123'456'789, found.st_atim.tv_nsec);
  EQUAL(1'100'000'000, found.st_mtim.tv_sec);
  EQUAL(987'654'321, found.st_mtim.tv_nsec);
}

CASE(times, setting_moves_the_change) {
  make_file("f");
  const struct stat before = status("f");
  sleep_ms(kTickMs);
  const struct stat after = set("f", {1000, 0}, {2000, 0});
  ORDERED(nanoseconds(after.st_ctim), >, nanoseconds(before.st_ctim));
}

CASE(times, omitted_ones_stay) {
  make_file("f");
  set("f", {1000, 1}, {2000, 2});
  struct stat found = set("f", kOmit, {3000, 3});
  EQUAL(1000, found.st_atim.tv_sec);
  EQUAL(3000, found.st_mtim.tv_sec);
  found = set("f", {4000, 4}, kOmit);
  EQUAL(4000, found.st_atim.tv_sec);
  EQUAL(3000, found.st_mtim.tv_sec);
  moves("f", "", [] { set("f", kOmit, kOmit); });
}

CASE(times, now_is_now) {
  make_file("f");
  set("f", {1000, 0}, {2000, 0});
  const struct stat found = set("f", kNow, kOmit);
  ORDERED(found.st_atim.tv_sec, >, 1'600'000'000);
  EQUAL(2000, found.st_mtim.tv_sec);
  WORKS(utimensat(AT_FDCWD, "f", nullptr, 0));
  ORDERED(status("f").st_mtim.tv_sec, >, 1'600'000'000);
}

CASE(times, before_1970_and_after_2038) {
  make_file("f");
  struct stat found = set("f", {-1000, 500}, {-1, 999'999'999});
  EQUAL(-1000, found.st_atim.tv_sec);
  EQUAL(-1, found.st_mtim.tv_sec);
  EQUAL(999'999'999, found.st_mtim.tv_nsec);
  found = set("f", {4'102'444'800, 0}, {4'102'444'800, 0});
  EQUAL(4'102'444'800, found.st_mtim.tv_sec);
}

CASE(times, nonsense_is_einval) {
  make_file("f");
  const timespec large[2] = {{1000, 1'000'000'000}, {1000, 0}};
  FAILS(EINVAL, utimensat(AT_FDCWD, "f", large, 0));
  const timespec negative[2] = {{1000, 0}, {1000, -1}};
  FAILS(EINVAL, utimensat(AT_FDCWD, "f", negative, 0));
}

CASE(times, now_needs_write_permission_and_more_ownership) {
  need_root();
  make_file("writable", "", 0666);
  make_file("readable", "", 0644);
  as(kAlice, [] {
    const timespec times[2] = {{1000, 0}, {2000, 0}};
    const timespec half[2] = {kNow, kOmit};
    WORKS(utimensat(AT_FDCWD, "writable", nullptr, 0));
    FAILS(EACCES, utimensat(AT_FDCWD, "readable", nullptr, 0));
    FAILS(EPERM, utimensat(AT_FDCWD, "writable", times, 0));
    FAILS(EPERM, utimensat(AT_FDCWD, "readable", times, 0));
    FAILS(EPERM, utimensat(AT_FDCWD, "writable", half, 0));
  });
}

CASE(times, of_descriptors) {
  make_file("f");
  const Fd file = open_file("f", O_RDONLY);
  const timespec times[2] = {{1000, 0}, {2000, 0}};
  WORKS(futimens(file.get(), times));
  EQUAL(2000, status("f").st_mtim.tv_sec);
}

CASE(times, set_ones_outlive_close_and_sync) {
  const Fd file = open_file("f", O_RDWR | O_CREAT);
  write_at(file, 0, pattern(10000));
  const timespec times[2] = {{1000, 1}, {2000, 2}};
  WORKS(futimens(file.get(), times));
  WORKS(fsync(file.get()));
  EQUAL(2000, status("f").st_mtim.tv_sec);
  EQUAL(2, status("f").st_mtim.tv_nsec);
}

}  // namespace dpfs::posix
