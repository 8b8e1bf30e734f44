// SPDX-License-Identifier: Apache-2.0
// O_DIRECT, and how it meets the page cache.
#include <sys/mman.h>

#include <cstring>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

constexpr size_t kBlock = 4096;

Fd open_direct(const char* path, int flags) {
  const int fd = open(path, flags | O_DIRECT | O_CLOEXEC, 0644);
  if (fd < 0 && errno == EINVAL) skip("no O_DIRECT here");
  return Fd(WORKS(fd));
}

// Page-aligned memory.
char* aligned(size_t size) {
  return static_cast<char*>(
      WORKS(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
}

std::string read_direct(const Fd& file, int64_t offset, size_t size) {
  char* memory = aligned(size);
  const size_t count = WORKS(pread(file.get(), memory, size, offset));
  std::string text(memory, count);
  munmap(memory, size);
  return text;
}

void write_direct(const Fd& file, int64_t offset, const std::string& text) {
  char* memory = aligned(text.size());
  memcpy(memory, text.data(), text.size());
  EQUAL(text.size(), WORKS(pwrite(file.get(), memory, text.size(), offset)));
  munmap(memory, text.size());
}

}  // namespace

CASE(direct, writes_and_reads) {
  const Fd file = open_direct("f", O_RDWR | O_CREAT);
  write_direct(file, 0, pattern(64 * kBlock));
  EQUAL(64 * kBlock, status("f").st_size);
  EQUAL(pattern(64 * kBlock), read_direct(file, 0, 64 * kBlock));
  EQUAL(pattern(64 * kBlock).substr(kBlock, 2 * kBlock), read_direct(file, kBlock, 2 * kBlock));
}

CASE(direct, large_transfers) {
  const Fd file = open_direct("f", O_RDWR | O_CREAT);
  const std::string text = pattern(5 * kMib, 7);
  write_direct(file, 0, text);
  HOLDS(read_direct(file, 0, 5 * kMib) == text);
}

CASE(direct, reads_end_at_the_end) {
  make_file("f", pattern(6000));
  const Fd file = open_direct("f", O_RDONLY);
  EQUAL(pattern(6000), read_direct(file, 0, 4 * kBlock));
  EQUAL(pattern(6000).substr(kBlock), read_direct(file, kBlock, kBlock));
  EQUAL("", read_direct(file, 2 * kBlock, kBlock));
}

CASE(direct, sees_buffered_writes) {
  const Fd buffered = open_file("f", O_RDWR | O_CREAT);
  const Fd file = open_direct("f", O_RDWR);
  write_at(buffered, 0, pattern(4 * kBlock));
  EQUAL(pattern(4 * kBlock), read_direct(file, 0, 4 * kBlock));
  write_at(buffered, 5000, "text");
  EQUAL("text", read_direct(file, kBlock, kBlock).substr(5000 - kBlock, 4));
}

CASE(direct, is_seen_by_buffered_reads) {
  make_file("f", pattern(4 * kBlock));
  const Fd buffered = open_file("f", O_RDONLY);
  EQUAL(pattern(4 * kBlock), content(buffered));
  const Fd file = open_direct("f", O_RDWR);
  write_direct(file, kBlock, pattern(kBlock, 2));
  EQUAL(pattern(kBlock, 2), read_at(buffered, kBlock, kBlock));
}

CASE(direct, is_seen_by_a_map_and_sees_it) {
  make_file("f", pattern(4 * kBlock));
  const Fd file = open_direct("f", O_RDWR);
  const Fd mapped = open_file("f", O_RDWR);
  char* memory = static_cast<char*>(
      WORKS(mmap(nullptr, 4 * kBlock, PROT_READ | PROT_WRITE, MAP_SHARED, mapped.get(), 0)));
  EQUAL(pattern(kBlock), std::string(memory, kBlock));
  memory[10] = 'x';
  EQUAL("x", read_direct(file, 0, kBlock).substr(10, 1));
  write_direct(file, 2 * kBlock, pattern(kBlock, 3));
  EQUAL(pattern(kBlock, 3), std::string(memory + 2 * kBlock, kBlock));
}

CASE(direct, holes_are_zeros) {
  const Fd file = open_direct("f", O_RDWR | O_CREAT);
  write_direct(file, 8 * kBlock, pattern(kBlock));
  EQUAL(std::string(8 * kBlock, '\0'), read_direct(file, 0, 8 * kBlock));
}

CASE(direct, extends_and_truncates) {
  const Fd file = open_direct("f", O_RDWR | O_CREAT);
  write_direct(file, 0, pattern(2 * kBlock));
  WORKS(ftruncate(file.get(), 100));
  write_direct(file, 2 * kBlock, pattern(kBlock, 2));
  EQUAL(
      pattern(2 * kBlock).substr(0, 100) + std::string(2 * kBlock - 100, '\0') + pattern(kBlock, 2),
      content("f"));
}

CASE(direct, appends) {
  make_file("f", pattern(kBlock));
  const Fd file = open_direct("f", O_WRONLY | O_APPEND);
  char* memory = aligned(kBlock);
  memcpy(memory, pattern(kBlock, 2).data(), kBlock);
  EQUAL(kBlock, WORKS(write(file.get(), memory, kBlock)));
  EQUAL(pattern(kBlock) + pattern(kBlock, 2), content("f"));
}

CASE(direct, misaligned_is_einval_or_works) {
  make_file("f", pattern(2 * kBlock));
  const Fd file = open_direct("f", O_RDWR);
  char* memory = aligned(2 * kBlock);
  const ssize_t count = pread(file.get(), memory + 1, 1000, 13);
  if (count < 0) {
    EQUAL(EINVAL, errno);
  } else {
    EQUAL(pattern(2 * kBlock).substr(13, 1000), std::string(memory + 1, count));
  }
}

CASE(direct, can_be_switched_on_and_off) {
  make_file("f", pattern(2 * kBlock));
  open_direct("f", O_RDONLY);
  const Fd file = open_file("f", O_RDWR);
  WORKS(fcntl(file.get(), F_SETFL, O_DIRECT));
  EQUAL(pattern(2 * kBlock), read_direct(file, 0, 2 * kBlock));
  WORKS(fcntl(file.get(), F_SETFL, 0));
  EQUAL(pattern(2 * kBlock), content(file));
}

}  // namespace dpfs::posix
