// SPDX-License-Identifier: Apache-2.0
// unshare(CLONE_FS) needs no rights. It parts the working directory and the root as well, which
// nobody changes once threads run.
#include "backend/local/thread_umask.h"

#include <sched.h>
#include <sys/stat.h>

namespace dpfs::local {

bool set_thread_umask(mode_t umask) noexcept {
  constexpr mode_t kShared = ~mode_t{0};
  thread_local mode_t current = kShared;
  if (current == umask) return true;
  if (current == kShared && ::unshare(CLONE_FS) != 0) return false;
  ::umask(umask);
  current = umask;
  return true;
}

}  // namespace dpfs::local
