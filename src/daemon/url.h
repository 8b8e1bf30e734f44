// SPDX-License-Identifier: Apache-2.0
// Url: what a device serves. scheme:path[?key=value&key=value&switch]
//
// In the path and in the values a character may be written as % and its two hexadecimal digits (RFC
// 3986, section 2.1), and '?', '%' (and '&' in a value) must be: local:/srv/what%3F
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace dpfs {

// Of bytes: "4096", "64K", "1G" (powers of 1024). Throws std::invalid_argument that says what was
// expected.
uint64_t parse_size(std::string_view text);

// `text` with %.. made characters. Throws std::invalid_argument that shows `of`.
std::string percent_decoded(std::string_view text, std::string_view of);
// The reverse: all but letters, digits, '-', '.', '_' and '~' is written as %...
std::string percent_encoded(std::string_view text);

// A URL as it may be shown and logged, with '***' for the password in kv+...://user:password@host.
std::string without_password(std::string_view url);

class Url {
 public:
  // Throws std::invalid_argument when `text` has no scheme, an option has no name, or a '%' is
  // followed by anything but two hexadecimal digits.
  static Url parse(std::string_view text);
  // The text of the URL that has this path, whatever is in it.
  static std::string text_of(std::string_view scheme, std::string_view path);

  const std::string& scheme() const noexcept { return scheme_; }
  const std::string& path() const noexcept { return path_; }
  // As it was given, with a password that may be in it; and as it may be shown.
  const std::string& raw() const noexcept { return raw_; }
  const std::string& text() const noexcept { return text_; }
  // The path as it was given, where characters of it may still be written as %...
  std::string_view raw_path() const noexcept {
    const std::string_view rest = std::string_view(raw_).substr(scheme_.size() + 1);
    return rest.substr(0, rest.find('?'));
  }

  // The same with another path.
  std::string text_with_path(const std::string& path) const;

  // The option of that name as a number (parse_size), or `otherwise` where it is not given.
  uint64_t size_option(const std::string& key, uint64_t otherwise);
  // The option of that name as it is; empty where it has no value.
  std::optional<std::string> text_option(const std::string& key);
  // Throws std::invalid_argument when an option was given that nobody has asked for.
  void check_all_options_known() const;

 private:
  struct Option {
    std::string value;
    bool known = false;
  };
  std::string raw_;
  std::string text_;
  std::string scheme_;
  std::string path_;
  std::map<std::string, Option> options_;
};

}  // namespace dpfs
