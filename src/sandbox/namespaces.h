// SPDX-License-Identifier: Apache-2.0
// Namespaces of our own: users where we are not root, processes, mounts, network, IPC, host name.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace dpfs::sandbox {

// A range of ids: `inside` + i of the namespace is `outside` + i of the host.
struct IdRange {
  uint32_t inside;
  uint32_t outside;
  uint32_t count;
};

struct NamespaceIds {
  std::vector<IdRange> users;   // empty: our own only
  std::vector<IdRange> groups;  // empty: our own only
  bool given() const noexcept { return !users.empty() || !groups.empty(); }
};

// The next child of this process is the first process of a new pid namespace; its death is that of
// all in it. Without CAP_SYS_ADMIN, or when `maps` are given, this process enters a new user
// namespace as well. Returns whether it did. Throws std::system_error; where the kernel did not let
// us, nothing has changed.
bool enter_outer_namespaces(const NamespaceIds& maps);

// Mounts, IPC and host name, and, unless `network`, a network in which there is nothing. Throws
// std::system_error.
void enter_inner_namespaces(bool network);

}  // namespace dpfs::sandbox
