// SPDX-License-Identifier: Apache-2.0
// What came of a system call, as text that can be compared.
#pragma once

#include <sys/types.h>

#include <string>

namespace dpfs::posix {

// The errno's name where `result` is negative (read errno first of all), else the result.
std::string outcome(ssize_t result);
// The same, with a digest of the bytes that came with it.
std::string outcome_with(ssize_t result, const char* bytes);
// Length and a hash.
std::string digest(const std::string& bytes);
// Of a list as listxattr(2) makes it; only those that both sides have (user, ACLs, and trusted ones
// where asked for), sorted.
std::string attribute_names(const std::string& list, bool trusted);

}  // namespace dpfs::posix
