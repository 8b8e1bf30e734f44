// SPDX-License-Identifier: Apache-2.0
// FUSE requests on a device's queues, laid out as Linux's fs/fuse/virtio_fs.c lays them out; any
// number in flight.
//
// A Call is one request with its reply, in tenant memory, made once and used again and again: the
// steady state allocates nothing. One thread.
#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "driver/device.h"
#include "driver/queue.h"
#include "fuse/wire.h"

namespace dpfs::driver {

// How many bytes a request and its reply have room for, headers apart. Each of the two argument
// areas becomes one descriptor, each page of data one more.
struct Shape {
  uint32_t in_args = 0;
  uint32_t in_data = 0;
  uint32_t out_args = 0;
  uint32_t out_data = 0;
  bool has_reply = true;
  friend bool operator==(const Shape&, const Shape&) = default;
};

class Call {
 public:
  // Starts a new request. What argument() and text() are given later must fill in_args exactly.
  void prepare(fuse::Opcode opcode, uint64_t node, const Shape& shape) noexcept;
  // Appends to the arguments.
  template <class T>
  void argument(const T& value) noexcept {
    append(&value, sizeof value);
  }
  void text(std::string_view name) noexcept;  // with the NUL that FUSE wants behind a name
  void bytes(std::span<const std::byte> value) noexcept { append(value.data(), value.size()); }

  // The request as it lies in tenant memory: a test may write anything before submit().
  fuse::InHeader& header() noexcept { return *in_header_; }
  std::byte* in_args() noexcept { return in_args_; }
  // Shared by in_data and out_data: what WRITE sends, where READ answers. Page-aligned.
  std::span<std::byte> data() noexcept { return {data_.data, data_.size}; }
  const Block& data_block() const noexcept { return data_; }
  const Shape& shape() const noexcept { return shape_; }

  // ---- After completion
  // ---------------------------------------------------------------------------
  bool in_flight() const noexcept { return in_flight_; }
  // The error of the reply; EPROTO where the reply is not one that Linux would accept.
  Errno error() const noexcept { return error_; }
  // Bytes behind the OutHeader.
  uint32_t reply_size() const noexcept { return reply_size_; }
  uint32_t used_length() const noexcept { return used_length_; }
  const fuse::OutHeader& reply_header() const noexcept { return *out_header_; }
  // The reply's arguments, zeros behind their end where an older device sends fewer.
  template <class T>
  T reply(size_t offset = 0) const noexcept {
    T value{};
    size_t end = reply_size_ < shape_.out_args ? reply_size_ : shape_.out_args;
    size_t have = end > offset ? end - offset : 0;
    std::memcpy(&value, out_args_ + offset, have < sizeof value ? have : sizeof value);
    return value;
  }
  // The reply's data, for READ, READDIR and the like: what the device has written of it.
  std::span<const std::byte> reply_data() const noexcept {
    uint32_t size = reply_size_ > shape_.out_args ? reply_size_ - shape_.out_args : 0;
    return {data_.data, size < data_.size ? size : data_.size};
  }

  // Called from Client::poll() and Client::wait(); may submit this Call or others again.
  using Done = void (*)(Call& call, void* context) noexcept;
  Done done = nullptr;
  void* context = nullptr;
  uint64_t mark = 0;  // for the owner, such as the time of submission or an offset

  uint32_t queue_index() const noexcept { return queue_; }

 private:
  friend class Client;

  // Small arguments lie beside the headers in one line-aligned block; big ones have room of their
  // own.
  static constexpr size_t kSmallIn = 88;
  static constexpr size_t kSmallOut = 176;
  static constexpr size_t kSmallTable = 8;
  struct Hot {
    fuse::InHeader in_header;
    std::byte in_args[kSmallIn];
    fuse::OutHeader out_header;
    std::byte out_args[kSmallOut];
    virtio::Desc table[kSmallTable];
  };
  static_assert(sizeof(Hot) == 448);

  void append(const void* from, size_t size) noexcept;
  void lay_out() noexcept;
  template <class Add>
  void each_segment(Add&& add) const noexcept;
  void complete(uint32_t used_length) noexcept;

