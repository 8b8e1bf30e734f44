// SPDX-License-Identifier: Apache-2.0
// What the command line said, for cases that depend on it.
#pragma once

#include <string>

namespace dpfs::posix {

struct Settings {
  std::string directory;  // where the suite works, below the one given
  std::string also;       // the same directory by another path; empty: none
  std::string also_case;  // that of the case which runs
  bool slow = false;      // also what takes long (tens of thousands of links)
};

Settings& settings();

// The path of the case's file by --also; skips where there is none.
std::string also_path(const std::string& name);

}  // namespace dpfs::posix
