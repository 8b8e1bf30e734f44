// SPDX-License-Identifier: Apache-2.0
// A directory mounted by the program itself, for integration tests, and what is left of the mount.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/integration/daemon.h"

namespace dpfs::test {

// How the kernel hands over its requests.
enum class Way : uint8_t { read_write, io_uring };
std::string name_of(Way way);

// For as long as it lives, the kernel offers FUSE over io_uring to mounts that are made, where the
// way is that. Sets the parameter of the kernel's module back.
class OfferedWay {
 public:
  explicit OfferedWay(Way way);
  OfferedWay(const OfferedWay&) = delete;
  OfferedWay& operator=(const OfferedWay&) = delete;
  ~OfferedWay();
  // Why it cannot be had here; empty where it can.
  const std::string& missing() const noexcept { return missing_; }

 private:
  std::string before_;
  std::string missing_;
};

// Whether this machine lets us mount (root, /dev/fuse); see SlowFileSystem::possible().
bool mounting_possible();

// `dpfs mount --foreground` in a process of its own. Whatever is left of the mount goes with it.
class MountedDaemon {
 public:
  // Options go before URL and DIR.
  MountedDaemon(Way way, const std::string& url, const std::string& directory,
                std::vector<std::string> options = {});
  MountedDaemon(const MountedDaemon&) = delete;
  MountedDaemon& operator=(const MountedDaemon&) = delete;
  ~MountedDaemon();

  Daemon& process() noexcept { return daemon_; }
  // Ready, and served the way that was asked for.
  bool wait_until_ready();
  const std::string& directory() const noexcept { return directory_; }

 private:
  const Way way_;
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
