// SPDX-License-Identifier: Apache-2.0
// fork(2), a pipe, and where the log goes.
#include "daemon/background.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/wait.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <stdexcept>

#include "base/errno.h"
#include "base/log.h"

namespace dpfs {
namespace {

[[noreturn]] void wait_for_child(pid_t child, const Fd& told) {
  char byte = 0;
  ssize_t bytes = 0;
  do {
    bytes = read(told.get(), &byte, 1);
  } while (bytes < 0 && errno == EINTR);
  if (bytes == 1) _exit(0);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

Fd open_log(const std::string& log_file) {
  if (!log_file.empty()) {
    Fd file(open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    if (!file) {
      throw std::runtime_error(
          fmt::format("cannot write the log to '{}': {}", log_file, describe(last_errno())));
    }
    return file;
  }
  return Fd(sd_journal_stream_fd("dpfs", 6, 1));  // 6: LOG_INFO where a line says nothing else
}

}  // namespace

// What the caller has left open is not ours to hold: a script's lock, a pipe whose reader waits for
// its end. (Before Linux 5.9 it stays.)
Background Background::begin() {
  close_range(STDERR_FILENO + 1, ~0U, 0);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    throw std::runtime_error(fmt::format("cannot make a pipe: {}", describe(last_errno())));
  }
  Fd reads(ends[0]);
  Fd tells(ends[1]);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error(fmt::format("cannot fork: {}", describe(last_errno())));
  if (child > 0) {
    tells.reset();
    wait_for_child(child, reads);
  }
  setsid();
  return Background(std::move(tells));
}

void Background::ready(const std::string& log_file) {
  Fd log_stream = open_log(log_file);
  if (!told_) {
    if (log_file.empty()) return;
    dup2(log_stream.get(), STDERR_FILENO);
    return log::stderr_has_changed(false);
  }
  const Fd nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing) {
    throw std::runtime_error(fmt::format("cannot open /dev/null: {}", describe(last_errno())));
  }
  const bool journal = log_file.empty() && log_stream;
  dup2(nothing.get(), STDIN_FILENO);
  dup2(nothing.get(), STDOUT_FILENO);
  dup2(log_stream ? log_stream.get() : nothing.get(), STDERR_FILENO);
  log::stderr_has_changed(journal);
  // Nothing of ours keeps a file system from being unmounted.
  [[maybe_unused]] const int moved = chdir("/");
  const char byte = 1;
  [[maybe_unused]] const ssize_t told = write(told_.get(), &byte, 1);
  told_.reset();
}

}  // namespace dpfs
