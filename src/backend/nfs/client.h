// SPDX-License-Identifier: Apache-2.0
// Client: one NFSv4.1 client of a server. Connections, session, slots, and what is done when they
// are lost.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/nfs/attributes.h"
#include "backend/nfs/call.h"
#include "backend/nfs/connection.h"
#include "backend/nfs/options.h"
#include "backend/nfs/slots.h"
#include "base/log.h"
#include "base/op.h"
#include "io/signal.h"

namespace dpfs::nfs {

// Whose state (opens, locks, writes that are not stored yet) the client has to bring back. All
// three call perform() with calls that have `recovers` set.
class Recoverer {
 public:
  // Of a server that may have restarted: claim all that it gave us before. What cannot be claimed
  // is left to reopen().
  virtual Op<Unit> reclaim() noexcept = 0;
  // Ask anew for what is not there. What cannot be had is marked as lost; it is the log's and its
  // users'.
  virtual Op<Unit> reopen() noexcept = 0;
  // The server has taken some of it away, and does not say what.
  virtual void revoked() noexcept = 0;
  // Everything is there; called the first time too.
  virtual Op<Unit> resume() noexcept = 0;

 protected:
  ~Recoverer() = default;
};

class Client final : ConnectionOwner {
 public:
  Client(Reactor& reactor, Timers& timers, Recoverer& recoverer, const NfsOptions& options);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  // Connects, and keeps connected from now on.
  void start() noexcept;
  // Takes leave of the server, as far as it can be reached; nothing is under way any more
  // afterwards.
  Op<Unit> stop() noexcept;
  bool started() const noexcept { return running_; }
  // Before stop(): the server is not waited for any more, and whatever is asked of it fails at
  // once.
  void abandon() noexcept;

  // co_await client.perform(call): what came of it. Errors of the server as an errno; call.status()
  // has more. `hard`, it waits for as long as it takes.
  auto perform(Call& call) noexcept {
    struct Performing {
      Client& client;
      Call& call;
      bool await_ready() const noexcept { return false; }
      bool await_suspend(std::coroutine_handle<> waiter) const noexcept {
        call.waiter_ = waiter;
        return client.begin(call);
      }
      Result<Unit> await_resume() const noexcept {
        if (call.result_ == Errno::none) return Unit{};
        return call.result_;
      }
    };
    return Performing{*this, call};
  }

  // Recover what has been found to be bad (Call::state_is_bad()).
  void recover_state() noexcept;

  uint64_t id() const noexcept { return client_id_; }  // clientid4
  uint64_t lease_ns() const noexcept { return lease_ns_; }
  uint32_t minor_version() const noexcept { return minor_version_; }
  const NfsOptions& options() const noexcept { return options_; }
  const std::string& server() const noexcept { return options_.server; }
  // As agreed with the server; known once it was reached.
  uint32_t read_bytes_max() const noexcept { return read_bytes_max_; }
  uint32_t write_bytes_max() const noexcept { return write_bytes_max_; }
  void learned(const Attributes& server) noexcept;  // lease time, largest READ and WRITE

  // Why the share cannot be had, once the server has said so; Errno::none else. For the start.
  Errno refused() const noexcept { return refused_; }
  bool is_ready() const noexcept { return phase_ == Phase::ready; }

 private:
  enum class Phase : uint8_t { away, recovering, ready };
  enum class Trouble : uint8_t { none, state, session };

  // ConnectionOwner
  void connected(Connection& connection) noexcept override;
  IoView place(Bytes head, DataPlace& place) noexcept override;
  bool received(const Record& record) noexcept override;
  void lost(Connection& connection, Errno why) noexcept override;

  // Calls (client.cc)
  bool begin(Call& call) noexcept;
  bool may_go(const Call& call) const noexcept;
  void dispatch(Call& call, uint32_t slot) noexcept;
  void dispatch_waiting() noexcept;
  void send_control(Call& call) noexcept;
  bool receive_for_slot(uint32_t slot, const Record& record) noexcept;
  bool receive_for_nobody(uint32_t slot, const Record& record) noexcept;
  bool receive_control(const Record& record) noexcept;
  bool take_sequence(CompoundReader& reader, uint32_t slot) noexcept;
  void sequence_failed(Call& call, Status status) noexcept;
  bool garbled(Call& call, const char* why) noexcept;
  void judge(Call& call) noexcept;
  void finish(Call& call, Errno result) noexcept;
  void wait_and_retry(Call& call) noexcept;
  void release_slot(Call& call) noexcept;
  void put_first(Call& call) noexcept;
  Connection& connection_of(uint32_t slot) noexcept {
    return *connections_[slot % connections_.size()];
  }
  void note_trouble(Trouble trouble) noexcept;

