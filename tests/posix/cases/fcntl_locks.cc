// SPDX-License-Identifier: Apache-2.0
// POSIX record locks: fcntl(2) with F_SETLK, F_SETLKW, F_GETLK.
#include <signal.h>

#include "tests/posix/cases/lock_helpers.h"
#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

const std::vector<int> kHeld{EAGAIN, EACCES};

// A process that holds a lock until it is told to give it up by ending.
class Holder {
 public:
  Holder(const char* path, int type, Range range = {})
      : peer_([path, type, range](Peer& main) {
          const Fd file = open_file(path, O_RDWR);
          WORKS(try_lock(file, type, range));
          main.tell();
          main.hear();
        }) {
    peer_.hear();
  }

  void end() {
    peer_.tell();
    peer_.join();
  }
  void kill() { peer_.kill(); }
  pid_t pid() const { return peer_.pid(); }

 private:
  Peer peer_;
};

}  // namespace

CASE(fcntl_locks, exclusive_one_excludes) {
  make_file("f");
  Holder holder("f", F_WRLCK);
  const Fd file = open_file("f", O_RDWR);
  FAILS_EITHER(kHeld, try_lock(file, F_WRLCK));
  FAILS_EITHER(kHeld, try_lock(file, F_RDLCK));
  holder.end();
  WORKS(try_lock(file, F_WRLCK));
}

CASE(fcntl_locks, shared_ones_live_together) {
  make_file("f");
  Holder first("f", F_RDLCK);
  Holder second("f", F_RDLCK);
  const Fd file = open_file("f", O_RDWR);
  WORKS(try_lock(file, F_RDLCK));
  FAILS_EITHER(kHeld, try_lock(file, F_WRLCK));
  first.end();
  FAILS_EITHER(kHeld, try_lock(file, F_WRLCK));
  second.end();
  WORKS(try_lock(file, F_WRLCK));
}

CASE(fcntl_locks, ranges_that_touch_do_not_meet) {
  make_file("f");
  Holder holder("f", F_WRLCK, {100, 50});
  const Fd file = open_file("f", O_RDWR);
  WORKS(try_lock(file, F_WRLCK, {0, 100}));
  WORKS(try_lock(file, F_WRLCK, {150, 0}));
  FAILS_EITHER(kHeld, try_lock(file, F_WRLCK, {99, 2}));
  FAILS_EITHER(kHeld, try_lock(file, F_WRLCK, {149, 1}));
  FAILS_EITHER(kHeld, try_lock(file, F_WRLCK, {0, 0}));
}

CASE(fcntl_locks, unlocking_the_middle_splits) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  WORKS(try_lock(file, F_WRLCK, {0, 300}));
  WORKS(try_lock(file, F_UNLCK, {100, 100}));
  HOLDS(!free_for_others("f", {0, 100}));
  HOLDS(free_for_others("f", {100, 100}));
  HOLDS(!free_for_others("f", {200, 100}));
  HOLDS(free_for_others("f", {300, 0}));
}

CASE(fcntl_locks, neighbours_merge) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  WORKS(try_lock(file, F_WRLCK, {0, 100}));
  WORKS(try_lock(file, F_WRLCK, {100, 100}));
  Peer peer([](Peer&) {
    const Fd other = open_file("f", O_RDWR);
    const struct flock found = in_the_way(other, F_WRLCK);
    EQUAL(0, found.l_start);
    EQUAL(200, found.l_len);
  });
  peer.join();
  WORKS(try_lock(file, F_UNLCK, {0, 200}));
  HOLDS(free_for_others("f"));
}

CASE(fcntl_locks, own_ones_are_replaced) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  WORKS(try_lock(file, F_WRLCK, {0, 100}));
  WORKS(try_lock(file, F_RDLCK, {0, 100}));
  Peer peer([](Peer&) {
    const Fd other = open_file("f", O_RDWR);
    WORKS(try_lock(other, F_RDLCK, {0, 100}));
    FAILS_EITHER(kHeld, try_lock(other, F_WRLCK, {0, 100}));
  });
  peer.join();
  WORKS(try_lock(file, F_WRLCK, {50, 10}));
  HOLDS(!free_for_others("f", {55, 1}));
}

CASE(fcntl_locks, upgrade_waits_for_other_readers) {
  make_file("f");
  Holder holder("f", F_RDLCK);
  const Fd file = open_file("f", O_RDWR);
  WORKS(try_lock(file, F_RDLCK));
  FAILS_EITHER(kHeld, try_lock(file, F_WRLCK));
  holder.end();
  WORKS(try_lock(file, F_WRLCK));
}

CASE(fcntl_locks, getlk_tells_type_range_and_holder) {
  make_file("f");
  Holder holder("f", F_WRLCK, {1000, 500});
  const Fd file = open_file("f", O_RDWR);
  const struct flock found = in_the_way(file, F_RDLCK, {0, 0});
  EQUAL(F_WRLCK, found.l_type);
  EQUAL(SEEK_SET, found.l_whence);
  EQUAL(1000, found.l_start);
  EQUAL(500, found.l_len);
}

