// SPDX-License-Identifier: Apache-2.0
// kv+valkey: and kv+rocksdb: URLs as an operator may write them: refused with a message, or options
// within their bounds; a password is in no text that is shown.
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "backend/kv/valkey/keys.h"
#include "base/assert.h"
#include "daemon/kv_url.h"

namespace dpfs {
namespace {

void check_valkey(Url& url) {
  const KvValkeyUrl asked = kv_valkey_url(url);
  DPFS_ASSERT(!asked.servers.empty() && asked.servers.size() <= kKvServersMax);
  for (const ServerName& server : asked.servers) {
    DPFS_ASSERT(!server.host.empty() && server.host.find('\0') == std::string::npos);
    DPFS_ASSERT(server.port != 0);
  }
  DPFS_ASSERT(kv::valkey::is_partition_name(asked.engine.partition));
  DPFS_ASSERT(asked.engine.limit_ns > 0 && asked.engine.sync_limit_ns > 0);
  DPFS_ASSERT(asked.volume.ownership.lease_ms >= 1000 && asked.volume.nodes_max > 0);
  DPFS_ASSERT(asked.password_file.find('\0') == std::string::npos);
  DPFS_ASSERT(!asked.password || asked.password_file.empty());
  // Nothing of a password is shown, and the rest is.
  if (asked.password) {
    DPFS_ASSERT(url.text().find(":***@") != std::string::npos);
    DPFS_ASSERT(asked.volume.name == url.text());
  }
}

}  // namespace
}  // namespace dpfs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    dpfs::Url url = dpfs::Url::parse(std::string_view(reinterpret_cast<const char*>(data), size));
    if (url.scheme() == "kv+rocksdb") {
      dpfs::kv_rocksdb_url(url);
    } else if (url.scheme() == "kv+valkey" || url.scheme() == "kv+redis") {
      dpfs::check_valkey(url);
    }
    url.check_all_options_known();
  } catch (const std::invalid_argument&) {
    return 0;  // refused, with a message
  }
  return 0;
}
