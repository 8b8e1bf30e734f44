// SPDX-License-Identifier: Apache-2.0
// Commands over TCP.
#include "backend/kv/valkey/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

#include "base/monotonic.h"

namespace dpfs::kv::valkey {
namespace {

constexpr std::string_view kAsking = "*1\r\n$6\r\nASKING\r\n";
constexpr size_t kSendPartsMax = 256;
// For one turn of the reactor.
constexpr int kReceivesMax = 16;
// As the NFS client has it: who waits for one answer wants it at once, many are fetched together.
constexpr uint32_t kManyAwaited = 8;
constexpr uint64_t kManyLookEveryNs = 10'000;

size_t size_of(const Request& request) noexcept {
  return request.bytes.size() + (request.asking ? kAsking.size() : 0);
}

}  // namespace

Connection::Connection(Reactor& reactor, ConnectionOwner& owner)
    : reactor_(reactor),
      owner_(owner),
      reader_(*this),
      buffer_(std::make_unique_for_overwrite<char[]>(kBufferBytes)) {
  flush_.run = [](Completion& self) noexcept {
    auto& flush = static_cast<Flush&>(self);
    flush.queued = false;
    flush.connection.flush();
  };
}

Connection::~Connection() { DPFS_ASSERT(state_ == State::closed && !flush_.queued); }

void Connection::connect(const Address& address) noexcept {
  DPFS_ASSERT(state_ == State::closed);
  try {
    reader_.reset();
  } catch (const std::bad_alloc&) {
    return fail(Errno::nomem);
  }
  socket_.reset(socket(address.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) return fail(last_errno());
  const int on = 1;
  setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(socket_.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  state_ = State::connecting;
  const int result =
      ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address.bytes), address.size);
  if (result != 0 && errno != EINPROGRESS) return fail(last_errno());
  if (const Result<Unit> watched = reactor_.watch_both(socket_.get(), *this); !watched) {
    fail(watched.error());
  }
}

void Connection::close(List<Request>& into) noexcept {
  if (socket_) reactor_.unwatch(socket_.get(), *this);
  socket_.reset();
  reactor_.deactivate(*this);
  while (Request* request = awaiting_.pop_front()) into.push_back(*request);
  while (Request* request = unsent_.pop_front()) into.push_back(*request);
  state_ = State::closed;
  writable_ = false;
  drained_ = true;
  sent_of_front_ = 0;
  awaited_ = 0;
}

void Connection::fail(Errno why) noexcept {
  if (state_ == State::failed) return;
  state_ = State::failed;
  writable_ = false;
  if (socket_) shutdown(socket_.get(), SHUT_RDWR);
  owner_.lost(why);
}

void Connection::ready() noexcept {
  if (state_ == State::connecting) finish_connecting();
  if (state_ != State::connected) return;
  writable_ = true;
  if (!unsent_.empty()) flush();
  // Until there is nothing: the connection's end may have come with the last data, and is not told
  // once more.
  int calls = 0;
  while (calls < kReceivesMax && receive()) ++calls;
  if (calls == kReceivesMax) drained_ = false;  // for poll()
  if (calls > 0) reactor_.activate(*this);
}

void Connection::finish_connecting() noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return fail(dpfs::to_errno(error));
  sockaddr_storage peer{};
  socklen_t peer_size = sizeof peer;
  if (getpeername(socket_.get(), reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0) {
    return;  // not yet
  }
  state_ = State::connected;
  writable_ = true;
  owner_.connected();
}

void Connection::send(Request& request) noexcept {
  if (!awaits()) waiting_since_ns_ = monotonic_ns();
  request.asked_ = !request.asking;
  unsent_.push_back(request);
  ++awaited_;
  if (flush_.queued) return;
  flush_.queued = true;
  reactor_.next_turn(flush_);
}

void Connection::flush() noexcept {
  while (state_ == State::connected && writable_ && !unsent_.empty()) {
    std::array<iovec, kSendPartsMax> parts;
    size_t count = 0;
    size_t skip = sent_of_front_;
    const auto add = [&](std::string_view bytes) {
      const size_t skipped = std::min(skip, bytes.size());
      skip -= skipped;
      if (skipped == bytes.size()) return;
      parts[count++] = {const_cast<char*>(bytes.data() + skipped), bytes.size() - skipped};
    };
    for (Request* request = unsent_.front(); request != nullptr && count + 2 <= parts.size();
         request = unsent_.after(*request)) {
      if (request->asking) add(kAsking);
      add(request->bytes);
    }
    msghdr header{};
    header.msg_iov = parts.data();
    header.msg_iovlen = count;
    const ssize_t sent = sendmsg(socket_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return fail(last_errno());
      writable_ = false;
      break;
    }
    note_sent(static_cast<size_t>(sent));
  }
  // Answers may come soon, though not at once.
  looked_ns_ = monotonic_ns();
  if (state_ == State::connected) reactor_.expect(*this);
}

void Connection::note_sent(size_t bytes) noexcept {
  sent_of_front_ += bytes;
  while (Request* request = unsent_.front()) {
    const size_t size = size_of(*request);
    if (sent_of_front_ < size) break;
    sent_of_front_ -= size;
    request->unlink();
    awaiting_.push_back(*request);
  }
}

bool Connection::poll() noexcept {
  if (state_ != State::connected) return false;
  if (drained_ && awaited_ >= kManyAwaited) {
    if (monotonic_ns() - looked_ns_ < kManyLookEveryNs) return false;
  }
  return receive();
}

// True when something came.
bool Connection::receive() noexcept {
  bool came = false;
  drained_ = false;
  for (int i = 0; i < kReceivesMax && !drained_ && state_ == State::connected; ++i) {
    const ssize_t n = recv(socket_.get(), buffer_.get(), kBufferBytes, MSG_DONTWAIT);
    if (n <= 0) {
      drained_ = true;
      if (n == 0) fail(Errno::notconn);
      if (n < 0 && errno != EAGAIN && errno != EINTR) fail(last_errno());
      break;
    }
    came = true;
    drained_ = static_cast<size_t>(n) < kBufferBytes;
    if (!reader_.feed(buffer_.get(), static_cast<size_t>(n))) {
      fail(Errno::nomem);
    } else if (!take_replies()) {
      fail(Errno::proto);
    }
  }
  looked_ns_ = monotonic_ns();
  if (came) waiting_since_ns_ = looked_ns_;
  return came;
}

bool Connection::take_value(std::string_view value) noexcept {
  Request* request = awaiting_.front();
  return request != nullptr && request->asked_ && request->value(value);
}

// False when the server speaks nonsense.
bool Connection::take_replies() noexcept {
  while (state_ == State::connected) {
    switch (reader_.next()) {
      case ReplyReader::Next::incomplete:
        return true;
      case ReplyReader::Next::broken:
        return false;
      case ReplyReader::Next::reply:
        break;
    }
    Request* request = awaiting_.front();
    if (request == nullptr) return false;  // an answer to nothing
    if (!request->asked_) {
      request->asked_ = true;
      continue;
    }
    request->unlink();
    request->asking = false;
    if (awaited_ > 0) --awaited_;
    request->answered(reader_.reply());
  }
  return true;
}

}  // namespace dpfs::kv::valkey
