// SPDX-License-Identifier: Apache-2.0
// Entries of the kernel's queues: registered, filled, answered and handed back.
#include "transport/devfuse/uring_queues.h"

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "base/assert.h"
#include "base/fd.h"

namespace dpfs::devfuse {
namespace {

constexpr size_t kPageBytes = 4096;
// Requests of one poll(), before the reactor looks at other things.
constexpr uint32_t kBatch = 32;
// Replies that are submitted together. More would keep those who asked from going on meanwhile.
constexpr uint32_t kSubmitBatch = 8;
// A request counts as one more for so many bytes of its message.
constexpr size_t kBatchBytes = 32 * 1024;

// Entries that a mount begins with, over all queues, and of each: what the kernel fills at once. A
// request that finds none waits until one of its queue is answered.
constexpr uint32_t kFirstEntries = 64;
constexpr uint32_t kFirstEntriesMin = 2;
constexpr uint32_t kFirstEntriesMax = 8;
// A queue with fewer that are available gets another: while all of a queue's requests wait below,
// the kernel hands out nothing more of it.
constexpr uint32_t kAvailableMin = 2;
// What a thread that has just become the reactor hands in for each queue.
constexpr uint32_t kOwnMin = 2;
// Where it ends: an entry can never be taken back from the kernel.
constexpr uint32_t kQueueEntriesMax = 64;
constexpr uint32_t kEntriesMax = 4096;

constexpr unsigned kSubmissions = 256;

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

int this_thread_id() noexcept {
  thread_local const int id = gettid();
  return id;
}

}  // namespace

std::unique_ptr<UringQueues> UringQueues::make(Reactor& reactor, QueuesHost& host,
                                               std::string_view name, int device,
                                               size_t io_bytes_max) noexcept {
  try {
    if (!offered_by_the_kernel()) return nullptr;
    std::unique_ptr<UringQueues> queues(
        new UringQueues(reactor, host, name, device, io_bytes_max, possible_processors()));
    return queues->open() ? std::move(queues) : nullptr;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

UringQueues::UringQueues(Reactor& reactor, QueuesHost& host, std::string_view name, int device,
                         size_t io_bytes_max, uint32_t queues)
    : reactor_(reactor),
      host_(host),
      name_(name),
      device_(device),
      payload_bytes_(io_bytes_max),
      first_entries_(std::clamp(kFirstEntries / queues, kFirstEntriesMin, kFirstEntriesMax)),
      entries_max_(std::min(kQueueEntriesMax * queues, std::max(kEntriesMax, 2 * queues))),
      online_(online_processors()),
      queues_(queues),
      entries_(std::make_unique_for_overwrite<Entry[]>(entries_max_)) {
  idle_.reserve(entries_max_);
  void* mapped = mmap(nullptr, entries_max_ * bytes_each(), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  staging_ = static_cast<char*>(mapped);
  madvise(staging_, entries_max_ * bytes_each(), MADV_NOHUGEPAGE);
}

UringQueues::~UringQueues() {
  DPFS_ASSERT(!linked());
  abandon();
  munmap(staging_, entries_max_ * bytes_each());
}

// The header, in a page of its own, and the payload.
size_t UringQueues::bytes_each() const noexcept { return kPageBytes + payload_bytes_; }

bool UringQueues::open() noexcept {
  auto ring = std::make_unique<io_uring>();
  io_uring_params parameters{};
  // Nobody needs to be interrupted for a request: whoever runs comes by the kernel soon enough.
  parameters.flags =
      IORING_SETUP_SQE128 | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_COOP_TASKRUN;
  parameters.cq_entries = entries_max_ + 1;  // each entry completes once at a time
  if (io_uring_queue_init_params(kSubmissions, ring.get(), &parameters) < 0) return false;
  ring_ = std::move(ring);
  return true;
}

bool UringQueues::start() noexcept {
  if (!reactor_.watch(ring_->ring_fd, *this)) return false;
  // Requests that are put into an entry of a thread that has ended fail with ECANCELED.
  reactor_.keep_threads();
  lead_ = reactor_.lead_changes();
  for (uint32_t queue = 0; queue < queues_.size(); ++queue) {
    for (uint32_t i = 0; i < first_entries_; ++i) add_entry(queue);
  }
  submit();
  if (refused_at_start()) {
    stop();
    return false;
  }
  started_ = true;
  reactor_.activate(*this);
  return true;
}

// What the kernel refuses, it refuses at once.
bool UringQueues::refused_at_start() noexcept {
  io_uring_cqe* completion = nullptr;
  if (io_uring_peek_cqe(ring_.get(), &completion) != 0 || completion->res >= 0) return false;
  log::warn("{}: the kernel refuses requests by io_uring ({}); it is asked by read(2)", name_,
            describe(to_errno(-completion->res)));
  return true;
}

void UringQueues::go_on() noexcept {
  if (started_ && !stopped_) reactor_.activate(*this);
}

void UringQueues::stop() noexcept {
  if (stopped_) return;
  stopped_ = true;
  if (ring_ != nullptr) reactor_.unwatch(ring_->ring_fd, *this);
  reactor_.deactivate(*this);
}

void UringQueues::abandon() noexcept {
  if (ring_ == nullptr) return;
  io_uring_queue_exit(ring_.get());
  ring_.reset();
}

// ---- Handing in ---------------------------------------------------------------------------------

void UringQueues::hand_in(Entry& entry, fuse::UringCmd command) noexcept {
  io_uring_sqe* submission = io_uring_get_sqe(ring_.get());
  if (submission == nullptr) {
    submit();
    submission = io_uring_get_sqe(ring_.get());
  }
  // The kernel takes all that it is given, so there is room behind a submit.
  DPFS_ASSERT(submission != nullptr);
  // liburing clears the first half of a large entry only.
  std::memset(submission, 0, 2 * sizeof *submission);
  submission->opcode = IORING_OP_URING_CMD;
  submission->fd = device_;
  submission->cmd_op = static_cast<uint32_t>(command);
  submission->user_data = reinterpret_cast<uintptr_t>(&entry);
  if (command == fuse::UringCmd::register_) {
    submission->addr = reinterpret_cast<uintptr_t>(entry.buffers);
    submission->len = static_cast<uint32_t>(std::size(entry.buffers));
  }
  const fuse::UringCmdReq request{.commit_id = entry.commit_id,
                                  .qid = static_cast<uint16_t>(entry.queue)};
  std::memcpy(submission->cmd, &request, sizeof request);
  entry.owner = this_thread_id();
  ++queues_[entry.queue].available;
}

void UringQueues::submit() noexcept {
  if (ring_ == nullptr) return;
  // EINTR, EAGAIN, EBUSY: the entries stay, and go with the next ones.
  while (io_uring_sq_ready(ring_.get()) > 0 && io_uring_submit(ring_.get()) == -EINTR) {
  }
}

// False when there is no room for another.
bool UringQueues::add_entry(uint32_t queue) noexcept {
  Entry* entry = nullptr;
  if (exhausted_ || queues_[queue].entries >= kQueueEntriesMax) return false;
  if (!idle_.empty()) {
    entry = idle_.back();
    idle_.pop_back();
  } else if (made_ < entries_max_) {
    char* const staging = staging_ + made_ * bytes_each();
    entry = &entries_[made_++];
    entry->headers = new (staging) fuse::UringReqHeader;
    entry->payload = staging + kPageBytes;
    entry->buffers[0] = {entry->headers, sizeof *entry->headers};
    entry->buffers[1] = {entry->payload, payload_bytes_};
    entry->out_parts[0] = {entry->headers->in_out, sizeof(fuse::OutHeader)};
    entry->out_parts[1] = {entry->payload, payload_bytes_};
  } else {
    return false;
  }
  entry->queue = queue;
  entry->commit_id = 0;
  ++queues_[queue].entries;
  hand_in(*entry, fuse::UringCmd::register_);
  return true;
}

// Sees to it that requests which are yet to come find an entry that this thread will be asked for.
void UringQueues::replenish() noexcept {
  const bool new_leader = lead_ != reactor_.lead_changes();
  lead_ = reactor_.lead_changes();
  if (new_leader) {
    for (Queue& queue : queues_) queue.own = 0;
    for (const Entry& entry : std::span(entries_.get(), made_)) {
      if (entry.owner == this_thread_id()) ++queues_[entry.queue].own;
    }
  }
  for (uint32_t i = 0; i < queues_.size(); ++i) {
    Queue& queue = queues_[i];
    while (queue.available < kAvailableMin && add_entry(i)) {
    }
    if (!new_leader || i >= online_) continue;
    while (queue.own < kOwnMin && add_entry(i)) ++queue.own;
  }
}

// ---- One request's way --------------------------------------------------------------------------

bool UringQueues::poll() noexcept {
  if (stopped_ || ring_ == nullptr) return false;
  if (lead_ != reactor_.lead_changes()) replenish();
  submit();
  size_t cost = 0;
  uint32_t taken = 0;
  while (cost < kBatch && host_.may_serve() && take_one(cost)) {
    if (++taken % kSubmitBatch == 0) submit();
  }
  submit();
  return cost > 0;
}

// False when there is nothing to take.
bool UringQueues::take_one(size_t& cost) noexcept {
  io_uring_cqe* completion = nullptr;
  if (stopped_ || ring_ == nullptr || io_uring_peek_cqe(ring_.get(), &completion) != 0) {
    return false;
  }
  auto& entry = *reinterpret_cast<Entry*>(static_cast<uintptr_t>(completion->user_data));
  const int result = completion->res;
  io_uring_cqe_seen(ring_.get(), completion);
  entry.owner = 0;
  Queue& queue = queues_[entry.queue];
  --queue.available;
  if (result < 0) {
    came_back_empty(entry, result);
    return true;
  }
  if (queue.available < kAvailableMin) replenish();
  cost += 1 + entry.headers->ring_ent_in_out.payload_sz / kBatchBytes;
  serve(entry);
  return true;
}

// It holds no request: the connection is over, or the kernel refuses it.
void UringQueues::came_back_empty(Entry& entry, int result) noexcept {
  --queues_[entry.queue].entries;
  idle_.push_back(&entry);
  if (connection_is_over()) return stop();
  if (result != -ENOTCONN) {
    exhausted_ = true;
    if (error_log_.admit() >= 0) {
      log::error("{}: the kernel refuses an entry of io_uring: {}", name_,
                 describe(to_errno(-result)));
    }
  }
  replenish();
}

bool UringQueues::connection_is_over() const noexcept {
  pollfd device{.fd = device_, .events = 0, .revents = 0};
  return ::poll(&device, 1, 0) != 0 && (device.revents & (POLLERR | POLLHUP)) != 0;
}

void UringQueues::serve(Entry& entry) noexcept {
  const fuse::UringEntInOut& sizes = entry.headers->ring_ent_in_out;
  fuse::InHeader header;
  std::memcpy(&header, entry.headers->in_out, sizeof header);
  entry.commit_id = sizes.commit_id;
  // The first argument's size is what is left of the message's.
  const size_t payload = std::min<size_t>(sizes.payload_sz, payload_bytes_);
  const size_t rest = header.len - std::min<size_t>(header.len, sizeof header + payload);
  entry.in_parts[0] = {entry.headers->in_out, sizeof header};
  entry.in_parts[1] = {entry.headers->op_in, std::min(rest, sizeof entry.headers->op_in)};
  entry.in_parts[2] = {entry.payload, payload};
  entry.in = IoView(entry.in_parts);
  entry.out = IoView(entry.out_parts);
  entry.sink = this;
  host_.serve(entry);
}

void UringQueues::done(dpfs::Request& request, uint32_t written) noexcept {
  auto& entry = static_cast<Entry&>(request);
  if (stopped_ || ring_ == nullptr) {
    --queues_[entry.queue].entries;
    idle_.push_back(&entry);
  } else {
    entry.headers->ring_ent_in_out.payload_sz =
        written > sizeof(fuse::OutHeader) ? written - static_cast<uint32_t>(sizeof(fuse::OutHeader))
                                          : 0;
    hand_in(entry, fuse::UringCmd::commit_and_fetch);
    reactor_.activate(*this);  // the next poll submits
  }
  host_.answered();
}

// A completion wakes the reactor (edge-triggered); what came before that must not be overlooked.
bool UringQueues::arm() noexcept {
  if (!host_.may_serve()) return false;  // go_on() will come
  return ring_ != nullptr &&
         (io_uring_cq_ready(ring_.get()) > 0 || io_uring_sq_ready(ring_.get()) > 0);
}

}  // namespace dpfs::devfuse
