// SPDX-License-Identifier: Apache-2.0
// Locks of one file by two paths: two mounts, or a mount and the directory below it (--also).
#include <signal.h>
#include <sys/file.h>

#include "tests/posix/cases/lock_helpers.h"
#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

enum class Kind { fcntl, ofd, flock };

constexpr Kind kKinds[] = {Kind::fcntl, Kind::ofd, Kind::flock};

const char* kind_name(Kind kind) {
  constexpr const char* kNames[] = {"fcntl", "OFD", "flock"};
  return kNames[static_cast<int>(kind)];
}

int take(Kind kind, const Fd& file, bool exclusive, bool wait) {
  const int type = exclusive ? F_WRLCK : F_RDLCK;
  switch (kind) {
    case Kind::fcntl:
      return lock(file, wait ? F_SETLKW : F_SETLK, type);
    case Kind::ofd:
      return lock(file, wait ? F_OFD_SETLKW : F_OFD_SETLK, type);
    case Kind::flock:
      return flock(file.get(), (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB));
  }
  return -1;
}

void give_up(Kind kind, const Fd& file) {
  if (kind == Kind::flock) {
    WORKS(flock(file.get(), LOCK_UN));
  } else {
    WORKS(lock(file, kind == Kind::fcntl ? F_SETLK : F_OFD_SETLK, F_UNLCK));
  }
}

// A file, here and there, in both orders, for every kind of lock. Each time a new name: the other
// side may remember an old one for a while.
void both_ways(void (*check)(Kind, const std::string& holder, const std::string& other)) {
  int number = 0;
  for (const Kind kind : kKinds) {
    for (const bool here : {true, false}) {
      const std::string name = "f" + std::to_string(number++);
      const std::string also = also_path(name);
      make_file(name);
      const Row row(std::string(kind_name(kind)) + (here ? ", held here" : ", held there"));
      check(kind, here ? name : also, here ? also : name);
    }
  }
}

bool soon(const std::function<bool()>& holds) {
  for (int tries = 0; tries < 200; ++tries) {
    if (holds()) return true;
    sleep_ms(10);
  }
  return false;
}

}  // namespace

CASE(shared_locks, exclusive_one_excludes_there) {
  both_ways([](Kind kind, const std::string& holder, const std::string& other) {
    const Fd file = open_file(holder, O_RDWR);
    WORKS(take(kind, file, true, false));
    apart([&] {
      const Fd second = open_file(other, O_RDWR);
      FAILS_EITHER((std::vector<int>{EAGAIN, EACCES}), take(kind, second, true, false));
      FAILS_EITHER((std::vector<int>{EAGAIN, EACCES}), take(kind, second, false, false));
    });
    give_up(kind, file);
    apart([&] { WORKS(take(kind, open_file(other, O_RDWR), true, false)); });
  });
}

CASE(shared_locks, shared_ones_live_together_and_exclude_writers) {
  both_ways([](Kind kind, const std::string& holder, const std::string& other) {
    const Fd file = open_file(holder, O_RDWR);
    WORKS(take(kind, file, false, false));
    apart([&] {
      const Fd second = open_file(other, O_RDWR);
      WORKS(take(kind, second, false, false));
      FAILS_EITHER((std::vector<int>{EAGAIN, EACCES}), take(kind, second, true, false));
    });
  });
}

CASE(shared_locks, ranges_count_there) {
  const std::string also = also_path("f");
  make_file("f");
  const Fd file = open_file("f", O_RDWR);
  WORKS(try_lock(file, F_WRLCK, {100, 100}));
  HOLDS(free_for_others(also, {0, 100}));
  HOLDS(!free_for_others(also, {150, 1}));
  HOLDS(free_for_others(also, {200, 0}));
  WORKS(try_lock(file, F_UNLCK, {120, 10}));
  HOLDS(free_for_others(also, {120, 10}));
  HOLDS(!free_for_others(also, {130, 1}));
}

