// SPDX-License-Identifier: Apache-2.0
// kv+rocksdb:/path?option&option=value and kv+valkey://server,server/NAME?option&option=value, as
// the options of an engine and of a volume.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backend/kv/rocksdb/rocksdb_store.h"
#include "backend/kv/valkey/options.h"
#include "backend/kv/volume.h"
#include "daemon/server_name.h"
#include "daemon/url.h"

namespace dpfs {

// In one URL.
inline constexpr size_t kKvServersMax = 64;

struct KvRocksdbUrl {
  kv::RocksdbOptions engine;
  kv::VolumeOptions volume;
};

// As the URL has it: no name has been looked up and no file read.
struct KvValkeyUrl {
  std::vector<ServerName> servers;
  std::optional<std::string> password;
  std::string password_file;  // empty: none
  kv::ValkeyOptions engine;   // without servers and password
  kv::VolumeOptions volume;
};

// Throw std::invalid_argument, with what was expected.
KvRocksdbUrl kv_rocksdb_url(Url& url);
KvValkeyUrl kv_valkey_url(Url& url);

// What two URLs of one file system have in common.
std::string kv_place(const kv::RocksdbOptions& options);
std::string kv_place(const KvValkeyUrl& url);

}  // namespace dpfs
