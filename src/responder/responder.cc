// SPDX-License-Identifier: Apache-2.0
// The responder's thread: connections, messages, and what rules make of them.
#include "responder/responder.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <system_error>
#include <utility>

#include "responder/compound.h"

namespace dpfs::responder {

namespace {

constexpr uint64_t kWakeNumber = 0;
constexpr uint64_t kListenerNumber = 1;
constexpr uint64_t kFirstConnection = 2;
constexpr size_t kMarkBytes = sizeof(uint32_t);
constexpr size_t kHeadBytes = kMarkBytes + Reply::kHeadBytes;
// While so much is not sent, nothing more is received from that client.
constexpr size_t kUnsentBytesMax = 32 << 20;

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

uint64_t steady_ms() {
  using std::chrono::duration_cast;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(duration_cast<std::chrono::milliseconds>(now).count());
}

void watch(int epoll, int how, int fd, uint64_t number, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = number;
  if (::epoll_ctl(epoll, how, fd, &event) != 0) fail("epoll_ctl");
}

}  // namespace

Responder::Responder(const Options& options)
    : spin_(options.spin),
      port_(options.port),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      world_(options),
      next_connection_(kFirstConnection),
      room_(std::max(options.read_bytes_max, options.write_bytes_max) + (64 << 10)) {
  if (!epoll_ || !wake_) fail("the responder's descriptors");
  watch(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), kWakeNumber, EPOLLIN);
  listen();
  thread_ = std::thread([this] { run(); });
}

Responder::~Responder() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake();
  thread_.join();
}

void Responder::listen() {
  const bool is_v6 = world_.options.address.find(':') != std::string::npos;
  sockaddr_storage address{};
  socklen_t size = 0;
  void* host = nullptr;
  if (is_v6) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port_);
    host = &v6.sin6_addr;
    size = sizeof v6;
  } else {
    auto& v4 = reinterpret_cast<sockaddr_in&>(address);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port_);
    host = &v4.sin_addr;
    size = sizeof v4;
  }
  if (::inet_pton(address.ss_family, world_.options.address.c_str(), host) != 1) {
    throw std::system_error(EINVAL, std::generic_category(),
                            "the address " + world_.options.address);
  }
  constexpr int kBacklog = 128;
  const int on = 1;
  Fd socket(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) fail("socket");
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  auto* general = reinterpret_cast<sockaddr*>(&address);
  if (::bind(socket.get(), general, size) != 0) fail("bind");
  if (::listen(socket.get(), kBacklog) != 0) fail("listen");
  if (::getsockname(socket.get(), general, &size) != 0) fail("getsockname");
  port_ = ntohs(is_v6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                      : reinterpret_cast<sockaddr_in&>(address).sin_port);
  listener_ = std::move(socket);
  watch(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), kListenerNumber, EPOLLIN);
}

void Responder::wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t put = ::write(wake_.get(), &one, sizeof one);
}

int Responder::timeout_ms() {
  if (spin_) return 0;
  if (segment_bytes_ != 0 && std::ranges::any_of(connections_, [](const auto& each) {
        return each.second->has_output();
      })) {
    return 0;
  }
  const std::optional<uint64_t> next = replies_.next_ms();
  if (!next) return -1;
  const uint64_t now = steady_ms();
  return *next <= now ? 0 : static_cast<int>(*next - now);
}

void Responder::run() {
  constexpr size_t kEventsMax = 64;
  std::array<epoll_event, kEventsMax> events;
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (paused_) {
      changed_.wait(lock, [&] { return !paused_ || stop_; });
      continue;
    }
    const int timeout = timeout_ms();
    lock.unlock();
    // Whoever receives tiny segments gets the time to see each of them.
    if (timeout == 0 && !spin_) std::this_thread::yield();
    const int count = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, timeout);
    lock.lock();
    if (stop_ || paused_) continue;
    for (int i = 0; i < count; ++i) on_event(events[i].data.u64, events[i].events);
    send_ready();
    if (segment_bytes_ != 0) {
      for (const auto& [number, connection] : connections_) flush(*connection);
    }
    if (count > 0) changed_.notify_all();
  }
}

void Responder::accept() {
  while (true) {
    Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    const uint64_t number = next_connection_++;
    watch(epoll_.get(), EPOLL_CTL_ADD, socket.get(), number, EPOLLIN);
    connections_.emplace(number, std::make_unique<Connection>(std::move(socket), number));
    ++world_.counters.connections;
  }
}

void Responder::on_event(uint64_t number, uint32_t events) {
  if (number == kWakeNumber) {
    uint64_t ignored = 0;
    [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &ignored, sizeof ignored);
    // What was going out in small segments may go on as it is.
    for (const auto& [each, connection] : connections_) flush(*connection);
    return;
  }
  if (number == kListenerNumber) {
    if (listener_) accept();
    return;
  }
  const auto found = connections_.find(number);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0 && (events & EPOLLIN) == 0) return close(number);
  if ((events & EPOLLIN) != 0 && connection.unsent() < kUnsentBytesMax) {
    if (!connection.receive()) return close(number);
    if (!serve_messages(connection)) return close(number);
  }
  flush(connection);
}

