// SPDX-License-Identifier: Apache-2.0
// What servers say about themselves and each other. Strict: a cluster that says something else is
// none that we know.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backend/kv/valkey/reply.h"
#include "io/address.h"

namespace dpfs::kv::valkey {

// Who has which slots: the answer to CLUSTER SLOTS. Servers are numbered.
struct Topology {
  struct Range {
    uint32_t first = 0;
    uint32_t last = 0;
    uint32_t primary = 0;  // in servers
    uint32_t replicas = 0;
    std::string primary_id;
  };
  std::vector<Range> ranges;
  std::vector<Address> servers;
};

// Numbers only: "192.0.2.1", "2001:db8::1".
bool parse_address(std::string_view host, int64_t port, Address& address) noexcept;
bool same(const Address& a, const Address& b) noexcept;
// "192.0.2.1:6379", as users write it.
std::string text_of(const Address& address);

// `asked` answered: a server without an address of its own is at that one.
bool parse_slots(const Reply& reply, const Address& asked, Topology& topology);

// How many replicas that have not failed a primary has: of the answer to CLUSTER NODES. CLUSTER
// SLOTS leaves out those that have nothing to tell yet.
uint32_t replicas_of(std::string_view nodes, std::string_view primary_id) noexcept;

// Of "ASK 3999 127.0.0.1:6381". A host that is missing is `asked`'s.
bool parse_redirect(std::string_view error, const Address& asked, Address& address) noexcept;

// A field of INFO or CLUSTER INFO: "name:value" in a line of its own. Empty: there is none.
std::string_view info_field(std::string_view info, std::string_view name) noexcept;
uint64_t info_number(std::string_view info, std::string_view name) noexcept;

}  // namespace dpfs::kv::valkey
