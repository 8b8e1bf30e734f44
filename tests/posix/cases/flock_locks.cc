// SPDX-License-Identifier: Apache-2.0
// flock(2).
#include <signal.h>
#include <sys/file.h>

#include "tests/posix/cases/lock_helpers.h"
#include "tests/posix/suite/case.h"

namespace dpfs::posix {

CASE(flock_locks, exclusive_one_excludes) {
  make_file("f");
  const Fd first = open_file("f", O_RDWR);
  const Fd second = open_file("f", O_RDWR);
  WORKS(flock(first.get(), LOCK_EX));
  FAILS(EWOULDBLOCK, flock(second.get(), LOCK_EX | LOCK_NB));
  FAILS(EWOULDBLOCK, flock(second.get(), LOCK_SH | LOCK_NB));
  WORKS(flock(first.get(), LOCK_UN));
  WORKS(flock(second.get(), LOCK_EX | LOCK_NB));
}

CASE(flock_locks, shared_ones_live_together) {
  make_file("f");
  const Fd first = open_file("f", O_RDWR);
  const Fd second = open_file("f", O_RDWR);
  const Fd third = open_file("f", O_RDWR);
  WORKS(flock(first.get(), LOCK_SH));
  WORKS(flock(second.get(), LOCK_SH | LOCK_NB));
  FAILS(EWOULDBLOCK, flock(third.get(), LOCK_EX | LOCK_NB));
  WORKS(flock(first.get(), LOCK_UN));
  WORKS(flock(second.get(), LOCK_UN));
  WORKS(flock(third.get(), LOCK_EX | LOCK_NB));
}

CASE(flock_locks, change_their_kind) {
  make_file("f");
  const Fd first = open_file("f", O_RDWR);
  const Fd second = open_file("f", O_RDWR);
  WORKS(flock(first.get(), LOCK_EX));
  WORKS(flock(first.get(), LOCK_SH));
  WORKS(flock(second.get(), LOCK_SH | LOCK_NB));
  FAILS(EWOULDBLOCK, flock(first.get(), LOCK_EX | LOCK_NB));
  WORKS(flock(second.get(), LOCK_UN));
  WORKS(flock(first.get(), LOCK_EX | LOCK_NB));
}

CASE(flock_locks, any_access_mode_will_do) {
  make_file("f");
  make_directory("d");
  const Fd reader = open_file("f", O_RDONLY);
  WORKS(flock(reader.get(), LOCK_EX));
  WORKS(flock(reader.get(), LOCK_UN));
  const Fd writer = open_file("f", O_WRONLY);
  WORKS(flock(writer.get(), LOCK_SH));
  const Fd directory = open_file("d", O_RDONLY | O_DIRECTORY);
  WORKS(flock(directory.get(), LOCK_EX | LOCK_NB));
}

CASE(flock_locks, belong_to_duplicates_and_children) {
  make_file("f");
  Fd file = open_file("f", O_RDWR);
  const Fd other = open_file("f", O_RDWR);
  WORKS(flock(file.get(), LOCK_EX));
  Fd same(WORKS(dup(file.get())));
  WORKS(flock(same.get(), LOCK_EX | LOCK_NB));
  apart([&] { WORKS(flock(same.get(), LOCK_EX | LOCK_NB)); });
  file.reset();
  FAILS(EWOULDBLOCK, flock(other.get(), LOCK_EX | LOCK_NB));
  same.reset();
  WORKS(flock(other.get(), LOCK_EX | LOCK_NB));
}

CASE(flock_locks, unlocking_through_a_child_unlocks) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  const Fd other = open_file("f", O_RDWR);
  WORKS(flock(file.get(), LOCK_EX));
  apart([&] { WORKS(flock(file.get(), LOCK_UN)); });
  WORKS(flock(other.get(), LOCK_EX | LOCK_NB));
}

CASE(flock_locks, end_of_the_process_drops_them) {
  make_file("f");
  Peer peer([](Peer& main) {
    const Fd file = open_file("f", O_RDWR);
    WORKS(flock(file.get(), LOCK_EX));
    main.tell();
    main.hear();
  });
  peer.hear();
  const Fd file = open_file("f", O_RDWR);
  FAILS(EWOULDBLOCK, flock(file.get(), LOCK_EX | LOCK_NB));
  peer.kill();
  WORKS(flock(file.get(), LOCK_EX | LOCK_NB));
}

CASE(flock_locks, do_not_meet_record_locks) {
  make_file("f");
  const Fd first = open_file("f", O_RDWR);
  WORKS(flock(first.get(), LOCK_EX));
  HOLDS(free_for_others("f"));
  WORKS(try_lock(first, F_WRLCK));
}

CASE(flock_locks, waiting_one_is_granted) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  WORKS(flock(file.get(), LOCK_EX));
  Peer peer([](Peer& main) {
    const Fd other = open_file("f", O_RDWR);
    main.tell();
    WORKS(flock(other.get(), LOCK_EX));
  });
  peer.hear();
  peer.wait_until_asleep();
  WORKS(flock(file.get(), LOCK_UN));
  HOLDS(peer.ended_soon());
}

CASE(flock_locks, waiting_one_is_interrupted_by_a_signal) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  WORKS(flock(file.get(), LOCK_EX));
  Peer peer([](Peer& main) {
    catch_interrupts();
    const Fd other = open_file("f", O_RDWR);
    main.tell();
    FAILS(EINTR, flock(other.get(), LOCK_EX));
  });
  peer.hear();
  peer.wait_until_asleep();
  peer.interrupt();
  HOLDS(peer.ended_soon());
}

CASE(flock_locks, killed_waiter_leaves_nothing) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  WORKS(flock(file.get(), LOCK_EX));
  Peer peer([](Peer& main) {
    const Fd other = open_file("f", O_RDWR);
    main.tell();
    flock(other.get(), LOCK_EX);
  });
  peer.hear();
  peer.wait_until_asleep();
  ::kill(peer.pid(), SIGKILL);
  sleep_ms(50);
  WORKS(flock(file.get(), LOCK_UN));
  const Fd third = open_file("f", O_RDWR);
  int result = -1;
  for (int tries = 0; tries < 100 && result != 0; ++tries) {
    result = flock(third.get(), LOCK_EX | LOCK_NB);
    if (result != 0) sleep_ms(10);
  }
  EQUAL(0, result);
  peer.kill();
}

CASE(flock_locks, nonsense_is_refused) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  FAILS(EINVAL, flock(file.get(), 0x40));
  FAILS(EBADF, flock(-1, LOCK_SH));
}

}  // namespace dpfs::posix
