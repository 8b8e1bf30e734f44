// SPDX-License-Identifier: Apache-2.0
// File operations by a few threads: a queue there, a queue back, an eventfd to tell.
#include "io/thread_engine.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/assert.h"
#include "base/fd.h"

namespace dpfs {
namespace {

// As many operations as may wait for a disk at once. Threads are made when they are first needed:
// none before a process has confined itself.
constexpr size_t kThreadsMax = 16;

int32_t carry_out(const FileIo& io) noexcept {
  ssize_t result = -1;
  do {
    const auto count = static_cast<int>(io.buffers.size());
    const auto offset = static_cast<off_t>(io.offset);
    switch (io.kind) {
      case FileIo::Kind::readv:
        result = preadv(io.fd, io.buffers.data(), count, offset);
        break;
      case FileIo::Kind::writev:
        result = pwritev(io.fd, io.buffers.data(), count, offset);
        break;
      case FileIo::Kind::fsync:
        result = fsync(io.fd);
        break;
      case FileIo::Kind::fdatasync:
        result = fdatasync(io.fd);
        break;
    }
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : static_cast<int32_t>(result);
}

class ThreadEngine final : public IoEngine {
 public:
  ThreadEngine() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!event_) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  ~ThreadEngine() override {
    DPFS_ASSERT(in_flight_ == 0);
    {
      std::lock_guard lock(mutex_);
      over_ = true;
    }
    signal_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void submit(FileIo& io) noexcept override {
    ++in_flight_;
    std::unique_lock lock(mutex_);
    if (idle_ <= todo_.size() && threads_.size() < kThreadsMax) add_thread();
    if (threads_.empty()) {
      // None could be made: better slowly than never.
      lock.unlock();
      io.result = carry_out(io);
      lock.lock();
      finish(io);
      return;
    }
    todo_.push(io);
    signal_.notify_one();
  }
  bool flush() noexcept override { return false; }

  void reap(CompletionQueue& done) noexcept override {
    if (in_flight_ == 0) return;
    std::lock_guard lock(mutex_);
    while (Completion* finished = finished_.pop()) {
      done.push(*finished);
      --in_flight_;
    }
  }

  int readiness_fd() const noexcept override { return event_.get(); }
  const char* name() const noexcept override { return "threads"; }

 private:
  void add_thread() noexcept {
    try {
      threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      // Those that are there will do the work, later.
    }
  }

  void work() noexcept {
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      signal_.wait(lock, [this] { return over_ || !todo_.empty(); });
      --idle_;
      if (todo_.empty()) return;
      auto& io = static_cast<FileIo&>(*todo_.pop());
      lock.unlock();
      io.result = carry_out(io);
      lock.lock();
      finish(io);
    }
  }

  void finish(FileIo& io) noexcept {
    finished_.push(io);
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(event_.get(), &one, sizeof one);
  }

  Fd event_;
  std::mutex mutex_;  // of what follows
  std::condition_variable signal_;
  CompletionQueue todo_;
  CompletionQueue finished_;
  std::vector<std::thread> threads_;
  size_t idle_ = 0;
  bool over_ = false;
};

}  // namespace

std::unique_ptr<IoEngine> make_thread_engine() { return std::make_unique<ThreadEngine>(); }

}  // namespace dpfs
