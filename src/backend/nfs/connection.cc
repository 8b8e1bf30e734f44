// SPDX-License-Identifier: Apache-2.0
// Records over TCP.
#include "backend/nfs/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "base/monotonic.h"

namespace dpfs::nfs {
namespace {

constexpr uint32_t kLastFragment = 0x80000000;
constexpr size_t kMarkBytes = 4;
constexpr size_t kSendPartsMax = 256;
constexpr size_t kPlacePartsMax = 512;
// With long answers on their way: enough for many short ones, and little of the long ones' data.
constexpr size_t kShortReceiveBytes = 8 * 1024;
// For one turn of the reactor.
constexpr int kReceivesMax = 16;
constexpr uint32_t kManyAwaited = 8;
constexpr uint64_t kManyLookEveryNs = 10'000;
constexpr std::array<uint8_t, 4> kZeros{};

uint32_t mark_at(const uint8_t* bytes) noexcept {
  uint32_t mark;
  std::memcpy(&mark, bytes, sizeof mark);
  return to_big_endian(mark);
}

}  // namespace

Connection::Connection(Reactor& reactor, ConnectionOwner& owner)
    : reactor_(reactor),
      owner_(owner),
      buffer_(std::make_unique_for_overwrite<uint8_t[]>(kBufferBytes)) {
  flush_.run = [](Completion& self) noexcept {
    auto& flush = static_cast<Flush&>(self);
    flush.queued = false;
    flush.connection.flush();
  };
}

Connection::~Connection() {
  close();
  DPFS_ASSERT(!flush_.queued);
}

void Connection::connect(const Address& address) noexcept {
  close();
  failure_ = Errno::none;
  socket_.reset(socket(address.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) return fail(last_errno());
  const int on = 1;
  setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(socket_.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  state_ = State::connecting;
  received_ns_ = monotonic_ns();
  const int result =
      ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address.bytes), address.size);
  if (result != 0 && errno != EINPROGRESS) return fail(last_errno());
  if (const Result<Unit> watched = reactor_.watch_both(socket_.get(), *this); !watched) {
    fail(watched.error());
  }
}

void Connection::close() noexcept {
  if (socket_) reactor_.unwatch(socket_.get(), *this);
  socket_.reset();
  reactor_.deactivate(*this);
  while (Message* message = unsent_.front()) message->unlink();
  state_ = State::closed;
  writable_ = false;
  sent_of_front_ = begin_ = end_ = head_bytes_ = discard_ = fragment_left_ = 0;
  placing_ = place_failed_ = false;
  long_expected_ = 0;
  awaited_ = 0;
  fragments_.clear();
}

void Connection::fail(Errno why) noexcept {
  if (state_ == State::failed) return;
  state_ = State::failed;
  failure_ = why;
  writable_ = false;
  if (socket_) shutdown(socket_.get(), SHUT_RDWR);
  owner_.lost(*this, why);
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

bool Connection::received_one(const Record& record) noexcept {
  if (awaited_ > 0) --awaited_;
  return owner_.received(record);
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
  owner_.connected(*this);
}

void Connection::send(Message& message) noexcept {
  unsent_.push_back(message);
  ++awaited_;
  if (flush_.queued) return;
  flush_.queued = true;
  reactor_.next_turn(flush_);
}

void Connection::withdraw(Message& message) noexcept {
  if (!message.linked()) return;
  const bool half_sent = unsent_.front() == &message && sent_of_front_ > 0;
  message.unlink();
  if (!half_sent) return;
  sent_of_front_ = 0;
  fail(Errno::canceled);
}

void Connection::flush() noexcept {
  while (state_ == State::connected && writable_ && !unsent_.empty()) {
    std::array<iovec, kSendPartsMax> parts;
    size_t count = 0;
    size_t skip = sent_of_front_;
    const auto add = [&](Bytes bytes) {
      const size_t skipped = std::min(skip, bytes.size());
      skip -= skipped;
      if (skipped == bytes.size()) return;
      parts[count++] = {const_cast<uint8_t*>(bytes.data() + skipped), bytes.size() - skipped};
    };
    for (Message* message = unsent_.front(); message != nullptr && count + 3 <= parts.size();
         message = unsent_.after(*message)) {
      add(message->head);
      add(message->tail);
      add(Bytes(kZeros).first(xdr_padding(message->tail.size())));
    }
    const msghdr header{.msg_name = nullptr,
                        .msg_namelen = 0,
                        .msg_iov = parts.data(),
                        .msg_iovlen = count,
                        .msg_control = nullptr,
                        .msg_controllen = 0,
                        .msg_flags = 0};
    const ssize_t sent = sendmsg(socket_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return fail(last_errno());
      writable_ = false;
      break;
    }
    sent_of_front_ += static_cast<size_t>(sent);
    while (Message* message = unsent_.front()) {
      if (sent_of_front_ < message->size()) break;
      sent_of_front_ -= message->size();
      message->unlink();
    }
  }
  // Answers may come soon, though not at once.
  looked_ns_ = monotonic_ns();
  if (state_ == State::connected) reactor_.expect(*this);
}

// Who waits for one answer wants it at once. Where many are on their way they are fetched together:
// a look costs as much as several answers.
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
    if (!(placing_ ? receive_placed() : receive_more())) {
      drained_ = true;
      break;
    }
    came = true;
    if (!take_records()) fail(Errno::proto);
  }
  looked_ns_ = monotonic_ns();
  if (came) received_ns_ = looked_ns_;
  return came;
}

