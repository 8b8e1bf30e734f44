// SPDX-License-Identifier: Apache-2.0
// Locks of open file descriptions: F_OFD_SETLK and its kin.
#include "tests/posix/cases/lock_helpers.h"
#include "tests/posix/suite/case.h"

namespace dpfs::posix {

CASE(ofd_locks, exclude_within_a_process) {
  make_file("f");
  const Fd first = open_file("f", O_RDWR);
  const Fd second = open_file("f", O_RDWR);
  WORKS(lock(first, F_OFD_SETLK, F_WRLCK));
  FAILS(EAGAIN, lock(second, F_OFD_SETLK, F_WRLCK));
  FAILS(EAGAIN, lock(second, F_OFD_SETLK, F_RDLCK));
  WORKS(lock(first, F_OFD_SETLK, F_UNLCK));
  WORKS(lock(second, F_OFD_SETLK, F_WRLCK));
}

CASE(ofd_locks, meet_process_locks) {
  make_file("f");
  const Fd first = open_file("f", O_RDWR);
  const Fd second = open_file("f", O_RDWR);
  WORKS(lock(first, F_OFD_SETLK, F_WRLCK, {0, 10}));
  FAILS_EITHER((std::vector<int>{EAGAIN, EACCES}), try_lock(second, F_WRLCK, {5, 1}));
  WORKS(try_lock(second, F_WRLCK, {10, 10}));
  FAILS(EAGAIN, lock(first, F_OFD_SETLK, F_WRLCK, {15, 1}));
}

CASE(ofd_locks, belong_to_duplicates_and_children) {
  make_file("f");
  Fd file = open_file("f", O_RDWR);
  const Fd other = open_file("f", O_RDWR);
  WORKS(lock(file, F_OFD_SETLK, F_WRLCK));
  Fd same(WORKS(dup(file.get())));
  WORKS(lock(same, F_OFD_SETLK, F_WRLCK, {0, 10}));
  apart([&] { WORKS(lock(same, F_OFD_SETLK, F_WRLCK, {20, 10})); });
  file.reset();
  FAILS(EAGAIN, lock(other, F_OFD_SETLK, F_RDLCK));
  same.reset();
  WORKS(lock(other, F_OFD_SETLK, F_WRLCK));
}

CASE(ofd_locks, are_not_dropped_by_another_close) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  const Fd other = open_file("f", O_RDWR);
  WORKS(lock(file, F_OFD_SETLK, F_WRLCK));
  open_file("f", O_RDWR);  // and closed at once
  FAILS(EAGAIN, lock(other, F_OFD_SETLK, F_WRLCK));
}

CASE(ofd_locks, getlk_tells_no_process) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  const Fd other = open_file("f", O_RDWR);
  WORKS(lock(file, F_OFD_SETLK, F_WRLCK, {5, 7}));
  const struct flock found = in_the_way(other, F_RDLCK, {}, F_OFD_GETLK);
  EQUAL(F_WRLCK, found.l_type);
  EQUAL(5, found.l_start);
  EQUAL(7, found.l_len);
  EQUAL(-1, found.l_pid);
}

CASE(ofd_locks, waiting_one_is_granted) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  WORKS(lock(file, F_OFD_SETLK, F_WRLCK));
  Peer peer([](Peer& main) {
    const Fd other = open_file("f", O_RDWR);
    main.tell();
    WORKS(lock(other, F_OFD_SETLKW, F_RDLCK));
  });
  peer.hear();
  peer.wait_until_asleep();
  WORKS(lock(file, F_OFD_SETLK, F_UNLCK));
  HOLDS(peer.ended_soon());
}

}  // namespace dpfs::posix
