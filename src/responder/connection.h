// SPDX-License-Identifier: Apache-2.0
// One TCP connection of the responder: records in (RFC 5531, section 11), bytes out.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "backend/nfs/xdr.h"
#include "base/fd.h"

namespace dpfs::responder {

class Connection {
 public:
  static constexpr size_t kMessageBytesMax = 8 << 20;
  static constexpr uint32_t kLastFragment = 0x80000000;

  Connection(Fd socket, uint64_t number);

  uint64_t number() const noexcept { return number_; }
  int fd() const noexcept { return socket_.get(); }

  uint32_t watched = 0;  // the events that epoll looks for, where they have been changed

  // Once what has come. False: the other side has closed, or sent what is no record.
  bool receive();
  // The next whole message, there until the next call of this or of receive(). Check broken().
  std::optional<nfs::Bytes> next_message();
  bool broken() const noexcept { return broken_; }

  // Copied, and sent by flush().
  void append(nfs::Bytes bytes);
  // Not copied: stays as it is until it is sent.
  void lend(nfs::Bytes bytes);
  // Sends what it can, `bytes_max` at most. False: the connection is gone.
  bool flush(size_t bytes_max);
  bool has_output() const noexcept { return unsent_ > 0; }
  size_t unsent() const noexcept { return unsent_; }

 private:
  // Of the output: what is lent, or what lies in the arena.
  struct Part {
    const uint8_t* lent = nullptr;
    size_t offset = 0;
    size_t size = 0;
  };
  void sent(size_t bytes);

  Fd socket_;
  const uint64_t number_;
  bool broken_ = false;
  std::vector<uint8_t> input_;
  size_t begin_ = 0;
  size_t end_ = 0;
  std::vector<uint8_t> assembled_;  // of a message that comes in several fragments
  bool assembling_ = false;
  std::vector<uint8_t> arena_;
  std::vector<Part> parts_;
  size_t next_part_ = 0;
  size_t unsent_ = 0;
};

}  // namespace dpfs::responder
