// SPDX-License-Identifier: Apache-2.0
// Session: one FUSE connection of one tenant. INIT, dispatch, replies, DESTROY.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/log.h"
#include "fuse/decode.h"
#include "fuse/filesystem.h"
#include "fuse/request.h"

namespace dpfs {

// What happened, by opcode. Plain numbers, of the session's reactor; summed by whoever reports
// them.
struct OpCounters {
  uint64_t requests = 0;
  uint64_t errors = 0;
  uint64_t bytes = 0;  // of payload, read or written
};
class SessionCounters {
 public:
  static constexpr size_t kOpcodes = 64;
  OpCounters& of(uint32_t opcode) noexcept { return counters_[opcode < kOpcodes ? opcode : 0]; }
  const OpCounters& of(uint32_t opcode) const noexcept {
    return counters_[opcode < kOpcodes ? opcode : 0];
  }

 private:
  std::array<OpCounters, kOpcodes> counters_{};  // [0]: opcodes that nobody knows
};

// "lookup", "readdirplus"; nullptr for a number that is no opcode.
const char* opcode_name(uint32_t opcode) noexcept;

class Session {
 public:
  struct Options {
    uint32_t io_bytes_max = 1u << 20;  // of one READ or WRITE; a multiple of 4096
    uint16_t background_max =
        128;  // requests that the tenant's kernel may have under way unasked (readahead)
    CachePolicy cache;
    bool writeback = false;  // the tenant's kernel may keep what is written, and write it later
    bool direct_io = false;  // see Negotiated
    uint64_t transport_flags = 0;  // fuse::init_flag: what the transport can do besides
  };

  // `name` is for the log (the device's tag). `counters` go on from session to session.
  Session(FileSystem& fs, std::string_view name, const Options& options,
          SessionCounters& counters) noexcept
      : fs_(fs), name_(name), options_(options), counters_(counters) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  // Answers `request`, now or later, exactly once. Never blocks, but may be called again before it
  // returns (FileSystem's methods may let the reactor go on meanwhile).
  void serve(Request& request) noexcept;

  // The tenant's driver has stopped its queues (a reboot, a reset, a pause): nothing is in flight,
  // and an INIT that comes next begins a new session instead of being a mistake.
  void queues_stopped() noexcept { may_begin_again_ = true; }

  // Operations that wait without bound (for a lock) are to end: the queues are being stopped.
  void end_waits() noexcept { fs_.end_waits(); }

  bool begun() const noexcept { return state_ == State::begun; }
  const Negotiated& negotiated() const noexcept { return negotiated_; }
  // Requests that the file system has and has not answered.
  uint32_t in_flight() const noexcept { return in_flight_; }

 private:
  enum class State : uint8_t { fresh, begun, ending };
  // What of a request's arguments its answer depends on.
  struct Asked {
    bool size = false;    // "how long would it be?", answered by a GetxattrOut instead of bytes
    bool direct = false;  // a file that Linux may use without looking at its page cache
  };

  void dispatch(Request& request, Reply reply) noexcept;
  void init(Request& request, Reply reply) noexcept;
  void destroy(Reply reply) noexcept;
  void batch_forget(Request& request, Reply reply) noexcept;
  void interrupt(Request& request, Reply reply) noexcept;
  Errno negotiate(const fuse::InitIn& in) noexcept;
  fuse::InitOut init_out(const fuse::InitIn& in) const noexcept;
  void end() noexcept;

  template <class Args>
  Asked asked(const Args& args) const noexcept;
  template <class Out>
  void answer(Request& request, Reply reply, Op<Out> op, Asked asked) noexcept;
  template <class Out>
  Detached answer_later(Request& request, Reply reply, Op<Out> op, Asked asked) noexcept;
  template <class Out>
  void finish(Request& request, Reply& reply, Result<Out> result, Asked asked) noexcept;
  void refuse(Request& request, Reply reply, Errno why) noexcept;
  void refuse_byte_order(Request& request, Reply reply) noexcept;
  void request_done() noexcept;

  FileSystem& fs_;
  std::string_view name_;
  Options options_;
  DecodeLimits limits_;
  Negotiated negotiated_;
  State state_ = State::fresh;
  bool may_begin_again_ = true;
  uint32_t in_flight_ = 0;
  std::optional<Reply> destroy_reply_;  // waits until nothing is in flight
  log::RateLimit init_log_;
  SessionCounters& counters_;
};

}  // namespace dpfs
