// SPDX-License-Identifier: Apache-2.0
// UringQueues: FUSE over io_uring (protocol 7.42). Requests come as completions, and one submission
// answers a request and fetches the next.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/log.h"
#include "fuse/request.h"
#include "fuse/wire.h"
#include "io/reactor.h"

struct io_uring;  // liburing's. NOLINT(readability-identifier-naming)

namespace dpfs::devfuse {

// Who serves what comes over the queues.
class QueuesHost {
 public:
  // Whether another request may be handed to serve() now. When that changes, the host calls
  // UringQueues::go_on().
  virtual bool may_serve() const noexcept = 0;
  virtual void serve(dpfs::Request& request) noexcept = 0;
  // A request has been answered.
  virtual void answered() noexcept = 0;

 protected:
  ~QueuesHost() = default;
};

// The kernel has a queue for each processor that may ever be there, and puts a request into that of
// the processor where it was made. An entry of a queue holds one request at a time: the kernel
// fills its buffers when it is "available", we answer and hand it back. FORGET and INTERRUPT still
// come by read(2). Linux, Documentation/filesystems/fuse/fuse-io-uring.rst.
//
// The kernel fills an entry in the thread that handed it in last. Where that one is inside a call
// that blocks, and another thread is the reactor (io/relay.h), requests that were put into such an
// entry wait for it. So the new leader hands in entries of its own: the kernel prefers those that
// came last.
//
// Of its reactor, except make() and the destructor.
class UringQueues final : private Poller, private Watch, private ReplySink {
 public:
  // nullptr where the kernel does not offer it. For payloads of up to `io_bytes_max`.
  static std::unique_ptr<UringQueues> make(Reactor& reactor, QueuesHost& host,
                                           std::string_view name, int device,
                                           size_t io_bytes_max) noexcept;
  UringQueues(const UringQueues&) = delete;
  UringQueues& operator=(const UringQueues&) = delete;
  ~UringQueues();

  // After INIT has been answered with init_flag::kOverIoUring: hands in the first entries. False
  // when the kernel refuses them: then it sends all by read(2).
  bool start() noexcept;
  void go_on() noexcept;
  // Takes nothing more. What was taken can still be answered.
  void stop() noexcept;
  // The kernel's end of all, also of requests in flight: for a file system that hangs.
  void abandon() noexcept;

  bool started() const noexcept { return started_; }

 private:
  // One entry of one queue. Its buffers are the kernel's while it is registered and not taken.
  struct Entry : dpfs::Request {
    fuse::UringReqHeader* headers = nullptr;
    char* payload = nullptr;
    iovec buffers[2] = {};   // what the kernel is told at registration
    iovec in_parts[3] = {};  // header, first argument, the rest
    iovec out_parts[2] = {};
    uint64_t commit_id = 0;
    uint32_t queue = 0;
    int owner = 0;  // the thread that handed it in; 0: it is not with the kernel
  };
  struct Queue {
    uint32_t entries = 0;
    uint32_t available = 0;  // of those: with the kernel
    uint32_t own = 0;        // of these: handed in by the leader; counted when the lead changes
  };

  UringQueues(Reactor& reactor, QueuesHost& host, std::string_view name, int device,
              size_t io_bytes_max, uint32_t queues);

  bool poll() noexcept override;
  bool arm() noexcept override;
  void disarm() noexcept override {}
  void ready() noexcept override { reactor_.activate(*this); }
  void done(dpfs::Request& request, uint32_t written) noexcept override;

  bool open() noexcept;
  bool take_one(size_t& cost) noexcept;
  void serve(Entry& entry) noexcept;
  void came_back_empty(Entry& entry, int result) noexcept;
  void replenish() noexcept;
  size_t bytes_each() const noexcept;
  bool add_entry(uint32_t queue) noexcept;
  void hand_in(Entry& entry, fuse::UringCmd command) noexcept;
  void submit() noexcept;
  bool refused_at_start() noexcept;
  bool connection_is_over() const noexcept;

  Reactor& reactor_;
  QueuesHost& host_;
  const std::string_view name_;
  const int device_;
  const size_t payload_bytes_;
  const uint32_t first_entries_;    // of each queue
  const uint32_t entries_max_;      // of all
  std::unique_ptr<io_uring> ring_;  // nullptr: closed
  bool started_ = false;
  bool stopped_ = false;
  bool exhausted_ = false;  // the kernel takes no more entries
  uint32_t online_ = 1;     // processors
  uint64_t lead_ = 0;       // Reactor::lead_changes() when the entries were last looked at
  std::vector<Queue> queues_;
  std::unique_ptr<Entry[]> entries_;
  std::vector<Entry*> idle_;  // made, and of no queue now
  uint32_t made_ = 0;
  char* staging_ = nullptr;
  log::RateLimit error_log_;
};

}  // namespace dpfs::devfuse
