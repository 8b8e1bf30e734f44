// SPDX-License-Identifier: Apache-2.0
// RocksDB's statuses as errnos.
#pragma once

#include "base/result.h"

namespace rocksdb {
class Status;
}

namespace dpfs::kv::rocks {

// Errno::none where it is well. Logs nothing.
Errno errno_of(const rocksdb::Status& status) noexcept;
// The same of what a request met. Says in the log what is not the tenant's doing, now and then.
Errno errno_of_request(const rocksdb::Status& status) noexcept;

}  // namespace dpfs::kv::rocks
