// SPDX-License-Identifier: Apache-2.0
// Call: one COMPOUND that somebody wants to have done.
#pragma once

#include <coroutine>
#include <cstdint>

#include "backend/nfs/compound.h"
#include "base/list.h"
#include "base/result.h"

namespace dpfs::nfs {

// Lives in the frame of the coroutine that awaits Client::perform(call). The client sends it as
// often as is needed until it is done: over a new connection, in a new session, after a delay that
// the server has asked for.
class Call : public ListLink<> {
 public:
  Call() = default;
  virtual ~Call() = default;

  // Operations, behind SEQUENCE. Called again each time that the call is put to a slot anew: what
  // it refers to may have changed meanwhile.
  virtual void encode(CompoundWriter& to) noexcept = 0;
  // Their results; called again when they are. Whatever it keeps it copies.
  virtual void decode(CompoundReader& from) noexcept = 0;

  // The server says that the state (an open, a lock) that encode() referred to is none. True when
  // it is to be recovered, or has been since, and this is to be tried again; as part of a recovery,
  // all of that is.
  virtual bool state_is_bad() noexcept { return false; }

  // What it refers to was lost: nothing is to be sent, and it fails with EIO.
  virtual bool is_lost() const noexcept { return false; }

  Credential who;
  IoView data_into;         // where a READ's data goes
  bool changes = false;     // something: must not be done twice (RFC 8881, section 2.10.6.1.3)
  bool recovers = false;    // part of a recovery, which the others wait for
  bool has_session = true;  // begins with SEQUENCE

  // Afterwards: what the server has said.
  Status status() const noexcept { return status_; }
  // It was sent before a session was lost, or its last operations are to be asked for again: it may
  // have been done without our hearing of it.
  bool may_have_been_done() const noexcept { return lost_answers_ > 0; }

 private:
  friend class Client;
  static constexpr uint32_t kNoSlot = UINT32_MAX;

  void note_lost_answer() noexcept {
    if (lost_answers_ < UINT8_MAX) ++lost_answers_;
  }

  std::coroutine_handle<> waiter_;
  Status status_ = Status::ok;
  Errno result_ = Errno::none;
  uint32_t slot_ = kNoSlot;
  uint32_t begun_tick_ = 0;
  uint64_t due_ns_ = 0;  // while it waits for a delay to pass
  uint8_t delays_ = 0;   // in a row
  uint8_t lost_answers_ = 0;
  uint8_t garbled_answers_ = 0;
  uint8_t state_retries_ = 0;
  bool done_ = false;
};

}  // namespace dpfs::nfs
