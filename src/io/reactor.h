// SPDX-License-Identifier: Apache-2.0
// Reactor: polls, submits, reaps, runs, sleeps. Everything it owns is touched by one thread at a
// time.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/frame_pool.h"
#include "base/list.h"
#include "base/result.h"
#include "io/completion.h"
#include "io/file_io.h"
#include "io/relay.h"

namespace dpfs {

// A file descriptor that a reactor watches. ready() is called when it has become readable or has
// hung up, and for watch_both() when it has become writable (edge-triggered: read until EAGAIN). It
// must not block, and may unwatch itself or others.
class Watch {
 public:
  Watch() = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  virtual void ready() noexcept = 0;

 protected:
  ~Watch() = default;
};

// A source of work that lies in memory: a virtqueue. It is polled while it is busy, and armed
// (asked to tell its reactor by activate()) when it has had nothing for a while.
class Poller : public ListLink<> {
 public:
  Poller() = default;
  // Serves what is there, up to a bound of its own. True when there was something.
  virtual bool poll() noexcept = 0;
  // Asks to be notified from now on. True when there is work already, which the notification may
  // have missed.
  virtual bool arm() noexcept = 0;
  // Notifications are not needed from now on.
  virtual void disarm() noexcept = 0;

  // The reactor's notes about it.
  struct Polling {
    uint64_t last_work_ns = 0;
    uint64_t window_ns =
        0;  // how long to poll in vain before arming; see Reactor::Options::poll_ns_max
  };
  Polling polling;

 protected:
  ~Poller() = default;
};

// One loop, run by one thread at a time. When a call of blocking() takes long, another thread goes
// on as this reactor meanwhile, and while the loop waits for events, visitors may be the reactor
// (io/relay.h). So code above sees a single thread that never waits for a slow file system.
class Reactor final : private RelayedLoop {
 public:
  struct Options {
    // How long a queue that had work is polled before it is left to notifications. The reactor
    // learns from each queue whether polling pays: the time in force goes to 0 where it does not.
    uint64_t poll_ns_max = 50'000;
    int cpu = -1;                // to pin to, or -1
    bool io_uring = true;        // false: threads instead, as where io_uring is forbidden
    uint32_t threads_max = 128;  // that may be inside blocking() at once
  };

  // Throws std::system_error when the kernel refuses what a reactor needs.
  explicit Reactor(const Options& options);
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;
  ~Reactor();

  // ---- From any thread
  // ----------------------------------------------------------------------------

  // Runs until stop(); then returns when no file operation is in flight and no thread is in
  // blocking().
  void run();
  void stop() noexcept;
  // Runs `task` on the reactor, soon. For control, not for requests: it takes memory.
  void post(std::function<void()> task);

  // While one lives, its thread is the reactor: for threads that fetch requests by calls that wait.
  // Waits until the reactor has come to a point where others may run. Only while run() does, and
  // not by a thread that is a reactor already.
  class Visit {
   public:
    Visit(Reactor& reactor, Visitor& visitor) noexcept;
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
    ~Visit();

   private:
    Reactor& reactor_;
    FramePool* bound_before_;
  };

  // ---- On the reactor only
  // ------------------------------------------------------------------------

  // Calls `call`, which may block in the kernel, and returns what it returns. Other work of this
  // reactor may run meanwhile, as across a co_await: whatever `call` or the caller uses afterwards
  // must be pinned, and what may have changed must be looked up again. `call` itself touches
  // nothing of the reactor's: it has copies, descriptors and buffers. Costs some 20 ns when the
  // call is quick.
  template <class F>
  auto blocking(F&& call) noexcept {
    const Relay::Section section = relay_.enter();
    auto result = call();
    relay_.leave(section);
    return result;
  }

  // Starts `io`; io.run is called with its result on a later turn. See FileIoOp below for
  // coroutines.
  void submit(FileIo& io) noexcept { engine_->submit(io); }
  // Runs `completion` on the next turn.
  void next_turn(Completion& completion) noexcept { ready_.push(completion); }

  Result<Unit> watch(int fd, Watch& watch) noexcept;
  Result<Unit> watch_both(int fd, Watch& watch) noexcept;
  void unwatch(int fd, Watch& watch) noexcept;

  // `poller` has, or may have, work. Does nothing when it is active already.
  void activate(Poller& poller) noexcept;
  // `poller` has asked for something that will be there soon, perhaps. It is polled from now on for
  // as long as that has paid so far; activate() judges that, when it comes later.
  void expect(Poller& poller) noexcept;
  void deactivate(Poller& poller) noexcept;

  const char* engine_name() const noexcept { return engine_->name(); }
  const FramePool& frames() const noexcept { return frames_; }

 private:
  Result<Unit> watch_for(uint32_t events, int fd, Watch& watch) noexcept;
  void lead() noexcept override;
  void leave_to_loop() noexcept override;
  void wake() noexcept;
  void turn() noexcept;
  bool run_ready() noexcept;
  void yield(uint64_t now_ns) noexcept;
  bool poll_active(uint64_t now_ns) noexcept;
  void wait(int timeout_ms) noexcept;
  bool run_posted() noexcept;
  void add_active(Poller& poller) noexcept;
  bool drained() const noexcept;

  Options options_;
  FramePool frames_;
  std::unique_ptr<IoEngine> engine_;
  Fd epoll_;
  Fd wake_event_;
  CompletionQueue ready_;
  List<Poller> active_;
  size_t active_count_ = 0;
  std::vector<Watch*> gone_;       // unwatched while events of this wait() are being handed out
  uint64_t worked_ns_ = 0;         // when a turn last found something to do
  uint64_t yielded_ns_ = 0;        // when a yield last was one to somebody
  uint64_t crowded_until_ns_ = 0;  // queues are not polled in vain until then
  uint64_t looked_ns_ = 0;         // when wait() last looked
  bool rests_ = false;             // the loop waits for events, and was not woken
  std::atomic<bool> stopping_{false};
  std::atomic<bool> has_posted_{false};
  std::mutex posted_mutex_;
  std::deque<std::function<void()>> posted_;
  Relay relay_;
};

// co_await FileIoOp(reactor, kind, fd, buffers, offset): lives in the awaiting frame, gives the
// result.
class FileIoOp : public FileIo {
 public:
  FileIoOp(Reactor& reactor, Kind what, int file, std::span<const iovec> parts = {},
           uint64_t at = 0) noexcept
      : reactor_(reactor) {
    kind = what;
    fd = file;
    buffers = parts;
    offset = at;
    run = [](Completion& self) noexcept { static_cast<FileIoOp&>(self).waiter_.resume(); };
  }
  FileIoOp(const FileIoOp&) = delete;
  FileIoOp& operator=(const FileIoOp&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept {
    waiter_ = waiter;
    reactor_.submit(*this);
  }
  int32_t await_resume() const noexcept { return result; }

 private:
  Reactor& reactor_;
  std::coroutine_handle<> waiter_;
};

// co_await NextTurn(reactor)
class NextTurn : public Completion {
 public:
  explicit NextTurn(Reactor& reactor) noexcept : reactor_(reactor) {
    run = [](Completion& self) noexcept { static_cast<NextTurn&>(self).waiter_.resume(); };
  }
  NextTurn(const NextTurn&) = delete;
  NextTurn& operator=(const NextTurn&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept {
    waiter_ = waiter;
    reactor_.next_turn(*this);
  }
  void await_resume() const noexcept {}

 private:
  Reactor& reactor_;
  std::coroutine_handle<> waiter_;
};

}  // namespace dpfs
