// SPDX-License-Identifier: Apache-2.0
// What a client does as time goes by: delays, silence, the lease.
#include <algorithm>

#include "backend/nfs/client.h"
#include "base/monotonic.h"

namespace dpfs::nfs {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;

// Nothing but SEQUENCE: renews the lease.
struct Renew final : Call {
  void encode(CompoundWriter&) noexcept override {}
  void decode(CompoundReader&) noexcept override {}
};

}  // namespace

void Client::start_retry_timer() noexcept {
  uint64_t first_ns = UINT64_MAX;
  for (Call* call = delayed_.front(); call != nullptr; call = delayed_.after(*call)) {
    first_ns = std::min(first_ns, call->due_ns_);
  }
  if (first_ns == UINT64_MAX) return;
  const uint64_t now_ns = monotonic_ns();
  timers_.start(retry_, first_ns > now_ns ? first_ns - now_ns : 0);
}

void Client::retry_due() noexcept {
  const uint64_t now_ns = monotonic_ns();
  Call* next = nullptr;
  for (Call* call = delayed_.front(); call != nullptr; call = next) {
    next = delayed_.after(*call);
    if (call->due_ns_ > now_ns) continue;
    call->unlink();
    if (call->slot_ != Call::kNoSlot) {
      send_again(call->slot_);
    } else {
      put_first(*call);
    }
  }
  start_retry_timer();
  dispatch_waiting();
}

// Every second while something is asked for, and else as often as the lease wants it.
void Client::tick() noexcept {
  ++ticks_;
  const uint64_t now_ns = monotonic_ns();
  if (std::exchange(answered_, false)) answered_ns_ = now_ns;
  const bool waits = slots_.in_use() > 0 || !waiting_.empty() || !delayed_.empty() ||
                     control_ != nullptr || phase_ != Phase::ready;
  ticks_often_ = std::exchange(active_, false) || waits;
  timers_.start(tick_, ticks_often_ ? kSecondNs : std::max(lease_ns_ / 3, kSecondNs));
  look_for_silence();
  if (options_.soft) {
    give_up_old(waiting_);
    give_up_old(delayed_);
    give_up_old_in_slots();
  }
  if (phase_ == Phase::ready && slots_.in_use() == 0 && now_ns - answered_ns_ >= lease_ns_ / 3) {
    renew_lease();
  }
}

Detached Client::renew_lease() noexcept {
  Renew renew;
  [[maybe_unused]] const Result<Unit> renewed = co_await perform(renew);
}

// A server that owes us an answer and says nothing for so long is asked again, over a new
// connection: NFSv4 forbids to do so on the same (RFC 8881, section 2.9.2).
void Client::look_for_silence() noexcept {
  const uint64_t now_ns = monotonic_ns();
  const uint64_t patience_ns = options_.timeo_ds * (kSecondNs / 10);
  const uint32_t patience_ticks = (options_.timeo_ds + 9) / 10;
  for (uint32_t i = 0; i < connections_.size(); ++i) {
    Connection& connection = *connections_[i];
    bool owes = control_ != nullptr && control_connection_ == i;
    for (uint32_t slot = i; slot < slots_.count(); slot += connections_.size()) {
      const Call* call = slots_.at(slot).call;
      if (call != nullptr && ticks_ - call->begun_tick_ >= patience_ticks) owes = true;
    }
    if (!owes || !connection.is_connected() || now_ns - connection.received_ns() < patience_ns) {
      continue;
    }
    log::warn("{}: no answer for {} s", server(), patience_ns / kSecondNs);
    connection.give_up(Errno::timedout);
  }
}

// Soft mounts only: what has waited for too long.
// As it was. When its connection is away, it is sent when that is there again.
void Client::send_again(uint32_t index) noexcept {
  Slot& slot = slots_.at(index);
  Connection& connection = connection_of(index);
  if (connection.is_connected() && !slot.message.linked()) connection.send(slot.message);
}

bool Client::is_too_old(const Call& call) const noexcept {
  const uint32_t ticks_max = (options_.timeo_ds * (options_.retrans + 1) + 9) / 10;
  return !call.recovers && ticks_ - call.begun_tick_ >= ticks_max;
}

void Client::give_up_old(List<Call>& calls) noexcept {
  bool found = true;
  while (std::exchange(found, false)) {  // whoever goes on may change the list
    for (Call* call = calls.front(); call != nullptr; call = calls.after(*call)) {
      if (!is_too_old(*call) || call->slot_ != Call::kNoSlot) continue;
      call->unlink();
      finish(*call, Errno::io);
      found = true;
      break;
    }
  }
}

// What the server does with them nobody will know: their session goes.
void Client::give_up_old_in_slots() noexcept {
  for (uint32_t i = 0; i < slots_.count(); ++i) {
    Call* call = slots_.at(i).call;
    if (call == nullptr || !is_too_old(*call)) continue;
    slots_.at(i).call = nullptr;
    if (call->linked()) call->unlink();
    if (slots_.at(i).message.linked()) slots_.at(i).message.unlink();
    call->slot_ = Call::kNoSlot;
    connection_of(i).give_up(Errno::timedout);  // it may be receiving into the caller's memory
    note_trouble(Trouble::session);
    finish(*call, Errno::io);
  }
}

}  // namespace dpfs::nfs
