// SPDX-License-Identifier: Apache-2.0
// One loop over a signalfd and a pipe.
#include "sandbox/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>

#include "base/errno.h"
#include "base/log.h"

namespace dpfs::sandbox {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// What the worker may have said on. Never what it says itself: the service manager takes commands
// in this way.
void pass_on(std::string_view said, const Notifier& up) {
  for (const std::string_view known : {"READY=1", "STOPPING=1"}) {
    if (said.find(known) != std::string_view::npos) up.say(known);
  }
}

[[noreturn]] void be_worker(Fd pipe, const std::function<int(const Notifier&)>& worker) {
  // Killed when the supervisor's only thread ends.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Should it have ended before that: the pipe has no reader.
  pollfd reader{.fd = pipe.get(), .events = 0, .revents = 0};
  if (poll(&reader, 1, 0) != 0) _exit(1);
  std::exit(worker(Notifier::to_pipe(std::move(pipe))));
}

int code_of(int status) {
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  const int signal = WTERMSIG(status);
  if (signal == SIGSYS) {
    log::error(
        "ended by the kernel: a system call that --seccomp does not allow. Which one is in the "
        "audit log; please report it. Until then: --seccomp log");
  } else {
    log::error("the serving process was ended by SIG{}", sigabbrev_np(signal));
  }
  return 128 + signal;
}

}  // namespace

Notifier Notifier::to_service_manager() {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t size = path == nullptr ? 0 : std::strlen(path);
  if (size == 0 || size >= sizeof address.sun_path) return Notifier(Fd());
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';  // of the abstract namespace
  Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  if (!fd || connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    log::warn("cannot reach the service manager at {}: {}", std::string(path),
              describe(last_errno()));
    return Notifier(Fd());
  }
  return Notifier(std::move(fd));
}

void Notifier::say(std::string_view text) const noexcept {
  if (fd_) [[maybe_unused]]
    const ssize_t ignored = write(fd_.get(), text.data(), text.size());
}

Supervisor::Supervisor(const sigset_t& signals, const std::function<int(const Notifier&)>& worker)
    : watched_(signals) {
  sigaddset(&watched_, SIGCHLD);
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &watched_, &before);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail("pipe2");
  from_worker_.reset(ends[0]);
  Fd to_supervisor(ends[1]);
  std::fflush(nullptr);  // or both print what is there
  child_ = fork();
  if (child_ < 0) fail("fork");
  if (child_ == 0) {
    from_worker_.reset();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    be_worker(std::move(to_supervisor), worker);
  }
}

int Supervisor::run(const Notifier& up) {
  const Fd arriving(signalfd(-1, &watched_, SFD_CLOEXEC));
  if (!arriving) fail("signalfd");
  pollfd both[] = {{.fd = arriving.get(), .events = POLLIN, .revents = 0},
                   {.fd = from_worker_.get(), .events = POLLIN, .revents = 0}};
  while (true) {
    if (poll(both, 2, -1) < 0) continue;
    if (both[1].revents != 0) {
      char said[256];
      const ssize_t bytes = read(from_worker_.get(), said, sizeof said);
      if (bytes > 0) {
        pass_on({said, static_cast<size_t>(bytes)}, up);
      } else {
        both[1].fd = -1;  // the worker has closed it
      }
    }
    if (both[0].revents == 0) continue;
    signalfd_siginfo info{};
    if (read(arriving.get(), &info, sizeof info) != sizeof info) continue;
    const auto signal = static_cast<int>(info.ssi_signo);
    int status = 0;
    if (signal != SIGCHLD) {
      kill(child_, signal);
    } else if (waitpid(child_, &status, WNOHANG) == child_) {
      return code_of(status);
    }
  }
}

}  // namespace dpfs::sandbox
