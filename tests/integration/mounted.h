// SPDX-License-Identifier: Apache-2.0
// A directory mounted by the program itself, for integration tests, and what is left of the mount.
#pragma once

#include <string>
#include <vector>

#include "tests/integration/daemon.h"

namespace dpfs::test {

// Whether this machine lets us mount (root, /dev/fuse); see SlowFileSystem::possible().
bool mounting_possible();

// `dpfs mount --foreground` in a process of its own. Whatever is left of the mount goes with it.
class MountedDaemon {
 public:
  // Options go before URL and DIR.
  MountedDaemon(const std::string& url, const std::string& directory,
                std::vector<std::string> options = {});
  MountedDaemon(const MountedDaemon&) = delete;
  MountedDaemon& operator=(const MountedDaemon&) = delete;
  ~MountedDaemon();

  Daemon& process() noexcept { return daemon_; }
  bool wait_until_ready() { return daemon_.wait_until_ready(); }
  const std::string& directory() const noexcept { return directory_; }

 private:
  const std::string directory_;
  Daemon daemon_;
};

// Whether something is mounted on `directory`.
bool is_mounted(const std::string& directory);
// The options of the mount, of /proc/self/mounts; empty when there is none.
std::string mount_options(const std::string& directory);
// Runs the program to its end and returns its exit code; what it says is added to `output`.
int run_program(const std::vector<std::string>& arguments, std::string* output = nullptr);

}  // namespace dpfs::test
