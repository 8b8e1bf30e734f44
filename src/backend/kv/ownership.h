// SPDX-License-Identifier: Apache-2.0
// Ownership: at most one daemon changes a file system, and what it has in memory is true.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "backend/kv/records.h"
#include "backend/kv/store.h"
#include "base/monotonic.h"
#include "base/op.h"
#include "io/async_mutex.h"
#include "io/reactor.h"
#include "io/timer.h"

namespace dpfs::kv {

// The owner has written itself down in the session record, under an epoch that is its own. Every
// commit of the file system compares the epoch: who has lost the file system to somebody else can
// change nothing any more. It raises the record's beat several times in each lease; when it could
// not for a whole lease, it believes nothing it has in memory until it could again. So a successor
// that has seen no beat for a lease may take over, and one that is told to may do so at once; no
// clocks are compared.
//
// Where the engine lets one process in only (Store::Traits::exclusive) the record is written and
// compared all the same, and there is nothing to wait for.
class Ownership {
 public:
  struct Options {
    uint32_t lease_ms = 15'000;
    bool takes_over = false;  // from a living owner, too
  };

  Ownership(Reactor& reactor, Timers& timers, Store& store, const Options& options);

  // EBUSY: somebody else has it. Waits for a lease to find out.
  Op<Unit> claim();
  // So that the next one need not wait.
  Op<Unit> release();

  // What is in memory is true. Not so: nobody knows, or it is another's file system now.
  bool is_sure() const noexcept {
    return held_ && (store_.traits().exclusive || monotonic_ns() < sure_until_ns_);
  }
  // Asks, where it is not sure. EIO: it is lost.
  Op<Unit> make_sure();
  // For every commit.
  Compare compare() const noexcept {
    return {.key = {.collection = Collection::session},
            .present = true,
            .prefix = {epoch_bytes_.data(), epoch_bytes_.size()}};
  }
  // Who had it when claim() said EBUSY: "host, process 12,". Empty: not known.
  const std::string& holder() const noexcept { return holder_; }
  // A commit found that the epoch is another's.
  void lose() noexcept;

 private:
  class Beat final : public Timer {
   public:
    explicit Beat(Ownership& of) noexcept : of_(of) {}
    void fired() noexcept override { of_.beat_later(); }

   private:
    Ownership& of_;
  };
  class FoundSession;

  Op<Unit> look(FoundSession& found);
  Op<Unit> wait_for_silence(FoundSession& found);
  Op<Unit> write_down(uint32_t lease_ms, std::string_view before);
  Op<Unit> beat();
  Detached beat_later() noexcept;

  Reactor& reactor_;
  Timers& timers_;
  Store& store_;
  const Options options_;
  std::string host_;
  std::string holder_;

  uint64_t epoch_ = 0;
  std::array<char, 8> epoch_bytes_{};
  uint64_t beats_ = 0;
  bool held_ = false;
  bool lost_ = false;  // to somebody else
  uint64_t sure_until_ns_ = 0;
  AsyncMutex beating_;
  Beat next_beat_{*this};
};

}  // namespace dpfs::kv
