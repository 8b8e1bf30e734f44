// SPDX-License-Identifier: Apache-2.0
// Reading nfs:// URLs.
#include "daemon/nfs_url.h"

#include <fmt/core.h>

#include <stdexcept>

#include "daemon/server_name.h"
#include "daemon/url_options.h"
#include "io/address.h"

namespace dpfs {
namespace {

constexpr uint64_t kTransferBytesMin = 4096;
constexpr uint64_t kTransferBytesMax = 1u << 20;
constexpr size_t kClientNameBytesMax = 255;

void read_security(UrlOptions& from) {
  const std::optional<std::string> sec = from.text("sec");
  if (!sec || *sec == "sys") return;
  throw std::invalid_argument(fmt::format(
      "sec={}: only sec=sys is there yet (user and group numbers, which the server believes); "
      "neither Kerberos nor TLS",
      *sec));
}

void read_groups(UrlOptions& from, NfsOptions& to) {
  const std::optional<std::string> groups = from.text("groups");
  if (!groups || *groups == "claimed") return;
  if (*groups != "told") {
    throw std::invalid_argument(fmt::format(
        "groups={}: expected 'claimed' (who is refused is taken for a member of the object's "
        "group: "
        "the tenant's kernel has checked it) or 'told' (only what the tenant's request says)",
        *groups));
  }
  to.claims_groups = false;
}

void read_version(UrlOptions& from, NfsOptions& to) {
  const std::optional<std::string> version = from.text("vers");
  if (!version || *version == "4" || *version == "4.2") return;
  if (*version != "4.1") {
    throw std::invalid_argument(fmt::format("vers={}: expected 4.1 or 4.2", *version));
  }
  to.minor_version = 1;
}

void read_validity(UrlOptions& from, NfsOptions& to) {
  constexpr uint64_t kSecondsMax = 86'400;
  uint32_t both = 0;
  if (from.number("actimeo", 0, kSecondsMax, both)) {
    to.acregmin = to.acregmax = to.acdirmin = to.acdirmax = both;
    to.learns_validity = true;
  }
  for (const auto& [name, value] :
       {std::pair{"acregmin", &to.acregmin}, std::pair{"acregmax", &to.acregmax},
        std::pair{"acdirmin", &to.acdirmin}, std::pair{"acdirmax", &to.acdirmax}}) {
    if (from.number(name, 0, kSecondsMax, *value)) to.learns_validity = true;
  }
}

}  // namespace

NfsOptions nfs_options(Url& url) {
  NfsOptions options;
  const std::string_view path = url.path();
  const size_t slash = path.starts_with("//") ? path.find('/', 2) : std::string_view::npos;
  if (slash == std::string_view::npos || slash == 2) {
    throw std::invalid_argument(fmt::format("'{}': expected nfs://server/export/path", url.text()));
  }
  const ServerName server = parse_server(path.substr(2, slash - 2), options.port, url.text());
  options.server = server.host;
  options.port = server.port;
  options.path = path.substr(slash);
  if (options.server.empty() || path.find('\0') != std::string_view::npos) {
    throw std::invalid_argument(fmt::format("'{}': expected nfs://server/export/path", url.text()));
  }

  UrlOptions from(url);
  from.number("port", 1, 65535, options.port);
  from.number("nconnect", 1, 16, options.nconnect);
  from.number("slots", 1, 1024, options.slots);
  from.bytes("rsize", kTransferBytesMin, kTransferBytesMax, options.read_bytes_max);
  from.bytes("wsize", kTransferBytesMin, kTransferBytesMax, options.write_bytes_max);
  from.bytes("unstable", 0, uint64_t{1} << 40, options.unstable_bytes_max);
  options.soft = from.given("soft");
  options.close_to_open = !from.given("nocto");
  if (from.given("hard") && options.soft) {
    throw std::invalid_argument(fmt::format("'{}': soft or hard, not both", url.text()));
  }
  from.number("timeo", 1, 36'000, options.timeo_ds);
  from.number("retrans", 0, 1000, options.retrans);
  options.client_name = from.text("client").value_or("");
  if (options.client_name.size() > kClientNameBytesMax) {
    throw std::invalid_argument(
        fmt::format("client=...: expected a name of {} bytes at most", kClientNameBytesMax));
  }
  read_validity(from, options);
  read_version(from, options);
  read_security(from);
  read_groups(from, options);
  return options;
}

std::vector<Address> nfs_addresses(const NfsOptions& options) {
  std::vector<Address> addresses = look_up(options.server, options.port);
  if (!addresses.empty()) return addresses;
  throw std::runtime_error(fmt::format(
      "there is no server of the name '{}'; check the name, or give its address", options.server));
}

std::string nfs_url_by_address(Url& url) {
  const NfsOptions options = nfs_options(url);
  std::string addresses;
  for (const Address& address : nfs_addresses(options)) {
    if (!addresses.empty()) addresses += ',';
    addresses += numeric(address);
  }
  const std::string_view path = url.path();
  return url.text_with_path(
      fmt::format("//[{}]:{}{}", addresses, options.port, path.substr(path.find('/', 2))));
}

}  // namespace dpfs