// The result of a system call that receives: how much came, if anything.
#define DPFS_RECEIVED(n)                                                \
  if ((n) == 0) fail(Errno::notconn);                                   \
  if ((n) < 0 && errno != EAGAIN && errno != EINTR) fail(last_errno()); \
  if ((n) <= 0) return false

bool Connection::receive_more() noexcept {
  if (fragment_left_ > 0 && available() == 0) {
    const size_t at = fragments_.size() - fragment_left_;
    const ssize_t n = recv(socket_.get(), fragments_.data() + at, fragment_left_, MSG_DONTWAIT);
    DPFS_RECEIVED(n);
    fragment_left_ -= static_cast<size_t>(n);
    return true;
  }
  if (begin_ == end_) begin_ = end_ = 0;
  if (kBufferBytes - end_ < kBufferBytes / 4) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, available());
    end_ -= begin_;
    begin_ = 0;
  }
  size_t room = kBufferBytes - end_;
  if (long_expected_ > 0) room = std::min(room, kShortReceiveBytes);
  const ssize_t n = recv(socket_.get(), buffer_.get() + end_, room, MSG_DONTWAIT);
  DPFS_RECEIVED(n);
  end_ += static_cast<size_t>(n);
  drained_ = static_cast<size_t>(n) < room;
  return true;
}

bool Connection::receive_placed() noexcept {
  if (discard_ > 0) {
    const size_t room = std::min(discard_, kBufferBytes - end_);
    const ssize_t n = recv(socket_.get(), buffer_.get() + end_, room, MSG_DONTWAIT);
    DPFS_RECEIVED(n);
    discard_ -= static_cast<size_t>(n);
    return true;
  }
  std::array<iovec, kPlacePartsMax + 1> parts;
  const std::span<iovec> places = to_place_.to_iovecs(std::span(parts).first(kPlacePartsMax));
  size_t wanted = 0;
  for (const iovec& part : places) wanted += part.iov_len;
  size_t count = places.size();
  // What comes behind it: its padding, and the next record's head.
  if (wanted == to_place_.size()) {
    parts[count++] = {buffer_.get() + end_, std::min(kBufferBytes - end_, kShortReceiveBytes)};
  }
  msghdr header{};
  header.msg_iov = parts.data();
  header.msg_iovlen = count;
  const ssize_t n = recvmsg(socket_.get(), &header, MSG_DONTWAIT);
  if (n < 0 && errno == EFAULT) {  // the tenant took its memory away
    discard_ = to_place_.size();
    to_place_ = {};
    place_failed_ = true;
    return true;
  }
  DPFS_RECEIVED(n);
  const size_t placed = std::min(static_cast<size_t>(n), to_place_.size());
  to_place_.skip(placed);
  end_ += static_cast<size_t>(n) - placed;
  return true;
}
#undef DPFS_RECEIVED

