// SPDX-License-Identifier: Apache-2.0
// Real Valkey servers for integration tests: tools/rig/valkey.py as a child process.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/fd.h"

namespace dpfs::test {

// One server alone, or what the program's options ask for (--cluster). Fetches nothing: there is
// one where tools/rig/fetch.py has been run, or where the system has one installed. All of it ends
// with this.
class ValkeyServer {
 public:
  explicit ValkeyServer(const std::vector<std::string>& options = {});
  ValkeyServer(const ValkeyServer&) = delete;
  ValkeyServer& operator=(const ValkeyServer&) = delete;
  ~ValkeyServer();

  // Why there is none here; empty where there is.
  const std::string& missing() const noexcept { return missing_; }
  // kv+valkey://..., of a file system of that name.
  std::string url(const std::string& name) const;

 private:
  pid_t pid_ = -1;
  Fd commands_;  // it ends when this is closed
  std::string url_;
  std::string missing_;
};

}  // namespace dpfs::test
