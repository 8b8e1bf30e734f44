// SPDX-License-Identifier: Apache-2.0
// Supervisor: the small process outside that starts the confined one, passes on signals to it,
// tells the service manager about it, and ends with it.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <functional>
#include <string_view>

#include "base/fd.h"

namespace dpfs::sandbox {

// Words to the service manager (sd_notify(3)): "READY=1", "STOPPING=1". Made before confinement:
// afterwards nobody may open a socket.
class Notifier {
 public:
  // To $NOTIFY_SOCKET, or to nobody.
  static Notifier to_service_manager();
  // To a pipe whose other end is the supervisor's.
  static Notifier to_pipe(Fd pipe) { return Notifier(std::move(pipe)); }

  void say(std::string_view text) const noexcept;
  // In a process that is to have no other way to be heard than the pipe.
  void be_silent() noexcept { fd_.reset(); }

 private:
  explicit Notifier(Fd fd) noexcept : fd_(std::move(fd)) {}
  Fd fd_;
};

// `signals` are blocked here and there; those that come here are passed on. When this process dies,
// the child is killed.
class Supervisor {
 public:
  // Starts the child, which runs `worker` and ends with what that returns; `up` is its word to us.
  // Throws std::system_error.
  Supervisor(const sigset_t& signals, const std::function<int(const Notifier& up)>& worker);
  // Until the child has ended. Returns its exit code, or 128 and the signal that has ended it.
  int run(const Notifier& up);

 private:
  sigset_t watched_;
  pid_t child_ = -1;
  Fd from_worker_;
};

}  // namespace dpfs::sandbox