CASE(shared_locks, getlk_sees_what_is_held_there) {
  const std::string also = also_path("f");
  make_file("f");
  for (const bool here : {true, false}) {
    const Row row(here ? "held here" : "held there");
    const Fd file = open_file(here ? "f" : also, O_RDWR);
    WORKS(try_lock(file, F_WRLCK, {10, 20}));
    apart([&] {
      const struct flock found = in_the_way(open_file(here ? also : "f", O_RDWR), F_RDLCK);
      EQUAL(F_WRLCK, found.l_type);
      EQUAL(10, found.l_start);
      EQUAL(20, found.l_len);
    });
  }
}

CASE(shared_locks, waiting_one_is_granted) {
  both_ways([](Kind kind, const std::string& holder, const std::string& other) {
    const Fd file = open_file(holder, O_RDWR);
    WORKS(take(kind, file, true, false));
    Peer peer([&](Peer& main) {
      const Fd second = open_file(other, O_RDWR);
      main.tell();
      WORKS(take(kind, second, true, true));
    });
    peer.hear();
    peer.wait_until_asleep();
    give_up(kind, file);
    HOLDS(peer.ended_soon());
  });
}

CASE(shared_locks, waiting_one_is_granted_when_the_holder_dies) {
  both_ways([](Kind kind, const std::string& holder, const std::string& other) {
    Peer holding([&](Peer& main) {
      const Fd file = open_file(holder, O_RDWR);
      WORKS(take(kind, file, true, false));
      main.tell();
      main.hear();
    });
    holding.hear();
    Peer waiting([&](Peer& main) {
      const Fd second = open_file(other, O_RDWR);
      main.tell();
      WORKS(take(kind, second, true, true));
    });
    waiting.hear();
    waiting.wait_until_asleep();
    holding.kill();
    HOLDS(waiting.ended_soon());
  });
}

CASE(shared_locks, interrupted_waiter_leaves_nothing) {
  both_ways([](Kind kind, const std::string& holder, const std::string& other) {
    const Fd file = open_file(holder, O_RDWR);
    WORKS(take(kind, file, true, false));
    Peer peer([&](Peer& main) {
      catch_interrupts();
      const Fd second = open_file(other, O_RDWR);
      main.tell();
      FAILS(EINTR, take(kind, second, true, true));
      main.tell();
      main.hear();
    });
    peer.hear();
    peer.wait_until_asleep();
    peer.interrupt();
    peer.hear();
    give_up(kind, file);
    // While its descriptor is still open.
    HOLDS(soon([&] {
      const Fd third = open_file(other, O_RDWR);
      return take(kind, third, true, false) == 0;
    }));
    peer.tell();
    peer.join();
  });
}

CASE(shared_locks, killed_waiter_leaves_nothing) {
  both_ways([](Kind kind, const std::string& holder, const std::string& other) {
    const Fd file = open_file(holder, O_RDWR);
    WORKS(take(kind, file, true, false));
    Peer peer([&](Peer& main) {
      const Fd second = open_file(other, O_RDWR);
      main.tell();
      take(kind, second, true, true);
    });
    peer.hear();
    peer.wait_until_asleep();
    ::kill(peer.pid(), SIGKILL);
    sleep_ms(50);
    give_up(kind, file);
    for (const std::string& path : {holder, other}) {
      HOLDS(soon([&] {
        const Fd third = open_file(path, O_RDWR);
        return take(kind, third, true, false) == 0;
      }));
    }
    peer.kill();
  });
}

CASE(shared_locks, counter_of_both_sides_loses_nothing) {
  const std::string also = also_path("f");
  make_file("f", "0");
  // The counter is the size of a directory's worth of names: nothing of it is cached as data.
  make_directory("names");
  const auto count = [](const std::string& path, const std::string& names, const char* who) {
    const Fd file = open_file(path, O_RDWR);
    for (int i = 0; i < 25; ++i) {
      WORKS(lock(file, F_SETLKW, F_WRLCK));
      make_file(names + "/inside");
      WORKS(link((names + "/inside").c_str(), (names + "/" + who + std::to_string(i)).c_str()));
      WORKS(unlink((names + "/inside").c_str()));
      WORKS(try_lock(file, F_UNLCK));
    }
  };
  const std::string there = also_path("names");
  Peer peer([&](Peer&) { count(also, there, "there"); });
  count("f", "names", "here");
  peer.join();
  EQUAL(50, names_in(there).size());
}

}  // namespace dpfs::posix
