// SPDX-License-Identifier: Apache-2.0
// Where a server is.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

namespace dpfs {

struct Address {
  sockaddr_storage bytes{};
  socklen_t size = 0;
};

// Of a name, an address, or a list of them with commas in between. None: nobody knows it. May take
// long; asks no name server, and needs no other system call, for what is an address.
std::vector<Address> look_up(const std::string& servers, uint16_t port);

// "192.0.2.1", "2001:db8::1"
std::string numeric(const Address& address);

}  // namespace dpfs
