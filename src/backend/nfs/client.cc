// SPDX-License-Identifier: Apache-2.0
// Calls on their way: to a slot, to the server, and back.
#include "backend/nfs/client.h"

#include <unistd.h>

#include <algorithm>
#include <random>

#include "backend/nfs/status.h"
#include "base/monotonic.h"

namespace dpfs::nfs {
namespace {

constexpr uint32_t kSlotBits = 12;
constexpr uint32_t kControlSlot = (1u << kSlotBits) - 1;
static_assert(Slots::kMax < kControlSlot);
constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kLeaseAtFirstNs = 30 * kSecondNs;  // until the server tells
constexpr uint64_t kFirstDelayNs = 20'000'000;
constexpr uint64_t kDelayNsMax = kSecondNs;
constexpr int kGarbledAnswersMax = 3;
constexpr int kStateRetriesMax = 3;

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == 0) return "dpfs";
  return name.data();
}

Verifier random_verifier() {
  std::random_device random;
  Verifier verifier;
  for (uint8_t& byte : verifier.bytes) byte = static_cast<uint8_t>(random());
  return verifier;
}

std::string owner_name(const NfsOptions& options, const std::string& machine,
                       const Verifier& verifier) {
  std::string name = "dpfs " + machine + " ";
  if (!options.client_name.empty()) return name + options.client_name;
  for (const uint8_t byte : verifier.bytes) name += fmt::format("{:02x}", byte);
  return name;
}

}  // namespace

Client::Client(Reactor& reactor, Timers& timers, Recoverer& recoverer, const NfsOptions& options)
    : reactor_(reactor),
      timers_(timers),
      recoverer_(recoverer),
      options_(options),
      machine_(host_name()),
      verifier_(random_verifier()),
      owner_(owner_name(options_, machine_, verifier_)),
      changed_(reactor, timers),
      stopped_(reactor, timers),
      minor_version_(options.minor_version),
      read_bytes_max_(options.read_bytes_max),
      write_bytes_max_(options.write_bytes_max),
      next_xid_(static_cast<uint32_t>(std::random_device()())),
      lease_ns_(kLeaseAtFirstNs) {
  for (uint32_t i = 0; i < std::max(options_.nconnect, 1u); ++i) {
    connections_.push_back(
        std::make_unique<Connection>(reactor_, static_cast<ConnectionOwner&>(*this)));
  }
  bound_.resize(connections_.size());
}

Client::~Client() {
  timers_.stop(tick_);
  timers_.stop(retry_);
  timers_.stop(farewell_);
  for (const auto& connection : connections_) connection->close();
}

void Client::learned(const Attributes& server) noexcept {
  if (server.lease_seconds > 0) lease_ns_ = server.lease_seconds * kSecondNs;
  const auto lower = [](uint32_t ours, uint64_t theirs) {
    constexpr uint64_t kGrain = 4096;
    return theirs < kGrain ? ours : static_cast<uint32_t>(std::min<uint64_t>(ours, theirs));
  };
  read_bytes_max_ = lower(read_bytes_max_, server.read_max);
  write_bytes_max_ = lower(write_bytes_max_, server.write_max);
}

// False when it was done at once, which happens only where it failed.
bool Client::begin(Call& call) noexcept {
  call.done_ = false;
  call.result_ = Errno::none;
  call.begun_tick_ = ticks_;
  call.delays_ = call.lost_answers_ = call.garbled_answers_ = call.state_retries_ = 0;
  active_ = true;
  if (!ticks_often_) {
    ticks_often_ = true;
    timers_.start(tick_, kSecondNs);
  }
  beginning_ = &call;
  if (!running_ || stopping_) {
    finish(call, call.recovers ? Errno::canceled : Errno::notconn);
  } else if (!call.has_session) {
    send_control(call);
  } else {
    const uint32_t slot =
        may_go(call) && (waiting_.empty() || call.recovers) ? slots_.take() : Slots::kNone;
    if (slot != Slots::kNone) {
      dispatch(call, slot);
    } else {
      put_first(call);
    }
  }
  beginning_ = nullptr;
  return !call.done_;
}

// Those that recover come before all that waits for it.
void Client::put_first(Call& call) noexcept {
  if (call.recovers) {
    waiting_.push_front(call);
  } else {
    waiting_.push_back(call);
  }
}

bool Client::may_go(const Call& call) const noexcept {
  return phase_ == Phase::ready || (phase_ == Phase::recovering && call.recovers && has_session_);
}