  // Time (client_time.cc)
  struct Tick final : Timer {
    explicit Tick(Client& of) noexcept : client(of) {}
    void fired() noexcept override { client.tick(); }
    Client& client;
  };
  struct Retry final : Timer {
    explicit Retry(Client& of) noexcept : client(of) {}
    void fired() noexcept override { client.retry_due(); }
    Client& client;
  };
  struct Farewell final : Timer {
    explicit Farewell(Client& of) noexcept : client(of) {}
    void fired() noexcept override { client.cancel_recovery_calls(); }
    Client& client;
  };
  void tick() noexcept;
  void retry_due() noexcept;
  void send_again(uint32_t slot) noexcept;
  void start_retry_timer() noexcept;
  void give_up_old(List<Call>& calls) noexcept;
  void give_up_old_in_slots() noexcept;
  bool is_too_old(const Call& call) const noexcept;
  void look_for_silence() noexcept;
  Detached renew_lease() noexcept;

  // Staying connected (recovery.cc)
  Detached keep_going() noexcept;
  Op<Unit> connect_all() noexcept;
  Op<Unit> establish() noexcept;
  Op<Unit> make_session() noexcept;
  Op<Unit> exchange_id() noexcept;
  Op<Unit> create_session() noexcept;
  Op<Unit> bind_connections() noexcept;
  Op<Unit> reclaim_complete() noexcept;
  Op<Unit> find_addresses() noexcept;
  void take_back_calls() noexcept;
  void cancel_recovery_calls() noexcept;
  void cancel_everything(Errno why) noexcept;
  void resend(uint32_t connection) noexcept;
  void say_it_is_gone(const char* why) noexcept;
  void say_it_is_back() noexcept;

  Reactor& reactor_;
  Timers& timers_;
  Recoverer& recoverer_;
  const NfsOptions options_;
  const std::string machine_;  // our name, in credentials
  const Verifier verifier_;    // another after each of our starts
  const std::string owner_;    // co_ownerid

  bool running_ = false;  // keep_going() is
  bool stopping_ = false;
  Phase phase_ = Phase::away;
  Trouble trouble_ = Trouble::none;
  Signal changed_;  // a connection, the trouble, stopping_: keep_going() looks
  Signal stopped_;  // keep_going() has ended
  Errno refused_ = Errno::none;

  std::vector<Address> addresses_;
  size_t address_ = 0;  // the one in use
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<bool> bound_;  // to the session, by connection

  uint32_t minor_version_;
  uint64_t client_id_ = 0;
  uint32_t create_sequence_ = 0;  // of CREATE_SESSION
  uint32_t told_sequence_ = 0;
  bool has_session_ = false;
  bool knows_us_ = false;  // RECLAIM_COMPLETE was said to this client id
  SessionId session_;
  Slots slots_;
  uint32_t read_bytes_max_;
  uint32_t write_bytes_max_;

  List<Call> waiting_;         // for a session, or a slot
  List<Call> delayed_;         // for a moment to come
  Call* beginning_ = nullptr;  // inside of begin(): its coroutine is not to be resumed
  Call* control_ = nullptr;    // without a slot; one at a time
  uint32_t control_connection_ = 0;
  uint32_t control_xid_ = 0;
  Message control_message_;
  std::array<uint8_t, 1024> control_room_;
  uint32_t next_xid_;

  Tick tick_{*this};
  Retry retry_{*this};
  Farewell farewell_{*this};
  bool ticks_often_ = false;
  uint32_t ticks_ = 0;
  bool active_ = false;    // something was begun since the last tick
  bool answered_ = false;  // SEQUENCE was, since the last tick
  uint64_t answered_ns_ = 0;
  uint32_t state_flags_ = 0;  // of SEQUENCE, as they were last
  uint64_t lease_ns_;
  uint64_t gone_ns_ = 0;  // since when the server is away; 0: it isn't
  bool said_gone_ = false;
  log::RateLimit garbage_log_;
};

}  // namespace dpfs::nfs
