// SPDX-License-Identifier: Apache-2.0
// mmap: shared and private, beside read and write, and at the end of the file.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <functional>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

constexpr size_t kPage = 4096;

char* map(const Fd& file, size_t size, int protection, int flags = MAP_SHARED, off_t offset = 0) {
  return static_cast<char*>(WORKS(mmap(nullptr, size, protection, flags, file.get(), offset)));
}

// Which signal touching memory raises; 0: none.
int signal_of(const std::function<void()>& touch) {
  const pid_t pid = WORKS(fork());
  if (pid == 0) {
    signal(SIGBUS, SIG_DFL);
    touch();
    _exit(0);
  }
  int ended = 0;
  WORKS(waitpid(pid, &ended, 0));
  return WIFSIGNALED(ended) ? WTERMSIG(ended) : 0;
}

}  // namespace

CASE(maps, show_what_is_stored) {
  make_file("f", pattern(100000));
  const Fd file = open_file("f", O_RDONLY);
  const char* memory = map(file, 100000, PROT_READ);
  HOLDS(std::string(memory, 100000) == pattern(100000));
  const char* second = map(file, kPage, PROT_READ, MAP_SHARED, 5 * kPage);
  EQUAL(pattern(100000).substr(5 * kPage, kPage), std::string(second, kPage));
}

CASE(maps, stores_are_read_and_written_back) {
  make_file("f", pattern(3 * kPage));
  const Fd file = open_file("f", O_RDWR);
  char* memory = map(file, 3 * kPage, PROT_READ | PROT_WRITE);
  memory[kPage + 1] = 'x';
  EQUAL("x", read_at(file, kPage + 1, 1));
  WORKS(msync(memory, 3 * kPage, MS_SYNC));
  WORKS(munmap(memory, 3 * kPage));
  std::string expected = pattern(3 * kPage);
  expected[kPage + 1] = 'x';
  EQUAL(expected, content("f"));
}

CASE(maps, writes_show_in_the_map) {
  make_file("f", pattern(3 * kPage));
  const Fd file = open_file("f", O_RDWR);
  const char* memory = map(file, 3 * kPage, PROT_READ);
  EQUAL(pattern(3 * kPage)[5000], memory[5000]);
  write_at(file, 5000, "text");
  EQUAL("text", std::string(memory + 5000, 4));
  const Fd other = open_file("f", O_WRONLY);
  write_at(other, 9000, "other");
  EQUAL("other", std::string(memory + 9000, 5));
}

CASE(maps, two_maps_are_one) {
  make_file("f", pattern(2 * kPage));
  const Fd first = open_file("f", O_RDWR);
  const Fd second = open_file("f", O_RDWR);
  char* one = map(first, 2 * kPage, PROT_READ | PROT_WRITE);
  char* two = map(second, 2 * kPage, PROT_READ | PROT_WRITE);
  one[100] = 'x';
  EQUAL('x', two[100]);
  two[5000] = 'y';
  EQUAL('y', one[5000]);
}

CASE(maps, other_processes_share_them) {
  make_file("f", pattern(kPage));
  Peer peer([](Peer& main) {
    const Fd file = open_file("f", O_RDWR);
    char* memory = map(file, kPage, PROT_READ | PROT_WRITE);
    memory[0] = 'p';
    main.tell();
    main.hear();
    EQUAL('m', memory[1]);
  });
  const Fd file = open_file("f", O_RDWR);
  char* memory = map(file, kPage, PROT_READ | PROT_WRITE);
  peer.hear();
  EQUAL('p', memory[0]);
  memory[1] = 'm';
  peer.tell();
  peer.join();
}