void Client::dispatch(Call& call, uint32_t index) noexcept {
  if (call.is_lost()) {
    slots_.give(index);
    return finish(call, Errno::io);
  }
  Slot& slot = slots_.at(index);
  slot.xid = ++next_xid_ << kSlotBits | index;
  CompoundWriter writer(slot.room);
  // The header is most of a request, and mostly that of the request before.
  if (slot.header_bytes > 0 && slot.who == call.who) {
    writer.begin_as_before(slot.xid, slot.header_bytes);
  } else {
    writer.begin(slot.xid, call.who, machine_, minor_version_);
    slot.who = call.who;
    slot.header_bytes = writer.begun_bytes();
  }
  writer.sequence({.session = session_,
                   .sequence = slot.sequence,
                   .slot = index,
                   .highest_slot = slots_.count() - 1,
                   .cache_this = call.changes});
  call.encode(writer);
  if (!writer.end()) {
    slots_.give(index);
    return finish(call, Errno::nametoolong);
  }
  slot.call = &call;
  slot.message.head = writer.head();
  slot.message.tail = writer.tail();
  call.slot_ = index;
  Connection& connection = connection_of(index);
  if (call.data_into.size() >= Connection::kPlacedBytesMin) connection.expect_long(1);
  if (connection.is_connected()) connection.send(slot.message);
}

void Client::dispatch_waiting() noexcept {
  while (Call* call = waiting_.front()) {
    if (!may_go(*call)) return;
    const uint32_t slot = slots_.take();
    if (slot == Slots::kNone) return;
    call->unlink();
    dispatch(*call, slot);
  }
}

void Client::send_control(Call& call) noexcept {
  Connection& connection = *connections_[control_connection_];
  if (control_ != nullptr || !connection.is_connected()) return finish(call, Errno::notconn);
  control_xid_ = ++next_xid_ << kSlotBits | kControlSlot;
  CompoundWriter writer(control_room_);
  writer.begin(control_xid_, call.who, machine_, minor_version_);
  call.encode(writer);
  if (!writer.end()) return finish(call, Errno::nametoolong);
  control_ = &call;
  control_message_.head = writer.head();
  connection.send(control_message_);
}

IoView Client::place(Bytes head, DataPlace& place) noexcept {
  const uint32_t xid = XdrReader(head).u32();
  const uint32_t slot = xid & kControlSlot;
  if (slot >= slots_.count() || !slots_.at(slot).used || slots_.at(slot).xid != xid) return {};
  const Call* call = slots_.at(slot).call;
  if (call == nullptr || call->data_into.empty()) return {};
  const std::optional<DataPlace> found = find_read_data(head);
  if (!found) return {};
  place = *found;
  return call->data_into;
}

bool Client::received(const Record& record) noexcept {
  const uint32_t xid = XdrReader(record.bytes).u32();
  const uint32_t slot = xid & kControlSlot;
  if (control_ != nullptr && xid == control_xid_) return receive_control(record);
  // What we no longer wait for, and calls of the server's: there is no back channel.
  if (slot >= slots_.count() || !slots_.at(slot).used || slots_.at(slot).xid != xid) return true;
  if (slots_.at(slot).call == nullptr) return receive_for_nobody(slot, record);
  return receive_for_slot(slot, record);
}

bool Client::receive_control(const Record& record) noexcept {
  Call& call = *std::exchange(control_, nullptr);
  CompoundReader reader(record);
  reader.xdr().u32();
  reader.begin();
  if (!reader.failed()) call.decode(reader);
  call.status_ = reader.status();
  if (reader.refusal() != nullptr) {
    log::error("{}: {}", server(), std::string(reader.refusal()));
    finish(call, Errno::proto);
    return true;
  }
  if (reader.failed()) {
    finish(call, Errno::proto);
    return false;
  }
  finish(call, to_errno(call.status_));
  return true;
}

bool Client::receive_for_slot(uint32_t index, const Record& record) noexcept {
  Call& call = *slots_.at(index).call;
  CompoundReader reader(record);
  reader.xdr().u32();
  reader.begin();
  if (reader.refusal() != nullptr) {
    if (garbage_log_.admit() >= 0) log::error("{}: {}", server(), std::string(reader.refusal()));
    release_slot(call);
    finish(call, Errno::io);
    return true;
  }
  if (reader.failed()) return garbled(call, "no answer to a COMPOUND");
  if (!reader.operation(Operation::sequence)) {
    if (reader.failed()) return garbled(call, "no SEQUENCE");
    sequence_failed(call, reader.status());
    return true;
  }
  if (!take_sequence(reader, index)) return garbled(call, "another SEQUENCE");
  call.decode(reader);
  if (reader.failed()) return garbled(call, "results that cannot be read");
  call.status_ = reader.status();
  // All of it may have to be asked again because of an operation behind.
  if (reader.changed_names() && call.status_ != Status::ok) call.note_lost_answer();
  ++slots_.at(index).sequence;
  release_slot(call);
  dispatch_waiting();
  if (record.place_failed) {
    finish(call, Errno::fault);
  } else {
    judge(call);
  }
  return true;
}

// Its caller has given up; the slot is free again.
bool Client::receive_for_nobody(uint32_t index, const Record& record) noexcept {
  CompoundReader reader(record);
  reader.xdr().u32();
  reader.begin();
  if (!reader.operation(Operation::sequence) || !take_sequence(reader, index)) {
    note_trouble(Trouble::session);
    return !reader.failed();
  }
  ++slots_.at(index).sequence;
  slots_.give(index);
  dispatch_waiting();
  return true;
}

