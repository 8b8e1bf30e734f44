// SPDX-License-Identifier: Apache-2.0
// For tests: the smallest NFS client there is, which builds compounds word by word and looks at
// what comes back.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backend/nfs/nfs4.h"
#include "backend/nfs/xdr.h"
#include "base/fd.h"

namespace dpfs::responder {

using nfs::Operation;
using nfs::Status;

// The results of a compound: walk through them with next(), or take the bodies with `body`.
struct Results {
  std::vector<uint8_t> message;  // the whole of it
  bool came = false;
  uint32_t xid = 0;
  uint32_t accept_stat = 0;
  Status status = Status::serverfault;
  nfs::XdrReader body;  // behind the results' number

  // The status of the next result, whose body follows.
  Status next(Operation operation) {
    EXPECT_EQ(Operation{body.u32()}, operation);
    return Status{body.u32()};
  }
};

class RawClient {
 public:
  explicit RawClient(uint16_t port) : port_(port) { connect(); }

  void connect() {
    socket_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected =
        ::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const int on = 1;
    ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  // Exchanges ids, makes a session, and says that there is nothing to reclaim.
  void begin(std::string_view owner = "raw", uint8_t verifier = 1) {
    exchange_id(owner, verifier);
    create_session();
    EXPECT_EQ(call(compound(1).op(Operation::reclaim_complete).boolean(false)).status, Status::ok);
  }
  void exchange_id(std::string_view owner, uint8_t verifier) {
    Compound request = bare(1);
    request.op(Operation::exchange_id).fixed(std::vector<uint8_t>(8, verifier)).text(owner);
    request.u32(0x10000).u32(0).u32(0);
    Results results = call(request);
    ASSERT_EQ(results.next(Operation::exchange_id), Status::ok);
    client_id = results.body.u64();
    create_sequence = results.body.u32();
  }
  Status create_session() {
    Compound request = bare(1);
    request.op(Operation::create_session).u64(client_id).u32(create_sequence).u32(0);
    for (int channel = 0; channel < 2; ++channel) {
      request.u32(0).u32(1 << 21).u32(1 << 21).u32(8192).u32(16).u32(slots).u32(0);
    }
    request.u32(0x40000000).u32(1).u32(0);
    Results results = call(request);
    if (results.status != Status::ok) return results.status;
    results.next(Operation::create_session);
    results.body.fixed(session.bytes);
    ++create_sequence;
    sequences.assign(slots, 0);
    return Status::ok;
  }

  class Compound {
   public:
    Compound& op(Operation operation) {
      ++operations;
      return u32(static_cast<uint32_t>(operation));
    }
    Compound& u32(uint32_t value) {
      for (int shift = 24; shift >= 0; shift -= 8) {
        bytes.push_back(static_cast<uint8_t>(value >> shift));
      }
      return *this;
    }
    Compound& u64(uint64_t value) {
      return u32(static_cast<uint32_t>(value >> 32)).u32(static_cast<uint32_t>(value));
    }
    Compound& boolean(bool value) { return u32(value ? 1 : 0); }
    Compound& fixed(nfs::Bytes from) {
      bytes.insert(bytes.end(), from.begin(), from.end());
      bytes.resize(bytes.size() + nfs::xdr_padding(from.size()));
      return *this;
    }
    Compound& text(std::string_view text) {
      u32(static_cast<uint32_t>(text.size()));
      return fixed({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    }
    Compound& stateid(const nfs::StateId& id, uint32_t sequence = 0) {
      return u32(sequence).fixed(id.other);
    }
    Compound& fh(const nfs::FileHandle& handle) {
      u32(static_cast<uint32_t>(Operation::putfh)).u32(handle.size);
      ++operations;
      return fixed({handle.bytes.data(), handle.size});
    }
    Compound& root() { return op(Operation::putrootfh); }

    std::vector<uint8_t> bytes;
    uint32_t minor = 1;
    uint32_t operations = 0;
  };

  // Without SEQUENCE.
  static Compound bare(uint32_t minor) {
    Compound request;
    request.minor = minor;
    return request;
  }
  // With SEQUENCE in the slot, whose sequence goes on with it.
  Compound compound(uint32_t minor, uint32_t slot = 0, bool cache_this = true) {
    ++sequences[slot];
    return compound_at(minor, slot, sequences[slot], cache_this);
  }
  Compound compound_at(uint32_t minor, uint32_t slot, uint32_t sequence, bool cache_this) {
    Compound request = bare(minor);
    request.op(Operation::sequence).fixed(session.bytes).u32(sequence).u32(slot).u32(7);
    request.boolean(cache_this);
    return request;
  }

  // A call of it, with its record mark.
  std::vector<uint8_t> message(const Compound& request) {
    ++xid;
    Compound whole;
    whole.u32(0);  // the record mark
    whole.u32(xid).u32(0).u32(2).u32(nfs::kProgram).u32(4).u32(1);
    Compound credential;
    credential.u32(0).text("raw").u32(uid).u32(gid).u32(0);
    whole.u32(1).u32(static_cast<uint32_t>(credential.bytes.size())).fixed(credential.bytes);
    whole.u32(0).u32(0);
    whole.text("tag").u32(request.minor).u32(request.operations).fixed(request.bytes);
    const uint32_t mark = htonl(static_cast<uint32_t>(whole.bytes.size() - 4) | 0x80000000);
    std::memcpy(whole.bytes.data(), &mark, sizeof mark);
    return whole.bytes;
  }
  void send(const Compound& request) {
    const std::vector<uint8_t> bytes = message(request);
    EXPECT_EQ(::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // `came` is false where the connection was closed.
  Results receive() {
    Results results;
    bool last = false;
    fragments = 0;
    while (!last) {
      uint32_t mark = 0;
      if (!receive_all(&mark, sizeof mark)) return results;
      mark = ntohl(mark);
      last = (mark >> 31) != 0;
      const size_t at = results.message.size();
      results.message.resize(at + (mark & 0x7fffffff));
      if (!receive_all(results.message.data() + at, results.message.size() - at)) return results;
      ++fragments;
    }
    results.came = true;
    nfs::XdrReader reader{nfs::Bytes(results.message)};
    results.xid = reader.u32();
    reader.skip(16);  // reply, accepted, verifier
    results.accept_stat = reader.u32();
    if (results.accept_stat != 0) return results;
    results.status = Status{reader.u32()};
    reader.text(64);
    reader.u32();
    results.body = reader;
    return results;
  }
  // SEQUENCE's own result is taken off.
  Results call(const Compound& request) {
    send(request);
    Results results = receive();
    if (!results.came || results.status == Status::minor_vers_mismatch) return results;
    nfs::XdrReader front = results.body;
    if (Operation{front.u32()} == Operation::sequence && Status{front.u32()} == Status::ok) {
      front.skip(16 + 4 * sizeof(uint32_t));
      sequence_flags = front.u32();
      results.body = front;
    }
    return results;
  }

  nfs::FileHandle take_handle(Results& results) {
    EXPECT_EQ(results.next(Operation::getfh), Status::ok);
    const nfs::Bytes bytes = results.body.opaque(nfs::FileHandle::kBytesMax);
    nfs::FileHandle handle;
    handle.size = static_cast<uint8_t>(bytes.size());
    std::memcpy(handle.bytes.data(), bytes.data(), bytes.size());
    return handle;
  }
  nfs::FileHandle look_up(std::string_view name) {
    Compound request = compound(1);
    request.root().op(Operation::lookup).text(name).op(Operation::getfh);
    Results results = call(request);
    EXPECT_EQ(results.status, Status::ok);
    results.next(Operation::putrootfh);
    results.next(Operation::lookup);
    return take_handle(results);
  }

  struct Opened {
    Status status = Status::serverfault;
    nfs::StateId state;
    uint32_t sequence = 0;
    nfs::FileHandle handle;
  };
  // OPEN by name in the root; `create`: GUARDED.
  Opened open(std::string_view name, bool create = false, std::string_view owner = "owner") {
    Compound request = compound(1);
    request.root().op(Operation::open).u32(0).u32(nfs::share::kBoth).u32(0).u64(0).text(owner);
    if (create) {
      request.u32(1).u32(1).u32(0).u32(0);
    } else {
      request.u32(0);
    }
    request.u32(0).text(name).op(Operation::getfh);
    Results results = call(request);
    Opened opened{.status = results.status};
    if (results.status != Status::ok) return opened;
    results.next(Operation::putrootfh);
    results.next(Operation::open);
    opened.sequence = results.body.u32();
    results.body.fixed(opened.state.other);
    results.body.skip(20 + 4);
    const uint32_t words = results.body.u32();
    results.body.skip(4 * words);
    EXPECT_EQ(results.body.u32(), 0u);
    opened.handle = take_handle(results);
    return opened;
  }
  Results write(const Opened& file, uint64_t offset, std::string_view text, nfs::Stable how) {
    Compound request = compound(1);
    request.fh(file.handle).op(Operation::write).stateid(file.state).u64(offset);
    request.u32(static_cast<uint32_t>(how)).text(text);
    Results results = call(request);
    results.next(Operation::putfh);
    return results;
  }
  std::string read(const Opened& file, uint64_t offset, uint32_t bytes) {
    Compound request = compound(1, 0, false);
    request.fh(file.handle).op(Operation::read).stateid(file.state).u64(offset).u32(bytes);
    Results results = call(request);
    EXPECT_EQ(results.status, Status::ok);
    results.next(Operation::putfh);
    results.next(Operation::read);
    results.body.boolean();
    return std::string(results.body.text(1 << 20));
  }
  Status close(const Opened& file) {
    Compound request = compound(1);
    request.fh(file.handle).op(Operation::close).u32(0).stateid(file.state);
    return call(request).status;
  }
  struct Range {
    uint64_t offset = 0;
    uint64_t length = 0;
  };
  // With a new lock owner.
  Results lock(const Opened& file, nfs::LockType type, Range range, std::string_view owner,
               bool reclaim = false) {
    Compound request = compound(1);
    request.fh(file.handle).op(Operation::lock).u32(static_cast<uint32_t>(type)).boolean(reclaim);
    request.u64(range.offset).u64(range.length).boolean(true).u32(0).stateid(file.state).u32(0);
    request.u64(client_id).text(owner);
    Results results = call(request);
    results.next(Operation::putfh);
    return results;
  }

  int fd() const noexcept { return socket_.get(); }

  bool connected = false;
  uint32_t slots = 8;
  uint32_t xid = 100;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t client_id = 0;
  uint32_t create_sequence = 0;
  nfs::SessionId session;
  std::vector<uint32_t> sequences;
  uint32_t sequence_flags = 0;
  uint32_t fragments = 0;

 private:
  bool receive_all(void* to, size_t bytes) {
    auto* at = static_cast<char*>(to);
    while (bytes > 0) {
      const ssize_t got = ::recv(socket_.get(), at, bytes, 0);
      if (got <= 0) return false;
      at += got;
      bytes -= static_cast<size_t>(got);
    }
    return true;
  }

  const uint16_t port_;
  Fd socket_;
};

}  // namespace dpfs::responder
