// SPDX-License-Identifier: Apache-2.0
// Fork, wait with a limit, read the record.
#include "tests/posix/suite/runner.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace dpfs::posix {
namespace {

double now_s() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

[[noreturn]] void run_case(const Case& one, const std::string& directory) {
  setpgid(0, 0);
  umask(022);
  signal(SIGPIPE, SIG_IGN);
  try {
    if (chdir(directory.c_str()) != 0) skip("cannot enter " + directory);
    one.run();
  } catch (const Abandoned&) {
    _exit(1);
  } catch (const Skipped&) {
    _exit(0);
  }
  _exit(0);
}

}  // namespace

Runner::Runner(int timeout_s) : timeout_s_(timeout_s) {
  void* memory =
      mmap(nullptr, sizeof(Record), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) abort();
  record_ = new (memory) Record();
  set_record(record_);
}

Runner::~Runner() { munmap(record_, sizeof(Record)); }

CaseResult Runner::run(const Case& one, uint32_t turned_round) {
  CaseResult result{.name = one.full_name(), .group = one.group, .outcome = Outcome::passed};
  new (record_) Record();
  record_->turned_round = turned_round;
  const std::string name = one.group + "." + one.name;
  const std::string directory = settings().directory + "/" + name;
  const double begin = now_s();
  if (mkdir(directory.c_str(), 0755) != 0 || chmod(directory.c_str(), 0755) != 0) {
    judge(false, POSIX_PLACE("mkdir of the case's directory"), "success", errno_text(errno));
  } else {
    if (!settings().also.empty()) settings().also_case = settings().also + "/" + name;
    fflush(nullptr);  // the child would print it again
    const pid_t pid = fork();
    if (pid == 0) run_case(one, directory);
    wait_for(pid);
    remove_tree(directory);
    if (exists(directory)) {
      judge(false, POSIX_PLACE("removing the case's directory"), "success", errno_text(errno));
    }
  }
  result.seconds = now_s() - begin;
  result.expectations = record_->expectations;
  for (uint32_t i = 0; i < std::min(record_->failures.load(), kFailuresMax); ++i) {
    result.failures.push_back(record_->failure[i]);
  }
  if (record_->failures > 0) {
    result.outcome = Outcome::failed;
  } else if (record_->skipped) {
    result.outcome = Outcome::skipped;
    result.reason = record_->reason;
  }
  return result;
}

void Runner::wait_for(pid_t pid) {
  const Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  pollfd ended{process.get(), POLLIN, 0};
  const bool in_time = poll(&ended, 1, timeout_s_ * 1000) == 1;
  kill(-pid, SIGKILL);  // and what it may have left
  if (!in_time) {
    judge(false, POSIX_PLACE("the whole case"), "an end", "nothing within the time limit");
    kill(pid, SIGKILL);
    if (poll(&ended, 1, 5000) != 1) {
      judge(false, POSIX_PLACE("SIGKILL"), "an end", "it hangs in the kernel");
      return;
    }
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (in_time && WIFSIGNALED(status)) {
    judge(false, POSIX_PLACE("the whole case"), "a regular end",
          std::string("SIG") + sigabbrev_np(WTERMSIG(status)));
  }
}

}  // namespace dpfs::posix
