// SPDX-License-Identifier: Apache-2.0
// UringQueues: FUSE over io_uring (protocol 7.42). Requests come as completions, and one system
// call answers a request and fetches the next.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string_view>
#include <vector>

#include "fuse/request.h"
#include "fuse/wire.h"
#include "io/interruptible_thread.h"
#include "io/reactor.h"
#include "transport/devfuse/fetch_host.h"

namespace dpfs::devfuse {

// The kernel has a queue for each processor that may ever be there, and puts a request into that of
// the processor where it was made. An entry of a queue holds one request at a time: the kernel
// fills its buffers when it is "available", we answer and hand it back. FORGET and INTERRUPT still
// come by read(2). Linux, Documentation/filesystems/fuse/fuse-io-uring.rst.
//
// The kernel fills an entry in the thread that handed it in. So each entry has a thread, a worker,
// on the queue's processor, where whoever asks has just gone to sleep; it visits the reactor with
// its request, answers it and fetches the next. A worker whose request is under way for long
// (deferred, or in a call that blocks) holds nothing else: others of its queue go on, of which
// there are always some.
//
// Of its reactor, except make(), and the destructor when nothing runs any more.
class UringQueues final : private ReplySink {
 public:
  // nullptr where the kernel does not offer it. For payloads of up to `io_bytes_max`. `device` is a
  // mounted /dev/fuse.
  static std::unique_ptr<UringQueues> make(Reactor& reactor, FetchHost& host, std::string_view name,
                                           int device, size_t io_bytes_max) noexcept;
  UringQueues(const UringQueues&) = delete;
  UringQueues& operator=(const UringQueues&) = delete;
  ~UringQueues();

  // After INIT was answered with init_flag::kOverIoUring. False when there are no threads for it:
  // then the kernel sends all by read(2).
  bool start() noexcept;
  // Takes nothing more. What was taken can still be answered.
  void stop() noexcept;
  // The kernel's end of requests that are under way: for a file system that hangs.
  void abandon() noexcept;
  // Threads that still use the host.
  uint32_t running() const noexcept { return running_; }

 private:
  class Worker;
  struct Queue {
    uint32_t workers = 0;
    uint32_t stuck = 0;  // of those: with a request that is under way for long
  };

  UringQueues(Reactor& reactor, FetchHost& host, std::string_view name, int device,
              size_t io_bytes_max, uint32_t queues);

  void done(dpfs::Request& request, uint32_t written) noexcept override;

  void run(Worker& worker) noexcept;
  bool work(Worker& worker) noexcept;
  void serve(Worker& worker) noexcept;
  void stuck(Worker& worker) noexcept;
  void not_stuck(Worker& worker) noexcept;
  void refused(Errno why) noexcept;
  bool keep_available(uint32_t queue, uint32_t available) noexcept;
  bool start_one(uint32_t queue) noexcept;
  bool connection_is_over() const noexcept;

  Reactor& reactor_;
  FetchHost& host_;
  const std::string_view name_;
  const int device_;
  const size_t payload_bytes_;
  std::vector<Queue> queues_;
  std::list<Worker> workers_;
  uint32_t running_ = 0;
  bool refused_ = false;  // the kernel takes no more entries
  bool stopped_ = false;
};

}  // namespace dpfs::devfuse
