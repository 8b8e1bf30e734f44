// SPDX-License-Identifier: Apache-2.0
// Who has which slots: asking, and following.
#include <algorithm>

#include "backend/kv/valkey/ask.h"
#include "backend/kv/valkey/cluster.h"
#include "backend/kv/valkey/command.h"
#include "base/log.h"

namespace dpfs::kv::valkey {
namespace {

constexpr uint64_t kAskLimitNs = 1'000'000'000;
// Until the next try when nobody has a view of use.
constexpr uint64_t kNobodyNs = 50'000'000;
constexpr uint64_t kTellEveryNs = 10'000'000'000;
constexpr uint64_t kRefreshEveryNs = 50'000'000;
// At the start nobody waits for a server as long as later: a wrong address is more likely.
constexpr uint64_t kStartNs = 5'000'000'000;

}  // namespace

Op<Unit> Cluster::start() {
  stopping_ = false;
  has_view_ = false;
  epoch_ = 0;
  slots_.fill(nullptr);
  for (const Address& seed : seeds_) node_at(seed);
  const uint64_t end_ns = monotonic_ns() + std::min(limit_ns_, kStartNs);
  ++running_;
  refresh();
  while (!has_view_ && monotonic_ns() < end_ns) {
    // A password does not get better.
    if (why_nobody_ == Errno::acces) break;
    co_await Sleep(timers_, 1'000'000);
  }
  --running_;
  if (has_view_) co_return Unit{};
  co_return why_nobody_;
}

Node& Cluster::node_at(const Address& address) {
  for (const auto& node : nodes_) {
    if (same(node->address, address)) return *node;
  }
  nodes_.push_back(std::make_unique<Node>(*this, nodes_.size(), address));
  return *nodes_.back();
}

Op<Unit> Cluster::look_again() {
  const uint64_t end_ns = deadline_ns();
  // One that is under way may have been answered already.
  const uint64_t wanted = looks_ + (refreshing_ ? 2 : 1);
  while (looks_ < wanted) {
    if (stopping_) co_return Errno::stale;
    if (monotonic_ns() >= end_ns) co_return Errno::timedout;
    refresh();
    co_await Sleep(timers_, 1'000'000);
  }
  co_return Unit{};
}

// One after the other, until one has a view.
Detached Cluster::refresh_later() {
  ++running_;
  const uint64_t since_ns = monotonic_ns() - refreshed_ns_;
  if (since_ns < kRefreshEveryNs) co_await Sleep(timers_, kRefreshEveryNs - since_ns);
  bool known = false;
  for (size_t tries = 0; tries < nodes_.size() && !known && !stopping_; ++tries) {
    Node& node = *nodes_[asked_last_ % nodes_.size()];
    Op<bool> pending = ask_who(node);
    const Result<bool> answer = co_await std::move(pending);
    known = answer && *answer;
    if (known) ++looks_;
    // The one that knows is asked again; but one whose view is old may have to learn.
    if (!known) ++asked_last_;
  }
  if (!known && !stopping_) co_await Sleep(timers_, kNobodyNs);
  refreshed_ns_ = monotonic_ns();
  refreshing_ = false;
  --running_;
  if (!known && !has_view_ && !stopping_) refresh();
}

Op<bool> Cluster::ask_who(Node& node) {
  Ask info(reactor_, command({"INFO", "server", "replication", "cluster"}), kAskLimitNs);
  node.side.send(info);
  co_await info;
  if (stopping_) co_return false;
  if (!info.good()) {
    if (info.error() == Errno::none) why_nobody_ = Errno::proto;
    co_return false;
  }
  const std::string_view text = info.reply().text();
  // Valkey calls it so unless it is to look like Redis.
  std::string_view mode = info_field(text, "server_mode");
  if (mode.empty()) mode = info_field(text, "redis_mode");
  const bool is_cluster = mode == "cluster";
  if (!is_cluster) {
    if (mode.empty()) {
      why_nobody_ = Errno::proto;
      co_return false;
    }
    if (info_field(text, "role") != "master") co_return false;
    const auto replicas = static_cast<uint32_t>(info_number(text, "connected_slaves"));
    const Topology alone{.ranges = {{.first = 0,
                                     .last = kSlots - 1,
                                     .primary = 0,
                                     .replicas = replicas,
                                     .primary_id = {}}},
                         .servers = {node.address}};
    apply(alone);
    co_return true;
  }
  is_cluster_ = true;
  Ask state(reactor_, command({"CLUSTER", "INFO"}), kAskLimitNs);
  node.side.send(state);
  co_await state;
  if (stopping_ || !state.good()) co_return false;
  // One that was cut off tells of days gone by.
  const uint64_t epoch = info_number(state.reply().text(), "cluster_current_epoch");
  if (epoch < epoch_) co_return false;
  Ask slots(reactor_, command({"CLUSTER", "SLOTS"}), kAskLimitNs);
  node.side.send(slots);
  co_await slots;
  if (stopping_ || !slots.good()) co_return false;
  Topology topology;
  if (!parse_slots(slots.reply(), node.address, topology)) {
    why_nobody_ = Errno::proto;
    co_return false;
  }
  Ask others(reactor_, command({"CLUSTER", "NODES"}), kAskLimitNs);
  node.side.send(others);
  co_await others;
  if (stopping_ || !others.good()) co_return false;
  for (Topology::Range& range : topology.ranges) {
    range.replicas = replicas_of(others.reply().text(), range.primary_id);
  }
  if (topology.ranges.empty()) {
    why_nobody_ = Errno::io;  // a cluster without slots
    co_return false;
  }
  epoch_ = epoch;
  apply(topology);
  co_return true;
}

void Cluster::apply(const Topology& topology) {
  std::vector<Node*> servers;
  servers.reserve(topology.servers.size());
  for (const Address& address : topology.servers) servers.push_back(&node_at(address));
  const bool had_view = std::exchange(has_view_, true);
  for (const auto& node : nodes_) {
    node->is_primary = false;
    node->replicas = 0;
  }
  std::vector<Node*> gained;
  bool lost = false;
  for (const Topology::Range& range : topology.ranges) {
    Node* primary = servers[range.primary];
    primary->is_primary = true;
    primary->replicas = range.replicas;
    primary->had_replicas = primary->had_replicas || range.replicas > 0;
    primary->first_slot = range.first;
    for (uint32_t slot = range.first; slot <= range.last; ++slot) {
      if (slots_[slot] == primary) continue;
      lost = lost || slots_[slot] != nullptr;
      slots_[slot] = primary;
      if (std::ranges::find(gained, primary) == gained.end()) gained.push_back(primary);
    }
  }
  if (had_view && lost) {
    tell_of_change();
    ++views_;
  }
  for (Node* node : gained) {
    // What it has got from others is nothing that sync() has asked it about.
    ++node->safety.wrote;
    if (node->main.has_greeted()) restore(*node);
  }
  for (size_t i = 0; i < nodes_.size(); ++i) reroute(*nodes_[i]);
}

// Not of each slot that is moved.
void Cluster::tell_of_change() noexcept {
  const uint64_t now_ns = monotonic_ns();
  if (told_ns_ != 0 && now_ns - told_ns_ < kTellEveryNs) return;
  told_ns_ = now_ns;
  log::info("the Valkey cluster has changed: slots have other primaries now");
}

// What waits for a server that has lost the slot goes to the one that has it now.
void Cluster::reroute(Node& node) noexcept {
  // One that has lost all and says nothing: it will say nothing about what it was sent, either.
  const uint64_t silent_ns = node.main.silent_ns(monotonic_ns());
  if (!node.is_primary && silent_ns > kAskLimitNs / 4) node.main.drop(Errno::timedout);
  if (node.main.is_open()) return;
  List<Request> waiting;
  node.main.take_waiting(waiting);
  while (Request* request = waiting.pop_front()) {
    // All that outlives a connection is Routed.
    if (!request->outlives || request->asking) {
      node.main.send(*request);
      continue;
    }
    send(static_cast<Routed&>(*request));
  }
}

}  // namespace dpfs::kv::valkey
