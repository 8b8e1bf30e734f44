// SPDX-License-Identifier: Apache-2.0
// The program itself as a child process, for integration tests: started, looked at, ended by its
// pid.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/sanitized.h"

namespace dpfs::test {

// A folder below /tmp that goes with its owner.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  const std::string& path() const noexcept { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Of the program under test.
std::string program_path();
void write_file(const std::string& path, const std::string& text);
// Asks again and again until `holds`; false after ten seconds.
bool eventually(const std::function<bool()>& holds);

class Daemon {
 public:
  struct Options {
    std::vector<std::string> arguments;  // behind "dpfs"
    int pass_fd = -1;                    // becomes descriptor 3
    uint64_t descriptors_max = 0;        // RLIMIT_NOFILE; 0: as it is
    bool obeys_modes = false;            // also root may read only what the mode lets it
    std::vector<int> lacks;              // capabilities that it never has
    int forbidden_call = -1;             // a system call that is EPERM for it
    int user = -1;                       // whose it is, and the group's of that number
  };

  explicit Daemon(Options options);
  explicit Daemon(std::vector<std::string> arguments)
      : Daemon(Options{.arguments = std::move(arguments)}) {}
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon();  // kills what was not waited for

  // The process that was started, and the one that serves: a child of it where it is confined.
  pid_t pid() const noexcept { return pid_; }
  pid_t serving_pid() const;
  bool running();
  // True when its log says that it is ready; false when it ended first.
  bool wait_until_ready();
  void signal(int number) const;
  // The exit code; 128 and the signal where one has ended it; -1 after ten seconds.
  int wait();
  // SIGTERM, and wait().
  int end();
  // What it has logged so far.
  std::string log() const;
  bool has_logged(const std::string& text) const;

  size_t descriptors() const;
  size_t threads() const;
  uint64_t cpu_ns() const;  // of all its threads
  uint64_t rss_bytes() const;

 private:
  TemporaryFolder folder_;
  std::string log_path_;
  pid_t pid_ = -1;
  int status_ = -1;
  bool ended_ = false;
};

}  // namespace dpfs::test
