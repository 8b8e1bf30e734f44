// SPDX-License-Identifier: Apache-2.0
// Connection: one TCP connection to a server, requests out and replies in, in one order.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "backend/kv/valkey/reply.h"
#include "base/fd.h"
#include "base/list.h"
#include "io/address.h"
#include "io/reactor.h"

namespace dpfs::kv::valkey {

// One command and what becomes of it. It and its bytes stay until one of answered() and failed().
// Both may send others, but never drop a connection or resume a coroutine: that is done later.
class Request : public ListLink<> {
 public:
  // The reply's string, where it is one: valid now, and answered() follows at once. False: it is to
  // be part of the reply.
  virtual bool value(std::string_view) noexcept { return false; }
  virtual void answered(const Reply& reply) noexcept = 0;
  // ETIMEDOUT; ESTALE when the store is closed; ENOTCONN when the connection broke and the request
  // does not outlive it.
  virtual void failed(Errno why) noexcept = 0;

  std::string_view bytes;
  uint64_t deadline_ns = 0;
  bool asking = false;    // ASKING goes before it
  bool outlives = false;  // it is sent again when a connection breaks: twice is as good as once

 protected:
  virtual ~Request() = default;

 private:
  friend class Connection;
  bool asked_ = false;  // the reply to ASKING has come
};

class ConnectionOwner {
 public:
  virtual void connected() noexcept = 0;
  // To be closed, later.
  virtual void lost(Errno why) noexcept = 0;

 protected:
  ~ConnectionOwner() = default;
};

// Sends what has gathered in a turn of the reactor by one call. Of one reactor.
class Connection final : Watch, Poller, ValueTaker {
 public:
  Connection(Reactor& reactor, ConnectionOwner& owner);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // Begins; connected() or lost() tells what came of it.
  void connect(const Address& address) noexcept;
  void send(Request& request) noexcept;
  // Gives the requests without an answer to `into`, in their order.
  void close(List<Request>& into) noexcept;

  bool is_connected() const noexcept { return state_ == State::connected; }
  bool is_idle() const noexcept { return state_ == State::closed; }
  bool awaits() noexcept { return !awaiting_.empty() || !unsent_.empty(); }
  Request* oldest() noexcept { return awaiting_.empty() ? unsent_.front() : awaiting_.front(); }
  // Since when it has been waiting for the answer that is next.
  uint64_t waiting_since_ns() const noexcept { return waiting_since_ns_; }

 private:
  enum class State : uint8_t { closed, connecting, connected, failed };
  static constexpr size_t kBufferBytes = 128 * 1024;

  void ready() noexcept override;
  bool poll() noexcept override;
  // The descriptor tells by itself of what comes, not of what was left there.
  bool arm() noexcept override { return state_ == State::connected && !drained_; }
  void disarm() noexcept override {}
  bool take_value(std::string_view value) noexcept override;

  void finish_connecting() noexcept;
  void flush() noexcept;
  void note_sent(size_t bytes) noexcept;
  bool receive() noexcept;
  bool take_replies() noexcept;
  void fail(Errno why) noexcept;

  Reactor& reactor_;
  ConnectionOwner& owner_;
  Fd socket_;
  State state_ = State::closed;

  struct Flush final : Completion {
    explicit Flush(Connection& of) noexcept : connection(of) {}
    Connection& connection;
    bool queued = false;
  };
  Flush flush_{*this};
  List<Request> unsent_;
  List<Request> awaiting_;
  size_t sent_of_front_ = 0;  // bytes of the first that is unsent
  bool writable_ = false;

  ReplyReader reader_;
  std::unique_ptr<char[]> buffer_;
  uint32_t awaited_ = 0;
  uint64_t looked_ns_ = 0;  // when something was last sent, or asked for
  uint64_t waiting_since_ns_ = 0;
  bool drained_ = true;  // the kernel has no more
};

}  // namespace dpfs::kv::valkey
