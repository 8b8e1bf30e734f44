// SPDX-License-Identifier: Apache-2.0
// Reading kv+...: URLs.
#include "daemon/kv_url.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <stdexcept>
#include <string_view>

#include "backend/kv/valkey/keys.h"
#include "daemon/url_options.h"

namespace dpfs {
namespace {

constexpr uint16_t kValkeyPort = 6379;
constexpr uint64_t kLeaseSecondsMax = 3600;
constexpr uint64_t kTimeoutSecondsMax = 3600;
// An inode and a name of it, and what it takes to find them.
constexpr uint64_t kCachedBytes = 512;
constexpr uint64_t kSecondNs = 1'000'000'000;

[[noreturn]] void refuse_valkey(const Url& url, std::string_view why = {}) {
  throw std::invalid_argument(
      fmt::format("'{}': {}expected {}://host[:port][,host...]/NAME, like {}://kv1,kv2/files",
                  url.text(), why, url.scheme(), url.scheme()));
}

// user:password@
void read_user(std::string_view text, const Url& url, KvValkeyUrl& out) {
  const size_t colon = text.find(':');
  out.engine.user = percent_decoded(text.substr(0, colon), url.text());
  if (colon == std::string_view::npos) return;
  out.password = percent_decoded(text.substr(colon + 1), url.text());
}

void read_servers(std::string_view text, const Url& url, KvValkeyUrl& out) {
  while (true) {
    const size_t comma = text.find(',');
    const ServerName server =
        parse_server(percent_decoded(text.substr(0, comma), url.text()), kValkeyPort, url.text());
    if (server.host.empty() ||
        server.host.find_first_of(std::string_view("\0@/,", 4)) != std::string::npos) {
      refuse_valkey(url);
    }
    out.servers.push_back(server);
    if (out.servers.size() > kKvServersMax) {
      refuse_valkey(
          url, fmt::format("more than {} servers; a few of a cluster are enough; ", kKvServersMax));
    }
    if (comma == std::string_view::npos) return;
    text.remove_prefix(comma + 1);
  }
}

// //user:password@server,server/NAME
void read_place(const Url& url, KvValkeyUrl& out) {
  std::string_view path = url.raw_path();
  if (!path.starts_with("//")) refuse_valkey(url);
  path.remove_prefix(2);
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos) refuse_valkey(url, "no file system is named; ");
  std::string_view authority = path.substr(0, slash);
  out.engine.partition = percent_decoded(path.substr(slash + 1), url.text());
  if (out.engine.partition.empty()) refuse_valkey(url, "no file system is named; ");
  if (!kv::valkey::is_partition_name(out.engine.partition)) {
    refuse_valkey(url, fmt::format("a file system's name has 1 to {} letters, digits, '.', '_' "
                                   "and '-'; ",
                                   kv::valkey::kPartitionBytesMax));
  }
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    read_user(authority.substr(0, at), url, out);
    authority.remove_prefix(at + 1);
  }
  read_servers(authority, url, out);
}

template <class Number>
void read_seconds(UrlOptions& from, const std::string& name, uint64_t most, uint64_t unit,
                  Number& to) {
  uint64_t seconds = 0;
  if (from.number(name, 1, most, seconds)) to = static_cast<Number>(seconds * unit);
}

void read_replicas(UrlOptions& from, KvValkeyUrl& out) {
  const std::optional<std::string> replicas = from.text("replicas");
  if (!replicas || *replicas == "all") return;
  out.engine.replicas =
      static_cast<uint32_t>(number_between(0, 64, *replicas, "replicas (or 'all')"));
}

void read_chunk(UrlOptions& from, KvValkeyUrl& out) {
  if (from.bytes("chunk", uint64_t{64} << 10, uint64_t{1} << 20, out.engine.chunk_bytes) &&
      !std::has_single_bit(out.engine.chunk_bytes)) {
    throw std::invalid_argument(
        fmt::format("chunk={}: expected a power of two from 64K to 1M", out.engine.chunk_bytes));
  }
}

void read_password_file(UrlOptions& from, const Url& url, KvValkeyUrl& out) {
  out.password_file = from.text("password_file").value_or("");
  if (out.password_file.empty()) return;
  if (out.password) {
    throw std::invalid_argument(fmt::format(
        "'{}': the password stands in the URL or in password_file=, not in both", url.text()));
  }
  if (out.password_file.find('\0') != std::string::npos) {
    throw std::invalid_argument("password_file=...: expected a path");
  }
}

void refuse_tls(UrlOptions& from) {
  if (!from.text("tls")) return;
  throw std::invalid_argument(
      "tls: connections to Valkey are not encrypted yet; take a network of your own, or a tunnel");
}

}  // namespace

KvRocksdbUrl kv_rocksdb_url(Url& url) {
  KvRocksdbUrl out;
  if (url.path().empty()) {
    throw std::invalid_argument(
        fmt::format("'{}': expected a folder, like kv+rocksdb:/srv/files", url.text()));
  }
  out.engine.path = std::filesystem::absolute(url.path()).lexically_normal();
  out.engine.partition = url.text_option("fs").value_or(out.engine.partition);
  if (!kv::is_rocksdb_partition_name(out.engine.partition)) {
    throw std::invalid_argument(fmt::format(
        "'{}': fs={}: expected a name of 1 to 64 letters, digits and signs, without spaces",
        url.text(), out.engine.partition));
  }
  out.engine.memory.cache_bytes = url.size_option("cache", out.engine.memory.cache_bytes);
  out.engine.memory.writes_bytes = url.size_option("write_buffer", out.engine.memory.writes_bytes);
  out.volume.create = UrlOptions(url).given("create");
  out.volume.name = url.text();
  return out;
}

KvValkeyUrl kv_valkey_url(Url& url) {
  KvValkeyUrl out;
  read_place(url, out);
  UrlOptions from(url);
  read_seconds(from, "timeout", kTimeoutSecondsMax, kSecondNs, out.engine.limit_ns);
  read_seconds(from, "sync_timeout", kTimeoutSecondsMax, kSecondNs, out.engine.sync_limit_ns);
  read_seconds(from, "lease", kLeaseSecondsMax, 1000, out.volume.ownership.lease_ms);
  read_replicas(from, out);
  read_chunk(from, out);
  read_password_file(from, url, out);
  refuse_tls(from);
  uint64_t cache_bytes = 0;
  if (from.bytes("cache", uint64_t{1} << 20, uint64_t{1} << 40, cache_bytes)) {
    out.volume.nodes_max = static_cast<uint32_t>(cache_bytes / kCachedBytes);
    out.volume.names_max = out.volume.nodes_max;
  }
  out.volume.ownership.takes_over = from.given("takeover");
  out.volume.create = from.given("create");
  out.volume.name = url.text();
  return out;
}

std::string kv_place(const kv::RocksdbOptions& options) {
  return "rocksdb:" + options.path + "?" + options.partition;
}

std::string kv_place(const KvValkeyUrl& url) {
  std::vector<std::string> servers;
  servers.reserve(url.servers.size());
  for (const ServerName& server : url.servers) {
    servers.push_back(fmt::format("[{}]:{}", server.host, server.port));
  }
  std::ranges::sort(servers);
  std::string place = "valkey:";
  for (const std::string& server : servers) place += server + ',';
  return place + '/' + url.engine.partition;
}

}  // namespace dpfs
