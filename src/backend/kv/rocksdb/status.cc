// SPDX-License-Identifier: Apache-2.0
// Which errno a status is.
#include "backend/kv/rocksdb/status.h"

#include <rocksdb/status.h>

#include <mutex>
#include <string_view>

#include "base/log.h"

namespace dpfs::kv::rocks {

Errno errno_of(const rocksdb::Status& status) noexcept {
  if (status.ok()) return Errno::none;
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::SubCode::kSpaceLimit) {
    return Errno::nospc;
  }
  if (status.subcode() == rocksdb::Status::SubCode::kMemoryLimit) return Errno::nomem;
  if (status.IsBusy()) return Errno::busy;
  // The database's lock has no code of its own: "While lock file: ...", or "lock hold by current
  // process".
  const char* text = status.getState();
  if (status.IsIOError() && text != nullptr) {
    const std::string_view said(text);
    if (said.find("lock file") != said.npos || said.find("lock hold") != said.npos) {
      return Errno::busy;
    }
  }
  return Errno::io;
}

Errno errno_of_request(const rocksdb::Status& status) noexcept {
  const Errno why = errno_of(status);
  if (why == Errno::none) return why;
  static std::mutex mutex;
  static log::RateLimit limit;
  const std::lock_guard lock(mutex);
  if (const int64_t kept_back = limit.admit(); kept_back >= 0) {
    log::warn("RocksDB: {} ({} more since the last such line)", status.ToString(), kept_back);
  }
  return why;
}

}  // namespace dpfs::kv::rocks
