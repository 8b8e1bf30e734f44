// SPDX-License-Identifier: Apache-2.0
// CommitLog: the commits of one store, in order, from when they are made until nothing can lose
// them.
#pragma once

#include <algorithm>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/kv/store.h"
#include "backend/kv/valkey/cluster.h"
#include "backend/kv/valkey/keys.h"
#include "backend/kv/valkey/spread_log.h"

namespace dpfs::kv::valkey {

// Each commit has a number. They go out in order over the one connection to the primary of the
// partition's slot, many at a time, each with the number of the one before it; the script carries
// one out only behind that one (script.h). So a commit that cannot be carried out now (no memory,
// a slot that is being moved) holds up those behind it instead of being overtaken.
//
// Exactly once. When a connection has broken, or an answer says "not now", restore() asks the
// server for the number of the last commit that it has carried out, and knows then for each that
// was under way what became of it; the others go out again. Nothing is ever sent twice without
// asking.
//
// Given up. A commit that has waited for too long ends with ETIMEDOUT; it may have been carried
// out. It is not carried out later: the connection that it went over is given up with it, the next
// one begins by ending the former at the server (link.h), and only then, before anybody reads or
// writes again, the server is asked what has been carried out. All that comes after the ETIMEDOUT
// finds the one state or the other. (Until then the bytes may lie there, but this store asks for
// nothing; and another daemon's is protected by the comparison of the session that each commit
// has.)
//
// Failover. Replication is asynchronous: a new primary may lack what the former had acknowledged.
// restore() sees that by the same number. So what was acknowledged stays here until a WAIT says
// that the replicas have it; what a new primary lacks is sent again, in order, before anybody sees
// its data. Nothing that was acknowledged is lost, unless this process and the primary end both.
// Where something is missing that is not kept here any more (the replicas did not keep up, or the
// server has lost its memory), or somebody else has written meanwhile, all that follows fails with
// EIO.
class CommitLog {
 public:
  // What becomes of one.
  enum class Outcome : uint8_t {
    done,
    compare_failed,
    not_a_number,
    no_space,
    refused,
    given_up,
    stale
  };
  class Entry;
  // Lies in the frame that waits: co_await it.
  struct Waiter : Completion {
    Waiter() noexcept {
      run = [](Completion& self) noexcept {
        auto& waiter = static_cast<Waiter&>(self);
        waiter.is_done = true;
        if (waiter.handle) waiter.handle.resume();
      };
    }
    bool await_ready() const noexcept { return is_done; }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { handle = waiting; }
    Outcome await_resume() const noexcept { return outcome; }
    std::coroutine_handle<> handle;
    Outcome outcome = Outcome::done;
    bool is_done = false;
  };

  CommitLog(Cluster& cluster, const Keys& keys, std::string_view incarnation,
            WriteListener& listener, uint64_t window_bytes);
  ~CommitLog();

  // False: no memory. Else `waiter` is resumed.
  bool append(std::span<const Compare> compares, std::span<const Write> writes,
              Waiter& waiter) noexcept;

  // On a connection to the partition's primary, before anything else is sent there.
  Op<Unit> restore(Node& node);
  void tick(uint64_t now_ns) noexcept;
  bool awaits() const noexcept { return unanswered_ > 0; }
  // Lets those go that nobody waits for any more; all others fail.
  void stop() noexcept;

  uint16_t slot() const noexcept { return slot_; }
  Errno broken() const noexcept { return broken_; }  // EIO: something acknowledged is lost
  // That is what has happened to `what`.
  void break_off(std::string_view what) noexcept;

  // The number of the last that the server has acknowledged, the one that there is now.
  uint64_t acknowledged() const noexcept { return std::min(acknowledged_, replayed_to_); }
  // They go to that server now.
  bool is_at(const Node& node) const noexcept { return running_ && link_ == &node.main; }
  bool has_window() const noexcept { return window_bytes_ > 0; }
  bool window_is_full() const noexcept { return window_bytes_ > window_bytes_max_; }
  // What was acknowledged up to `number` need not be kept.
  void forget(uint64_t number) noexcept;

 private:
  struct LogTag;
  using Entries = List<Entry, LogTag>;

  Entry* take_entry();
  void give_back(Entry& entry) noexcept;
  bool can_send() const noexcept;
  void failed(Entry& entry) noexcept;
  void poke() noexcept;
  void send(Entry& entry) noexcept;
  void answered(Entry& entry, const Reply& reply) noexcept;
  void tell(Entry& entry, Outcome outcome) noexcept;
  void finish(Entry& entry, Outcome outcome) noexcept;
  void keep(Entry& entry) noexcept;
  void give_up(Entry& entry) noexcept;
  void halt() noexcept;
  Op<Unit> load(Link& link, std::string& state);
  uint64_t settle(std::string_view state) noexcept;

  // Makes the cluster connect, where nobody else asks for anything.
  struct Poke final : Routed {
    Poke(Cluster& cluster, uint16_t its_slot);
    void replied(const Reply&) noexcept override { under_way = false; }
    void failed(Errno) noexcept override { under_way = false; }
    const std::string text;
    bool under_way = false;
  };

  Cluster& cluster_;
  const Keys& keys_;
  const uint16_t slot_;
  const std::string incarnation_;
  WriteListener& listener_;
  const uint64_t window_bytes_max_;
  Entries entries_list_;
  uint64_t unanswered_ = 0;  // of them: somebody waits
  std::vector<std::unique_ptr<Entry>> all_;
  std::vector<Entry*> spare_;

  Link* link_ = nullptr;  // over which they go
  bool running_ = false;  // they go out as they come
  uint64_t numbers_ = 0;  // given
  uint64_t sent_ = 0;     // the number of the last that was sent: the next one's predecessor
  uint64_t heard_ = 0;    // answers have come up to it
  uint64_t acknowledged_ = 0;
  uint64_t forgotten_ = 0;    // the last that was done and is not kept
  uint64_t replayed_to_ = 0;  // what is kept up to it has been acknowledged by this server, too
  uint64_t window_bytes_ = 0;
  uint64_t in_flight_ = 0;   // on link_
  uint64_t connection_ = 0;  // of link_, on which they go
  // Not all that was sent was carried out: when all answers have come, restore() finds out.
  bool halted_ = false;
  Errno broken_ = Errno::none;
  struct Breaking final : Completion {
    explicit Breaking(CommitLog& of) noexcept : log(of) {}
    CommitLog& log;
  };
  Breaking breaking_{*this};
  Poke poke_;
};

}  // namespace dpfs::kv::valkey
