// SPDX-License-Identifier: Apache-2.0
// Looking up servers, reading passwords.
#include "daemon/kv_servers.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "base/errno.h"
#include "base/fd.h"
#include "base/log.h"

namespace dpfs {
namespace {

// Longer ones the servers would take, but nobody has them.
constexpr size_t kPasswordBytesMax = 4096;

// The first line.
std::string password_in(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  std::array<char, kPasswordBytesMax + 2> text;
  const ssize_t bytes = file ? read(file.get(), text.data(), text.size()) : -1;
  if (bytes < 0) {
    throw std::runtime_error(
        fmt::format("cannot read the password in '{}': {}", path, describe(last_errno())));
  }
  std::string_view line(text.data(), static_cast<size_t>(bytes));
  line = line.substr(0, line.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty() || line.size() > kPasswordBytesMax) {
    throw std::runtime_error(
        fmt::format("no password in '{}': expected one in its first line, of at most {} bytes",
                    path, kPasswordBytesMax));
  }
  return std::string(line);
}

std::string password_of(const KvValkeyUrl& asked) {
  if (asked.password) return *asked.password;
  if (!asked.password_file.empty()) return password_in(asked.password_file);
  const char* given = std::getenv("DPFS_VALKEY_PASSWORD");
  return given != nullptr ? given : "";
}

// A cluster is found through any of its servers, so some names may be nobody's.
std::vector<Address> addresses_of(const KvValkeyUrl& asked) {
  std::vector<Address> all;
  std::string unknown;
  for (const ServerName& server : asked.servers) {
    const std::vector<Address> addresses = look_up(server.host, server.port);
    if (addresses.empty())
      unknown += fmt::format("{}'{}'", unknown.empty() ? "" : ", ", server.host);
    all.insert(all.end(), addresses.begin(), addresses.end());
  }
  if (all.empty()) {
    throw std::runtime_error(fmt::format(
        "there is no server of the name {}; check the name, or give its address", unknown));
  }
  if (!unknown.empty()) log::warn("there is no server of the name {}", unknown);
  return all;
}

// Of the whole URL, from '?' on.
std::string options_without_file(std::string_view url) {
  const size_t question = url.find('?');
  if (question == std::string_view::npos) return {};
  std::string options;
  std::string_view rest = url.substr(question + 1);
  while (!rest.empty()) {
    const std::string_view option = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(option.size() + 1, rest.size()));
    if (option.starts_with("password_file=")) continue;
    options += options.empty() ? '?' : '&';
    options += option;
  }
  return options;
}

}  // namespace

kv::ValkeyOptions reachable(const KvValkeyUrl& asked) {
  kv::ValkeyOptions options = asked.engine;
  options.servers = addresses_of(asked);
  options.password = password_of(asked);
  return options;
}

std::string kv_valkey_url_by_address(Url& url) {
  const KvValkeyUrl asked = kv_valkey_url(url);
  std::string servers;
  size_t count = 0;
  for (const ServerName& server : asked.servers) {
    for (const Address& address : look_up(server.host, server.port)) {
      if (++count > kKvServersMax) break;
      if (!servers.empty()) servers += ',';
      servers += fmt::format("[{}]:{}", percent_encoded(numeric(address)), server.port);
    }
  }
  if (servers.empty()) addresses_of(asked);  // says why
  std::string user;
  const std::string password = password_of(asked);
  if (!asked.engine.user.empty() || !password.empty()) user = percent_encoded(asked.engine.user);
  if (!password.empty()) user += ':' + percent_encoded(password);
  if (!user.empty()) user += '@';
  return fmt::format("{}://{}{}/{}{}", url.scheme(), user, servers, asked.engine.partition,
                     options_without_file(url.raw()));
}

}  // namespace dpfs
