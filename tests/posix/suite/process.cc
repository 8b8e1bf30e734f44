// SPDX-License-Identifier: Apache-2.0
// Forking, changing ids, waiting.
#include "tests/posix/suite/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/posix/suite/expect.h"

namespace dpfs::posix {
namespace {

enum ExitCode { kDone = 0, kAbandoned = 40, kSkipped = 41 };

[[noreturn]] void run_and_exit(const std::function<void()>& body) {
  int code = kDone;
  try {
    body();
  } catch (const Abandoned&) {
    code = kAbandoned;
  } catch (const Skipped&) {
    code = kSkipped;
  }
  _exit(code);
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) return std::string("ended by SIG") + sigabbrev_np(WTERMSIG(status));
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

void take_over(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == kDone) return;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kSkipped) throw Skipped();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != kAbandoned) {
    judge(false, POSIX_PLACE("a process of the case"), "a regular end", how_it_ended(status));
  }
  throw Abandoned();
}

void wait_for(pid_t pid) {
  int status = 0;
  WORKS(waitpid(pid, &status, 0));
  take_over(status);
}

}  // namespace

void need_root() {
  if (geteuid() != 0) skip("needs root");
}

void become(const User& user) {
  need_root();
  // By system calls: only this process is meant, and libc would look for its threads.
  if (syscall(SYS_setgroups, user.groups.size(), user.groups.data()) != 0 ||
      syscall(SYS_setresgid, user.gid, user.gid, user.gid) != 0 ||
      syscall(SYS_setresuid, user.uid, user.uid, user.uid) != 0) {
    skip("this root may not change its ids: " + errno_text(errno));
  }
}

void as(const User& user, const std::function<void()>& body) {
  need_root();
  apart([&] {
    become(user);
    body();
  });
}

void apart(const std::function<void()>& body) {
  const pid_t pid = WORKS(fork());
  if (pid == 0) run_and_exit(body);
  wait_for(pid);
}

Peer::Peer(const std::function<void(Peer&)>& body) {
  int down[2];
  int up[2];
  WORKS(pipe2(down, O_CLOEXEC));
  WORKS(pipe2(up, O_CLOEXEC));
  pid_ = WORKS(fork());
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(down[1]);
    close(up[0]);
    in_.reset(down[0]);
    out_.reset(up[1]);
    run_and_exit([&] { body(*this); });
  }
  close(down[0]);
  close(up[1]);
  in_.reset(up[0]);
  out_.reset(down[1]);
}

Peer::~Peer() {
  if (pid_ > 0) kill();
}

// Not counted as an expectation: the other side goes on at once and may end this process.
void Peer::tell() {
  if (write(out_.get(), "x", 1) != 1) throw Abandoned();
}

void Peer::hear() {
  char byte;
  const ssize_t count = read(in_.get(), &byte, 1);
  if (count == 1) return;
  if (pid_ > 0) join();  // says why it ended
  throw Abandoned();
}

void Peer::join() {
  const pid_t pid = std::exchange(pid_, -1);
  if (pid > 0) wait_for(pid);
}

void Peer::kill() {
  const pid_t pid = std::exchange(pid_, -1);
  if (pid <= 0) return;
  ::kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

void Peer::interrupt() const { ::kill(pid_, SIGUSR1); }

bool Peer::ended_soon() {
  for (int tries = 0; tries < 500; ++tries) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      take_over(status);
      return true;
    }
    sleep_ms(10);
  }
  return false;
}

void Peer::wait_until_asleep() const {
  const std::string path = "/proc/" + std::to_string(pid_) + "/stat";
  int seen = 0;
  for (int tries = 0; tries < 1000 && seen < 5; ++tries) {
    sleep_ms(4);
    FILE* file = fopen(path.c_str(), "re");
    if (file == nullptr) return;
    char text[512] = {};
    const size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    const char* after_name = strrchr(text, ')');
    const bool asleep = after_name != nullptr && strchr("SD", after_name[2]) != nullptr;
    seen = asleep ? seen + 1 : 0;
  }
}

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
}

void sleep_ms(int milliseconds) { poll(nullptr, 0, milliseconds); }

}  // namespace dpfs::posix
