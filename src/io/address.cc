// SPDX-License-Identifier: Apache-2.0
// Names of servers.
#include "io/address.h"

#include <netdb.h>

#include <array>
#include <cstring>
#include <string_view>

namespace dpfs {
namespace {

void add_addresses(const std::string& server, const std::string& port,
                   std::vector<Address>& addresses) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  // The last is for a machine that has loopback only.
  for (const int flags : {AI_NUMERICHOST, AI_ADDRCONFIG, 0}) {
    hints.ai_flags = AI_NUMERICSERV | flags;
    if (getaddrinfo(server.c_str(), port.c_str(), &hints, &found) == 0) break;
    found = nullptr;
  }
  if (found == nullptr) return;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    Address address;
    if (each->ai_addrlen > sizeof address.bytes) continue;
    std::memcpy(&address.bytes, each->ai_addr, each->ai_addrlen);
    address.size = each->ai_addrlen;
    addresses.push_back(address);
  }
  freeaddrinfo(found);
}

}  // namespace

std::vector<Address> look_up(const std::string& servers, uint16_t port) {
  std::vector<Address> addresses;
  std::string_view rest = servers;
  while (!rest.empty()) {
    const std::string_view server = rest.substr(0, rest.find(','));
    if (!server.empty()) add_addresses(std::string(server), std::to_string(port), addresses);
    rest.remove_prefix(std::min(server.size() + 1, rest.size()));
  }
  return addresses;
}

std::string numeric(const Address& address) {
  std::array<char, NI_MAXHOST> text{};
  const int failed = getnameinfo(reinterpret_cast<const sockaddr*>(&address.bytes), address.size,
                                 text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
  return failed != 0 ? std::string() : std::string(text.data());
}

}  // namespace dpfs
