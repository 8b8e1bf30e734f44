// SPDX-License-Identifier: Apache-2.0
// Who may do what: modes, groups, access(2), chmod.
#include <signal.h>

#include <algorithm>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

constexpr gid_t kGroup = 5200;

struct Class {
  const char* name;
  User user;
  int shift;  // of this class's bits in a mode
};

// The file belongs to Alice and kGroup.
const std::vector<Class>& classes() {
  static const std::vector<Class> kClasses = {
      {"owner", kAlice, 6},
      {"group", {kBob.uid, kGroup}, 3},
      {"supplementary group", {kBob.uid, kBob.gid, {kStaff, kGroup, 5300}}, 3},
      {"other", kBob, 0},
  };
  return kClasses;
}

int open_and_close(const char* path, int flags) {
  const int fd = open(path, flags);
  if (fd >= 0) close(fd);
  return fd < 0 ? -1 : 0;
}

// One expectation for "it works exactly when `allowed`".
void allowed_or_eacces(bool allowed, int result, const Place& place) {
  const int error = errno;
  judge((result == 0) == allowed && (allowed || error == EACCES), place,
        allowed ? "success" : "EACCES", result == 0 ? "success" : errno_text(error));
}

}  // namespace

CASE(permissions, each_class_has_its_bits_of_a_file) {
  need_root();
  make_file("f", "text");
  WORKS(chown("f", kAlice.uid, kGroup));
  for (const Class& one : classes()) {
    for (mode_t bits = 0; bits < 8; ++bits) {
      // The other classes have just what this one has not.
      WORKS(chmod("f", ((0777 & ~(7u << one.shift)) & ~(0111u * bits)) | bits << one.shift));
      as(one.user, [&] {
        const Row row(std::string(one.name) + " " + std::to_string(bits));
        allowed_or_eacces(bits & 4, open_and_close("f", O_RDONLY), POSIX_PLACE("open to read"));
        allowed_or_eacces(bits & 2, open_and_close("f", O_WRONLY), POSIX_PLACE("open to write"));
        allowed_or_eacces((bits & 6) == 6, open_and_close("f", O_RDWR), POSIX_PLACE("open both"));
        allowed_or_eacces(bits & 2, truncate("f", 4), POSIX_PLACE("truncate"));
        allowed_or_eacces(bits & 4, access("f", R_OK), POSIX_PLACE("access R_OK"));
        allowed_or_eacces(bits & 2, access("f", W_OK), POSIX_PLACE("access W_OK"));
        allowed_or_eacces(bits & 1, access("f", X_OK), POSIX_PLACE("access X_OK"));
      });
    }
  }
}

CASE(permissions, each_class_has_its_bits_of_a_directory) {
  need_root();
  make_directory("d");
  make_file("d/inside");
  WORKS(chown("d", kAlice.uid, kGroup));
  for (const Class& one : classes()) {
    for (mode_t bits = 0; bits < 8; ++bits) {
      WORKS(chmod("d", ((0777 & ~(7u << one.shift)) & ~(0111u * bits)) | bits << one.shift));
      as(one.user, [&] {
        const Row row(std::string(one.name) + " " + std::to_string(bits));
        struct stat found;
        allowed_or_eacces(bits & 4, open_and_close("d", O_RDONLY), POSIX_PLACE("open"));
        allowed_or_eacces(bits & 1, stat("d/inside", &found), POSIX_PLACE("stat inside"));
        allowed_or_eacces((bits & 3) == 3, mkdir("d/new", 0755), POSIX_PLACE("mkdir inside"));
        allowed_or_eacces((bits & 3) == 3, (bits & 3) == 3 ? rmdir("d/new") : unlink("d/inside"),
                          POSIX_PLACE("removal inside"));
      });
    }
  }
}

CASE(permissions, owner_has_no_more_than_the_owners_bits) {
  make_file("f", "text", 0077);
  WORKS(geteuid() == 0 ? chown("f", kAlice.uid, kAlice.gid) : 0);
  as(kAlice, [] {
    FAILS(EACCES, open("f", O_RDONLY));
    FAILS(EACCES, open("f", O_WRONLY));
  });
}

CASE(permissions, checks_are_made_at_open_only) {
  make_file("f", "text", 0666);
  Peer peer([](Peer& main) {
    become(kBob);
    const Fd file = open_file("f", O_RDWR);
    main.tell();
    main.hear();
    EQUAL("text", content(file));
    write_at(file, 0, "TEXT");
    WORKS(ftruncate(file.get(), 2));
    FAILS(EACCES, open("f", O_RDONLY));
  });
  peer.hear();
  WORKS(chmod("f", 0000));
  peer.tell();
  peer.join();
  EQUAL("TE", content("f"));
}

