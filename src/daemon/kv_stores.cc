// SPDX-License-Identifier: Apache-2.0
// From a URL to an engine.
#include "daemon/kv_stores.h"

#include <fmt/core.h>

#include <stdexcept>

#include "backend/kv/rocksdb/rocksdb_store.h"
#include "backend/kv/valkey/valkey_store.h"
#include "daemon/kv_servers.h"
#include "daemon/kv_url.h"

namespace dpfs {
namespace {

// What is wrong can be said before anything is served.
void check_folder(const KvRocksdbUrl& asked, const Url& url) {
  using Kind = kv::RocksdbFolder::Kind;
  const kv::RocksdbFolder folder = kv::inspect_rocksdb(asked.engine.path);
  switch (folder.kind) {
    case Kind::absent:
      if (asked.volume.create) return;
      throw std::runtime_error(fmt::format(
          "'{}': there is no file system yet; say --create, or dpfs kv mkfs, to make one",
          url.text()));
    case Kind::newer:
    case Kind::other:
    case Kind::unreadable:
      throw std::runtime_error(fmt::format("'{}': {}", url.text(), folder.problem));
    case Kind::ours:
      return;
  }
}

KvAsked asked_of_rocksdb(Url& url, bool create) {
  KvRocksdbUrl asked = kv_rocksdb_url(url);
  asked.volume.create = asked.volume.create || create;
  asked.engine.create = asked.volume.create;
  url.check_all_options_known();
  check_folder(asked, url);
  return {.volume = asked.volume,
          .place = kv_place(asked.engine),
          .is_shared = false,
          .make_store = [engine = asked.engine](Reactor& reactor) {
            return kv::make_rocksdb_store(reactor, engine);
          }};
}

KvAsked asked_of_valkey(Url& url, bool create) {
  KvValkeyUrl asked = kv_valkey_url(url);
  asked.volume.create = asked.volume.create || create;
  url.check_all_options_known();
  return {.volume = asked.volume,
          .place = kv_place(asked),
          .is_shared = true,
          .make_store = [engine = reachable(asked)](Reactor& reactor) {
            return kv::make_valkey_store(reactor, engine);
          }};
}

bool is_valkey(const std::string& scheme) { return scheme == "kv+valkey" || scheme == "kv+redis"; }

}  // namespace

bool is_kv_scheme(const std::string& scheme) { return scheme == "kv+rocksdb" || is_valkey(scheme); }

KvAsked kv_asked(Url& url, bool create) {
  if (url.scheme() == "kv+rocksdb") return asked_of_rocksdb(url, create);
  if (is_valkey(url.scheme())) return asked_of_valkey(url, create);
  throw std::invalid_argument(
      fmt::format("'{}': is no key-value file system: expected a URL like kv+rocksdb:/srv/files "
                  "or kv+valkey://server/files",
                  url.text()));
}

std::string kv_place_of(Url& url) {
  return is_valkey(url.scheme()) ? kv_place(kv_valkey_url(url))
                                 : kv_place(kv_rocksdb_url(url).engine);
}

}  // namespace dpfs
