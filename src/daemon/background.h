// SPDX-License-Identifier: Apache-2.0
// Background: a command that goes on in the background once it is ready, as daemons that mount do.
#pragma once

#include <string>

#include "base/fd.h"

namespace dpfs {

// Used before there is any other thread.
class Background {
 public:
  // Forks. In the parent, waits for the child to call ready() and leaves the process: with 0, or
  // with the child's exit code where it ended without. In the child, returns.
  static Background begin();
  // A process that stays in the foreground.
  static Background none() { return Background(Fd()); }

  // The child is on its own from now on: its log goes to `log_file`, where that is empty to the
  // system's journal, if there is one. Throws std::runtime_error when the file cannot be opened.
  void ready(const std::string& log_file);

 private:
  explicit Background(Fd told) noexcept : told_(std::move(told)) {}
  Fd told_;  // the parent reads the other end
};

}  // namespace dpfs
