// SPDX-License-Identifier: Apache-2.0
// Records from a stream, and replies into it, many with one system call.
#include "responder/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace dpfs::responder {

namespace {

constexpr size_t kReceiveBytes = 256 << 10;
constexpr size_t kPartsAtOnceMax = 256;

}  // namespace

Connection::Connection(Fd socket, uint64_t number)
    : socket_(std::move(socket)), number_(number), input_(kReceiveBytes) {
  const int on = 1;
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool Connection::receive() {
  if (begin_ > 0) {
    std::memmove(input_.data(), input_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == input_.size()) input_.resize(2 * input_.size());
  if (input_.size() > 2 * kMessageBytesMax) return false;
  const ssize_t got = ::recv(socket_.get(), input_.data() + end_, input_.size() - end_, 0);
  if (got > 0) end_ += static_cast<size_t>(got);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

std::optional<nfs::Bytes> Connection::next_message() {
  while (end_ - begin_ >= sizeof(uint32_t)) {
    const uint32_t mark = nfs::XdrReader({input_.data() + begin_, sizeof(uint32_t)}).u32();
    const size_t size = mark & ~kLastFragment;
    if (size + assembled_.size() > kMessageBytesMax) {
      broken_ = true;
      return std::nullopt;
    }
    if (end_ - begin_ < sizeof mark + size) return std::nullopt;
    const nfs::Bytes fragment(input_.data() + begin_ + sizeof mark, size);
    begin_ += sizeof mark + size;
    const bool last = (mark & kLastFragment) != 0;
    if (last && !assembling_) return fragment;
    if (!assembling_) assembled_.clear();
    assembling_ = !last;
    assembled_.insert(assembled_.end(), fragment.begin(), fragment.end());
    if (last) return nfs::Bytes(assembled_);
  }
  return std::nullopt;
}

void Connection::append(nfs::Bytes bytes) {
  if (bytes.empty()) return;
  const size_t offset = arena_.size();
  arena_.insert(arena_.end(), bytes.begin(), bytes.end());
  if (parts_.size() > next_part_ && parts_.back().lent == nullptr) {
    parts_.back().size += bytes.size();
  } else {
    parts_.push_back({nullptr, offset, bytes.size()});
  }
  unsent_ += bytes.size();
}

void Connection::lend(nfs::Bytes bytes) {
  if (bytes.empty()) return;
  parts_.push_back({bytes.data(), 0, bytes.size()});
  unsent_ += bytes.size();
}

void Connection::sent(size_t bytes) {
  unsent_ -= bytes;
  while (bytes > 0) {
    Part& part = parts_[next_part_];
    const size_t of_it = std::min(bytes, part.size);
    if (part.lent != nullptr) part.lent += of_it;
    part.offset += of_it;
    part.size -= of_it;
    bytes -= of_it;
    if (part.size == 0) ++next_part_;
  }
  if (unsent_ > 0) return;
  parts_.clear();
  arena_.clear();
  next_part_ = 0;
}

bool Connection::flush(size_t bytes_max) {
  while (unsent_ > 0 && bytes_max > 0) {
    std::array<iovec, kPartsAtOnceMax> vectors;
    size_t count = 0;
    size_t bytes = 0;
    for (size_t i = next_part_; i < parts_.size() && count < vectors.size() && bytes < bytes_max;
         ++i) {
      const Part& part = parts_[i];
      const uint8_t* from = part.lent != nullptr ? part.lent : arena_.data() + part.offset;
      const size_t size = std::min(part.size, bytes_max - bytes);
      vectors[count++] = {const_cast<uint8_t*>(from), size};
      bytes += size;
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    const ssize_t put = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0) return errno == EAGAIN || errno == EINTR;
    sent(static_cast<size_t>(put));
    bytes_max -= static_cast<size_t>(put);
    if (static_cast<size_t>(put) < bytes) return true;
  }
  return true;
}

}  // namespace dpfs::responder