  fuse::InHeader* in_header_ = nullptr;
  fuse::OutHeader* out_header_ = nullptr;
  std::byte* in_args_ = nullptr;
  std::byte* out_args_ = nullptr;
  uint64_t table_addr_ = 0;
  uint32_t table_entries_ = 0;
  uint32_t in_args_filled_ = 0;
  Shape shape_{};
  Shape laid_out_{.has_reply = false};  // what the table was built for
  uint32_t used_length_ = 0;
  uint32_t reply_size_ = 0;
  Errno error_ = Errno::none;
  bool in_flight_ = false;
  uint32_t queue_ = 0;
  Call* next_free_ = nullptr;
  Block hot_;
  Block big_in_;
  Block big_out_;
  Block big_table_;
  Block data_;
};

// What INIT has agreed on.
struct Agreement {
  uint32_t minor = 0;
  uint64_t flags = 0;
  uint32_t max_write = 4096;
  uint32_t max_readahead = 0;
  uint16_t max_pages = 32;
};

class Client {
 public:
  struct Options {
    uint32_t calls_per_queue = 32;
    uint32_t data_size = 128 << 10;  // bytes of payload that one Call has room for
    uint32_t timeout_ms = 30'000;    // of run() and wait(); a device that takes longer is broken
    bool sleep = false;              // wait on the call eventfd instead of polling
  };
  struct Counters {
    uint64_t completed = 0;
    uint64_t bad_replies = 0;  // that Linux would not accept
  };

  // Takes memory from the device's for all Calls. Throws std::bad_alloc where it is too small:
  // memory_for() tells.
  Client(Device& device, const Options& options);
  static size_t memory_for(const Options& options, uint32_t queues);

  Device& device() noexcept { return device_; }
  const Options& options() const noexcept { return options_; }
  void set_sleep(bool sleep) noexcept { options_.sleep = sleep; }

  // A free Call of that queue, or null: all are in use.
  Call* take(uint32_t queue = virtio::kFirstRequestQueue) noexcept;
  void give(Call& call) noexcept;

  // Puts the request on its queue and kicks where the device wants that. False where the ring is
  // full.
  bool submit(Call& call) noexcept;
  // Takes what has come back, without waiting; runs the calls' done(). Returns how many.
  uint32_t poll() noexcept;
  // Waits until poll() finds something. Errors: ETIMEDOUT, ENOTCONN where the daemon has gone.
  Result<uint32_t> wait() noexcept;
  // One request, start to end. Errors: the reply's own, and wait()'s; those leave the call in
  // flight, not to be given back.
  Result<Unit> run(Call& call) noexcept;

  // INIT as Linux 6.12 sends it, or as `in` says.
  Result<fuse::InitOut> init();
  Result<fuse::InitOut> init(const fuse::InitIn& in);
  static fuse::InitIn linux_init() noexcept;
  const Agreement& agreement() const noexcept { return agreement_; }

  // On the hiprio queue as Linux does it: one descriptor, no reply. Waits for a free Call only;
  // EAGAIN where the ring is full of chains that a test has put there.
  Result<Unit> forget(uint64_t node, uint64_t lookups) noexcept;

  const Counters& counters() const noexcept { return counters_; }
  Queue::Counters queue_counters() noexcept;
  void clear_counters() noexcept;

  // Who sends the requests.
  uint32_t uid;
  uint32_t gid;
  uint32_t pid;

 private:
  struct Lane {
    Queue* queue = nullptr;
    std::vector<Call> calls;
    std::vector<Call*> by_head;
    Call* free = nullptr;
  };

  void make_call(Call& call, uint32_t queue);
  void sign(Call& call) noexcept;
  uint32_t reap(Lane& lane) noexcept;
  Result<uint32_t> spin() noexcept;
  Result<uint32_t> sleep() noexcept;

  Device& device_;
  Options options_;
  std::vector<Lane> lanes_;
  std::vector<pollfd> poll_fds_;  // one for each lane, then the connection
  uint64_t unique_ = 0;
  Agreement agreement_;
  Counters counters_;
};

}  // namespace dpfs::driver
