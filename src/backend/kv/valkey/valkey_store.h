// SPDX-License-Identifier: Apache-2.0
// The Valkey engine: one partition on a server, or on a cluster.
#pragma once

#include <memory>

#include "backend/kv/store.h"
#include "backend/kv/valkey/options.h"
#include "io/reactor.h"

namespace dpfs::kv {

// Connects to nothing; Store::open() does. What open() may say besides:
//   EINVAL     the partition's name is none, or the server may evict records (maxmemory-policy)
//   EACCES     the password is wrong, or the user may not do what is needed
//   EPROTO     what answers is no Valkey, or too old a one
//   ETIMEDOUT, ECONNREFUSED...    nobody answers
// Each with a line in the log.
std::unique_ptr<Store> make_valkey_store(Reactor& reactor, const ValkeyOptions& options);

}  // namespace dpfs::kv
