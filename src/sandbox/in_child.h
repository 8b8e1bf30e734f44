// SPDX-License-Identifier: Apache-2.0
// For tests: what a confined process can do, tried in a child, since there is no way back.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitized.h"

namespace dpfs::sandbox {

// The exit code of a child that runs `body`, or 1000 and the signal that has ended it; 99 when it
// has thrown.
template <class F>
int in_child(F body) {
  const pid_t child = fork();
  if (child == 0) {
    int code = 99;
    try {
      code = body();
    } catch (...) {
    }
    _exit(code);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

}  // namespace dpfs::sandbox
