// SPDX-License-Identifier: Apache-2.0
// Names, addresses and ports.
#include "daemon/server_name.h"

#include <fmt/core.h>

#include <stdexcept>

#include "daemon/url_options.h"

namespace dpfs {

ServerName parse_server(std::string_view text, uint16_t port, std::string_view of) {
  ServerName server{.host = {}, .port = port};
  std::string_view rest;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) {
      throw std::invalid_argument(fmt::format("'{}': '[' without ']'", of));
    }
    server.host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
  } else {
    const size_t colon = text.find(':');
    server.host = text.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
  }
  if (!text.starts_with('[') && rest.find(':', 1) != std::string_view::npos) {
    throw std::invalid_argument(
        fmt::format("'{}': an IPv6 address goes into [], like [2001:db8::1]", of));
  }
  if (rest.starts_with(':')) {
    server.port = static_cast<uint16_t>(number_between(1, 65535, rest.substr(1), "port"));
  } else if (!rest.empty()) {
    throw std::invalid_argument(fmt::format(
        "'{}': expected a server like name, 192.0.2.1 or [2001:db8::1], and :port", of));
  }
  return server;
}

}  // namespace dpfs
