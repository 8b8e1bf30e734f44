// SPDX-License-Identifier: Apache-2.0
// Starting `dpfs mount`, and looking at /proc/self/mounts.
#include "tests/integration/mounted.h"

#include <sys/mount.h>

#include <fstream>
#include <sstream>

#include "tests/integration/slow_filesystem.h"

namespace dpfs::test {
namespace {

std::vector<std::string> arguments(const std::string& url, const std::string& directory,
                                   std::vector<std::string> options) {
  options.insert(options.begin(), {"mount", "--foreground"});
  options.insert(options.end(), {url, directory});
  return options;
}

}  // namespace

bool mounting_possible() { return SlowFileSystem::possible(); }

MountedDaemon::MountedDaemon(const std::string& url, const std::string& directory,
                             std::vector<std::string> options)
    : directory_(directory), daemon_(arguments(url, directory, std::move(options))) {}

MountedDaemon::~MountedDaemon() {
  if (daemon_.running()) daemon_.end();
  umount2(directory_.c_str(), MNT_FORCE);
  umount2(directory_.c_str(), MNT_DETACH);
}

std::string mount_options(const std::string& directory) {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string source;
    std::string where;
    std::string type;
    std::string options;
    words >> source >> where >> type >> options;
    if (where == directory) return options;
  }
  return {};
}

bool is_mounted(const std::string& directory) { return !mount_options(directory).empty(); }

int run_program(const std::vector<std::string>& arguments, std::string* output) {
  Daemon program(arguments);
  const int status = program.wait();
  if (output != nullptr) *output += program.log();
  return status;
}

}  // namespace dpfs::test
