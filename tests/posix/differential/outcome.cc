// SPDX-License-Identifier: Apache-2.0
// Texts for results and bytes.
#include "tests/posix/differential/outcome.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <vector>

#include "tests/posix/suite/expect.h"

namespace dpfs::posix {

std::string outcome(ssize_t result) {
  return result < 0 ? errno_text(errno) : std::to_string(result);
}

std::string outcome_with(ssize_t result, const char* bytes) {
  if (result < 0) return errno_text(errno);
  return digest(std::string(bytes, static_cast<size_t>(result)));
}

std::string digest(const std::string& bytes) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211u;
  char text[64];
  snprintf(text, sizeof text, "[%zu bytes %016llx]", bytes.size(),
           static_cast<unsigned long long>(hash));
  return text;
}

std::string attribute_names(const std::string& list, bool trusted) {
  std::vector<std::string> names;
  for (size_t at = 0; at < list.size();) {
    const std::string name = list.c_str() + at;
    at += name.size() + 1;
    const bool wanted = name.rfind("user.", 0) == 0 || name.rfind("system.posix_acl_", 0) == 0 ||
                        (trusted && name.rfind("trusted.", 0) == 0);
    if (wanted) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return to_text(names);
}

}  // namespace dpfs::posix
