// SPDX-License-Identifier: Apache-2.0
// Reading nfs:// URLs.
#include "daemon/nfs_url.h"

#include <fmt/core.h>

#include <charconv>
#include <stdexcept>

#include "io/address.h"

namespace dpfs {
namespace {

constexpr uint64_t kTransferBytesMin = 4096;
constexpr uint64_t kTransferBytesMax = 1u << 20;
constexpr size_t kClientNameBytesMax = 255;

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

// server, [address of IPv6], and :port behind either.
void parse_server(std::string_view text, const Url& url, NfsOptions& options) {
  std::string_view rest;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) {
      throw std::invalid_argument(fmt::format("'{}': '[' without ']'", url.text()));
    }
    options.server = text.substr(1, end - 1);
    rest = text.substr(end + 1);
  } else {
    const size_t colon = text.find(':');
    options.server = text.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
  }
  if (!text.starts_with('[') && rest.find(':', 1) != std::string_view::npos) {
    throw std::invalid_argument(
        fmt::format("'{}': an IPv6 address goes into [], like [2001:db8::1]", url.text()));
  }
  if (rest.starts_with(':')) {
    options.port = static_cast<uint16_t>(number_between(1, 65535, rest.substr(1), "port"));
  } else if (!rest.empty()) {
    throw std::invalid_argument(fmt::format(
        "'{}': expected a server like name, 192.0.2.1 or [2001:db8::1], and :port", url.text()));
  }
}

class Options {
 public:
  explicit Options(Url& url) noexcept : url_(url) {}

  template <class Number>
  bool number(const std::string& name, uint64_t least, uint64_t most, Number& to) {
    const std::optional<std::string> text = url_.text_option(name);
    if (text) to = static_cast<Number>(number_between(least, most, *text, name));
    return text.has_value();
  }
  void bytes(const std::string& name, uint64_t least, uint64_t most, auto& to) {
    const std::optional<std::string> text = url_.text_option(name);
    if (!text) return;
    const uint64_t size = parse_size(*text);
    if (size < least || size > most) {
      throw std::invalid_argument(
          fmt::format("{}={}: expected from {} to {} bytes", name, *text, least, most));
    }
    to = static_cast<std::remove_reference_t<decltype(to)>>(size);
  }
  bool given(const std::string& name) {
    const std::optional<std::string> text = url_.text_option(name);
    if (text && !text->empty()) {
      throw std::invalid_argument(fmt::format("{}={}: takes no value", name, *text));
    }
    return text.has_value();
  }
  std::optional<std::string> text(const std::string& name) { return url_.text_option(name); }

 private:
  Url& url_;
};

void read_security(Options& from) {
  const std::optional<std::string> sec = from.text("sec");
  if (!sec || *sec == "sys") return;
  throw std::invalid_argument(fmt::format(
      "sec={}: only sec=sys is there yet (user and group numbers, which the server believes); "
      "neither Kerberos nor TLS",
      *sec));
}

void read_groups(Options& from, NfsOptions& to) {
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

void read_version(Options& from, NfsOptions& to) {
  const std::optional<std::string> version = from.text("vers");
  if (!version || *version == "4" || *version == "4.2") return;
  if (*version != "4.1") {
    throw std::invalid_argument(fmt::format("vers={}: expected 4.1 or 4.2", *version));
  }
  to.minor_version = 1;
}

void read_validity(Options& from, NfsOptions& to) {
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
  parse_server(path.substr(2, slash - 2), url, options);
  options.path = path.substr(slash);
  if (options.server.empty() || path.find('\0') != std::string_view::npos) {
    throw std::invalid_argument(fmt::format("'{}': expected nfs://server/export/path", url.text()));
  }

  Options from(url);
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