CASE(permissions, root_needs_no_bits) {
  need_root();
  make_file("f", "text", 0000);
  make_directory("d", 0000);
  EQUAL("text", content("f"));
  open_file("f", O_RDWR);
  make_file("d/f");
  WORKS(access("f", R_OK | W_OK));
  FAILS(EACCES, access("f", X_OK));
  WORKS(chmod("f", 0100));
  WORKS(access("f", X_OK));
}

CASE(permissions, access_asks_for_the_real_user) {
  need_root();
  make_file("f", "", 0600);
  apart([] {
    WORKS(setresuid(kAlice.uid, 0, 0));
    FAILS(EACCES, access("f", R_OK));
    WORKS(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
    open_file("f", O_RDONLY);
  });
}

CASE(permissions, access_refuses_unknown_modes) {
  make_file("f");
  FAILS(EINVAL, access("f", 8));
}

CASE(permissions, changed_bits_count_at_once) {
  need_root();
  make_file("f", "text", 0644);
  Peer peer([](Peer& main) {
    become(kBob);
    WORKS(open_and_close("f", O_RDONLY));
    main.tell();
    main.hear();
    FAILS(EACCES, open("f", O_RDONLY));
    main.tell();
    main.hear();
    WORKS(open_and_close("f", O_RDONLY));
  });
  peer.hear();
  WORKS(chmod("f", 0600));
  peer.tell();
  peer.hear();
  WORKS(chmod("f", 0604));
  peer.tell();
  peer.join();
}

CASE(permissions, changed_owner_counts_at_once) {
  need_root();
  make_file("f", "text", 0600);
  Peer peer([](Peer& main) {
    become(kBob);
    FAILS(EACCES, open("f", O_RDONLY));
    main.tell();
    main.hear();
    WORKS(open_and_close("f", O_RDONLY));
  });
  peer.hear();
  WORKS(chown("f", kBob.uid, kBob.gid));
  peer.tell();
  peer.join();
}

CASE(permissions, chmod_is_for_the_owner) {
  need_root();
  make_file("f", "", 0666);
  WORKS(chown("f", kAlice.uid, kGroup));
  as(kAlice, [] {
    WORKS(chmod("f", 0640));
    EQUAL(0640, mode_of("f"));
    WORKS(chmod("f", 0666));
  });
  as({kBob.uid, kGroup}, [] { FAILS(EPERM, chmod("f", 0600)); });
  EQUAL(0666, mode_of("f"));
}

CASE(permissions, chmod_sets_every_bit) {
  make_file("f");
  make_directory("d");
  for (const mode_t mode : {0000, 0111, 0222, 0444, 0777, 01777, 02755, 04755, 06711, 07777}) {
    const Row row(std::to_string(mode));
    WORKS(chmod("f", mode));
    EQUAL(mode, mode_of("f"));
    WORKS(chmod("d", mode | 0700));
    EQUAL(mode | 0700, mode_of("d"));
    const Fd file(geteuid() == 0 || (mode & 0400) != 0 ? open("f", O_RDONLY | O_CLOEXEC) : -1);
    if (!file) continue;
    WORKS(fchmod(file.get(), mode ^ 0022));
    EQUAL(mode ^ 0022, mode_of("f"));
  }
}

CASE(permissions, execution_needs_a_bit) {
  need_root();
  make_file("script", "#!/bin/sh\nexit 0\n", 0644);
  apart([] {
    char* const arguments[] = {const_cast<char*>("script"), nullptr};
    FAILS(EACCES, execv("./script", arguments));
  });
}

CASE(permissions, files_being_executed_are_not_written) {
  make_file("program", content("/proc/self/exe"), 0755);
  const pid_t pid = WORKS(fork());
  if (pid == 0) {
    char* const arguments[] = {const_cast<char*>("program"), const_cast<char*>("pause"), nullptr};
    execv("./program", arguments);
    _exit(1);
  }
  // It answers nobody: wait until /proc names it.
  const std::string link = "/proc/" + std::to_string(pid) + "/exe";
  char target[4096] = {};
  for (int i = 0; i < 1000; ++i) {
    const ssize_t length = readlink(link.c_str(), target, sizeof target - 1);
    target[std::max<ssize_t>(length, 0)] = '\0';
    if (std::string(target).find("/program") != std::string::npos) break;
    sleep_ms(2);
  }
  FAILS(ETXTBSY, open("program", O_WRONLY));
  FAILS(ETXTBSY, truncate("program", 0));
  kill(pid, SIGKILL);
}

}  // namespace dpfs::posix