CASE(fcntl_locks, getlk_tells_the_process) {
  make_file("f");
  Holder holder("f", F_WRLCK);
  EQUAL(holder.pid(), in_the_way(open_file("f", O_RDWR), F_RDLCK).l_pid);
}

CASE(fcntl_locks, getlk_of_a_free_range_says_so) {
  make_file("f");
  Holder holder("f", F_RDLCK, {0, 10});
  const Fd file = open_file("f", O_RDWR);
  EQUAL(F_UNLCK, in_the_way(file, F_WRLCK, {10, 0}).l_type);
  EQUAL(F_UNLCK, in_the_way(file, F_RDLCK, {0, 10}).l_type);
  EQUAL(F_RDLCK, in_the_way(file, F_WRLCK, {0, 10}).l_type);
}

CASE(fcntl_locks, getlk_does_not_see_own_ones) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  WORKS(try_lock(file, F_WRLCK));
  EQUAL(F_UNLCK, in_the_way(file, F_WRLCK).l_type);
}

CASE(fcntl_locks, lock_to_the_end_covers_what_grows) {
  make_file("f", "text");
  Holder holder("f", F_WRLCK, {2, 0});
  const Fd file = open_file("f", O_RDWR);
  FAILS_EITHER(kHeld, try_lock(file, F_WRLCK, {1'000'000'000'000, 1}));
  EQUAL(0, in_the_way(file, F_WRLCK, {0, 0}).l_len);
  WORKS(try_lock(file, F_WRLCK, {0, 2}));
}

CASE(fcntl_locks, offsets_beyond_4_gib) {
  make_file("f");
  constexpr int64_t kFar = int64_t{1} << 40;
  Holder holder("f", F_WRLCK, {kFar, 10});
  const Fd file = open_file("f", O_RDWR);
  WORKS(try_lock(file, F_WRLCK, {kFar - 10, 10}));
  FAILS_EITHER(kHeld, try_lock(file, F_WRLCK, {kFar + 9, 1}));
  EQUAL(kFar, in_the_way(file, F_WRLCK, {kFar, 0}).l_start);
}

CASE(fcntl_locks, positions_count_from_where_they_are_told) {
  make_file("f", pattern(1000));
  const Fd file = open_file("f", O_RDWR);
  WORKS(lseek(file.get(), 100, SEEK_SET));
  struct flock wanted = {};
  wanted.l_type = F_WRLCK;
  wanted.l_whence = SEEK_CUR;
  wanted.l_start = 10;
  wanted.l_len = 10;
  WORKS(fcntl(file.get(), F_SETLK, &wanted));
  wanted.l_whence = SEEK_END;
  wanted.l_start = 0;
  wanted.l_len = -5;  // the five bytes before
  WORKS(fcntl(file.get(), F_SETLK, &wanted));
  HOLDS(free_for_others("f", {100, 10}));
  HOLDS(!free_for_others("f", {110, 1}));
  HOLDS(free_for_others("f", {120, 10}));
  HOLDS(!free_for_others("f", {995, 5}));
  HOLDS(free_for_others("f", {1000, 5}));
}

CASE(fcntl_locks, nonsense_is_refused) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  FAILS(EINVAL, try_lock(file, F_WRLCK, {-1, 10}));
  FAILS(EINVAL, try_lock(file, 77, {0, 10}));
  FAILS(EBADF, fcntl(-1, F_SETLK, nullptr));
  const Fd reader = open_file("f", O_RDONLY);
  const Fd writer = open_file("f", O_WRONLY);
  FAILS(EBADF, try_lock(reader, F_WRLCK));
  FAILS(EBADF, try_lock(writer, F_RDLCK));
  WORKS(try_lock(reader, F_RDLCK));
  WORKS(try_lock(writer, F_WRLCK));
}

CASE(fcntl_locks, closing_any_descriptor_drops_all) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  WORKS(try_lock(file, F_WRLCK));
  HOLDS(!free_for_others("f"));
  open_file("f", O_RDONLY);  // and closed at once
  HOLDS(free_for_others("f"));
}

CASE(fcntl_locks, end_of_the_process_drops_all) {
  make_file("f");
  Holder holder("f", F_WRLCK);
  HOLDS(!free_for_others("f"));
  holder.kill();
  HOLDS(free_for_others("f"));
}

CASE(fcntl_locks, children_do_not_inherit_them) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  WORKS(try_lock(file, F_WRLCK));
  apart([&] { FAILS_EITHER(kHeld, try_lock(file, F_WRLCK)); });
  HOLDS(!free_for_others("f"));
}

