// SPDX-License-Identifier: Apache-2.0
// From a URL to an engine.
#include "daemon/kv_stores.h"

#include <fmt/core.h>

#include <stdexcept>

#include "backend/kv/rocksdb/rocksdb_store.h"
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
      throw std::runtime_error(
          fmt::format("'{}': there is no file system yet; say --create to make one", url.text()));
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
          .make_store = [engine = asked.engine](Reactor& reactor) {
            return kv::make_rocksdb_store(reactor, engine);
          }};
}

}  // namespace

bool is_kv_scheme(const std::string& scheme) { return scheme == "kv+rocksdb"; }

KvAsked kv_asked(Url& url, bool create) {
  if (url.scheme() == "kv+rocksdb") return asked_of_rocksdb(url, create);
  throw std::invalid_argument(fmt::format(
      "'{}': is no key-value file system: expected a URL like kv+rocksdb:/srv/files", url.text()));
}

}  // namespace dpfs
