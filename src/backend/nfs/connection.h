// SPDX-License-Identifier: Apache-2.0
// Connection: one TCP connection to a server, records out and records in (RFC 5531, section 11).
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "backend/nfs/compound.h"
#include "base/fd.h"
#include "base/list.h"
#include "io/address.h"
#include "io/reactor.h"

namespace dpfs::nfs {

class Connection;

// Who speaks over a connection. Nothing of this may close the connection: what has to be done about
// its end is done later.
class ConnectionOwner {
 public:
  virtual void connected(Connection& connection) noexcept = 0;
  // A long record has begun to come: `head` is its first kReadHeadBytes bytes. Where its data is to
  // lie, once for each record; an empty view for "anywhere".
  virtual IoView place(Bytes head, DataPlace& place) noexcept = 0;
  // False: nobody would say this. The connection is given up.
  virtual bool received(const Record& record) noexcept = 0;
  virtual void lost(Connection& connection, Errno why) noexcept = 0;

 protected:
  ~ConnectionOwner() = default;
};

// A record to be sent. It and its bytes stay until it was answered, or the connection is closed.
class Message : public ListLink<> {
 public:
  Bytes head;  // with the record's mark
  Bytes tail;  // behind the head; padding follows by itself

 private:
  friend class Connection;
  size_t size() const noexcept { return head.size() + tail.size() + xdr_padding(tail.size()); }
};

// Sends what has gathered in a turn of the reactor by one call. Receives as much as there is by one
// call, and what is long straight into the tenant's pages. Of one reactor.
class Connection final : Watch, Poller {
 public:
  // Data of at least so many bytes is received into its place; less is copied there, which costs
  // less than the system call that would be needed (docs/nfs.md).
  static constexpr size_t kPlacedBytesMin = 32 * 1024;

  Connection(Reactor& reactor, ConnectionOwner& owner);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // Begins; connected() or lost() tells what came of it. Closed before that.
  void connect(const Address& address) noexcept;
  // Sends on the reactor's next turn. Only when connected.
  void send(Message& message) noexcept;
  // Takes back one that was given to send(). Where a part of it has gone out already nothing can
  // follow that: the connection is given up.
  void withdraw(Message& message) noexcept;
  // Takes back what is queued, and hears nothing more.
  void close() noexcept;

  bool is_connected() const noexcept { return state_ == State::connected; }
  bool has_failed() const noexcept { return state_ == State::failed; }
  Errno failure() const noexcept { return failure_; }  // why, since it was last tried
  // As if the network had failed: the owner hears of it.
  void give_up(Errno why) noexcept { fail(why); }
  // How many answers with long data are awaited: then less is received at once, so that they find
  // their place.
  void expect_long(int more) noexcept { long_expected_ += more; }
  uint64_t received_ns() const noexcept { return received_ns_; }  // when something last came
  // No record may be longer.
  void set_record_max(size_t bytes) noexcept { record_bytes_max_ = bytes; }

 private:
  enum class State : uint8_t { closed, connecting, connected, failed };
  static constexpr size_t kBufferBytes = 256 * 1024;

  void ready() noexcept override;
  bool poll() noexcept override;
  // The descriptor tells by itself of what comes, not of what was left there.
  bool arm() noexcept override { return state_ == State::connected && !drained_; }
  void disarm() noexcept override {}

  void finish_connecting() noexcept;
  void flush() noexcept;
  bool receive() noexcept;
  bool received_one(const Record& record) noexcept;
  bool receive_more() noexcept;
  bool receive_placed() noexcept;
  bool take_records() noexcept;
  bool begin_placing(uint32_t size) noexcept;
  bool end_placing() noexcept;
  bool assemble(size_t size, bool last) noexcept;
  void fail(Errno why) noexcept;
  size_t available() const noexcept { return end_ - begin_; }

  Reactor& reactor_;
  ConnectionOwner& owner_;
  Fd socket_;
  State state_ = State::closed;
  Errno failure_ = Errno::none;

  struct Flush final : Completion {
    explicit Flush(Connection& of) noexcept : connection(of) {}
    Connection& connection;
    bool queued = false;
  };
  Flush flush_{*this};
  List<Message> unsent_;
  size_t sent_of_front_ = 0;  // bytes of the first of them
  bool writable_ = false;

  std::unique_ptr<uint8_t[]> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  uint64_t received_ns_ = 0;
  int long_expected_ = 0;
  uint32_t awaited_ = 0;    // answers
  uint64_t looked_ns_ = 0;  // when something was last sent, or asked for
  bool drained_ = true;     // the kernel has no more
  size_t record_bytes_max_ = kBufferBytes;

  // While the data of the record at begin_ is received into its place:
  bool placing_ = false;
  IoView to_place_;        // what is still to come of it
  size_t discard_ = 0;     // or, when its place has gone, how much of it to drop
  size_t head_bytes_ = 0;  // of the record, in the buffer behind its mark
  uint32_t data_bytes_ = 0;
  bool place_failed_ = false;

  std::vector<uint8_t>
      fragments_;             // of a record that comes in several, or is longer than the buffer
  size_t fragment_left_ = 0;  // of the fragment that is being received there
  bool fragment_last_ = false;
};

}  // namespace dpfs::nfs
