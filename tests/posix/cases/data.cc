// SPDX-License-Identifier: Apache-2.0
// Reading, writing, truncating.
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {

CASE(data, sizes_around_pages_and_requests) {
  for (const size_t size :
       {1, 511, 512, 4095, 4096, 4097, 65535, 65537, 131072, 1048575, 1048577, 3000001}) {
    const Row row(std::to_string(size) + " bytes");
    const std::string text = pattern(size, static_cast<uint32_t>(size));
    const Fd file = open_file("f", O_RDWR | O_CREAT | O_TRUNC);
    EQUAL(size, WORKS(pwrite(file.get(), text.data(), size, 0)));
    EQUAL(size, status("f").st_size);
    HOLDS(content("f") == text);
  }
}

CASE(data, overlapping_writes_leave_the_last) {
  const Fd file = open_file("f", O_RDWR | O_CREAT);
  std::string expected = pattern(20000);
  write_at(file, 0, expected);
  for (const int offset : {0, 1, 4095, 4096, 8191, 12000}) {
    const std::string text = pattern(4097, offset + 2);
    write_at(file, offset, text);
    expected.replace(offset, text.size(), text);
  }
  EQUAL(expected, content("f"));
}

CASE(data, reads_end_at_the_end) {
  make_file("f", "0123456789");
  const Fd file = open_file("f", O_RDONLY);
  char block[100];
  EQUAL(10, WORKS(pread(file.get(), block, sizeof block, 0)));
  EQUAL(3, WORKS(pread(file.get(), block, sizeof block, 7)));
  EQUAL(0, WORKS(pread(file.get(), block, sizeof block, 10)));
  EQUAL(0, WORKS(pread(file.get(), block, sizeof block, 1'000'000'000'000)));
  EQUAL(0, WORKS(pread(file.get(), block, 0, 0)));
}

CASE(data, negative_offsets_are_einval) {
  make_file("f", "text");
  const Fd file = open_file("f", O_RDWR);
  char byte = 'x';
  FAILS(EINVAL, pread(file.get(), &byte, 1, -1));
  FAILS(EINVAL, pwrite(file.get(), &byte, 1, -1));
  FAILS(EINVAL, lseek(file.get(), -1, SEEK_SET));
  FAILS(EINVAL, lseek(file.get(), -5, SEEK_END));
  FAILS(EINVAL, lseek(file.get(), 0, 99));
}

CASE(data, unmapped_memory_is_efault) {
  make_file("f", "text");
  const Fd file = open_file("f", O_RDWR);
  void* nowhere = WORKS(mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  FAILS(EFAULT, read(file.get(), nowhere, 4));
  FAILS(EFAULT, write(file.get(), nowhere, 4));
  EQUAL("text", content("f"));
}

CASE(data, position_moves_with_reads_and_writes) {
  make_file("f", "0123456789");
  const Fd file = open_file("f", O_RDWR);
  char block[4];
  WORKS(read(file.get(), block, 4));
  EQUAL(4, WORKS(lseek(file.get(), 0, SEEK_CUR)));
  WORKS(write(file.get(), "xy", 2));
  EQUAL(6, WORKS(lseek(file.get(), 0, SEEK_CUR)));
  WORKS(pread(file.get(), block, 4, 0));
  EQUAL(6, WORKS(lseek(file.get(), 0, SEEK_CUR)));
  EQUAL(10, WORKS(lseek(file.get(), 0, SEEK_END)));
  EQUAL("0123xy6789", content("f"));
}

CASE(data, duplicates_share_a_position) {
  make_file("f", "0123456789");
  const Fd file = open_file("f", O_RDONLY);
  const Fd same(WORKS(dup(file.get())));
  char block[4];
  WORKS(read(file.get(), block, 4));
  WORKS(read(same.get(), block, 1));
  EQUAL('4', block[0]);
  apart([&] { WORKS(read(same.get(), block, 1)); });
  EQUAL(6, WORKS(lseek(file.get(), 0, SEEK_CUR)));
}

CASE(data, seeking_beyond_the_end_changes_nothing_until_a_write) {
  const Fd file = open_file("f", O_RDWR | O_CREAT);
  EQUAL(1000, WORKS(lseek(file.get(), 1000, SEEK_SET)));
  EQUAL(0, status("f").st_size);
  WORKS(write(file.get(), "x", 1));
  EQUAL(1001, status("f").st_size);
  EQUAL(std::string(1000, '\0') + "x", content("f"));
}

CASE(data, vectors_are_gathered_and_scattered) {
  const Fd file = open_file("f", O_RDWR | O_CREAT);
  std::string parts[3] = {pattern(10), pattern(5000, 2), pattern(1, 3)};
  iovec out[3];
  for (int i = 0; i < 3; ++i) out[i] = {parts[i].data(), parts[i].size()};
  EQUAL(5011, WORKS(pwritev(file.get(), out, 3, 7)));
  EQUAL(std::string(7, '\0') + parts[0] + parts[1] + parts[2], content("f"));
  std::string first(5000, ' ');
  std::string second(11, ' ');
  const iovec in[2] = {{first.data(), first.size()}, {second.data(), second.size()}};
  EQUAL(5011, WORKS(preadv(file.get(), in, 2, 7)));
  EQUAL(parts[0] + parts[1] + parts[2], first + second);
}

CASE(data, written_by_one_descriptor_read_by_another) {
  const Fd writer = open_file("f", O_WRONLY | O_CREAT);
  const Fd reader = open_file("f", O_RDONLY);
  for (int i = 0; i < 20; ++i) {
    const std::string text = pattern(3000, i + 1);
    write_at(writer, i * 2500, text);
    EQUAL(text, read_at(reader, i * 2500, 3000));
  }
}

CASE(data, written_by_one_process_read_by_another) {
  make_file("f", "0");
  Peer peer([](Peer& main) {
    const Fd file = open_file("f", O_RDWR);
    for (int i = 0; i < 10; ++i) {
      main.hear();
      EQUAL(pattern(5000, i + 1), read_at(file, 0, 5000));
      write_at(file, 0, pattern(5000, i + 100));
      main.tell();
    }
  });
  const Fd file = open_file("f", O_RDWR);
  for (int i = 0; i < 10; ++i) {
    write_at(file, 0, pattern(5000, i + 1));
    peer.tell();
    peer.hear();
    EQUAL(pattern(5000, i + 100), read_at(file, 0, 5000));
  }
  peer.join();
}

CASE(data, beyond_4_gib) {
  const Fd file = open_file("f", O_RDWR | O_CREAT);
  for (const int64_t offset : {(int64_t{1} << 31) - 2, (int64_t{1} << 32) - 2, int64_t{5} << 30}) {
    const Row row(std::to_string(offset));
    write_at(file, offset, pattern(5000, 9));
    EQUAL(offset + 5000, status("f").st_size);
    EQUAL(pattern(5000, 9), read_at(file, offset, 5000));
    EQUAL(std::string(100, '\0'), read_at(file, offset - 100, 100));
  }
  ORDERED(status("f").st_blocks * 512, <, kMib);
  WORKS(ftruncate(file.get(), (int64_t{1} << 32) + 1));
  EQUAL((int64_t{1} << 32) + 1, status("f").st_size);
}

CASE(data, what_is_too_large_is_efbig) {
  const Fd file = open_file("f", O_RDWR | O_CREAT);
  if (ftruncate(file.get(), INT64_MAX) == 0) skip("files may have any size here");
  FAILS(EFBIG, ftruncate(file.get(), INT64_MAX));
  FAILS(EFBIG, pwrite(file.get(), "x", 1, INT64_MAX - 10));
  EQUAL(0, status("f").st_size);
}

CASE(data, limit_of_the_process_is_efbig) {
  apart([] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{10000, 10000};
    WORKS(setrlimit(RLIMIT_FSIZE, &limit));
    const Fd file = open_file("f", O_RDWR | O_CREAT);
    EQUAL(10000, WORKS(pwrite(file.get(), pattern(12000).data(), 12000, 0)));
    FAILS(EFBIG, pwrite(file.get(), "x", 1, 10000));
    FAILS(EFBIG, ftruncate(file.get(), 10001));
    EQUAL(10000, status("f").st_size);
    WORKS(ftruncate(file.get(), 10000));
  });
}

CASE(data, limit_of_the_process_raises_sigxfsz) {
  const pid_t pid = WORKS(fork());
  if (pid == 0) {
    signal(SIGXFSZ, SIG_DFL);
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    const rlimit limit{100, 100};
    setrlimit(RLIMIT_FSIZE, &limit);
    const int fd = open("f", O_RDWR | O_CREAT, 0644);
    pwrite(fd, "x", 1, 100);
    _exit(0);
  }
  int ended = 0;
  WORKS(waitpid(pid, &ended, 0));
  HOLDS(WIFSIGNALED(ended));
  EQUAL(SIGXFSZ, WTERMSIG(ended));
}

CASE(data, sendfile_copies) {
  make_file("f", pattern(100000));
  const Fd from = open_file("f", O_RDONLY);
  const Fd to = open_file("g", O_RDWR | O_CREAT);
  off_t offset = 1000;
  size_t left = 99000;
  while (left > 0) left -= WORKS(sendfile(to.get(), from.get(), &offset, left));
  EQUAL(pattern(100000).substr(1000), content("g"));
}

CASE(data, splice_goes_through_a_pipe) {
  make_file("f", pattern(60000));
  const Fd from = open_file("f", O_RDONLY);
  const Fd to = open_file("g", O_RDWR | O_CREAT);
  int ends[2];
  WORKS(pipe(ends));
  size_t moved = 0;
  while (moved < 60000) {
    const ssize_t in = WORKS(splice(from.get(), nullptr, ends[1], nullptr, 30000, 0));
    ssize_t out = 0;
    while (out < in) out += WORKS(splice(ends[0], nullptr, to.get(), nullptr, in - out, 0));
    moved += in;
  }
  EQUAL(pattern(60000), content("g"));
}

CASE(data, concurrent_writers_of_one_file_keep_to_their_places) {
  open_file("f", O_RDWR | O_CREAT);
  const auto write_odd_or_even = [](int first) {
    const Fd file = open_file("f", O_RDWR);
    for (int i = first; i < 200; i += 2) write_at(file, i * 700, pattern(700, i + 1));
  };
  Peer peer([&](Peer&) { write_odd_or_even(1); });
  write_odd_or_even(0);
  peer.join();
  std::string expected;
  for (int i = 0; i < 200; ++i) expected += pattern(700, i + 1);
  HOLDS(content("f") == expected);
}

CASE(truncate, sizes_in_both_directions) {
  make_file("f", pattern(10000));
  std::string expected = pattern(10000);
  for (const size_t size : {9999, 5000, 4097, 4096, 4095, 1, 0, 1, 4096, 10000, 3, 100000}) {
    const Row row(std::to_string(size));
    WORKS(truncate("f", size));
    expected.resize(size, '\0');
    EQUAL(size, status("f").st_size);
    EQUAL(expected, content("f"));
  }
}

CASE(truncate, what_comes_back_is_zero) {
  make_file("f", pattern(10000));
  const Fd file = open_file("f", O_RDWR);
  EQUAL(pattern(10000), content(file));
  WORKS(ftruncate(file.get(), 5001));
  WORKS(ftruncate(file.get(), 10000));
  EQUAL(pattern(10000).substr(0, 5001) + std::string(4999, '\0'), content(file));
}

CASE(truncate, write_behind_a_shortened_end_leaves_zeros) {
  make_file("f", pattern(10000));
  const Fd file = open_file("f", O_RDWR);
  WORKS(ftruncate(file.get(), 1000));
  write_at(file, 6000, "end");
  EQUAL(pattern(10000).substr(0, 1000) + std::string(5000, '\0') + "end", content(file));
}

CASE(truncate, refuses_what_it_should) {
  make_file("f", "text");
  make_directory("d");
  WORKS(mkfifo("p", 0644));
  FAILS(EISDIR, truncate("d", 0));
  FAILS(EINVAL, truncate("f", -1));
  FAILS(EINVAL, truncate("p", 0));
  const Fd reader = open_file("f", O_RDONLY);
  FAILS(EINVAL, ftruncate(reader.get(), 0));
  const Fd directory = open_file("d", O_RDONLY);
  FAILS(EINVAL, ftruncate(directory.get(), 0));
  FAILS(EBADF, ftruncate(-1, 0));
  EQUAL("text", content("f"));
}

CASE(truncate, does_not_move_the_position) {
  make_file("f", "0123456789");
  const Fd file = open_file("f", O_RDWR);
  WORKS(lseek(file.get(), 8, SEEK_SET));
  WORKS(ftruncate(file.get(), 4));
  EQUAL(8, WORKS(lseek(file.get(), 0, SEEK_CUR)));
  WORKS(write(file.get(), "x", 1));
  EQUAL(std::string("0123\0\0\0\0x", 9), content("f"));
}

CASE(truncate, gives_blocks_back) {
  const Fd file = open_file("f", O_RDWR | O_CREAT);
  write_at(file, 0, pattern(2 * kMib));
  WORKS(fsync(file.get()));
  const blkcnt_t before = status("f").st_blocks;
  WORKS(ftruncate(file.get(), 4096));
  WORKS(fsync(file.get()));
  ORDERED(status("f").st_blocks, <, before / 2);
}

}  // namespace dpfs::posix
