// SPDX-License-Identifier: Apache-2.0
// What a test wants to go wrong: rules that requests are matched with, and what has been counted.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "backend/nfs/nfs4.h"

namespace dpfs::responder {

inline constexpr uint32_t kAlways = UINT32_MAX;

// The requests that a rule applies to: those that have the operation (any, where none is named),
// without the first `skip`, of the others each `every`-th, and of those the first `times`.
struct When {
  std::optional<nfs::Operation> operation;
  uint32_t skip = 0;
  uint32_t every = 1;
  uint32_t times = 1;
};

// What happens to a reply on its way.
enum class Damage : uint8_t {
  truncated,     // the record is whole, its last part is not there
  oversized,     // zeros follow
  bits_flipped,  // some of the body's
  random_body,   // of the right length, behind the RPC header
  random_all,    // of the right length
  wrong_xid,     // the answer to a question that nobody has asked
  huge_record,   // its record mark announces 2 GiB
  huge_lengths,  // each word of the body that may be a length is 4 GiB, from a random one on
};

class Script {
 public:
  enum class Action : uint8_t {
    answer,       // the operation is not executed, and has this status
    rpc_error,    // nothing is executed: an accept_stat in place of the results
    drop_before,  // the connection is closed, nothing is executed
    drop_after,   // executed, and the connection is closed instead of an answer
    lose_before,  // neither executed nor answered
    lose_after,   // executed, and not answered
    delay,        // answered later
    hold,         // answered when it is released
    damage,       // answered with something else
    shorten,      // at most so many bytes are read or written
  };
  struct Rule {
    Action action = Action::answer;
    When when;
    nfs::Status status = nfs::Status::ok;
    Damage damage = Damage::truncated;
    uint64_t number = 0;  // milliseconds, bytes, a seed, an accept_stat
    uint32_t seen = 0;
    uint32_t applied = 0;
  };

  void add(const Rule& rule) { rules_.push_back(rule); }
  void clear() { rules_.clear(); }
  bool empty() const noexcept { return rules_.empty(); }
  // The first rule of that kind that applies to such a request, counted as applied. `operation` is
  // one that the request has; nothing: what is true of the request as a whole.
  std::optional<Rule> take(Action action, std::optional<nfs::Operation> operation);

 private:
  std::vector<Rule> rules_;
};

struct Counters {
  // By number of operation: executed, with whatever status; what a rule answered is not.
  std::array<uint64_t, 96> executed{};
  std::array<uint64_t, 96> injected{};
  uint64_t requests = 0;
  uint64_t replays = 0;           // answered from a slot's cache
  uint64_t uncached_replays = 0;  // RETRY_UNCACHED_REP
  uint64_t false_retries = 0;     // a slot's sequence again, for another request
  uint64_t misordered = 0;
  uint64_t connections = 0;

  uint64_t of(nfs::Operation operation) const { return executed[static_cast<uint32_t>(operation)]; }
};

}  // namespace dpfs::responder
