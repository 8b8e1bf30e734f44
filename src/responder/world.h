// SPDX-License-Identifier: Apache-2.0
// All that requests work on: the files, the clients' state, the rules of the test.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "backend/nfs/nfs4.h"
#include "responder/rpc.h"
#include "responder/script.h"
#include "responder/state.h"
#include "responder/tree.h"

namespace dpfs::responder {

struct Options {
  std::string address = "127.0.0.1";  // or of IPv6
  uint16_t port = 0;                  // 0: any
  uint32_t slots = 64;                // of a session, at most
  uint32_t operations_max = 32;       // of a compound
  uint32_t cached_bytes_max = 8192;   // of a reply that a slot keeps
  uint32_t read_bytes_max = 1 << 20;
  uint32_t write_bytes_max = 1 << 20;
  uint32_t minor_version_max = 2;
  uint32_t lease_ms = 60'000;
  uint32_t grace_ms = 0;           // after a restart; 0: nothing can be reclaimed
  uint32_t handle_bytes = 24;      // 16 to 128
  bool preserve_unlinked = false;  // a file without names is there until it is closed
  bool require_binding = false;    // a connection serves the sessions that it was bound to only
  bool permissions = true;         // mode bits are looked at
  bool xattrs = true;
  uint64_t space_bytes = uint64_t{1} << 40;
  bool spin = false;   // looks for requests without ever sleeping
  bool record = true;  // World::seen, and what tells retries from other requests
};

// A request as it came.
struct Seen {
  uint32_t xid = 0;
  uint64_t connection = 0;
  uint32_t slot = 0;
  uint32_t sequence = 0;
  bool cache_this = false;
  Credential credential;
  std::vector<nfs::Operation> operations;  // as far as they were looked at
};

struct World {
  static constexpr size_t kSeenMax = 16384;

  explicit World(const Options& with);

  Options options;
  Tree tree;
  StateTable state;
  Script script;
  Counters counters;
  std::deque<Seen> seen;
  std::vector<uint8_t> prepared;       // READ of a prepared file: see prepared_bytes()
  uint32_t target_slots = UINT32_MAX;  // what SEQUENCE asks clients to keep to
  uint32_t sequence_flags = 0;         // added to SEQUENCE's
  nfs::Verifier write_verifier;

  // Of the responder's own clock, which advance_clock() pushes on.
  uint64_t now_ms() const;
  void advance_clock(uint64_t ms) { clock_offset_ms_ += ms; }

  // Sessions, state and what is not stable are gone. Grace begins where there is one.
  void restart();
  bool in_grace();
  void end_grace() { grace_ends_ms_ = 0; }
  // Handles that were given out until now are stale, but for the root's.
  void make_handles_stale() { ++handle_generation_; }
  void expire_leases();

  nfs::FileHandle handle_of(const Node& node) const;
  // BADHANDLE, STALE
  nfs::Status find(nfs::Bytes handle, NodePointer& node) const;
  // A prepared file has the same bytes again every kPreparedPeriod.
  static constexpr uint64_t kPreparedPeriod = 17 * 4096;
  nfs::Bytes prepared_bytes(uint64_t offset, size_t bytes);

  std::set<std::string> reclaimers;  // who may reclaim, and has not finished: owners of clients

 private:
  uint32_t epoch_ = 1;
  uint32_t handle_generation_ = 1;
  uint64_t clock_offset_ms_ = 0;
  uint64_t grace_ends_ms_ = 0;
};

}  // namespace dpfs::responder
