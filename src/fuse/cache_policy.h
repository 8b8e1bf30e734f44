// SPDX-License-Identifier: Apache-2.0
// CachePolicy: what a tenant's kernel may keep, and for how long.
#pragma once

#include <cstdint>

#include "fuse/wire_constants.h"

namespace dpfs {

// Set by the operator for each device, followed by every back end: it is found in Negotiated.
// Longer is faster for the tenant, and shows changes made elsewhere later.
struct CachePolicy {
  // How long names and attributes may be believed without asking again.
  uint32_t entry_valid_ms = 1000;
  uint32_t attr_valid_ms = 1000;
  // For answers to OPEN and CREATE, and to OPENDIR: fuse::open_flag bits.
  uint32_t file_flags = 0;
  uint32_t directory_flags = 0;

  static constexpr uint32_t kDayMs = 86'400'000;

  // Changes made elsewhere are seen within a second, and whenever a file is opened.
  static constexpr CachePolicy automatic() noexcept { return {}; }
  // The tenant alone uses the files.
  static constexpr CachePolicy always() noexcept {
    return {.entry_valid_ms = kDayMs,
            .attr_valid_ms = kDayMs,
            .file_flags = fuse::open_flag::kKeepCache,
            .directory_flags = fuse::open_flag::kKeepCache | fuse::open_flag::kCacheDir};
  }
  // Every look and every byte comes from here.
  static constexpr CachePolicy never() noexcept {
    return {.entry_valid_ms = 0,
            .attr_valid_ms = 0,
            .file_flags = fuse::open_flag::kDirectIo,
            .directory_flags = 0};
  }
  // Names and attributes are the tenant's alone, contents are not.
  static constexpr CachePolicy metadata() noexcept {
    return {.entry_valid_ms = kDayMs,
            .attr_valid_ms = kDayMs,
            .file_flags = fuse::open_flag::kDirectIo,
            .directory_flags = fuse::open_flag::kKeepCache | fuse::open_flag::kCacheDir};
  }
};

}  // namespace dpfs