bool Responder::serve_messages(Connection& connection) {
  while (const std::optional<nfs::Bytes> message = connection.next_message()) {
    if (!serve(connection, *message)) {
      connection.flush(SIZE_MAX);  // what was answered before
      return false;
    }
  }
  return !connection.broken();
}

bool Responder::serve(Connection& connection, nfs::Bytes message) {
  nfs::XdrReader reader(message);
  if (!take_call(reader, call_)) return false;
  ++world_.counters.requests;
  if (!world_.script.empty()) {
    if (world_.script.take(Script::Action::drop_before, {})) return false;
    if (world_.script.take(Script::Action::lose_before, {})) return true;
    if (const auto rule = world_.script.take(Script::Action::rpc_error, {})) {
      call_.verdict = AcceptStat{static_cast<uint32_t>(rule->number)};
    }
  }
  if (call_.verdict == AcceptStat::success && call_.procedure == nfs::kProcedureCompound) {
    return serve_compound(connection, message.last(reader.left()), message.size());
  }
  Reply reply{.connection = connection.number()};
  reply.message.resize(64);
  nfs::XdrWriter header(reply.message);
  put_reply_header(header, call_.xid, call_.verdict);
  reply.message.resize(header.size());
  return reply_by_rules(connection, std::move(reply), {});
}

bool Responder::serve_compound(Connection& connection, nfs::Bytes arguments, size_t message_bytes) {
  const Request request{call_, arguments, message_bytes, connection.number()};
  Compound compound(world_, request, std::span(room_).subspan(kHeadBytes));
  const Compound::Fate fate = compound.run();
  if (fate == Compound::Fate::dropped) return false;
  if (fate == Compound::Fate::lost) return true;
  if (fate == Compound::Fate::garbage) call_.verdict = AcceptStat::garbage_arguments;
  Compound::Reply results;
  if (fate == Compound::Fate::answered) results = compound.reply();

  nfs::XdrWriter head(room_);
  const size_t size = Reply::kHeadBytes + results.bytes.size() + results.payload.size();
  head.u32(static_cast<uint32_t>(size) | Connection::kLastFragment);
  put_reply_header(head, call_.xid, call_.verdict);
  const size_t split = kHeadBytes + (results.payload.empty() ? results.bytes.size()  //
                                                             : results.payload_at);
  const nfs::Bytes whole(room_.data(), kHeadBytes + results.bytes.size());
  if (world_.script.empty() && replies_.plain()) {
    connection.append(whole.first(split));
    connection.lend(results.payload);
    connection.append(whole.subspan(split));
    return true;
  }
  Reply reply{.connection = connection.number()};
  reply.message.assign(whole.begin() + kMarkBytes, whole.begin() + static_cast<long>(split));
  reply.message.insert(reply.message.end(), results.payload.begin(), results.payload.end());
  reply.message.insert(reply.message.end(), whole.begin() + static_cast<long>(split), whole.end());
  return reply_by_rules(connection, std::move(reply), compound.operations());
}

bool Responder::reply_by_rules(Connection& connection, Reply reply,
                               std::span<const nfs::Operation> operations) {
  const auto rule_of = [&](Script::Action action) {
    auto rule = world_.script.take(action, {});
    for (size_t i = 0; i < operations.size() && !rule; ++i) {
      rule = world_.script.take(action, operations[i]);
    }
    return rule;
  };
  const uint64_t now = steady_ms();
  if (rule_of(Script::Action::drop_after)) return false;
  if (rule_of(Script::Action::lose_after)) return true;
  if (const auto rule = rule_of(Script::Action::damage)) {
    replies_.damage(reply, rule->damage, rule->number + rule->applied);
  }
  if (rule_of(Script::Action::hold)) {
    replies_.hold(std::move(reply));
  } else if (const auto rule = rule_of(Script::Action::delay)) {
    replies_.delay(std::move(reply), now + rule->number);
  } else {
    replies_.queue(std::move(reply), now);
    send_ready();
  }
  return connection.fd() >= 0;
}

void Responder::send_ready() {
  for (const Reply& reply : replies_.take_ready(steady_ms())) {
    const auto found = connections_.find(reply.connection);
    if (found == connections_.end()) continue;
    found->second->append(replies_.to_bytes(reply));
    flush(*found->second);
  }
}

void Responder::flush(Connection& connection) {
  const bool had_output = connection.has_output();
  if (!connection.flush(segment_bytes_ == 0 ? SIZE_MAX : segment_bytes_)) {
    // It is closed when its end is received: whoever calls this goes on with it.
    ::shutdown(connection.fd(), SHUT_RDWR);
    return;
  }
  if (!had_output || segment_bytes_ != 0) return;
  uint32_t events = 0;
  if (connection.unsent() < kUnsentBytesMax) events |= EPOLLIN;
  if (connection.has_output()) events |= EPOLLOUT;
  if (events != connection.watched) {
    connection.watched = events;
    watch(epoll_.get(), EPOLL_CTL_MOD, connection.fd(), connection.number(), events);
  }
}

void Responder::close(uint64_t number) {
  world_.state.forget_connection(number);
  replies_.forget_connection(number);
  connections_.erase(number);
}

}  // namespace dpfs::responder
