// SPDX-License-Identifier: Apache-2.0
// WAIT and WAITAOF, with what they answer counted.
#include "backend/kv/valkey/durability.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "backend/kv/valkey/ask.h"
#include "backend/kv/valkey/command.h"
#include "backend/kv/valkey/requests.h"
#include "base/log.h"
#include "base/monotonic.h"

namespace dpfs::kv::valkey {
namespace {

// Some hundred kilobytes of changes, when there are many; and few enough questions.
constexpr uint64_t kProbeEveryNs = 5'000'000;
// While it is not safe, less and less often.
constexpr uint64_t kProbeRestNsMax = 500'000'000;
// A replica that needs longer is asked again.
constexpr std::string_view kProbeWaitMs = "200";
constexpr uint64_t kProbeLimitNs = 5'000'000'000;
// A disk that is synchronized each second is looked at so often.
constexpr uint64_t kDiskLookEveryNs = 100'000'000;
constexpr int kDiskLooks = 30;
// It has done so by then.
constexpr std::string_view kDiskWaitMs = "2500";
constexpr uint64_t kSyncLimitNs = 8'000'000'000;
constexpr const char* kTouched = "w";
constexpr uint64_t kRemoveLimitNs = 500'000'000;
constexpr uint64_t kSyncAgainNs = 5'000'000;

// What WAIT or WAITAOF has counted.
struct Counts {
  int64_t disks = 0;
  int64_t replicas = 0;
};

bool parse_counts(const Reply& reply, Counts& counts) noexcept {
  Reply::Walk walk(reply);
  uint32_t elements = 0;
  if (walk.integer(counts.replicas)) return walk.at_end();
  return walk.array(elements) && elements == 2 && walk.integer(counts.disks) &&
         walk.integer(counts.replicas);
}

}  // namespace

// Of sync(), at one server: the mark, and what waits behind it.
struct Durability::Attempt {
  Attempt(Durability& of, Node& its_node)
      : node(its_node),
        wrote(its_node.safety.wrote),
        mark(of.cluster_.reactor(), of.touch_command(its_node), kSyncLimitNs),
        wait(of.cluster_.reactor(), of.wait_command(its_node), kSyncLimitNs) {
    node.waits.send(mark);
    node.waits.send(wait);
    if (!node.safety.replicas_have_no_file) return;
    const std::string count = std::to_string(of.replicas(its_node));
    in_memory.emplace(of.cluster_.reactor(), command({"WAIT", count, kDiskWaitMs}), kSyncLimitNs);
    node.waits.send(*in_memory);
  }

