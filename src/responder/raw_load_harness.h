// SPDX-License-Identifier: Apache-2.0
// For benchmarks: READs at a depth, by a client that is as cheap as can be: the floor under what
// any client can do.
#pragma once

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "responder/raw_client_harness.h"

namespace dpfs::responder {

// The same READ in each slot, again and again.
class RawLoad {
 public:
  RawLoad(RawClient& client, const RawClient::Opened& file, uint32_t bytes, uint32_t depth)
      : fd_(client.fd()), received_(kReceiveBytes) {
    for (uint32_t slot = 0; slot < depth; ++slot) {
      RawClient::Compound request = client.compound_at(1, slot, client.sequences[slot], false);
      request.fh(file.handle).op(Operation::read).stateid(file.state).u64(slot * 4096).u32(bytes);
      messages_.push_back(client.message(request));
      push(slot);
    }
  }
  // Sends what is to be sent, and takes what has come; polls until something has.
  bool turn() {
    if (!to_send_.empty()) {
      if (::send(fd_, to_send_.data(), to_send_.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(to_send_.size())) {
        return false;
      }
      to_send_.clear();
    }
    ssize_t got = -1;
    for (uint64_t looks = 0; got < 0 && looks < kLooksMax; ++looks) {
      got = ::recv(fd_, received_.data() + end_, received_.size() - end_, MSG_DONTWAIT);
      if (got < 0 && errno != EAGAIN) return false;
    }
    if (got <= 0) return false;
    end_ += static_cast<size_t>(got);
    size_t at = 0;
    while (end_ - at >= kSlotAt + 4) {
      const uint32_t size = word(at) & 0x7fffffff;
      if (end_ - at < size + 4) break;
      if (word(at + kStatusAt) != 0) return false;
      push(word(at + kSlotAt));
      ++answered;
      at += size + 4;
    }
    std::memmove(received_.data(), received_.data() + at, end_ - at);
    end_ -= at;
    return true;
  }
  uint64_t answered = 0;

 private:
  static constexpr size_t kReceiveBytes = 4 << 20;
  static constexpr uint64_t kLooksMax = uint64_t{1} << 27;  // a minute: no answer comes
  // In a reply: mark, RPC's header, status, the tag "tag", the number of results, SEQUENCE's
  // operation, status, session and sequence.
  static constexpr size_t kStatusAt = 4 + 24;
  static constexpr size_t kSlotAt = kStatusAt + 4 + 8 + 4 + 8 + 16 + 4;
  // In a request, from its end: a READ with its PUTFH, the flags behind the sequence.
  void push(uint32_t slot) {
    std::vector<uint8_t>& message = messages_[slot];
    uint32_t sequence = 0;
    const size_t at = kSequenceAt;
    std::memcpy(&sequence, message.data() + at, sizeof sequence);
    sequence = htonl(ntohl(sequence) + 1);
    std::memcpy(message.data() + at, &sequence, sizeof sequence);
    to_send_.insert(to_send_.end(), message.begin(), message.end());
  }
  // Mark, RPC's header with AUTH_SYS, the tag, version and number, SEQUENCE and its session.
  static constexpr size_t kSequenceAt = 4 + 6 * 4 + (8 + 24) + 8 + 8 + 8 + 4 + 16;

  uint32_t word(size_t at) const {
    uint32_t big = 0;
    std::memcpy(&big, received_.data() + at, sizeof big);
    return ntohl(big);
  }

  const int fd_;
  std::vector<std::vector<uint8_t>> messages_;
  std::vector<uint8_t> to_send_;
  std::vector<uint8_t> received_;
  size_t end_ = 0;
};

}  // namespace dpfs::responder
