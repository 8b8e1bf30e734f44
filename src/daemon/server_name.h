// SPDX-License-Identifier: Apache-2.0
// A server as URLs name it: name, 192.0.2.1 or [2001:db8::1], and :port behind either.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dpfs {

struct ServerName {
  std::string host;  // a name or an address, without []; empty where there is none
  uint16_t port = 0;
};

// `port`: where none is given. Throws std::invalid_argument that shows `of`, the URL.
ServerName parse_server(std::string_view text, uint16_t port, std::string_view of);

}  // namespace dpfs
