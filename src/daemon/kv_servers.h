// SPDX-License-Identifier: Apache-2.0
// What a kv+valkey: URL needs of this machine before it can be used: addresses, a password.
#pragma once

#include <string>

#include "backend/kv/valkey/options.h"
#include "daemon/kv_url.h"

namespace dpfs {

// With the servers' addresses, and with the password that the URL, the file it names or the
// environment (DPFS_VALKEY_PASSWORD) has. Throws std::runtime_error when none of the names is
// anybody's, or the file cannot be read.
kv::ValkeyOptions reachable(const KvValkeyUrl& asked);

// The same URL with addresses and the password in it, for who will be able neither to look up names
// nor to read files. Not to be shown.
std::string kv_valkey_url_by_address(Url& url);

}  // namespace dpfs
