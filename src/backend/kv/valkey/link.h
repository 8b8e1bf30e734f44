// SPDX-License-Identifier: Apache-2.0
// Link: the way to one server. Connects when somebody has something to send, greets, connects
// again.
#pragma once

#include <deque>
#include <string>

#include "backend/kv/valkey/connection.h"
#include "io/timer.h"

namespace dpfs::kv::valkey {

struct Login {
  std::string user;
  std::string password;
};

class Link;

class LinkOwner {
 public:
  // What is to be done first may be sent by send_first(); then open(), now or later.
  virtual void greeted(Link& link) noexcept = 0;
  // The connection broke, or there was none to be had. It tries again while somebody waits.
  virtual void broke(Link& link, Errno why) noexcept = 0;

 protected:
  ~LinkOwner() = default;
};

// What is sent on a connection that is given up may lie in the server's buffers, or on the way, and
// be carried out much later: by a server that was stopped for a minute and goes on, say. Nothing
// that was given up, or was sent again over a new connection, may come after that. So the new
// connection begins with CLIENT KILL of the old one at the server (by its number and its address
// there, which no other client has): once that is answered, what the old one has not carried out
// never will be. Nothing else goes out before.
class Link final : ConnectionOwner, Timer {
 public:
  Link(Reactor& reactor, Timers& timers, LinkOwner& owner, const Login& login);
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() override;

  void set_address(const Address& address) noexcept { address_ = address; }
  const Address& address() const noexcept { return address_; }

  // Waits while the link is not open.
  void send(Request& request) noexcept;
  // Goes out at once. Where there is no connection that has greeted, it fails later with ENOTCONN.
  void send_first(Request& request) noexcept;
  void open() noexcept;
  // What is sent waits from now on.
  void shut() noexcept { open_ = false; }
  bool is_open() const noexcept { return open_; }
  bool has_greeted() const noexcept { return state_ == State::greeted; }
  // Counts connections that have greeted.
  uint64_t connections() const noexcept { return connections_; }

  // Gives the connection up. What outlives it waits for the next one, all else fails with ENOTCONN.
  void drop(Errno why) noexcept;
  // Takes what waits, and what is under way when there is no connection.
  void take_waiting(List<Request>& into) noexcept;
  // Ends for good: all fails with `why`, what is sent later too.
  void stop(Errno why) noexcept;

  // What is older than its deadline fails.
  void expire(uint64_t now_ns) noexcept;
  // For how long the server has not said what is waited for; 0 when nothing is.
  uint64_t silent_ns(uint64_t now_ns) noexcept;
  bool busy() noexcept { return !waiting_.empty() || connection_.awaits(); }
  Errno last_error() const noexcept { return last_error_; }
  const std::string& refusal() const noexcept { return refusal_; }  // of the password, say

 private:
  enum class State : uint8_t { down, resting, connecting, greeting, greeted };
  struct Step;

  void connected() noexcept override;
  void lost(Errno why) noexcept override;
  void fired() noexcept override;
  void connect() noexcept;
  void greeting_answered(Step& step, const Reply& reply) noexcept;
  void greeting_done() noexcept;

  Reactor& reactor_;
  Timers& timers_;
  LinkOwner& owner_;
  const Login& login_;
  Address address_;
  Connection connection_;
  State state_ = State::down;
  bool open_ = false;
  Errno stopped_ = Errno::none;
  uint64_t rest_ns_;
  uint64_t connections_ = 0;
  List<Request> waiting_;
  Errno last_error_ = Errno::none;
  std::string refusal_;

  struct Loss final : Completion {
    explicit Loss(Link& of) noexcept : link(of) {}
    Link& link;
    Errno why = Errno::none;
    bool queued = false;
  };
  Loss loss_{*this};

  // The questions of the greeting, in their order.
  struct Step final : Request {
    explicit Step(Link& of, std::string command) : link(of), text(std::move(command)) {
      bytes = text;
    }
    void answered(const Reply& reply) noexcept override { link.greeting_answered(*this, reply); }
    void failed(Errno) noexcept override {}
    Link& link;
    std::string text;
    bool is_info = false;
    bool is_kill = false;
  };
  std::deque<Step> steps_;
  size_t steps_left_ = 0;

  struct ClientId {
    std::string id;
    std::string address;
  };
  ClientId own_;                 // as the server calls the connection that there is
  std::deque<ClientId> former_;  // to be killed
};

}  // namespace dpfs::kv::valkey
