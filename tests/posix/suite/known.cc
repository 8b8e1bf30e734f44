// SPDX-License-Identifier: Apache-2.0
// Reading lists of known differences; matching names.
#include "tests/posix/suite/known.h"

#include <fnmatch.h>

#include <fstream>

namespace dpfs::posix {

bool Known::read(const std::string& path, std::string& problem) {
  std::ifstream file(path);
  if (!file) {
    problem = "cannot read " + path;
    return false;
  }
  std::string line;
  while (std::getline(file, line)) {
    if (line.empty() || line[0] == '#') continue;
    const size_t colon = line.find(": ");
    if (colon == std::string::npos || line.size() <= colon + 2) {
      problem = path + ": write 'group/name: reason', not '" + line + "'";
      return false;
    }
    lines_.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  return true;
}

std::string Known::reason(const std::string& case_name) const {
  for (const auto& [pattern, reason] : lines_) {
    if (fnmatch(pattern.c_str(), case_name.c_str(), 0) == 0) return reason;
  }
  return "";
}

std::vector<std::string> Known::unused(const std::vector<std::string>& case_names) const {
  std::vector<std::string> found;
  for (const auto& [pattern, reason] : lines_) {
    bool used = false;
    for (const std::string& name : case_names) {
      used = used || fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
    }
    if (!used) found.push_back(pattern);
  }
  return found;
}

bool matches(const std::string& patterns, const std::string& case_name) {
  size_t begin = 0;
  while (begin <= patterns.size()) {
    const size_t end = std::min(patterns.find(',', begin), patterns.size());
    const std::string pattern = patterns.substr(begin, end - begin);
    const std::string group = case_name.substr(0, case_name.find('/'));
    if (fnmatch(pattern.c_str(), case_name.c_str(), 0) == 0 ||
        fnmatch(pattern.c_str(), group.c_str(), 0) == 0) {
      return true;
    }
    begin = end + 1;
  }
  return false;
}

}  // namespace dpfs::posix
