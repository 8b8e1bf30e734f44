// SPDX-License-Identifier: Apache-2.0
// Durability: what has been acknowledged is made safe, and known to be.
#pragma once

#include <coroutine>
#include <cstdint>
#include <string>
#include <vector>

#include "backend/kv/valkey/cluster.h"
#include "backend/kv/valkey/commit_log.h"
#include "backend/kv/valkey/options.h"
#include "backend/kv/valkey/spread_log.h"

namespace dpfs::kv::valkey {

// Two things of one kind. While servers acknowledge something, each is asked every few
// milliseconds whether its replicas have it (WAIT; without replicas: whether its disk has it,
// WAITAOF): then the logs need not keep it any more, for no failover can lose it. And sync() asks
// for all that the servers' configuration has to offer: the append-only file of the primary and of
// its replicas, or the replicas' memory; with what they say counted.
//
// WAIT and WAITAOF are about what their own connection has written. So each is preceded by a write
// that says nothing, which comes behind all that was acknowledged before.
class Durability {
 public:
  Durability(Cluster& cluster, CommitLog& commits, SpreadLog& spread, const Keys& keys,
             std::string_view incarnation, const ValkeyOptions& options);
  ~Durability();

  void wrote(Node& node) noexcept;
  // Those who ask while it is being done share the next one.
  Op<Unit> sync();
  // Those that are on servers, as well as it goes: nobody will ask for them any more.
  Op<Unit> remove_marks();
  // Nothing of it runs afterwards.
  Op<Unit> stop();

 private:
  struct Waiter;
  struct Attempt;

  bool has_something(Node& node) noexcept;
  void choose_mark(Node& node);
  Detached probe_later(Node& node);
  Detached sync_rounds();
  Op<Unit> sync_round();
  Op<bool> sync_nodes();
  Op<Unit> look_at_all();
  uint64_t connections_now() const noexcept;
  Result<bool> judge(Attempt& attempt) noexcept;
  Op<bool> probe(Node& node);
  std::string touch_command(const Node& node) const;
  std::string wait_command(const Node& node) const;
  uint32_t replicas(const Node& node) const noexcept;

  Cluster& cluster_;
  CommitLog& commits_;
  SpreadLog& spread_;
  const Keys& keys_;
  const std::string incarnation_;
  const ValkeyOptions& options_;
  std::vector<Waiter*> waiting_;
  bool syncing_ = false;
  bool stopping_ = false;
  uint32_t running_ = 0;
};

}  // namespace dpfs::kv::valkey
