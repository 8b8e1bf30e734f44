// SPDX-License-Identifier: Apache-2.0
// Known differences: cases that may fail on some file system, each with a reason.
// A file of lines "group/name: reason"; '*' in a name stands for anything, '#' begins a comment.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace dpfs::posix {

class Known {
 public:
  // Adds the lines of a file; false, with a sentence in `problem`, where one has no reason.
  bool read(const std::string& path, std::string& problem);
  // The reason, or "" where the case is expected to pass.
  std::string reason(const std::string& case_name) const;
  // Lines that stand for no case: they are out of date.
  std::vector<std::string> unused(const std::vector<std::string>& case_names) const;

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

// Whether a comma-separated list of patterns ("rename*", "locks/fcntl*") names the case.
bool matches(const std::string& patterns, const std::string& case_name);

}  // namespace dpfs::posix
