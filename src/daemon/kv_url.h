// SPDX-License-Identifier: Apache-2.0
// kv+rocksdb:/path?option&option=value, as the options of an engine and of a volume.
#pragma once

#include <memory>
#include <string>

#include "backend/kv/rocksdb/rocksdb_store.h"
#include "backend/kv/volume.h"
#include "daemon/url.h"

namespace dpfs {

struct KvRocksdbUrl {
  kv::RocksdbOptions engine;
  kv::VolumeOptions volume;
};

// Throws std::invalid_argument, with what was expected.
KvRocksdbUrl kv_rocksdb_url(Url& url);

// What two URLs of one file system have in common.
std::string kv_place(const kv::RocksdbOptions& options);

}  // namespace dpfs
