// SPDX-License-Identifier: Apache-2.0
// A scripted NFSv4.1 and 4.2 server on a thread of its own, for tests and measuring: files in
// memory, and whatever a test wants to go wrong.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backend/nfs/nfs4.h"
#include "base/fd.h"
#include "responder/connection.h"
#include "responder/replies.h"
#include "responder/rpc.h"
#include "responder/world.h"

namespace dpfs::responder {

// Any thread may call any method. Throws std::system_error where it cannot listen.
class Responder {
 public:
  explicit Responder(const Options& options = {});
  ~Responder();
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;

  uint16_t port() const noexcept { return port_; }

  // What is to go wrong with the requests that `when` names.
  void answer(When when, nfs::Status status);
  void answer_rpc_error(When when, AcceptStat verdict);
  void drop_before(When when) { add({Script::Action::drop_before, when}); }
  void drop_after(When when) { add({Script::Action::drop_after, when}); }
  void lose_before(When when) { add({Script::Action::lose_before, when}); }
  void lose_after(When when) { add({Script::Action::lose_after, when}); }
  void delay(When when, std::chrono::milliseconds by);
  // Executed, and answered by release_held().
  void hold(When when) { add({Script::Action::hold, when}); }
  void damage(When when, Damage how, uint64_t seed = 1);
  // READ, WRITE and COPY do no more than that.
  void shorten(When when, uint64_t bytes);
  void clear_rules();

  enum class Order : uint8_t { as_they_came, last_first };
  void release_held(Order order);
  size_t held();
  // Replies of a connection go out in groups, the last one first. 1: as they are ready. A group
  // that does not become whole goes out after a few milliseconds.
  void reorder(size_t group);
  // Replies go out in RPC fragments of that many bytes; 0: whole.
  void fragment(size_t bytes);
  // Replies go out in TCP segments of that many bytes; 0: as large as they may be.
  void segment(size_t bytes);

  // As a server's machine would: sessions, opens, locks and what is not stable are lost, and all
  // connections.
  void restart();
  void end_grace();
  enum class Expiry : uint8_t {
    forgotten,  // the client's id is unknown, and so are its sessions
    revoked,    // the sessions go on, opens and locks answer EXPIRED
  };
  // All clients lose their leases.
  void expire_clients(Expiry how);
  // Leases that run out by that are lost.
  void advance_clock(std::chrono::milliseconds by);
  void make_handles_stale();
  void drop_connections();
  // Connections are refused until then.
  void stop_listening();
  void listen_again();
  // Nothing is received and nothing is sent, as if the process were stopped.
  void pause();
  void go_on();

  // Looks into, or changes, anything.
  void with(const std::function<void(World&)>& what);
  Counters counters();
  uint64_t executed(nfs::Operation operation);
  std::vector<Seen> seen();
  // False: it has not become true in time.
  bool wait_until(const std::function<bool(World&)>& what,
                  std::chrono::milliseconds at_most = std::chrono::seconds(20));
  bool wait_for_executed(nfs::Operation operation, uint64_t times);

  // Files behind the client's back; directories on the way are made.
  void put_file(std::string_view path, std::string_view contents);
  // A file of any size whose contents are World::prepared_bytes().
  void put_prepared_file(std::string_view path, uint64_t size);
  std::string contents(std::string_view path);
  // What a restart would leave of it.
  std::string stable_contents(std::string_view path);
  bool exists(std::string_view path);
  // With all that is in it.
  void remove(std::string_view path);

 private:
  void add(const Script::Rule& rule);
  void listen();
  void wake();
  void run();
  int timeout_ms();
  void accept();
  void on_event(uint64_t number, uint32_t events);
  bool serve_messages(Connection& connection);
  // False: the connection is to be closed.
  bool serve(Connection& connection, nfs::Bytes message);
  bool serve_compound(Connection& connection, nfs::Bytes arguments, size_t message_bytes);
  bool reply_by_rules(Connection& connection, Reply reply,
                      std::span<const nfs::Operation> operations);
  void send_ready();
  void flush(Connection& connection);
  void close(uint64_t number);

  const bool spin_;
  uint16_t port_ = 0;
  Fd epoll_;
  Fd wake_;
  Fd listener_;
  // Between the responder's thread and the tests'; a benchmark takes it once for many requests.
  std::mutex mutex_;
  std::condition_variable changed_;
  World world_;
  Replies replies_;
  bool stop_ = false;
  bool paused_ = false;
  size_t segment_bytes_ = 0;
  uint64_t next_connection_;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<uint8_t> room_;
  Call call_;
  std::thread thread_;
};

}  // namespace dpfs::responder
