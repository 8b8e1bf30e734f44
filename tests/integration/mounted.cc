// SPDX-License-Identifier: Apache-2.0
// Starting `dpfs mount`, and looking at /proc/self/mounts.
#include "tests/integration/mounted.h"

#include <sys/mount.h>

#include <fstream>
#include <sstream>

#include "tests/integration/slow_filesystem.h"

namespace dpfs::test {
namespace {

constexpr const char* kParameter = "/sys/module/fuse/parameters/enable_uring";

std::string parameter() {
  std::string value;
  std::ifstream(kParameter) >> value;
  return value;
}

std::vector<std::string> arguments(Way way, const std::string& url, const std::string& directory,
                                   std::vector<std::string> options) {
  if (way == Way::read_write) options.emplace_back("--fuse-io-uring=off");
  options.insert(options.begin(), {"mount", "--foreground"});
  options.insert(options.end(), {url, directory});
  return options;
}

}  // namespace

std::string name_of(Way way) { return way == Way::io_uring ? "IoUring" : "ReadWrite"; }

OfferedWay::OfferedWay(Way way) {
  if (way != Way::io_uring) return;
  const std::string now = parameter();
  if (now.empty()) missing_ = "this kernel has no FUSE over io_uring";
  if (now != "N") return;
  std::ofstream(kParameter) << 'Y';
  if (parameter() == "Y") {
    before_ = now;
  } else {
    missing_ = std::string("cannot write to ") + kParameter;
  }
}

OfferedWay::~OfferedWay() {
  if (!before_.empty()) std::ofstream(kParameter) << before_;
}

bool mounting_possible() { return SlowFileSystem::possible(); }

MountedDaemon::MountedDaemon(Way way, const std::string& url, const std::string& directory,
                             std::vector<std::string> options)
    : way_(way),
      directory_(directory),
      daemon_(arguments(way, url, directory, std::move(options))) {}

bool MountedDaemon::wait_until_ready() {
  return daemon_.wait_until_ready() &&
         daemon_.has_logged(way_ == Way::io_uring ? "requests by io_uring"
                                                  : "requests by /dev/fuse");
}

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
