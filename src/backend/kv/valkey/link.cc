// SPDX-License-Identifier: Apache-2.0
// Connecting, greeting, and what becomes of requests when a connection breaks.
#include "backend/kv/valkey/link.h"

#include <algorithm>

#include "backend/kv/valkey/command.h"
#include "base/log.h"
#include "base/monotonic.h"

namespace dpfs::kv::valkey {
namespace {

constexpr uint64_t kRestNsMin = 10'000'000;
constexpr uint64_t kRestNsMax = 500'000'000;
// For connecting and greeting. A server that needs longer is tried again: its address may be
// another's by then.
constexpr uint64_t kGreetNsMax = 3'000'000'000;
// Connections that a server may still have to be told to forget. More are of servers that have not
// answered for long, and each of them gave up all that was in the ones before.
constexpr size_t kFormerMax = 64;

// "id=7 addr=127.0.0.1:4711 laddr=..."
std::string field(std::string_view info, std::string_view name) {
  const size_t at = info.starts_with(name) ? 0 : info.find(' ' + std::string(name));
  if (at == std::string_view::npos) return {};
  std::string_view value = info.substr(info.find('=', at) + 1);
  value = value.substr(0, value.find(' '));
  return std::string(value.substr(0, value.find('\n')));
}

}  // namespace

Link::Link(Reactor& reactor, Timers& timers, LinkOwner& owner, const Login& login)
    : reactor_(reactor),
      timers_(timers),
      owner_(owner),
      login_(login),
      connection_(reactor, *this),
      rest_ns_(kRestNsMin) {
  loss_.run = [](Completion& self) noexcept {
    auto& loss = static_cast<Loss&>(self);
    loss.queued = false;
    loss.link.drop(loss.why);
  };
}

Link::~Link() {
  DPFS_ASSERT(state_ == State::down && !loss_.queued && waiting_.empty());
  timers_.stop(*this);
}

void Link::send(Request& request) noexcept {
  if (open_ && state_ == State::greeted) return connection_.send(request);
  if (stopped_ != Errno::none) return request.failed(stopped_);
  waiting_.push_back(request);
  if (state_ == State::down) connect();
}

void Link::send_first(Request& request) noexcept {
  if (state_ == State::greeted) return connection_.send(request);
  request.failed(Errno::notconn);
}

void Link::open() noexcept {
  DPFS_ASSERT(state_ == State::greeted);
  open_ = true;
  while (Request* request = waiting_.pop_front()) connection_.send(*request);
}

void Link::connect() noexcept {
  state_ = State::connecting;
  timers_.start(*this, kGreetNsMax);
  connection_.connect(address_);
}

void Link::connected() noexcept {
  state_ = State::greeting;
  steps_.clear();
  if (!login_.password.empty()) {
    steps_.emplace_back(*this, login_.user.empty()
                                   ? command({"AUTH", login_.password})
                                   : command({"AUTH", login_.user, login_.password}));
  }
  steps_.emplace_back(*this, command({"CLIENT", "INFO"})).is_info = true;
  for (const ClientId& former : former_) {
    steps_.emplace_back(*this, command({"CLIENT", "KILL", "ID", former.id, "ADDR", former.address}))
        .is_kill = true;
  }
  steps_left_ = steps_.size();
  for (Step& step : steps_) connection_.send(step);
}

void Link::greeting_answered(Step& step, const Reply& reply) noexcept {
  if (state_ != State::greeting) return;
  if (reply.is_error()) {
    // Of what was said of a password nothing is shown but the kind: it may be in it.
    const bool is_login = !step.is_info && !step.is_kill;
    const bool denied = trouble(reply) == Trouble::denied || is_login;
    const std::string_view said = reply.text();
    const std::string_view shown = is_login ? said.substr(0, said.find(' ')) : said;
    if (refusal_ != shown) {
      refusal_ = shown;
      log::error("Valkey server {} refuses us: {}", numeric(address_), refusal_);
    }
    return lost(denied ? Errno::acces : Errno::proto);
  }
  if (step.is_info) {
    own_ = {.id = field(reply.text(), "id="), .address = field(reply.text(), "addr=")};
    if (own_.id.empty() || own_.address.empty()) return lost(Errno::proto);
  }
  if (--steps_left_ == 0) greeting_done();
}

void Link::greeting_done() noexcept {
  timers_.stop(*this);
  former_.clear();
  state_ = State::greeted;
  rest_ns_ = kRestNsMin;
  last_error_ = Errno::none;
  refusal_.clear();
  ++connections_;
  owner_.greeted(*this);
}

// Called by the connection: what is done about it is done on the next turn.
void Link::lost(Errno why) noexcept {
  if (loss_.queued) return;
  loss_.why = why;
  loss_.queued = true;
  reactor_.next_turn(loss_);
}

void Link::drop(Errno why) noexcept {
  if (state_ == State::down || state_ == State::resting) return;
  // Only a connection that has greeted has carried requests of others.
  if (state_ == State::greeted && connection_.awaits()) {
    former_.push_back(own_);
    if (former_.size() > kFormerMax) former_.pop_front();
  }
  last_error_ = why;
  open_ = false;
  state_ = State::resting;
  List<Request> gone;
  connection_.close(gone);
  timers_.start(*this, rest_ns_);
  rest_ns_ = std::min(rest_ns_ * 2, kRestNsMax);
  // Behind what was sent there comes what has waited.
  List<Request> waited;
  while (Request* request = waiting_.pop_front()) waited.push_back(*request);
  List<Request> lost;
  while (Request* request = gone.pop_front()) {
    (request->outlives ? waiting_ : lost).push_back(*request);
  }
  while (Request* request = waited.pop_front()) {
    (request->outlives ? waiting_ : lost).push_back(*request);
  }
  while (Request* request = lost.pop_front()) request->failed(Errno::notconn);
  owner_.broke(*this, why);
}

void Link::fired() noexcept {
  if (state_ == State::connecting || state_ == State::greeting) return drop(Errno::timedout);
  if (state_ != State::resting) return;
  state_ = State::down;
  if (!waiting_.empty()) connect();
}

void Link::take_waiting(List<Request>& into) noexcept {
  while (Request* request = waiting_.pop_front()) into.push_back(*request);
}

void Link::stop(Errno why) noexcept {
  stopped_ = why;
  drop(why);
  timers_.stop(*this);
  state_ = State::down;
  rest_ns_ = kRestNsMin;
  while (Request* request = waiting_.pop_front()) request->failed(why);
}

void Link::expire(uint64_t now_ns) noexcept {
  if (const Request* oldest = connection_.oldest(); oldest != nullptr) {
    if (state_ == State::greeted && oldest->deadline_ns <= now_ns) drop(Errno::timedout);
  }
  List<Request> late;
  for (Request* request = waiting_.front(); request != nullptr;) {
    Request* next = waiting_.after(*request);
    if (request->deadline_ns <= now_ns) {
      request->unlink();
      late.push_back(*request);
    }
    request = next;
  }
  while (Request* request = late.pop_front()) request->failed(Errno::timedout);
}

uint64_t Link::silent_ns(uint64_t now_ns) noexcept {
  if (state_ != State::greeted || !connection_.awaits()) return 0;
  const uint64_t since_ns = connection_.waiting_since_ns();
  return now_ns > since_ns ? now_ns - since_ns : 0;
}

}  // namespace dpfs::kv::valkey