CASE(maps, private_stores_stay_private) {
  make_file("f", pattern(2 * kPage));
  const Fd file = open_file("f", O_RDONLY);
  char* memory = map(file, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  memory[10] = 'x';
  EQUAL('x', memory[10]);
  EQUAL(pattern(2 * kPage), content("f"));
}

CASE(maps, need_the_access_mode) {
  make_file("f", pattern(kPage));
  const Fd reader = open_file("f", O_RDONLY);
  const Fd writer = open_file("f", O_WRONLY);
  const int both = PROT_READ | PROT_WRITE;
  FAILS(EACCES, mmap(nullptr, kPage, both, MAP_SHARED, reader.get(), 0));
  FAILS(EACCES, mmap(nullptr, kPage, PROT_READ, MAP_SHARED, writer.get(), 0));
  make_directory("d");
  const Fd directory = open_file("d", O_RDONLY);
  FAILS(ENODEV, mmap(nullptr, kPage, PROT_READ, MAP_SHARED, directory.get(), 0));
}

CASE(maps, outlive_the_descriptor) {
  make_file("f", pattern(kPage));
  Fd file = open_file("f", O_RDWR);
  char* memory = map(file, kPage, PROT_READ | PROT_WRITE);
  file.reset();
  memory[7] = 'x';
  WORKS(munmap(memory, kPage));
  EQUAL("x", content("f").substr(7, 1));
}

CASE(maps, bytes_behind_the_end_are_zero_and_not_stored) {
  make_file("f", pattern(1000));
  const Fd file = open_file("f", O_RDWR);
  char* memory = map(file, kPage, PROT_READ | PROT_WRITE);
  EQUAL(std::string(kPage - 1000, '\0'), std::string(memory + 1000, kPage - 1000));
  memory[2000] = 'x';
  WORKS(msync(memory, kPage, MS_SYNC));
  EQUAL(1000, status("f").st_size);
}

CASE(maps, bytes_stored_behind_the_end_do_not_come_back) {
  make_file("f", pattern(1000));
  const Fd file = open_file("f", O_RDWR);
  char* memory = map(file, kPage, PROT_READ | PROT_WRITE);
  memory[2000] = 'x';
  WORKS(munmap(memory, kPage));
  WORKS(ftruncate(file.get(), 3000));
  EQUAL(std::string(2000, '\0'), read_at(file, 1000, 2000));
}

CASE(maps, pages_behind_the_end_raise_sigbus) {
  make_file("f", pattern(1000));
  const Fd file = open_file("f", O_RDWR);
  volatile char* memory = map(file, 3 * kPage, PROT_READ | PROT_WRITE);
  EQUAL(0, signal_of([&] { (void)memory[kPage - 1]; }));
  EQUAL(SIGBUS, signal_of([&] { (void)memory[kPage]; }));
  EQUAL(SIGBUS, signal_of([&] { memory[2 * kPage] = 'x'; }));
}

CASE(maps, truncation_takes_pages_away) {
  make_file("f", pattern(3 * kPage));
  const Fd file = open_file("f", O_RDWR);
  volatile char* memory = map(file, 3 * kPage, PROT_READ | PROT_WRITE);
  EQUAL(0, signal_of([&] { (void)memory[2 * kPage]; }));
  EQUAL(pattern(3 * kPage)[2 * kPage], memory[2 * kPage]);
  WORKS(ftruncate(file.get(), 100));
  EQUAL('\0', memory[200]);
  EQUAL(SIGBUS, signal_of([&] { (void)memory[2 * kPage]; }));
  WORKS(ftruncate(file.get(), 3 * kPage));
  EQUAL('\0', memory[2 * kPage]);
}

CASE(maps, grow_with_the_file) {
  make_file("f", pattern(100));
  const Fd file = open_file("f", O_RDWR);
  const volatile char* memory = map(file, 4 * kPage, PROT_READ);
  EQUAL(pattern(100)[50], memory[50]);
  write_at(file, 2 * kPage, pattern(kPage, 2));
  EQUAL(pattern(kPage, 2)[5], memory[2 * kPage + 5]);
  EQUAL('\0', memory[kPage]);
}

CASE(maps, stores_fill_holes) {
  const Fd file = open_file("f", O_RDWR | O_CREAT);
  WORKS(ftruncate(file.get(), 64 * kPage));
  char* memory = map(file, 64 * kPage, PROT_READ | PROT_WRITE);
  for (int i = 0; i < 64; i += 8) memory[i * kPage] = 'x';
  WORKS(msync(memory, 64 * kPage, MS_SYNC));
  WORKS(munmap(memory, 64 * kPage));
  std::string expected(64 * kPage, '\0');
  for (int i = 0; i < 64; i += 8) expected[i * kPage] = 'x';
  HOLDS(content("f") == expected);
}

CASE(maps, shared_ones_of_a_file_opened_for_appending) {
  make_file("f", pattern(kPage));
  const Fd file = open_file("f", O_RDWR | O_APPEND);
  char* memory = map(file, kPage, PROT_READ | PROT_WRITE);
  memory[3] = 'x';
  WORKS(msync(memory, kPage, MS_SYNC));
  EQUAL("x", content("f").substr(3, 1));
  EQUAL(kPage, status("f").st_size);
}

CASE(maps, source_and_target_of_one_write) {
  make_file("f", pattern(2 * kPage));
  const Fd file = open_file("f", O_RDWR);
  const char* memory = map(file, 2 * kPage, PROT_READ);
  EQUAL(kPage, WORKS(pwrite(file.get(), memory, kPage, kPage)));
  EQUAL(pattern(2 * kPage).substr(0, kPage), content("f").substr(kPage));
}

CASE(maps, are_seen_by_another_path) {
  make_file("f", pattern(2 * kPage));
  const std::string also = also_path("f");
  const Fd file = open_file("f", O_RDWR);
  char* memory = map(file, 2 * kPage, PROT_READ | PROT_WRITE);
  memory[5000] = 'x';
  WORKS(msync(memory, 2 * kPage, MS_SYNC));
  EQUAL("x", content(also).substr(5000, 1));
}

}  // namespace dpfs::posix