// False when the server speaks nonsense.
bool Connection::take_records() noexcept {
  while (state_ == State::connected) {
    if (placing_) {
      if (!to_place_.empty() || discard_ > 0) return true;
      if (available() < kMarkBytes + head_bytes_ + xdr_padding(data_bytes_)) return true;
      if (!end_placing()) return false;
      continue;
    }
    if (fragment_left_ > 0) {
      const size_t n = std::min(fragment_left_, available());
      std::memcpy(fragments_.data() + (fragments_.size() - fragment_left_), buffer_.get() + begin_,
                  n);
      begin_ += n;
      fragment_left_ -= n;
      if (fragment_left_ > 0) return true;
    }
    if (!fragments_.empty() && fragment_last_) {
      const bool good = received_one(Record{.bytes = fragments_, .placed = 0});
      fragments_.clear();
      fragment_last_ = false;
      if (!good) return false;
      continue;
    }
    if (available() < kMarkBytes) return true;
    const uint32_t mark = mark_at(buffer_.get() + begin_);
    const size_t size = mark & ~kLastFragment;
    const bool whole = (mark & kLastFragment) != 0 && fragments_.empty();
    if (fragments_.size() + size > record_bytes_max_) return false;
    if (whole && available() >= kMarkBytes + size) {
      const Bytes bytes(buffer_.get() + begin_ + kMarkBytes, size);
      begin_ += kMarkBytes + size;
      if (!received_one(Record{.bytes = bytes, .placed = 0})) return false;
      continue;
    }
    if (whole && size >= kPlacedBytesMin) {
      if (available() < kMarkBytes + kReadHeadBytes) return true;
      if (begin_placing(static_cast<uint32_t>(size))) continue;
    }
    // One that fits and is not whole yet is waited for.
    if (whole && kMarkBytes + size <= kBufferBytes / 2) return true;
    if (!assemble(size, (mark & kLastFragment) != 0)) return false;
  }
  return true;
}

bool Connection::assemble(size_t size, bool last) noexcept {
  begin_ += kMarkBytes;
  try {
    fragments_.resize(fragments_.size() + size);
  } catch (const std::bad_alloc&) {
    return false;
  }
  fragment_left_ = size;
  fragment_last_ = last;
  return !fragments_.empty() || !last;  // a record of nothing is none
}

// True when the data of the record at begin_, which has begun to come, has a place of its own.
bool Connection::begin_placing(uint32_t size) noexcept {
  const Bytes head(buffer_.get() + begin_ + kMarkBytes, kReadHeadBytes);
  DataPlace place{};
  IoView into = owner_.place(head, place);
  if (into.empty() || place.bytes > into.size()) return false;
  if (place.offset + place.bytes + xdr_padding(place.bytes) != size) return false;
  // To the front, so that there is room behind it.
  std::memmove(buffer_.get(), buffer_.get() + begin_, available());
  end_ -= begin_;
  begin_ = 0;
  uint8_t* data = buffer_.get() + begin_ + kMarkBytes + place.offset;
  const size_t here = static_cast<size_t>(buffer_.get() + end_ - data);
  const size_t of_data = std::min<size_t>(here, place.bytes);
  to_place_ = into.first(place.bytes);
  to_place_.copy_in(data, of_data);
  std::memmove(data, data + of_data, here - of_data);  // a part of its padding
  end_ -= of_data;
  placing_ = true;
  place_failed_ = false;
  head_bytes_ = place.offset;
  data_bytes_ = place.bytes;
  return true;
}

bool Connection::end_placing() noexcept {
  const Bytes head(buffer_.get() + begin_ + kMarkBytes, head_bytes_);
  begin_ += kMarkBytes + head_bytes_ + xdr_padding(data_bytes_);
  placing_ = false;
  const Record record{.bytes = head, .placed = data_bytes_, .place_failed = place_failed_};
  return received_one(record);
}

}  // namespace dpfs::nfs
