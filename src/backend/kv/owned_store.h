// SPDX-License-Identifier: Apache-2.0
// OwnedStore: a file system's records in the hands of a tool: nobody else changes them meanwhile.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "backend/kv/ownership.h"
#include "backend/kv/records.h"
#include "backend/kv/store.h"
#include "base/op.h"
#include "io/reactor.h"
#include "io/timer.h"

namespace dpfs::kv {

// Of one reactor.
class OwnedStore {
 public:
  OwnedStore(Reactor& reactor, std::unique_ptr<Store> store, const Ownership::Options& options);
  OwnedStore(const OwnedStore&) = delete;
  OwnedStore& operator=(const OwnedStore&) = delete;

  // Opens the store, looks whether there is a file system of a format that is known, and claims it.
  // ENOENT: there is none. EPROTO: it is newer. EBUSY: somebody has it. EIO: its first record, or
  // the one that says who has it, cannot be read. problem() says more.
  Op<Unit> open();
  // Gives it back, whatever open() said.
  Op<Unit> close();

  // As long as nobody else has taken it over. EIO: somebody has.
  Op<Unit> commit(std::span<const Write> writes);

  const Superblock& superblock() const noexcept { return superblock_; }
  // Who had it before, and whether that one has given it back.
  const Session& session() const noexcept { return session_; }
  const std::string& session_host() const noexcept { return session_host_; }
  const std::string& problem() const noexcept { return problem_; }
  Store& store() noexcept { return *store_; }
  Reactor& reactor() noexcept { return reactor_; }
  Timers& timers() noexcept { return timers_; }

 private:
  Op<Unit> look();

  Reactor& reactor_;
  Timers timers_;
  std::unique_ptr<Store> store_;
  Ownership ownership_;
  Superblock superblock_;
  Session session_;
  std::string session_host_;
  std::string problem_;
  bool is_open_ = false;
};

}  // namespace dpfs::kv
