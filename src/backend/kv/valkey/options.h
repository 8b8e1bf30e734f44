// SPDX-License-Identifier: Apache-2.0
// How the servers are reached, and what is expected of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/address.h"

namespace dpfs::kv {

struct ValkeyOptions {
  // Some of a cluster, or one that is alone. The others are found through them.
  std::vector<Address> servers;
  std::string partition = "main";  // letters, digits, '.', '_', '-'; at most 64
  std::string user;                // empty: the default user
  std::string password;            // empty: none
  // For how long a request is tried again before it ends with ETIMEDOUT.
  uint64_t limit_ns = 30'000'000'000;
  // For how long sync() waits for disks and replicas.
  uint64_t sync_limit_ns = 30'000'000'000;
  // On how many replicas sync() insists. Default: on all that the shard has at that time.
  static constexpr uint32_t kAllReplicas = UINT32_MAX;
  uint32_t replicas = kAllReplicas;
  // What was acknowledged and is not known to be on the replicas yet is kept here, in order to be
  // sent again after a failover.
  uint64_t window_bytes = 16u << 20;
  // Of a chunk of a file's contents: a power of two, 64 KiB to 1 MiB.
  uint32_t chunk_bytes = 256u << 10;
  // Encrypted connections: the files are PEM. Empty: what the system trusts; no certificate of
  // ours.
  struct Tls {
    bool enabled = false;
    std::string authorities_file;
    std::string certificate_file;
    std::string key_file;
  };
  Tls tls;
};

}  // namespace dpfs::kv
