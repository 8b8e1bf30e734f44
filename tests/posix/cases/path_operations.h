// SPDX-License-Identifier: Apache-2.0
// Every operation that takes a path, for tables of errnos.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace dpfs::posix {

// What an operation wants of the last component of its path.
enum class Wants {
  existing,  // ENOENT where it is missing
  missing,   // EEXIST where it is there
  either,
};

struct PathOperation {
  std::string name;
  Wants wants;
  bool follows;  // a symlink as the last component
  bool writes;   // changes what is stored: EROFS
  std::function<int(const char* path)> call;
};

// `file` in the working directory is there for the operations with two paths.
const std::vector<PathOperation>& path_operations();

}  // namespace dpfs::posix
