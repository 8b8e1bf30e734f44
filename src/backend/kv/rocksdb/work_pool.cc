// SPDX-License-Identifier: Apache-2.0
// The threads, and their queue.
#include "backend/kv/rocksdb/work_pool.h"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include "base/log.h"

namespace dpfs::kv::rocks {
namespace {

// As many reads as a fast disk does side by side; the same number as other file I/O has
// (io/thread_engine.cc).
constexpr size_t kThreadsMax = 16;
constexpr std::chrono::seconds kIdleLife{5};

class Threads {
 public:
  void start(Completion& work) noexcept {
    std::unique_lock lock(mutex_);
    if (idle_ <= todo_.size() && threads_ < kThreadsMax) add_thread();
    if (threads_ == 0) {
      // None could be made: better slowly than never.
      lock.unlock();
      return work.run(work);
    }
    todo_.push(work);
    signal_.notify_one();
  }

 private:
  void add_thread() noexcept {
    try {
      std::thread([this] { live(); }).detach();
      ++threads_;
    } catch (const std::system_error& error) {
      if (threads_ == 0)
        log::warn("cannot start a thread ({}); reads hold up others", error.what());
    }
  }

  void live() noexcept {
    pthread_setname_np(pthread_self(), "dpfs-kv");
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      const bool has_work =
          signal_.wait_for(lock, kIdleLife, [this]() noexcept { return !todo_.empty(); });
      --idle_;
      if (!has_work) break;
      Completion& work = *todo_.pop();
      lock.unlock();
      work.run(work);
      lock.lock();
    }
    --threads_;
  }

  std::mutex mutex_;  // of what follows
  std::condition_variable signal_;
  CompletionQueue todo_;
  size_t threads_ = 0;
  size_t idle_ = 0;
};

}  // namespace

void WorkPool::start(Completion& work) noexcept {
  // Never destroyed: its threads are nobody's, and may outlive everything else of the process.
  static Threads& threads = *new Threads;
  threads.start(work);
}

}  // namespace dpfs::kv::rocks
