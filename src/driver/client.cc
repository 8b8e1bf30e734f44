// SPDX-License-Identifier: Apache-2.0
// FUSE requests on a device's queues.
#include "driver/client.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "base/cpu_relax.h"

namespace dpfs::driver {
namespace {

namespace desc_flag = virtio::desc_flag;
namespace init_flag = fuse::init_flag;

constexpr uint32_t kPageSize = 4096;
constexpr size_t kBigArgs = 8192;        // two names, a symlink's target or a small attribute value
constexpr uint32_t kUniqueStep = 2;      // as in Linux: the lowest bit marks an INTERRUPT
constexpr int32_t kErrnoMax = 4095;      // of the kernel's
constexpr uint32_t kFixedSegments = 4;   // two headers, two argument areas
constexpr uint32_t kDataPagesMax = 512;  // twice what Linux sends
constexpr size_t kSegmentsMax = kFixedSegments + 2 * kDataPagesMax;

uint32_t pages(uint32_t size) { return (size + kPageSize - 1) / kPageSize; }

size_t table_size(uint32_t data_size) {
  // A request has data in one direction, both only where a test makes it so.
  return (kFixedSegments + 2 * pages(data_size)) * sizeof(virtio::Desc);
}

uint64_t now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

}  // namespace

// ---- Call
// -----------------------------------------------------------------------------------------

void Call::prepare(fuse::Opcode opcode, uint64_t node, const Shape& shape) noexcept {
  DPFS_ASSERT(!in_flight_);
  DPFS_ASSERT(shape.in_args <= big_in_.size && shape.out_args <= big_out_.size);
  DPFS_ASSERT(shape.in_data <= data_.size && shape.out_data <= data_.size);
  shape_ = shape;
  in_args_filled_ = 0;
  Hot* hot = reinterpret_cast<Hot*>(hot_.data);
  in_args_ = shape.in_args <= kSmallIn ? hot->in_args : big_in_.data;
  out_args_ = shape.out_args <= kSmallOut ? hot->out_args : big_out_.data;
  in_header_->len = static_cast<uint32_t>(sizeof(fuse::InHeader)) + shape.in_args + shape.in_data;
  in_header_->opcode = static_cast<uint32_t>(opcode);
  in_header_->nodeid = node;
  in_header_->total_extlen = 0;
  in_header_->padding = 0;
  out_header_->len = 0;  // so that an old reply never passes for a new one
}

void Call::text(std::string_view name) noexcept {
  append(name.data(), name.size());
  append("", 1);
}

void Call::append(const void* from, size_t size) noexcept {
  if (size == 0) return;  // `from` may be null
  DPFS_ASSERT(in_args_filled_ + size <= shape_.in_args);
  std::memcpy(in_args_ + in_args_filled_, from, size);
  in_args_filled_ += static_cast<uint32_t>(size);
}

// As virtio_fs_enqueue_req() has it: header, all arguments in one piece, data page by page; then
// the same for the reply. Calls add(guest_addr, size, desc flags) for each.
template <class Add>
void Call::each_segment(Add&& add) const noexcept {
  auto side = [&](uint64_t header, uint32_t header_size, uint64_t args, uint32_t args_size,
                  uint32_t data_size, uint16_t flags) {
    add(header, header_size, flags);
    if (args_size != 0) add(args, args_size, flags);
    for (uint32_t at = 0; at < data_size; at += kPageSize) {
      add(data_.guest_addr + at, std::min(kPageSize, data_size - at), flags);
    }
  };
  const uint64_t hot = hot_.guest_addr;
  side(hot, sizeof(fuse::InHeader),
       shape_.in_args <= kSmallIn ? hot + offsetof(Hot, in_args) : big_in_.guest_addr,
       shape_.in_args, shape_.in_data, 0);
  if (!shape_.has_reply) return;
  side(hot + offsetof(Hot, out_header), sizeof(fuse::OutHeader),
       shape_.out_args <= kSmallOut ? hot + offsetof(Hot, out_args) : big_out_.guest_addr,
       shape_.out_args, shape_.out_data, desc_flag::kWrite);
}

// Builds the indirect table. The device only reads it, so it stays good for the next request of the
// same shape.
void Call::lay_out() noexcept {
  if (shape_ == laid_out_) return;
  laid_out_ = shape_;
  const bool small = kFixedSegments + pages(shape_.in_data) + pages(shape_.out_data) <= kSmallTable;
  virtio::Desc* table =
      reinterpret_cast<virtio::Desc*>(small ? hot_.data + offsetof(Hot, table) : big_table_.data);
  table_addr_ = small ? hot_.guest_addr + offsetof(Hot, table) : big_table_.guest_addr;
  uint32_t count = 0;
  each_segment([&](uint64_t addr, uint32_t size, uint16_t flags) {
    table[count] = {addr, size, static_cast<uint16_t>(flags | desc_flag::kNext),
                    static_cast<uint16_t>(count + 1)};
    ++count;
  });
  table[count - 1].flags &= static_cast<uint16_t>(~desc_flag::kNext);
  table[count - 1].next = 0;
  table_entries_ = count;
}

void Call::complete(uint32_t used_length) noexcept {
  in_flight_ = false;
  used_length_ = used_length;
  reply_size_ = 0;
  if (!shape_.has_reply) {
    error_ = Errno::none;
    return;
  }
  // The checks of newer kernels: what they refuse, a device must not send.
  const fuse::OutHeader out = *out_header_;
  const uint32_t room = static_cast<uint32_t>(sizeof out) + shape_.out_args + shape_.out_data;
  bool acceptable = used_length >= sizeof out && out.len == used_length && out.len <= room &&
                    out.unique == in_header_->unique && out.error <= 0 && out.error >= -kErrnoMax &&
                    (out.error == 0 || out.len == sizeof out);
  error_ = acceptable ? to_errno(-out.error) : Errno::proto;
  if (error_ == Errno::none) reply_size_ = out.len - static_cast<uint32_t>(sizeof out);
}

// ---- Client
// ---------------------------------------------------------------------------------------

Client::Client(Device& device, const Options& options)
    : uid(getuid()),
      gid(getgid()),
      pid(static_cast<uint32_t>(getpid())),
      device_(device),
      options_(options),
      lanes_(device.queue_count()),
      poll_fds_(device.queue_count() + 1) {
  DPFS_ASSERT(pages(options.data_size) <= kDataPagesMax);
  for (uint32_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    lane.queue = &device.queue(i);
    lane.by_head.resize(lane.queue->size());
    lane.calls.resize(options.calls_per_queue);
    for (size_t c = lane.calls.size(); c-- > 0;) {
      make_call(lane.calls[c], i);
      lane.calls[c].next_free_ = lane.free;
      lane.free = &lane.calls[c];
    }
    lane.queue->disarm_interrupt();
    poll_fds_[i] = {.fd = lane.queue->call_fd(), .events = POLLIN, .revents = 0};
  }
  poll_fds_.back() = {.fd = device.connection().fd(), .events = POLLRDHUP, .revents = 0};
}

size_t Client::memory_for(const Options& options, uint32_t queues) {
  size_t call = sizeof(Call::Hot) + 64 + 2 * kBigArgs + table_size(options.data_size) + 64 +
                static_cast<size_t>(pages(options.data_size) + 1) * kPageSize;
  return queues * options.calls_per_queue * call;
}

void Client::make_call(Call& call, uint32_t queue) {
  Memory& memory = device_.memory();
  call.queue_ = queue;
  call.hot_ = memory.allocate(sizeof(Call::Hot), 64);
  call.big_in_ = memory.allocate(kBigArgs, 64);
  call.big_out_ = memory.allocate(kBigArgs, 64);
  call.big_table_ = memory.allocate(table_size(options_.data_size), 64);
  call.data_ = memory.allocate(options_.data_size, kPageSize);
  Call::Hot* hot = reinterpret_cast<Call::Hot*>(call.hot_.data);
  call.in_header_ = &hot->in_header;
  call.out_header_ = &hot->out_header;
}

Call* Client::take(uint32_t queue) noexcept {
  Lane& lane = lanes_[queue];
  Call* call = lane.free;
  if (call == nullptr) return nullptr;
  lane.free = call->next_free_;
  call->done = nullptr;
  call->context = nullptr;
  call->in_header_->unique = 0;
  return call;
}

void Client::give(Call& call) noexcept {
  DPFS_ASSERT(!call.in_flight_);
  Lane& lane = lanes_[call.queue_];
  call.next_free_ = lane.free;
  lane.free = &call;
}

void Client::sign(Call& call) noexcept {
  call.in_header_->unique = unique_ += kUniqueStep;
  call.in_header_->uid = uid;
  call.in_header_->gid = gid;
  call.in_header_->pid = pid;
}

bool Client::submit(Call& call) noexcept {
  DPFS_ASSERT(!call.in_flight_);
  Lane& lane = lanes_[call.queue_];
  sign(call);
  std::optional<uint16_t> head;
  if (device_.has(virtio::feature::kIndirectDesc)) {
    call.lay_out();
    head = lane.queue->add_indirect(call.table_addr_, call.table_entries_);
  } else {
    std::array<Segment, kSegmentsMax> segments;
    uint32_t readable = 0;
    uint32_t count = 0;
    call.each_segment([&](uint64_t addr, uint32_t size, uint16_t flags) {
      if (flags == 0) ++readable;
      segments[count++] = {addr, size};
    });
    head = lane.queue->add(std::span(segments).first(readable),
                           std::span(segments).subspan(readable, count - readable));
  }
  if (!head) return false;
  lane.by_head[*head] = &call;
  call.in_flight_ = true;
  // At once, as Linux does it: the device begins with this one while we prepare the next.
  lane.queue->publish_and_kick();
  return true;
}

uint32_t Client::reap(Lane& lane) noexcept {
  return lane.queue->reap([&](uint16_t head, uint32_t length) {
    Call* call = std::exchange(lane.by_head[head], nullptr);
    if (call == nullptr) return;  // a chain that a test has put on the ring by itself
    call->complete(length);
    if (call->error_ == Errno::proto) ++counters_.bad_replies;
    if (call->done != nullptr) call->done(*call, call->context);
  });
}

uint32_t Client::poll() noexcept {
  uint32_t count = 0;
  for (Lane& lane : lanes_) {
    if (lane.queue->has_used()) count += reap(lane);
  }
  counters_.completed += count;
  return count;
}

Result<uint32_t> Client::wait() noexcept {
  if (uint32_t count = poll(); count != 0) return count;
  return options_.sleep ? sleep() : spin();
}

Result<uint32_t> Client::spin() noexcept {
  constexpr uint32_t kSpinsPerCheck = 4096;  // some 100 us, and nothing a poller would notice
  const uint64_t begun_ms = now_ms();
  for (;;) {
    for (uint32_t i = 0; i < kSpinsPerCheck; ++i) {
      if (uint32_t count = poll(); count != 0) return count;
      cpu_relax();
    }
    sched_yield();  // the daemon may have only this core
    if (device_.connection().peer_has_closed()) return Errno::notconn;
    if (now_ms() - begun_ms > options_.timeout_ms) return Errno::timedout;
  }
}

Result<uint32_t> Client::sleep() noexcept {
  const uint64_t begun_ms = now_ms();
  for (;;) {
    bool may_sleep = true;
    for (Lane& lane : lanes_) may_sleep &= lane.queue->arm_interrupt();
    if (may_sleep) {
      const uint64_t waited_ms = now_ms() - begun_ms;
      if (waited_ms > options_.timeout_ms) return Errno::timedout;
      ::poll(poll_fds_.data(), poll_fds_.size(), static_cast<int>(options_.timeout_ms - waited_ms));
      if (poll_fds_.back().revents != 0 && device_.connection().peer_has_closed() && poll() == 0) {
        return Errno::notconn;
      }
      for (size_t i = 0; i < lanes_.size(); ++i) {
        if (poll_fds_[i].revents & POLLIN) lanes_[i].queue->take_interrupt();
      }
    }
    for (Lane& lane : lanes_) lane.queue->disarm_interrupt();
    if (uint32_t count = poll(); count != 0) return count;
  }
}

Result<Unit> Client::run(Call& call) noexcept {
  while (!submit(call)) {
    if (Result<uint32_t> some = wait(); !some) return some.error();
  }
  while (call.in_flight_) {
    if (Result<uint32_t> some = wait(); !some) return some.error();
  }
  if (call.error() != Errno::none) return call.error();
  return Unit{};
}

fuse::InitIn Client::linux_init() noexcept {
  constexpr uint64_t kFlags =
      init_flag::kAsyncRead | init_flag::kPosixLocks | init_flag::kAtomicOTrunc |
      init_flag::kExportSupport | init_flag::kBigWrites | init_flag::kDontMask |
      init_flag::kSpliceWrite | init_flag::kSpliceMove | init_flag::kSpliceRead |
      init_flag::kFlockLocks | init_flag::kHasIoctlDir | init_flag::kAutoInvalData |
      init_flag::kDoReaddirplus | init_flag::kReaddirplusAuto | init_flag::kAsyncDio |
      init_flag::kWritebackCache | init_flag::kNoOpenSupport | init_flag::kParallelDirops |
      init_flag::kHandleKillpriv | init_flag::kPosixAcl | init_flag::kAbortError |
      init_flag::kMaxPages | init_flag::kCacheSymlinks | init_flag::kNoOpendirSupport |
      init_flag::kExplicitInvalData | init_flag::kSubmounts | init_flag::kHandleKillprivV2 |
      init_flag::kSetxattrExt | init_flag::kInitExt | init_flag::kSecurityCtx |
      init_flag::kCreateSuppGroup | init_flag::kHasExpireOnly | init_flag::kDirectIoAllowMmap |
      init_flag::kNoExportSupport | init_flag::kHasResend | init_flag::kAllowIdmap |
      init_flag::kPassthrough;
  return {.major = fuse::kMajorVersion,
          .minor = 41,
          .max_readahead = 128 << 10,
          .flags = static_cast<uint32_t>(kFlags),
          .flags2 = static_cast<uint32_t>(kFlags >> 32),
          .unused = {}};
}

Result<fuse::InitOut> Client::init() { return init(linux_init()); }

Result<fuse::InitOut> Client::init(const fuse::InitIn& in) {
  Call* call = take();
  if (call == nullptr) return Errno::busy;
  call->prepare(fuse::Opcode::init, 0, {.in_args = sizeof in, .out_args = sizeof(fuse::InitOut)});
  call->argument(in);
  Result<Unit> ok = run(*call);
  fuse::InitOut out = call->reply<fuse::InitOut>();
  if (!call->in_flight()) give(*call);
  if (!ok) return ok.error();
  agreement_ = {.minor = std::min(in.minor, out.minor),
                .flags = out.flags | (static_cast<uint64_t>(out.flags2) << 32),
                .max_write = out.max_write,
                .max_readahead = out.max_readahead,
                .max_pages = out.max_pages};
  return out;
}

Result<Unit> Client::forget(uint64_t node, uint64_t lookups) noexcept {
  Call* call = take(virtio::kHiprioQueue);
  while (call == nullptr) {
    if (Result<uint32_t> some = wait(); !some) return some.error();
    call = take(virtio::kHiprioQueue);
  }
  // Header and argument lie side by side: one descriptor, as Linux has it.
  call->prepare(fuse::Opcode::forget, node,
                {.in_args = sizeof(fuse::ForgetIn), .has_reply = false});
  call->argument(fuse::ForgetIn{lookups});
  sign(*call);
  Lane& lane = lanes_[virtio::kHiprioQueue];
  Segment whole{call->hot_.guest_addr, call->in_header_->len};
  std::optional<uint16_t> head = lane.queue->add(std::span(&whole, 1), {});
  if (!head) {
    give(*call);
    return Errno::again;
  }
  call->done = [](Call& done, void* client) noexcept { static_cast<Client*>(client)->give(done); };
  call->context = this;
  lane.by_head[*head] = call;
  call->in_flight_ = true;
  lane.queue->publish_and_kick();
  return Unit{};
}

Queue::Counters Client::queue_counters() noexcept {
  Queue::Counters sum;
  for (Lane& lane : lanes_) {
    lane.queue->take_interrupt();  // a poller has let them pile up
    sum.kicks += lane.queue->counters().kicks;
    sum.interrupts += lane.queue->counters().interrupts;
    sum.broken += lane.queue->counters().broken;
  }
  return sum;
}

void Client::clear_counters() noexcept {
  counters_ = {};
  for (Lane& lane : lanes_) {
    lane.queue->take_interrupt();
    lane.queue->clear_counters();
  }
}

}  // namespace dpfs::driver
