// SPDX-License-Identifier: Apache-2.0
// Filling struct flock.
#include "tests/posix/cases/lock_helpers.h"

#include <sys/wait.h>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {

int lock(const Fd& file, int command, int type, Range range) {
  struct flock wanted = {};
  wanted.l_type = static_cast<short>(type);
  wanted.l_whence = SEEK_SET;
  wanted.l_start = range.start;
  wanted.l_len = range.size;
  return fcntl(file.get(), command, &wanted);
}

struct flock in_the_way(const Fd& file, int type, Range range, int command) {
  struct flock found = {};
  found.l_type = static_cast<short>(type);
  found.l_whence = SEEK_SET;
  found.l_start = range.start;
  found.l_len = range.size;
  WORKS(fcntl(file.get(), command, &found));
  return found;
}

bool free_for_others(const std::string& path, Range range) {
  const pid_t pid = WORKS(fork());
  if (pid == 0) {
    const Fd file(open(path.c_str(), O_RDWR | O_CLOEXEC));
    const int result = try_lock(file, F_WRLCK, range);
    _exit(result == 0 ? 0 : errno == EAGAIN || errno == EACCES ? 1 : 2);
  }
  int ended = 0;
  WORKS(waitpid(pid, &ended, 0));
  if (WEXITSTATUS(ended) > 1)
    judge(false, POSIX_PLACE("fcntl of another process"), "0", "an error");
  return WEXITSTATUS(ended) == 0;
}

}  // namespace dpfs::posix
