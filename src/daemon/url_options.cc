// SPDX-License-Identifier: Apache-2.0
// Numbers, sizes and switches of URLs.
#include "daemon/url_options.h"

#include <fmt/core.h>

#include <charconv>
#include <stdexcept>

namespace dpfs {

uint64_t number_between(uint64_t least, uint64_t most, std::string_view text,
                        std::string_view what) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest != end || number < least || number > most) {
    throw std::invalid_argument(
        fmt::format("{}={}: expected a number from {} to {}", what, text, least, most));
  }
  return number;
}

bool UrlOptions::given(const std::string& name) {
  const std::optional<std::string> text = url_.text_option(name);
  if (text && !text->empty()) {
    throw std::invalid_argument(fmt::format("{}={}: takes no value", name, *text));
  }
  return text.has_value();
}

std::optional<uint64_t> UrlOptions::size_between(const std::string& name, uint64_t least,
                                                 uint64_t most) {
  const std::optional<std::string> text = url_.text_option(name);
  if (!text) return std::nullopt;
  const uint64_t size = parse_size(*text);
  if (size < least || size > most) {
    throw std::invalid_argument(
        fmt::format("{}={}: expected from {} to {} bytes", name, *text, least, most));
  }
  return size;
}

}  // namespace dpfs
