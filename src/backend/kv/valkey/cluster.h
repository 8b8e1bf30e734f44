// SPDX-License-Identifier: Apache-2.0
// Cluster: the servers, who of them has which slots, and the way of a request to the right one.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "backend/kv/valkey/link.h"
#include "backend/kv/valkey/slot.h"
#include "backend/kv/valkey/topology.h"
#include "base/op.h"

namespace dpfs::kv::valkey {

class Cluster;
class Node;

// The scripts' names, as servers say them that have loaded them.
struct Scripts {
  std::string commit;
  std::string cut;
  std::string range;
  std::string scan;
};

// A request for the server that has its slot. It finds its way by itself: errors that say where or
// when to try again are not seen by replied().
class Routed : public Request {
 public:
  explicit Routed(Cluster& cluster) noexcept : cluster_(cluster) { outlives = true; }
  void answered(const Reply& reply) noexcept final;
  virtual void replied(const Reply& reply) noexcept = 0;

  uint16_t slot = 0;

 protected:
  // Who was asked last.
  Node* at() const noexcept { return at_; }
  // That is who is to be asked now.
  bool is_where_it_belongs() const noexcept;
  ~Routed() override = default;

 private:
  friend class Cluster;
  Cluster& cluster_;
  uint64_t again_ns_ = 0;
  uint32_t tries_ = 0;
  Node* at_ = nullptr;    // where it was sent
  bool strayed_ = false;  // by ASK
};

// How far what a server has acknowledged is known to be safe.
struct Safety {
  std::string mark_key;  // in a slot of its own
  uint64_t dropped = 0;  // writes to spread records up to that number are kept nowhere here
  uint64_t wrote = 0;    // counts what it has acknowledged
  uint64_t synced = 0;   // as it was when sync() had made sure of all
  bool probing = false;
  bool replicas_have_no_file = false;  // as it seems
};

// One server.
class Node final : LinkOwner {
 public:
  Node(Cluster& cluster, size_t number, const Address& at);

  Cluster& cluster;
  const size_t number;  // in Cluster::nodes()
  const Address address;
  Link main;                  // for all requests
  Link side;                  // for questions about the server
  Link waits;                 // for what makes its connection wait: WAIT, WAITAOF
  uint32_t replicas = 0;      // of its shard, now
  bool had_replicas = false;  // once: they may come back, and become primaries
  bool is_primary = false;    // of some slots
  uint32_t first_slot = 0;    // one of them
  bool has_append_file = false;
  Safety safety;
  std::string complaint;  // about it, that is in the log already

 private:
  friend class Cluster;
  void greeted(Link& link) noexcept override;
  void broke(Link& link, Errno why) noexcept override;
  bool restoring_ = false;
  bool restore_again_ = false;
};

// What must be done on a new connection to a primary, or when a primary has got slots, before
// anybody may see its data.
class Restorer {
 public:
  // Not good: once more, soon.
  virtual Op<Unit> restore(Node& node) = 0;
  // On each tick while something is under way, some 20 a second.
  virtual void tick(uint64_t now_ns) noexcept = 0;
  // Whether ticks are needed although no request is under way.
  virtual bool needs_tick() const noexcept = 0;

 protected:
  ~Restorer() = default;
};

class Cluster final : Timer {
 public:
  Cluster(Reactor& reactor, Restorer& restorer, const std::vector<Address>& seeds,
          const Login& login, uint64_t limit_ns);
  ~Cluster() override;

  // Learns who is who. The first error that explains why nobody answered.
  Op<Unit> start();
  // Ends all; requests fail with ESTALE.
  Op<Unit> stop();

  void send(Routed& request) noexcept;
  // The commit log's, which are not Routed: says what to do about their errors.
  Node* owner(uint16_t slot) noexcept { return slots_[slot]; }
  const std::vector<std::unique_ptr<Node>>& nodes() const noexcept { return nodes_; }

  Scripts& scripts() noexcept { return scripts_; }
  const Scripts& scripts() const noexcept { return scripts_; }

  // How often slots have got other owners.
  uint64_t views() const noexcept { return views_; }
  // Asks who is who, and waits for the answer.
  Op<Unit> look_again();
  // Asks who is who now, unless that is under way.
  void refresh() noexcept;
  // Lets nothing out to this node until it has been restored.
  void restore(Node& node) noexcept;
  void need_tick() noexcept;

  bool is_cluster() const noexcept { return is_cluster_; }
  Reactor& reactor() noexcept { return reactor_; }
  Timers& timers() noexcept { return timers_; }
  uint64_t limit_ns() const noexcept { return limit_ns_; }
  uint64_t deadline_ns() const noexcept;

  Node& node_at(const Address& address);
  // Nothing more is of use: all that waits fails, and what is sent later.
  void fail_all(Errno why) noexcept;

 private:
  friend class Routed;
  friend class Node;
  static constexpr uint64_t kTickNs = 50'000'000;

  void fired() noexcept override;
  bool handles(Routed& request, const Reply& reply) noexcept;
  void park(Routed& request, uint64_t delay_ns) noexcept;
  void unpark(uint64_t now_ns) noexcept;
  bool busy() noexcept;

  Detached refresh_later();
  Op<bool> ask_who(Node& node);
  void apply(const Topology& topology);
  void tell_of_change() noexcept;
  void reroute(Node& node) noexcept;
  Detached restore_later(Node& node);

  Reactor& reactor_;
  Restorer& restorer_;
  Timers timers_;
  const std::vector<Address> seeds_;
  const Login login_;
  Scripts scripts_;
  const uint64_t limit_ns_;
  std::vector<std::unique_ptr<Node>> nodes_;  // never fewer
  std::array<Node*, kSlots> slots_{};
  List<Request> parked_;  // all Routed
  bool is_cluster_ = false;
  uint64_t epoch_ = 0;  // of the newest view that was applied
  bool has_view_ = false;
  uint64_t views_ = 0;
  uint64_t told_ns_ = 0;
  uint64_t looks_ = 0;  // answers to who is who
  bool refreshing_ = false;
  uint64_t refreshed_ns_ = 0;
  size_t asked_last_ = 0;
  bool stopping_ = false;
  uint32_t running_ = 0;  // coroutines of its own
  Errno why_nobody_ = Errno::timedout;

  // Parked requests go on more often than the tick.
  struct Unpark final : Timer {
    explicit Unpark(Cluster& of) noexcept : cluster(of) {}
    void fired() noexcept override;
    Cluster& cluster;
  };
  Unpark unpark_{*this};
};

}  // namespace dpfs::kv::valkey
