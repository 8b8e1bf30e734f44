// SPDX-License-Identifier: Apache-2.0
// Sending, redirections, waiting for a cluster that is not whole.
#include "backend/kv/valkey/cluster.h"

#include <algorithm>

#include "base/monotonic.h"

namespace dpfs::kv::valkey {
namespace {

constexpr uint64_t kAgainNsMin = 2'000'000;
constexpr uint64_t kAgainNsMax = 200'000'000;
// A server that says nothing for so long may have been replaced meanwhile.
constexpr uint64_t kSilenceNs = 500'000'000;

// For replicas that come and go; nothing else tells of them.
constexpr uint64_t kLookEveryNs = 10'000'000'000;

}  // namespace

void Routed::answered(const Reply& reply) noexcept {
  if (!cluster_.handles(*this, reply)) replied(reply);
}

bool Routed::is_where_it_belongs() const noexcept {
  return strayed_ || cluster_.slots_[slot] == at_;
}

Node::Node(Cluster& of, size_t its_number, const Address& at)
    : cluster(of),
      number(its_number),
      address(at),
      main(of.reactor_, of.timers_, *this, of.login_),
      side(of.reactor_, of.timers_, *this, of.login_),
      waits(of.reactor_, of.timers_, *this, of.login_) {
  for (Link* link : {&main, &side, &waits}) link->set_address(at);
}

void Node::greeted(Link& link) noexcept {
  if (&link != &main) return link.open();
  cluster.restore(*this);
}

void Node::broke(Link&, Errno why) noexcept {
  if (why != Errno::timedout) cluster.why_nobody_ = why;
  if (is_primary && !cluster.stopping_) cluster.refresh();
}

Cluster::Cluster(Reactor& reactor, Restorer& restorer, const std::vector<Address>& seeds,
                 const Login& login, uint64_t limit_ns)
    : reactor_(reactor),
      restorer_(restorer),
      timers_(reactor),
      seeds_(seeds),
      login_(login),
      limit_ns_(limit_ns) {}

Cluster::~Cluster() {
  DPFS_ASSERT(parked_.empty() && running_ == 0);
  timers_.stop(*this);
  timers_.stop(unpark_);
}

uint64_t Cluster::deadline_ns() const noexcept { return monotonic_ns() + limit_ns_; }

void Cluster::send(Routed& request) noexcept {
  need_tick();
  request.strayed_ = false;
  if (Node* node = slots_[request.slot]) {
    request.at_ = node;
    return node->main.send(request);
  }
  refresh();
  park(request, kAgainNsMin);
}

// True when the request has been sent on, or will be.
bool Cluster::handles(Routed& request, const Reply& reply) noexcept {
  const Trouble what = trouble(reply);
  if (what == Trouble::none || stopping_) return false;
  Node* node = slots_[request.slot];
  const uint64_t delay_ns =
      std::min(kAgainNsMin << std::min<uint32_t>(request.tries_, 16), kAgainNsMax);
  if (what == Trouble::ask) {
    Address address;
    if (node == nullptr || !parse_redirect(reply.text(), node->address, address)) return false;
    request.asking = true;
    request.strayed_ = true;
    request.at_ = &node_at(address);
    request.at_->main.send(request);
    return true;
  }
  if (what == Trouble::moved) {
    ++request.tries_;
    refresh();
    park(request, delay_ns);
    return true;
  }
  // Somebody has told the server to forget its scripts, or it is one that has none of our slots
  // yet.
  if (what == Trouble::no_script && request.at_ != nullptr) restore(*request.at_);
  if (what == Trouble::later || what == Trouble::no_script) {
    ++request.tries_;
    park(request, delay_ns);
    return true;
  }
  return false;
}

void Cluster::park(Routed& request, uint64_t delay_ns) noexcept {
  request.again_ns_ = monotonic_ns() + delay_ns;
  parked_.push_back(request);
  if (!unpark_.linked()) timers_.start(unpark_, delay_ns);
}

void Cluster::Unpark::fired() noexcept { cluster.unpark(monotonic_ns()); }

void Cluster::unpark(uint64_t now_ns) noexcept {
  List<Request> due;
  List<Request> late;
  for (Request* request = parked_.front(); request != nullptr;) {
    Request* next = parked_.after(*request);
    const bool is_late = request->deadline_ns <= now_ns;
    if (is_late || static_cast<Routed*>(request)->again_ns_ <= now_ns) {
      request->unlink();
      (is_late ? late : due).push_back(*request);
    }
    request = next;
  }
  while (Request* request = due.pop_front()) send(static_cast<Routed&>(*request));
  while (Request* request = late.pop_front()) request->failed(Errno::timedout);
  if (!parked_.empty() && !unpark_.linked()) timers_.start(unpark_, kAgainNsMin);
}

void Cluster::need_tick() noexcept {
  if (!linked() && !stopping_) timers_.start(*this, kTickNs);
}

bool Cluster::busy() noexcept {
  return !parked_.empty() || refreshing_ || std::ranges::any_of(nodes_, [](const auto& node) {
    return node->main.busy() || node->side.busy() || node->waits.busy();
  });
}

void Cluster::fired() noexcept {
  const uint64_t now_ns = monotonic_ns();
  bool silent = false;
  // By number: there may be more of them before it ends.
  for (size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = *nodes_[i];
    for (Link* link : {&node.main, &node.side, &node.waits}) link->expire(now_ns);
    silent = silent || node.main.silent_ns(now_ns) > kSilenceNs ||
             (node.main.busy() && !node.main.has_greeted());
  }
  restorer_.tick(now_ns);
  if (silent || now_ns - refreshed_ns_ > kLookEveryNs) refresh();
  if (busy() || restorer_.needs_tick()) need_tick();
}

void Cluster::refresh() noexcept {
  if (refreshing_ || stopping_) return;
  refreshing_ = true;
  need_tick();
  refresh_later();
}

void Cluster::restore(Node& node) noexcept {
  node.main.shut();
  if (std::exchange(node.restoring_, true)) {
    node.restore_again_ = true;
    return;
  }
  restore_later(node);
}

Detached Cluster::restore_later(Node& node) {
  ++running_;
  constexpr uint64_t kSoonNs = 20'000'000;
  while (node.main.has_greeted() && !stopping_) {
    node.restore_again_ = false;
    Op<Unit> pending = restorer_.restore(node);
    const Result<Unit> restored = co_await std::move(pending);
    if (!node.main.has_greeted() || stopping_) break;
    if (restored && !node.restore_again_) {
      node.main.open();
      break;
    }
    if (!restored) co_await Sleep(timers_, kSoonNs);
  }
  node.restoring_ = false;
  --running_;
}

void Cluster::fail_all(Errno why) noexcept {
  for (size_t i = 0; i < nodes_.size(); ++i) nodes_[i]->main.stop(why);
  while (Request* request = parked_.pop_front()) request->failed(why);
}

Op<Unit> Cluster::stop() {
  stopping_ = true;
  timers_.stop(*this);
  timers_.stop(unpark_);
  while (Request* request = parked_.pop_front()) request->failed(Errno::stale);
  for (const auto& node : nodes_) {
    for (Link* link : {&node->main, &node->side, &node->waits}) link->stop(Errno::stale);
  }
  // What still runs finds that all has failed.
  while (running_ > 0) co_await Sleep(timers_, kAgainNsMin);
  co_await NextTurn(reactor_);
  co_await NextTurn(reactor_);
  co_return Unit{};
}

}  // namespace dpfs::kv::valkey