bool Client::take_sequence(CompoundReader& reader, uint32_t index) noexcept {
  SessionId session;
  reader.xdr().fixed(session.bytes);
  const uint32_t sequence = reader.xdr().u32();
  const uint32_t slot = reader.xdr().u32();
  reader.xdr().u32();  // highest slot
  const uint32_t target = reader.xdr().u32();
  const uint32_t flags = reader.xdr().u32() & sequence_status::kStateLost;
  if (reader.failed() || session != session_ || sequence != slots_.at(index).sequence ||
      slot != index) {
    return false;
  }
  answered_ = true;
  slots_.set_limit(std::min(slots_.count(), target < Slots::kMax ? target + 1 : Slots::kMax));
  if (flags != std::exchange(state_flags_, flags) && flags != 0) {
    recoverer_.revoked();
    note_trouble(Trouble::state);
  }
  return true;
}

// The connection is given up; what was asked is asked again.
bool Client::garbled(Call& call, const char* why) noexcept {
  if (garbage_log_.admit() >= 0) {
    log::warn("{}: an answer that is none: {}", server(), std::string(why));
  }
  if (++call.garbled_answers_ < kGarbledAnswersMax) return false;
  release_slot(call);
  note_trouble(Trouble::session);  // who knows what it has done
  finish(call, Errno::io);
  return false;
}

// The request as a whole was not done.
void Client::sequence_failed(Call& call, Status status) noexcept {
  switch (status) {
    case Status::delay:
      // Perhaps it is still being done since it was sent before: the same again, in its slot (RFC
      // 8881, section 2.10.6.2).
      return wait_and_retry(call);
    case Status::retry_uncached_rep:
      // It was done, and its answer not kept: only what may be done twice is asked so.
      ++slots_.at(call.slot_).sequence;
      call.note_lost_answer();
      release_slot(call);
      waiting_.push_front(call);
      return dispatch_waiting();
    case Status::req_too_big:
    case Status::too_many_ops:
    case Status::rep_too_big:
    case Status::rep_too_big_to_cache:
      call.status_ = status;
      release_slot(call);
      return finish(call, Errno::io);
    default:
      // BADSESSION, DEADSESSION, SEQ_MISORDERED and the like. The call stays where it is and is
      // taken back with the others.
      log::info("{}: the session is over: {}", server(), describe_status(status));
      return note_trouble(Trouble::session);
  }
}

void Client::judge(Call& call) noexcept {
  switch (call.status_) {
    case Status::delay:
    case Status::grace:
      return wait_and_retry(call);
    case Status::retry_uncached_rep:
      // It was done before its answer was lost, and may be done twice.
      call.note_lost_answer();
      waiting_.push_front(call);
      return dispatch_waiting();
    case Status::expired:
    case Status::bad_stateid:
    case Status::stale_stateid:
    case Status::old_stateid:
    case Status::admin_revoked:
    case Status::deleg_revoked:
      if (++call.state_retries_ <= kStateRetriesMax && call.state_is_bad()) {
        // It was given to us anew, and taken away once more: the recovery begins from the start.
        if (call.recovers) return finish(call, Errno::canceled);
        waiting_.push_front(call);
        return dispatch_waiting();
      }
      return finish(call, Errno::io);
    default:
      return finish(call, to_errno(call.status_));
  }
}

void Client::release_slot(Call& call) noexcept {
  Connection& connection = connection_of(call.slot_);
  if (call.data_into.size() >= Connection::kPlacedBytesMin) connection.expect_long(-1);
  slots_.give(call.slot_);
  call.slot_ = Call::kNoSlot;
}

void Client::finish(Call& call, Errno result) noexcept {
  call.result_ = result;
  call.done_ = true;
  if (&call == beginning_) return;
  call.waiter_.resume();
}

void Client::wait_and_retry(Call& call) noexcept {
  const uint64_t delay_ns =
      std::min(kFirstDelayNs << std::min<uint8_t>(call.delays_, 6), kDelayNsMax);
  if (call.delays_ < 255) ++call.delays_;
  call.due_ns_ = monotonic_ns() + delay_ns;
  delayed_.push_back(call);
  start_retry_timer();
}

void Client::recover_state() noexcept { note_trouble(Trouble::state); }

void Client::note_trouble(Trouble trouble) noexcept {
  if (phase_ == Phase::recovering && trouble == Trouble::state) return;
  trouble_ = std::max(trouble_, trouble);
  if (phase_ == Phase::ready) phase_ = Phase::away;
  if (trouble == Trouble::session) cancel_recovery_calls();
  changed_.raise();
}

void Client::connected(Connection&) noexcept { changed_.raise(); }

void Client::lost(Connection& connection, Errno why) noexcept {
  if (phase_ == Phase::ready) {
    log::info("{}: connection lost: {}", server(), describe(why));
    phase_ = Phase::away;
  }
  for (size_t i = 0; i < connections_.size(); ++i) {
    if (connections_[i].get() == &connection) bound_[i] = false;
  }
  cancel_recovery_calls();
  changed_.raise();
}

}  // namespace dpfs::nfs
