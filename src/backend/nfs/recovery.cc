// SPDX-License-Identifier: Apache-2.0
// Getting connected, and connected again: addresses, connections, client id, session, state.
#include <algorithm>
#include <string>

#include "backend/nfs/client.h"
#include "backend/nfs/session_operations.h"
#include "backend/nfs/status.h"
#include "base/monotonic.h"

namespace dpfs::nfs {
namespace {

constexpr uint64_t kMillisecondNs = 1'000'000;
constexpr uint64_t kFirstPauseNs = 50 * kMillisecondNs;
constexpr uint64_t kPauseNsMax = 3000 * kMillisecondNs;
constexpr uint64_t kConnectPatienceNs = 10'000 * kMillisecondNs;
constexpr uint64_t kFarewellNs = 1000 * kMillisecondNs;

constexpr size_t kHeaderBytes = 1024;             // of a request or an answer, around its data
constexpr size_t kAnswerBytesMin = 128 * 1024;    // for READDIR and extended attributes
constexpr uint32_t kRequestBytesMin = 64 * 1024;  // for extended attributes
constexpr uint32_t kCachedAnswerBytes = 4096;
constexpr uint32_t kOperationsMax = 16;

}  // namespace

void Client::start() noexcept {
  DPFS_ASSERT(!running_);
  running_ = true;
  stopping_ = false;
  keep_going();
}

void Client::abandon() noexcept {
  if (!running_) return;
  stopping_ = true;
  phase_ = Phase::away;
  cancel_everything(Errno::notconn);
}

Op<Unit> Client::stop() noexcept {
  if (!running_ && !stopping_) co_return Unit{};
  if (phase_ == Phase::ready) {
    phase_ = Phase::recovering;  // nothing else goes out
    timers_.start(farewell_, kFarewellNs);
    DestroySession session;
    session.session = session_;
    control_connection_ = 0;
    Result<Unit> done = co_await perform(session);
    if (done) {
      DestroyClientId id;
      id.client_id = client_id_;
      done = co_await perform(id);
    }
  }
  timers_.stop(farewell_);
  stopping_ = true;
  cancel_everything(Errno::notconn);
  changed_.raise();
  co_await stopped_.wait(Signal::kForEver);
  stopping_ = false;
  co_return Unit{};
}

Detached Client::keep_going() noexcept {
  uint64_t pause_ns = 0;
  while (!stopping_) {
    if (pause_ns > 0) {
      const uint64_t until_ns = monotonic_ns() + pause_ns;
      for (uint64_t now = monotonic_ns(); now < until_ns && !stopping_; now = monotonic_ns()) {
        co_await changed_.wait(until_ns - now);
      }
      if (stopping_) break;
    }
    Result<Unit> there = co_await connect_all();
    if (there) there = co_await establish();
    if (!there || trouble_ != Trouble::none) {
      phase_ = Phase::away;
      if (!there && there.error() != Errno::canceled && !stopping_ && refused_ == Errno::none) {
        say_it_is_gone(describe(there.error()));
      }
      pause_ns = pause_ns == 0 ? kFirstPauseNs : std::min(pause_ns * 2, kPauseNsMax);
      continue;
    }
    pause_ns = 0;
    phase_ = Phase::ready;
    say_it_is_back();
    dispatch_waiting();
    while (phase_ == Phase::ready && !stopping_) co_await changed_.wait(Signal::kForEver);
  }
  cancel_everything(Errno::notconn);
  for (const auto& connection : connections_) connection->close();
  bound_.assign(bound_.size(), false);
  phase_ = Phase::away;
  has_session_ = knows_us_ = false;
  timers_.stop(tick_);
  timers_.stop(retry_);
  ticks_often_ = false;
  running_ = false;
  stopped_.raise();
}

Op<Unit> Client::find_addresses() noexcept {
  std::vector<Address> found = reactor_.blocking(
      [server = options_.server, port = options_.port] { return look_up(server, port); });
  if (!found.empty()) addresses_ = std::move(found);
  address_ = 0;
  if (addresses_.empty()) co_return Errno::noent;
  co_return Unit{};
}

// All connections, to the address in use or the next that answers.
Op<Unit> Client::connect_all() noexcept {
  if (trouble_ == Trouble::session || !has_session_) {
    // What was under way there is none any more; a new connection forgets what was half sent.
    has_session_ = false;
    for (const auto& connection : connections_) connection->close();
    bound_.assign(bound_.size(), false);
    take_back_calls();
  }
  if (trouble_ == Trouble::session) trouble_ = Trouble::none;
  if (addresses_.empty() || address_ >= addresses_.size()) {
    Op<Unit> finding = find_addresses();
    const Result<Unit> found = co_await finding;
    if (!found) co_return found.error();
  }
  for (const auto& connection : connections_) {
    if (!connection->is_connected()) connection->connect(addresses_[address_]);
  }
  const uint64_t until_ns = monotonic_ns() + kConnectPatienceNs;
  while (true) {
    bool all = true;
    bool failed = stopping_;
    for (const auto& connection : connections_) {
      all = all && connection->is_connected();
      failed = failed || connection->has_failed();
    }
    if (all) co_return Unit{};
    const uint64_t now_ns = monotonic_ns();
    if (failed || now_ns >= until_ns) break;
    co_await changed_.wait(until_ns - now_ns);
  }
  const Errno why = stopping_ ? Errno::canceled : connections_.front()->failure();
  for (const auto& connection : connections_) {
    if (!connection->is_connected()) connection->close();
  }
  ++address_;  // the next time another
  co_return why == Errno::none ? Errno::timedout : why;
}

Op<Unit> Client::establish() noexcept {
  phase_ = Phase::recovering;
  const bool had_session = has_session_;
  if (had_session) {
    Op<Unit> binding = bind_connections();
    const Result<Unit> bound = co_await binding;
    if (!bound) co_return bound.error();
  } else {
    Op<Unit> making = make_session();
    const Result<Unit> made = co_await making;
    if (!made) co_return made.error();
  }
  if (!knows_us_) {
    Op<Unit> reclaiming = recoverer_.reclaim();
    const Result<Unit> reclaimed = co_await reclaiming;
    if (!reclaimed) co_return reclaimed.error();
    Op<Unit> completing = reclaim_complete();
    const Result<Unit> completed = co_await completing;
    if (!completed) co_return completed.error();
    knows_us_ = true;
  }
  if (trouble_ == Trouble::state) trouble_ = Trouble::none;
  Op<Unit> reopening = recoverer_.reopen();
  const Result<Unit> reopened = co_await reopening;
  if (!reopened) co_return reopened.error();
  Op<Unit> resuming = recoverer_.resume();
  const Result<Unit> resumed = co_await resuming;
  refused_ = Errno::none;
  if (!resumed) {
    if (resumed.error() != Errno::canceled && !stopping_) {
      refused_ = resumed.error();
      cancel_everything(refused_);
    }
    co_return resumed.error();
  }
  co_return Unit{};
}

Op<Unit> Client::make_session() noexcept {
  Op<Unit> exchanging = exchange_id();
  Result<Unit> done = co_await exchanging;
  if (!done) co_return done.error();
  Op<Unit> creating = create_session();
  done = co_await creating;
  if (!done) co_return done.error();
  Op<Unit> binding = bind_connections();
  done = co_await binding;
  if (!done) co_return done.error();
  co_return Unit{};
}

Op<Unit> Client::exchange_id() noexcept {
  ExchangeId call(verifier_, owner_);
  control_connection_ = 0;
  Result<Unit> done = co_await perform(call);
  while (!done && call.status() == Status::minor_vers_mismatch && minor_version_ > 1) {
    --minor_version_;
    log::info("{}: serves NFS 4.{} only", server(), minor_version_);
    done = co_await perform(call);
  }
  if (!done && call.status() == Status::minor_vers_mismatch) {
    log::error("{}: serves no NFS 4.1: nothing older will do", server());
  }
  if (!done) co_return done.error();
  const bool same = call.client_id == client_id_ && (call.flags & kConfirmedClient) != 0;
  if (!same) {
    knows_us_ = false;
    create_sequence_ = call.sequence;
  }
  told_sequence_ = call.sequence;
  client_id_ = call.client_id;
  state_flags_ = 0;
  co_return Unit{};
}

Op<Unit> Client::create_session() noexcept {
  CreateSession call;
  call.client_id = client_id_;
  call.sequence = create_sequence_;
  call.wanted.request_bytes =
      std::max<uint32_t>(options_.write_bytes_max, kRequestBytesMin) + Slot::kRequestBytesMax;
  call.wanted.response_bytes = static_cast<uint32_t>(
      std::max<size_t>(options_.read_bytes_max, kAnswerBytesMin) + kHeaderBytes);
  call.wanted.cached_bytes = kCachedAnswerBytes;
  call.wanted.operations = kOperationsMax;
  call.wanted.requests = std::clamp(options_.slots, 1u, Slots::kMax);
  Result<Unit> done = co_await perform(call);
  if (!done && call.status() == Status::seq_misordered && told_sequence_ != call.sequence) {
    call.sequence = told_sequence_;
    done = co_await perform(call);
  }
  if (!done) {
    client_id_ = 0;  // a new one, the next time
    co_return done.error();
  }
  constexpr uint32_t kBytesMin = 8192;
  if (call.got.requests == 0 || call.got.request_bytes < kBytesMin ||
      call.got.response_bytes < kBytesMin) {
    log::error("{}: offers a session of {} requests, {} and {} bytes, which is too little",
               server(), call.got.requests, call.got.request_bytes, call.got.response_bytes);
    co_return Errno::proto;
  }
  create_sequence_ = call.sequence + 1;
  session_ = call.session;
  slots_.reset(std::min(call.got.requests, call.wanted.requests));
  // Data goes in whole pages, with its header around it.
  const auto data_bytes = [](uint32_t message) {
    return static_cast<uint32_t>((message - Slot::kRequestBytesMax) & ~4095u);
  };
  read_bytes_max_ = std::min(options_.read_bytes_max, data_bytes(call.got.response_bytes));
  write_bytes_max_ = std::min(options_.write_bytes_max, data_bytes(call.got.request_bytes));
  for (const auto& connection : connections_) {
    connection->set_record_max(call.wanted.response_bytes + kHeaderBytes);
  }
  has_session_ = true;
  bound_[0] = true;
  co_return Unit{};
}

Op<Unit> Client::bind_connections() noexcept {
  for (uint32_t i = 0; i < connections_.size(); ++i) {
    if (bound_[i]) continue;
    BindConnection call;
    call.session = session_;
    control_connection_ = i;
    const Result<Unit> done = co_await perform(call);
    // A server that has no such operation binds a connection by what comes over it (RFC 8881,
    // section 2.10.3.1).
    if (!done && call.status() != Status::notsupp) {
      // Mostly the session is no more, after a restart: then a new one is made.
      if (done.error() != Errno::canceled && done.error() != Errno::notconn) has_session_ = false;
      co_return has_session_ ? done.error() : Errno::canceled;
    }
    bound_[i] = true;
    resend(i);
  }
  co_return Unit{};
}

Op<Unit> Client::reclaim_complete() noexcept {
  ReclaimComplete call;
  const Result<Unit> done = co_await perform(call);
  if (!done && call.status() != Status::complete_already && call.status() != Status::notsupp) {
    co_return done.error();
  }
  co_return Unit{};
}

void Client::resend(uint32_t connection) noexcept {
  for (uint32_t i = connection; i < slots_.count();
       i += static_cast<uint32_t>(connections_.size())) {
    Slot& slot = slots_.at(i);
    if (!slot.used || slot.message.linked()) continue;
    const Call* call = slot.call;
    if (call != nullptr && call->linked()) continue;  // when its delay has passed
    if (call != nullptr && call->data_into.size() >= Connection::kPlacedBytesMin) {
      connections_[connection]->expect_long(1);
    }
    connections_[connection]->send(slot.message);
  }
}

// The session they were sent in is no more.
void Client::take_back_calls() noexcept {
  for (uint32_t i = slots_.count(); i-- > 0;) {
    Slot& slot = slots_.at(i);
    if (!slot.used) continue;
    Call* of_slot = slot.call;
    slots_.give(i);
    if (of_slot == nullptr) continue;  // given up
    Call& call = *of_slot;
    if (call.linked()) call.unlink();
    call.slot_ = Call::kNoSlot;
    call.note_lost_answer();
    waiting_.push_front(call);
  }
}

// Whoever recovers begins again from the start. What was under way of it keeps its slot busy until
// it is answered, so that what others have under way need not be done in a new session, where the
// server would not know it for the same.
void Client::cancel_recovery_calls() noexcept {
  if (Call* control = std::exchange(control_, nullptr)) {
    connections_[control_connection_]->withdraw(control_message_);
    finish(*control, Errno::canceled);
  }
  for (List<Call>* calls : {&waiting_, &delayed_}) {
    Call* next = nullptr;
    for (Call* call = calls->front(); call != nullptr; call = next) {
      next = calls->after(*call);
      if (!call->recovers || call->slot_ != Call::kNoSlot) continue;
      call->unlink();
      finish(*call, Errno::canceled);
      next = calls->front();
    }
  }
  for (uint32_t i = 0; i < slots_.count(); ++i) {
    Slot& slot = slots_.at(i);
    if (slot.call == nullptr || !slot.call->recovers) continue;
    Call& call = *slot.call;
    if (call.linked()) call.unlink();
    slot.call = nullptr;
    call.slot_ = Call::kNoSlot;
    if (!slot.message.tail.empty()) {  // data that its owner may give away now
      connection_of(i).withdraw(slot.message);
      trouble_ = Trouble::session;
    }
    finish(call, Errno::canceled);
  }
}

// Nothing waits for the server any more; what was under way is forgotten with its session.
void Client::cancel_everything(Errno why) noexcept {
  if (Call* control = std::exchange(control_, nullptr)) {
    if (control_message_.linked()) control_message_.unlink();
    finish(*control, Errno::canceled);
  }
  has_session_ = false;
  for (const auto& connection : connections_) connection->close();
  bound_.assign(bound_.size(), false);
  take_back_calls();
  while (Call* call = delayed_.pop_front()) waiting_.push_back(*call);
  // Those that come meanwhile wait for the next attempt.
  List<Call> all;
  while (Call* call = waiting_.pop_front()) all.push_back(*call);
  while (Call* call = all.pop_front()) finish(*call, call->recovers ? Errno::canceled : why);
}

void Client::say_it_is_gone(const char* why) noexcept {
  if (gone_ns_ == 0) gone_ns_ = monotonic_ns();
  if (std::exchange(said_gone_, true)) return;
  log::warn(
      "{} port {}: {}; {}", server(), options_.port, std::string(why),
      options_.soft ? "requests fail when it takes too long" : "requests wait until it is there");
}

void Client::say_it_is_back() noexcept {
  if (std::exchange(said_gone_, false)) {
    log::info("{}: there again after {} s", server(), (monotonic_ns() - gone_ns_) / 1'000'000'000);
  }
  gone_ns_ = 0;
}

}  // namespace dpfs::nfs
