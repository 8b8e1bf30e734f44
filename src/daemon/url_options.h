// SPDX-License-Identifier: Apache-2.0
// Options of a URL, with what is expected of each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "daemon/url.h"

namespace dpfs {

// "what=text: expected a number from 1 to 9"; throws std::invalid_argument.
uint64_t number_between(uint64_t least, uint64_t most, std::string_view text,
                        std::string_view what);

// Each answers whether the option is there, and throws std::invalid_argument that says what was
// expected where its value is none.
class UrlOptions {
 public:
  explicit UrlOptions(Url& url) noexcept : url_(url) {}

  template <class Number>
  bool number(const std::string& name, uint64_t least, uint64_t most, Number& to) {
    const std::optional<std::string> text = url_.text_option(name);
    if (text) to = static_cast<Number>(number_between(least, most, *text, name));
    return text.has_value();
  }
  // A size, as parse_size() has it.
  template <class Number>
  bool bytes(const std::string& name, uint64_t least, uint64_t most, Number& to) {
    const std::optional<uint64_t> size = size_between(name, least, most);
    if (size) to = static_cast<Number>(*size);
    return size.has_value();
  }
  // A switch.
  bool given(const std::string& name);
  std::optional<std::string> text(const std::string& name) { return url_.text_option(name); }

 private:
  std::optional<uint64_t> size_between(const std::string& name, uint64_t least, uint64_t most);

  Url& url_;
};

}  // namespace dpfs
