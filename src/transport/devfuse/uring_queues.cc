// SPDX-License-Identifier: Apache-2.0
// The workers of the kernel's queues.
#include "transport/devfuse/uring_queues.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <system_error>
#include <thread>

#include "base/assert.h"
#include "base/fd.h"
#include "base/log.h"
#include "io/affinity.h"
#include "transport/devfuse/uring_entry.h"

namespace dpfs::devfuse {
namespace {

// So many workers of each processor's queue are not stuck: one works, and one is there when that
// one gets stuck. The kernel prefers the one that was available last.
constexpr uint32_t kAvailable = 2;
// The queue of a processor that is not there needs one: the kernel begins when all queues have one.
constexpr uint32_t kAvailableOffline = 1;
// Where it ends: an entry can never be taken back while the mount lives.
constexpr uint32_t kQueueWorkersMax = 64;
constexpr uint32_t kWorkersMax = 4096;

std::string first_line(const char* path) {
  const Fd file(open(path, O_RDONLY | O_CLOEXEC));
  char text[256];
  const ssize_t n = file ? read(file.get(), text, sizeof text - 1) : -1;
  return n > 0 ? std::string(text, static_cast<size_t>(n)) : std::string();
}

bool offered_by_the_kernel() {
  return first_line("/sys/module/fuse/parameters/enable_uring").starts_with('Y');
}

// One more than the number of the last processor that may ever be there: "0-3", "0,2-7".
uint32_t possible_processors() {
  const std::string list = first_line("/sys/devices/system/cpu/possible");
  const size_t last = list.find_last_of("-,");
  const char* number = list.c_str() + (last == std::string::npos ? 0 : last + 1);
  return static_cast<uint32_t>(std::strtoul(number, nullptr, 10)) + 1;
}

uint32_t online_processors() noexcept {
  return static_cast<uint32_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace

class UringQueues::Worker final : public UringEntry, public Visitor {
 public:
  Worker(UringQueues& owner, uint32_t queue)
      : UringEntry(queue, owner.payload_bytes_), queues(owner) {
    sink = &owner;
  }
  void blocked() noexcept override { queues.stuck(*this); }

  UringQueues& queues;
  InterruptibleThread thread;
  std::atomic<bool> answered{false};
  bool serving = false;  // it has a request, and nobody touches the ring
  bool is_stuck = false;
  bool abandoned = false;
  bool ended = false;
};

std::unique_ptr<UringQueues> UringQueues::make(Reactor& reactor, FetchHost& host,
                                               std::string_view name, int device,
                                               size_t io_bytes_max) noexcept {
  try {
    if (!offered_by_the_kernel() || !UringEntry::possible()) return nullptr;
    return std::unique_ptr<UringQueues>(
        new UringQueues(reactor, host, name, device, io_bytes_max, possible_processors()));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

UringQueues::UringQueues(Reactor& reactor, FetchHost& host, std::string_view name, int device,
                         size_t io_bytes_max, uint32_t queues)
    : reactor_(reactor),
      host_(host),
      name_(name),
      device_(device),
      payload_bytes_(io_bytes_max),
      queues_(queues) {}

UringQueues::~UringQueues() { DPFS_ASSERT(running_ == 0); }

// ---- Threads ------------------------------------------------------------------------------------

bool UringQueues::start() noexcept {
  const uint32_t online = online_processors();
  for (uint32_t queue = 0; queue < queues_.size(); ++queue) {
    if (!keep_available(queue, queue < online ? kAvailable : kAvailableOffline)) {
      stop();
      return false;
    }
  }
  return true;
}

void UringQueues::stop() noexcept {
  stopped_ = true;
  for (Worker& worker : workers_) {
    if (!worker.ended) worker.thread.interrupt();
  }
}

void UringQueues::abandon() noexcept {
  stop();
  for (Worker& worker : workers_) {
    if (!worker.serving || worker.abandoned) continue;
    worker.abandoned = true;
    worker.close();
  }
}

bool UringQueues::keep_available(uint32_t queue, uint32_t available) noexcept {
  const Queue& counts = queues_[queue];
  while (counts.workers - counts.stuck < available) {
    if (stopped_ || refused_ || !start_one(queue)) return false;
  }
  return true;
}

bool UringQueues::start_one(uint32_t queue) noexcept {
  if (queues_[queue].workers >= kQueueWorkersMax || running_ >= kWorkersMax) return false;
  try {
    Worker& worker = workers_.emplace_back(*this, queue);
    worker.thread.start([this, &worker] { run(worker); });
  } catch (const std::bad_alloc&) {
    return false;
  } catch (const std::system_error& error) {
    log::warn("{}: cannot start another thread ({}); slow calls may delay other requests", name_,
              error.what());
    workers_.pop_back();
    return false;
  }
  ++queues_[queue].workers;
  ++running_;
  return true;
}

void UringQueues::stuck(Worker& worker) noexcept {
  if (worker.is_stuck) return;
  worker.is_stuck = true;
  ++queues_[worker.queue()].stuck;
  keep_available(worker.queue(), kAvailable);
}

void UringQueues::not_stuck(Worker& worker) noexcept {
  if (!worker.is_stuck) return;
  worker.is_stuck = false;
  --queues_[worker.queue()].stuck;
}

void UringQueues::run(Worker& worker) noexcept {
  // Where whoever asks is. Where that is forbidden (a set of processors of ours), anywhere.
  static_cast<void>(pin_this_thread(static_cast<int>(worker.queue())));
  const Errno why = worker.open(device_);
  if (why == Errno::none) {
    while (work(worker)) {
    }
  }
  if (!worker.abandoned) worker.close();
  const Reactor::Visit visit(reactor_, worker);
  if (why != Errno::none) refused(why);
  worker.ended = true;
  --queues_[worker.queue()].workers;
  --running_;
  host_.thread_ended();
}

// ---- One request's way --------------------------------------------------------------------------

// False: this thread is not needed any more.
bool UringQueues::work(Worker& worker) noexcept {
  if (worker.thread.interrupted()) return false;
  const Errno why = worker.fetch();
  if (why == Errno::intr || why == Errno::again) return true;
  for (uint32_t asked = 0;; ++asked) {
    if (asked > 0) std::this_thread::sleep_for(FetchHost::kAskAgainAfter);
    const Reactor::Visit visit(reactor_, worker);
    if (why != Errno::none) {
      if (why != Errno::notconn && !connection_is_over()) refused(why);
      return false;
    }
    if (stopped_) return false;  // the kernel gives it back to who waits when the device is closed
    if (!host_.may_serve(worker, asked)) continue;
    serve(worker);
    break;
  }
  worker.answered.wait(false, std::memory_order_acquire);
  return !worker.abandoned;
}

void UringQueues::serve(Worker& worker) noexcept {
  worker.answered.store(false, std::memory_order_relaxed);
  worker.serving = true;
  host_.serve(worker);
  if (!worker.answered.load(std::memory_order_relaxed)) stuck(worker);
}

void UringQueues::done(dpfs::Request& request, uint32_t written) noexcept {
  auto& worker = static_cast<Worker&>(request);
  worker.set_reply(written);
  worker.serving = false;
  const bool may_wait = worker.is_stuck;
  not_stuck(worker);
  worker.answered.store(true, std::memory_order_release);
  if (may_wait) worker.answered.notify_one();
  host_.answered();
}

void UringQueues::refused(Errno why) noexcept {
  if (refused_ || stopped_) return;
  refused_ = true;
  log::warn("{}: the kernel refuses an entry of io_uring: {}", name_, describe(why));
  host_.queues_refused();
}

bool UringQueues::connection_is_over() const noexcept {
  pollfd device{.fd = device_, .events = 0, .revents = 0};
  return ::poll(&device, 1, 0) != 0 && (device.revents & (POLLERR | POLLHUP)) != 0;
}

}  // namespace dpfs::devfuse
