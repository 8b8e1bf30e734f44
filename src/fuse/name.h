// SPDX-License-Identifier: Apache-2.0
// Name: a checked text that a tenant sent.
#pragma once

#include <cstdint>
#include <string_view>

namespace dpfs {

// One path component: 1 to 255 bytes, no '/', no NUL inside, neither "." nor ".." (but see
// LookupArgs). Ends with a NUL for system calls' sake. (Names of extended attributes are Names too:
// 1 to 255 bytes without NUL, anything else allowed.)
class Name {
 public:
  Name() = default;
  Name(const char* text, uint16_t size) noexcept : text_(text), size_(size) {}
  const char* c_str() const noexcept { return text_; }
  std::string_view view() const noexcept { return {text_, size_}; }
  uint16_t size() const noexcept { return size_; }

 private:
  const char* text_ = "";
  uint16_t size_ = 0;
};

}  // namespace dpfs
