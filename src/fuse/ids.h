// SPDX-License-Identifier: Apache-2.0
// The numbers by which a tenant names things. Each is a key into a table of ours, never a pointer
// or an fd.
#pragma once

#include <cstdint>

namespace dpfs {

enum class NodeId : uint64_t { root = 1 };  // an inode the tenant has looked up
enum class Handle : uint64_t {};            // an open file or directory

}  // namespace dpfs