  Node& node;
  const uint64_t wrote;
  Ask mark;
  Ask wait;
  std::optional<Ask> in_memory;
};

struct Durability::Waiter : Completion {
  Waiter() noexcept {
    run = [](Completion& self) noexcept { static_cast<Waiter&>(self).handle.resume(); };
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) noexcept { handle = waiting; }
  Errno await_resume() const noexcept { return why; }
  std::coroutine_handle<> handle;
  Errno why = Errno::none;
};

Durability::Durability(Cluster& cluster, CommitLog& commits, SpreadLog& spread, const Keys& keys,
                       std::string_view incarnation, const ValkeyOptions& options)
    : cluster_(cluster),
      commits_(commits),
      spread_(spread),
      keys_(keys),
      incarnation_(incarnation),
      options_(options) {}

Durability::~Durability() { DPFS_ASSERT(running_ == 0 && waiting_.empty()); }

Op<Unit> Durability::stop() {
  stopping_ = true;
  while (running_ > 0) co_await Sleep(cluster_.timers(), kProbeEveryNs);
  // The timers, which are in the middle of it, may go with the cluster.
  co_await NextTurn(cluster_.reactor());
  co_return Unit{};
}

Op<Unit> Durability::remove_marks() {
  std::deque<Ask> asks;
  for (const auto& node : cluster_.nodes()) {
    if (!node->is_primary || node->safety.mark_key.empty()) continue;
    asks.emplace_back(
        cluster_.reactor(),
        command({"HDEL", node->safety.mark_key, incarnation_, incarnation_ + kTouched}),
        kRemoveLimitNs);
    node->side.send(asks.back());
  }
  for (Ask& ask : asks) co_await ask;
  co_return Unit{};
}

void Durability::wrote(Node& node) noexcept {
  ++node.safety.wrote;
  if (stopping_ || std::exchange(node.safety.probing, true)) return;
  probe_later(node);
}

bool Durability::has_something(Node& node) noexcept {
  return spread_.has_window(node) || (commits_.is_at(node) && commits_.has_window());
}

// One that lies in a slot of the server's own.
void Durability::choose_mark(Node& node) {
  Safety& safety = node.safety;
  if (!safety.mark_key.empty() && cluster_.owner(slot_of(safety.mark_key)) == &node) return;
  safety.mark_key = keys_.mark(static_cast<uint16_t>(node.first_slot));
  safety.dropped = 0;
  safety.replicas_have_no_file = false;
}

Detached Durability::probe_later(Node& node) {
  ++running_;
  uint64_t rest_ns = kProbeEveryNs;
  while (!stopping_ && has_something(node)) {
    co_await Sleep(cluster_.timers(), rest_ns);
    rest_ns = std::min(rest_ns * 2, kProbeRestNsMax);
    if (stopping_ || !node.is_primary || commits_.broken() != Errno::none) break;
    choose_mark(node);
    const uint64_t number = spread_.acknowledged();
    const uint64_t commits = commits_.is_at(node) ? commits_.acknowledged() : 0;
    // Over the connection on which it is known what the server has: one that has begun anew must
    // not get the mark of the one before.
    Group group(cluster_.reactor());
    Question mark(cluster_, group, slot_of(node.safety.mark_key),
                  command({"HSET", node.safety.mark_key, incarnation_, std::to_string(number)}));
    cluster_.send(mark);
    const Errno marked = co_await group;
    if (marked != Errno::none || mark.reply().is_error()) continue;
    Op<bool> probing = probe(node);
    const Result<bool> safe = co_await std::move(probing);
    // Where nobody has answered, the server may be dying, and what is kept is all there is.
    if (!safe) continue;
    if (*safe) rest_ns = kProbeEveryNs;
    if (*safe || spread_.window_is_full()) spread_.forget(node, number);
    if (*safe || commits_.window_is_full()) commits_.forget(commits);
  }
  node.safety.probing = false;
  --running_;
}

// Whether nothing can lose what is before the mark, but the loss of more servers than there are
// copies for. ENOTCONN: the server does not say.
Op<bool> Durability::probe(Node& node) {
  // One that is gone may come back and become the primary: as much is kept for it as there is room.
  if (node.replicas == 0 && node.had_replicas) co_return false;
  // Nothing is ever safe: what is lost with the server is lost.
  if (node.replicas == 0 && !node.has_append_file) co_return true;
  const bool by_replicas = node.replicas > 0;
  // The disk is looked at only, for sync() waits on the same connection.
  const std::string text = by_replicas
                               ? command({"WAIT", std::to_string(node.replicas), kProbeWaitMs})
                               : command({"WAITAOF", "1", "0", "1"});
  bool is_touched = true;
  for (int looks = 0; looks < kDiskLooks && !stopping_; ++looks) {
    if (!by_replicas) co_await Sleep(cluster_.timers(), kDiskLookEveryNs);
    Ask wrote_last(cluster_.reactor(), touch_command(node), kProbeLimitNs);
    Ask wait(cluster_.reactor(), text, kProbeLimitNs);
    if (looks == 0) {
      node.waits.send(wrote_last);
      node.waits.send(wait);
      co_await wrote_last;
      if (!wrote_last.good()) is_touched = false;
    } else {
      node.waits.send(wait);
    }
    co_await wait;
    Counts counts;
    if (!wait.good() || !parse_counts(wait.reply(), counts)) co_return Errno::notconn;
    if (!is_touched) co_return Errno::notconn;
    if (by_replicas && counts.replicas >= node.replicas) co_return true;
    if (by_replicas) {
      cluster_.refresh();  // there may be fewer now
      co_return false;
    }
    if (counts.disks >= 1) co_return true;
    if (spread_.window_is_full() || commits_.window_is_full()) break;
  }
  co_return false;
}

// Changes something, for WAIT is about what its own connection has written.
std::string Durability::touch_command(const Node& node) const {
  return command({"HSET", node.safety.mark_key, incarnation_ + kTouched, "0"});
}

Op<Unit> Durability::sync() {
  if (commits_.broken() != Errno::none) co_return commits_.broken();
  Waiter waiter;
  waiting_.push_back(&waiter);
  if (!std::exchange(syncing_, true)) sync_rounds();
  const Errno why = co_await waiter;
  if (why != Errno::none) co_return why;
  co_return Unit{};
}

Detached Durability::sync_rounds() {
  ++running_;
  // Those who ask in the same turn come along.
  co_await NextTurn(cluster_.reactor());
  while (!waiting_.empty()) {
    const std::vector<Waiter*> sharing = std::exchange(waiting_, {});
    Op<Unit> round = sync_round();
    const Result<Unit> result = co_await std::move(round);
    for (Waiter* waiter : sharing) {
      waiter->why = result.error();
      cluster_.reactor().next_turn(*waiter);
    }
  }
  syncing_ = false;
  --running_;
}

Op<Unit> Durability::sync_round() {
  const uint64_t end_ns = monotonic_ns() + options_.sync_limit_ns;
  while (true) {
    const uint64_t connections = connections_now();
    Op<bool> syncing = sync_nodes();
    const Result<bool> synced = co_await std::move(syncing);
    if (!synced) co_return synced.error();
    Op<Unit> looking = look_at_all();
    const Result<Unit> looked = co_await std::move(looking);
    if (!looked) co_return looked;
    if (commits_.broken() != Errno::none) co_return commits_.broken();
    // A server that has begun anew has got again what it had lost, perhaps just now.
    if (*synced && connections == connections_now()) co_return Unit{};
    if (monotonic_ns() >= end_ns) co_return Errno::timedout;
    co_await Sleep(cluster_.timers(), kSyncAgainNs);
    if (stopping_) co_return Errno::stale;
  }
}

// Is answered over connections on which the logs have looked at what each server has.
Op<Unit> Durability::look_at_all() {
  Group group(cluster_.reactor());
  std::deque<Question> pings;
  for (const auto& node : cluster_.nodes()) {
    if (!node->is_primary || node->safety.wrote == 0) continue;
    pings.emplace_back(cluster_, group, static_cast<uint16_t>(node->first_slot), command({"PING"}));
  }
  for (Question& ping : pings) cluster_.send(ping);
  const Errno why = co_await group;
  if (why != Errno::none) co_return why;
  co_return Unit{};
}

uint64_t Durability::connections_now() const noexcept {
  uint64_t count = 0;
  for (const auto& node : cluster_.nodes()) count += node->main.connections();
  return count;
}

uint32_t Durability::replicas(const Node& node) const noexcept {
  return options_.replicas == ValkeyOptions::kAllReplicas ? node.replicas : options_.replicas;
}

std::string Durability::wait_command(const Node& node) const {
  const std::string count = std::to_string(replicas(node));
  if (!node.has_append_file) return command({"WAIT", count, kDiskWaitMs});
  if (node.safety.replicas_have_no_file) return command({"WAITAOF", "1", "0", kDiskWaitMs});
  return command({"WAITAOF", "1", count, kDiskWaitMs});
}

// False: once more.
Op<bool> Durability::sync_nodes() {
  std::deque<Attempt> attempts;
  bool is_done = true;
  for (size_t i = 0; i < cluster_.nodes().size(); ++i) {
    Node& node = *cluster_.nodes()[i];
    // Of one that has lost its slots the next one has yet to get what is not safe.
    if (!node.is_primary) {
      if (has_something(node)) is_done = false;
      continue;
    }
    if (node.safety.wrote == node.safety.synced) continue;
    // Whether it has a file is known when it has been looked at.
    if (!node.main.is_open()) {
      is_done = false;
      continue;
    }
    if (!node.has_append_file && replicas(node) == 0) {
      node.safety.synced = node.safety.wrote;
      continue;
    }
    choose_mark(node);
    attempts.emplace_back(*this, node);
  }
  Errno why = Errno::none;
  for (Attempt& attempt : attempts) {
    Ask& mark = attempt.mark;
    Ask& wait = attempt.wait;
    co_await mark;
    co_await wait;
    if (attempt.in_memory) {
      Ask& in_memory = *attempt.in_memory;
      co_await in_memory;
    }
    const Result<bool> enough = judge(attempt);
    if (!enough) why = enough.error();
    is_done = is_done && enough && *enough;
  }
  if (why != Errno::none) co_return why;
  co_return is_done;
}

// Whether enough disks and replicas have it. An error: asking again does not help.
Result<bool> Durability::judge(Attempt& attempt) noexcept {
  Node& node = attempt.node;
  for (const Ask* ask : {&attempt.mark, &attempt.wait}) {
    if (ask->error() == Errno::stale) return Errno::stale;
    if (ask->error() != Errno::none) return false;
    const Trouble what = trouble(ask->reply());
    if (what == Trouble::moved) cluster_.refresh();
    if (what == Trouble::none) continue;
    if (what != Trouble::other && what != Trouble::denied) return false;
    log::error("the Valkey server {} refuses to synchronize: {}", text_of(node.address),
               ask->reply().text());
    return Errno::io;
  }
  Counts counts;
  if (!parse_counts(attempt.wait.reply(), counts)) return Errno::proto;
  if (attempt.in_memory) {
    if (!attempt.in_memory->good()) return false;
    counts.replicas = attempt.in_memory->reply().integer();
  }
  const bool on_disk = !node.has_append_file || counts.disks >= 1;
  if (on_disk && counts.replicas >= replicas(node)) {
    node.safety.synced = attempt.wrote;
    return true;
  }
  cluster_.refresh();  // there may be fewer replicas now
  if (on_disk && node.has_append_file && !node.safety.replicas_have_no_file) {
    log::warn(
        "replicas of the Valkey server {} do not synchronize: they have no append-only "
        "file, or are slow. fsync relies on their memory",
        text_of(node.address));
    node.safety.replicas_have_no_file = true;
  }
  return false;
}

}  // namespace dpfs::kv::valkey
