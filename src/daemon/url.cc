// SPDX-License-Identifier: Apache-2.0
// Parsing of URLs and sizes.
#include "daemon/url.h"

#include <fmt/core.h>

#include <charconv>
#include <limits>
#include <stdexcept>

namespace dpfs {

uint64_t parse_size(std::string_view text) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const std::string_view suffix(rest, static_cast<size_t>(end - rest));
  unsigned shift = 0;
  bool known = suffix.empty();
  for (const std::string_view unit : {"K", "M", "G", "T"}) {
    shift += 10;
    if (suffix == unit) {
      known = true;
      break;
    }
  }
  if (suffix.empty()) shift = 0;
  if (error != std::errc{} || !known || number > std::numeric_limits<uint64_t>::max() >> shift) {
    throw std::invalid_argument(
        fmt::format("'{}' is no size: expected a number like 4096, 64K, 1M or 2G", text));
  }
  return number << shift;
}

namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string percent_decoded(std::string_view text, std::string_view of) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0 || high + low == 0) {
      throw std::invalid_argument(fmt::format(
          "'{}': '{}' is no character: expected two hexadecimal digits behind '%', like "
          "%25 for '%' itself",
          of, text.substr(i, 3)));
    }
    plain += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return plain;
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kPlain = "-._~";
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       kPlain.find(c) != std::string_view::npos;
    encoded += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

// Also of one that is written so badly that it will be refused: what stands before an '@' is taken
// for a password wherever it might be one.
std::string without_password(std::string_view url) {
  const size_t slashes = url.find("://");
  if (!url.starts_with("kv+") || slashes == std::string_view::npos) return std::string(url);
  const size_t user = slashes + 3;
  const size_t colon = url.find(':', user);
  const size_t options = url.find('?', user);
  const size_t name = url.find('/', user);
  size_t at = url.substr(0, options).rfind('@');
  if (at == std::string_view::npos && name > options) at = url.rfind('@');
  if (at == std::string_view::npos || colon == std::string_view::npos || at < colon) {
    return std::string(url);
  }
  std::string shown(url.substr(0, colon + 1));
  shown += "***";
  shown += url.substr(at);
  return shown;
}

std::string Url::text_of(std::string_view scheme, std::string_view path) {
  std::string text(scheme);
  text += ':';
  for (const char c : path) {
    if (c == '%' || c == '?') {
      text += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      text += c;
    }
  }
  return text;
}

Url Url::parse(std::string_view text) {
  const std::string shown = without_password(text);
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) {
    throw std::invalid_argument(
        fmt::format("'{}' has no scheme: expected a URL like local:/srv/share or null:", shown));
  }
  Url url;
  url.raw_ = text;
  url.text_ = shown;
  url.scheme_ = text.substr(0, colon);
  std::string_view rest = text.substr(colon + 1);
  const size_t question = rest.find('?');
  url.path_ = percent_decoded(rest.substr(0, question), shown);
  if (question == std::string_view::npos) return url;
  rest.remove_prefix(question + 1);
  while (!rest.empty()) {
    const std::string_view option = rest.substr(0, rest.find('&'));
    const size_t equals = option.find('=');
    if (option.empty() || equals == 0) {
      throw std::invalid_argument(
          fmt::format("'{}' in '{}' is no option: expected key=value, or key", option, shown));
    }
    const bool has_value = equals != std::string_view::npos;
    const bool added =
        url.options_
            .try_emplace(
                std::string(option.substr(0, equals)),
                has_value ? percent_decoded(option.substr(equals + 1), shown) : std::string())
            .second;
    if (!added) {
      throw std::invalid_argument(
          fmt::format("'{}': {} is given twice", shown, option.substr(0, equals)));
    }
    rest.remove_prefix(option.size());
    if (!rest.empty()) rest.remove_prefix(1);
  }
  return url;
}

std::string Url::text_with_path(const std::string& path) const {
  const size_t question = raw_.find('?');
  return text_of(scheme_, path) + (question == std::string::npos ? "" : raw_.substr(question));
}

uint64_t Url::size_option(const std::string& key, uint64_t otherwise) {
  const auto option = options_.find(key);
  if (option == options_.end()) return otherwise;
  option->second.known = true;
  return parse_size(option->second.value);
}

std::optional<std::string> Url::text_option(const std::string& key) {
  const auto option = options_.find(key);
  if (option == options_.end()) return std::nullopt;
  option->second.known = true;
  return option->second.value;
}

void Url::check_all_options_known() const {
  for (const auto& [key, option] : options_) {
    if (!option.known) {
      throw std::invalid_argument(fmt::format("'{}' is no option of {}: URLs", key, scheme_));
    }
  }
}

}  // namespace dpfs
