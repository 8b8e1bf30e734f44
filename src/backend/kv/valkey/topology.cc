// SPDX-License-Identifier: Apache-2.0
// CLUSTER SLOTS, redirections, INFO.
#include "backend/kv/valkey/topology.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "backend/kv/valkey/slot.h"

namespace dpfs::kv::valkey {
namespace {

constexpr uint32_t kServersMax = 4096;

template <class T>
bool parse_number(std::string_view text, T& number) noexcept {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end;
}

bool with_port(const Address& of, int64_t port, Address& address) noexcept {
  if (port <= 0 || port > UINT16_MAX) return false;
  address = of;
  const uint16_t big_endian = htons(static_cast<uint16_t>(port));
  if (of.bytes.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6&>(address.bytes).sin6_port = big_endian;
  } else {
    reinterpret_cast<sockaddr_in&>(address.bytes).sin_port = big_endian;
  }
  return true;
}

uint32_t number_of(const Address& address, std::vector<Address>& servers) {
  for (uint32_t i = 0; i < servers.size(); ++i) {
    if (same(servers[i], address)) return i;
  }
  servers.push_back(address);
  return static_cast<uint32_t>(servers.size() - 1);
}

// [host, port, id, ...]. The host is "", "?" or nil where the server does not know it.
bool parse_server(Reply::Walk& walk, const Address& asked, Address& address, std::string& id) {
  uint32_t elements = 0;
  if (!walk.array(elements) || elements < 2) return false;
  std::string_view host;
  if (!walk.string(host) && !walk.skip()) return false;
  int64_t port = 0;
  if (!walk.integer(port)) return false;
  std::string_view its_id;
  if (elements > 2 && !walk.string(its_id)) return false;
  id = its_id;
  for (uint32_t i = 3; i < elements; ++i) {
    if (!walk.skip()) return false;
  }
  if (host.empty() || host == "?") return with_port(asked, port, address);
  return parse_address(host, port, address);
}

}  // namespace

bool parse_address(std::string_view host, int64_t port, Address& address) noexcept {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (port <= 0 || port > UINT16_MAX || host.size() >= text.size()) return false;
  std::memcpy(text.data(), host.data(), host.size());
  address = {};
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.bytes);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address.bytes);
  if (inet_pton(AF_INET, text.data(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<uint16_t>(port));
    address.size = sizeof v4;
    return true;
  }
  if (inet_pton(AF_INET6, text.data(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(static_cast<uint16_t>(port));
    address.size = sizeof v6;
    return true;
  }
  return false;
}

bool same(const Address& a, const Address& b) noexcept {
  if (a.bytes.ss_family != b.bytes.ss_family) return false;
  if (a.bytes.ss_family == AF_INET) {
    const auto& x = reinterpret_cast<const sockaddr_in&>(a.bytes);
    const auto& y = reinterpret_cast<const sockaddr_in&>(b.bytes);
    return x.sin_port == y.sin_port && x.sin_addr.s_addr == y.sin_addr.s_addr;
  }
  const auto& x = reinterpret_cast<const sockaddr_in6&>(a.bytes);
  const auto& y = reinterpret_cast<const sockaddr_in6&>(b.bytes);
  return x.sin6_port == y.sin6_port &&
         std::memcmp(&x.sin6_addr, &y.sin6_addr, sizeof x.sin6_addr) == 0;
}

std::string text_of(const Address& address) {
  const bool v6 = address.bytes.ss_family == AF_INET6;
  const uint16_t port = v6 ? reinterpret_cast<const sockaddr_in6&>(address.bytes).sin6_port
                           : reinterpret_cast<const sockaddr_in&>(address.bytes).sin_port;
  const std::string host = v6 ? '[' + numeric(address) + ']' : numeric(address);
  return host + ':' + std::to_string(ntohs(port));
}

bool parse_slots(const Reply& reply, const Address& asked, Topology& topology) {
  topology = {};
  Reply::Walk walk(reply);
  uint32_t ranges = 0;
  if (!walk.array(ranges) || ranges > kSlots) return false;
  std::array<bool, kSlots> seen{};
  for (uint32_t i = 0; i < ranges; ++i) {
    uint32_t elements = 0;
    int64_t first = 0;
    int64_t last = 0;
    if (!walk.array(elements) || elements < 3) return false;
    if (!walk.integer(first) || !walk.integer(last)) return false;
    if (first < 0 || last < first || last >= kSlots) return false;
    for (auto slot = static_cast<size_t>(first); slot <= static_cast<size_t>(last); ++slot) {
      if (std::exchange(seen[slot], true)) return false;
    }
    Topology::Range range{.first = static_cast<uint32_t>(first),
                          .last = static_cast<uint32_t>(last),
                          .primary = 0,
                          .replicas = elements - 3,
                          .primary_id = {}};
    for (uint32_t server = 2; server < elements; ++server) {
      Address address;
      std::string id;
      if (!parse_server(walk, asked, address, id)) return false;
      const uint32_t number = number_of(address, topology.servers);
      if (number >= kServersMax) return false;
      if (server > 2) continue;
      range.primary = number;
      range.primary_id = std::move(id);
    }
    topology.ranges.push_back(range);
  }
  return walk.at_end();
}

uint32_t replicas_of(std::string_view nodes, std::string_view primary_id) noexcept {
  constexpr int kFlags = 2;
  constexpr int kPrimary = 3;
  uint32_t count = 0;
  while (!nodes.empty()) {
    const size_t end = nodes.find('\n');
    std::string_view line = nodes.substr(0, end);
    nodes.remove_prefix(end == std::string_view::npos ? nodes.size() : end + 1);
    bool is_replica = false;
    bool has_failed = false;
    for (int field = 0; field <= kPrimary && !line.empty(); ++field) {
      const size_t space = std::min(line.find(' '), line.size());
      std::string_view word = line.substr(0, space);
      line.remove_prefix(std::min(space + 1, line.size()));
      if (field == kPrimary && is_replica && !has_failed && word == primary_id) ++count;
      while (field == kFlags && !word.empty()) {
        const size_t comma = std::min(word.find(','), word.size());
        is_replica = is_replica || word.substr(0, comma) == "slave";
        has_failed = has_failed || word.substr(0, comma) == "fail";
        word.remove_prefix(std::min(comma + 1, word.size()));
      }
    }
  }
  return count;
}

bool parse_redirect(std::string_view error, const Address& asked, Address& address) noexcept {
  const size_t space = error.rfind(' ');
  if (space == std::string_view::npos) return false;
  const std::string_view where = error.substr(space + 1);
  const size_t colon = where.rfind(':');
  uint32_t port = 0;
  if (colon == std::string_view::npos || !parse_number(where.substr(colon + 1), port)) return false;
  const std::string_view host = where.substr(0, colon);
  if (host.empty() || host == "?") return with_port(asked, port, address);
  return parse_address(host, port, address);
}

std::string_view info_field(std::string_view info, std::string_view name) noexcept {
  while (!info.empty()) {
    const size_t end = info.find('\n');
    std::string_view line = info.substr(0, end);
    info.remove_prefix(end == std::string_view::npos ? info.size() : end + 1);
    if (!line.starts_with(name)) continue;
    line.remove_prefix(name.size());
    if (!line.starts_with(':')) continue;
    line.remove_prefix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }
  return {};
}

uint64_t info_number(std::string_view info, std::string_view name) noexcept {
  uint64_t number = 0;
  return parse_number(info_field(info, name), number) ? number : 0;
}

}  // namespace dpfs::kv::valkey
