// SPDX-License-Identifier: Apache-2.0
// Making a file system.
#pragma once

#include <cstdint>

#include "backend/kv/store.h"
#include "base/op.h"

namespace dpfs::kv {

struct FormatOptions {
  // Limits of the whole file system; 0: none.
  uint64_t bytes_max = 0;
  uint64_t inodes_max = 0;
  // Of the root directory.
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t mode = 0755;
};

// An empty file system in a store that is open. EEXIST: there is one already.
Op<Unit> format(Store& store, FormatOptions options);

}  // namespace dpfs::kv