CASE(fcntl_locks, unlinked_and_renamed_files_keep_them) {
  make_file("f");
  WORKS(link("f", "g"));
  Holder holder("f", F_WRLCK);
  WORKS(rename("f", "h"));
  HOLDS(!free_for_others("h"));
  HOLDS(!free_for_others("g"));
  WORKS(unlink("h"));
  HOLDS(!free_for_others("g"));
}

CASE(fcntl_locks, waiting_one_is_granted_when_the_holder_unlocks) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  WORKS(try_lock(file, F_WRLCK));
  Peer peer([](Peer& main) {
    const Fd other = open_file("f", O_RDWR);
    main.tell();
    WORKS(lock(other, F_SETLKW, F_WRLCK));
    main.tell();
    main.hear();
  });
  peer.hear();
  peer.wait_until_asleep();
  WORKS(try_lock(file, F_UNLCK));
  peer.hear();
  FAILS_EITHER(kHeld, try_lock(file, F_WRLCK));
  peer.tell();
  peer.join();
}

CASE(fcntl_locks, waiting_one_is_granted_when_the_holder_dies) {
  make_file("f");
  Holder holder("f", F_WRLCK);
  Peer peer([](Peer& main) {
    const Fd other = open_file("f", O_RDWR);
    main.tell();
    WORKS(lock(other, F_SETLKW, F_WRLCK));
  });
  peer.hear();
  peer.wait_until_asleep();
  holder.kill();
  HOLDS(peer.ended_soon());
}

CASE(fcntl_locks, waiting_one_is_interrupted_by_a_signal) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  WORKS(try_lock(file, F_WRLCK));
  Peer peer([](Peer& main) {
    catch_interrupts();
    const Fd other = open_file("f", O_RDWR);
    main.tell();
    FAILS(EINTR, lock(other, F_SETLKW, F_WRLCK));
  });
  peer.hear();
  peer.wait_until_asleep();
  peer.interrupt();
  HOLDS(peer.ended_soon());
  WORKS(try_lock(file, F_UNLCK));
  HOLDS(free_for_others("f"));
}

CASE(fcntl_locks, killed_waiter_leaves_nothing) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  WORKS(try_lock(file, F_WRLCK));
  Peer peer([](Peer& main) {
    const Fd other = open_file("f", O_RDWR);
    main.tell();
    lock(other, F_SETLKW, F_WRLCK);
  });
  peer.hear();
  peer.wait_until_asleep();
  ::kill(peer.pid(), SIGKILL);
  sleep_ms(50);
  WORKS(try_lock(file, F_UNLCK));
  // The end of a process may take a moment; its lock must not stay.
  for (int tries = 0; tries < 100 && !free_for_others("f"); ++tries) sleep_ms(10);
  HOLDS(free_for_others("f"));
  peer.kill();
}

CASE(fcntl_locks, deadlock_is_edeadlk) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  WORKS(try_lock(file, F_WRLCK, {0, 1}));
  Peer peer([](Peer& main) {
    catch_interrupts();
    const Fd other = open_file("f", O_RDWR);
    WORKS(try_lock(other, F_WRLCK, {1, 1}));
    main.tell();
    // Either of the two is told.
    lock(other, F_SETLKW, F_WRLCK, {0, 1});
  });
  peer.hear();
  peer.wait_until_asleep();
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  sigaction(SIGALRM, &action, nullptr);
  alarm(1);  // where nobody notices
  FAILS(EDEADLK, lock(file, F_SETLKW, F_WRLCK, {1, 1}));
  alarm(0);
  peer.kill();
}

CASE(fcntl_locks, many_ranges) {
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  for (int i = 0; i < 200; ++i) WORKS(try_lock(file, F_WRLCK, {i * 10, 5}));
  int wrong = 0;
  Peer peer([&](Peer&) {
    const Fd other = open_file("f", O_RDWR);
    for (int i = 0; i < 200; ++i) {
      if (try_lock(other, F_WRLCK, {i * 10, 1}) == 0) ++wrong;
      if (try_lock(other, F_WRLCK, {i * 10 + 5, 5}) != 0) ++wrong;
    }
    EQUAL(0, wrong);
  });
  peer.join();
  WORKS(try_lock(file, F_UNLCK));
  HOLDS(free_for_others("f"));
}

CASE(fcntl_locks, counter_of_four_processes_loses_nothing) {
  make_file("f", "0");
  const auto count = [] {
    const Fd file = open_file("f", O_RDWR);
    for (int i = 0; i < 25; ++i) {
      WORKS(lock(file, F_SETLKW, F_WRLCK, {0, 1}));
      const int value = std::stoi(content(file));
      write_at(file, 0, std::to_string(value + 1));
      WORKS(try_lock(file, F_UNLCK, {0, 1}));
    }
  };
  Peer first([&](Peer&) { count(); });
  Peer second([&](Peer&) { count(); });
  Peer third([&](Peer&) { count(); });
  count();
  first.join();
  second.join();
  third.join();
  EQUAL("100", content("f"));
}

}  // namespace dpfs::posix
