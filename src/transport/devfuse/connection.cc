// SPDX-License-Identifier: Apache-2.0
// A request's way through /dev/fuse: one read, one write.
#include "transport/devfuse/connection.h"

#include <unistd.h>

#include <span>

#include "base/assert.h"

namespace dpfs::devfuse {
namespace {

// Requests of one poll(), before the reactor looks at other things.
constexpr uint32_t kBatch = 32;
// A request counts as one more for so many bytes of its message.
constexpr size_t kBatchBytes = 32 * 1024;

}  // namespace

Connection::Connection(Reactor& reactor, ConnectionOwner& owner, FileSystem& fs, std::string name,
                       int device, const Options& options, SessionCounters& counters)
    : reactor_(reactor),
      owner_(owner),
      name_(std::move(name)),
      device_(device),
      slots_(options.session.io_bytes_max) {
  Session::Options session = options.session;
  if (options.io_uring) {
    QueuesHost& host = *this;
    queues_ = UringQueues::make(reactor, host, name_, device, session.io_bytes_max);
  }
  if (queues_ != nullptr) session.transport_flags |= fuse::init_flag::kOverIoUring;
  session_.emplace(fs, name_, session, counters);
}

Connection::~Connection() { DPFS_ASSERT(in_flight_ == 0 && !linked()); }

bool Connection::open() noexcept {
  if (!reactor_.watch(device_, *this)) return false;
  reactor_.activate(*this);  // INIT is there already
  return true;
}

void Connection::close() noexcept {
  if (!over_) {
    over_ = true;
    reactor_.unwatch(device_, *this);
    session_->end_waits();
    if (queues_ != nullptr) queues_->stop();
  }
  end_if_drained();
}

void Connection::abandon() noexcept {
  if (queues_ != nullptr) queues_->abandon();
}

void Connection::end_if_drained() noexcept {
  if (!over_ || in_flight_ > 0 || serving_ > 0 || told_) return;
  told_ = true;
  reactor_.deactivate(*this);
  owner_.connection_ended();
}

// ---- One request's way --------------------------------------------------------------------------

bool Connection::poll() noexcept {
  // Where polling does not pay, one read in vain is enough: the descriptor tells what comes next.
  if (drained_ && polling.window_ns == 0) return false;
  size_t cost = 0;
  while (cost < kBatch && may_take() && take_one(cost)) {
  }
  return cost > 0;
}

// False when there is nothing to take.
bool Connection::take_one(size_t& cost) noexcept {
  Slot* slot = slots_.take();
  const ssize_t bytes = read(device_, slot->message.iov_base, slot->message.iov_len);
  if (bytes < 0) {
    const Errno why = last_errno();
    slots_.give(*slot);
    // The request was aborted between being announced and being read.
    if (why == Errno::noent || why == Errno::intr) return true;
    if (why != Errno::again) read_failed(why);
    drained_ = why == Errno::again;
    return false;
  }
  drained_ = false;
  cost += 1 + static_cast<size_t>(bytes) / kBatchBytes;
  slot->message_part = {slot->message.iov_base, static_cast<size_t>(bytes)};
  slot->in = IoView(std::span(&slot->message_part, 1));
  slot->out = IoView(std::span(&slot->reply, 1));
  slot->sink = this;
  serve(*slot);
  return true;
}

// ENODEV: unmounted, or aborted by who may.
void Connection::read_failed(Errno why) noexcept {
  if (why != Errno::nodev) log::warn("{}: /dev/fuse: {}", name_, describe(why));
  close();
}

void Connection::serve(dpfs::Request& request) noexcept {
  ++in_flight_;
  ++serving_;
  session_->serve(request);
  // Other threads may have led meanwhile: nothing of what was seen before need hold.
  if (serving_-- == kServingMax && !over_) {
    reactor_.activate(*this);
    if (queues_ != nullptr) queues_->go_on();
  }
  if (!begun_) begin();
  end_if_drained();
}

// INIT has been answered.
void Connection::begin() noexcept {
  begun_ = true;
  const bool by_queues = (session_->negotiated().flags & fuse::init_flag::kOverIoUring) != 0;
  if (queues_ != nullptr && (!by_queues || !queues_->start())) queues_.reset();
  owner_.connection_begun(session_->begun());
}

void Connection::done(dpfs::Request& request, uint32_t written) noexcept {
  auto& slot = static_cast<Slot&>(request);
  if (written > 0 && write(device_, slot.reply.iov_base, written) < 0) {
    reply_failed(slot, last_errno());
  }
  slots_.give(slot);
  if (!over_) reactor_.activate(*this);  // who was answered may ask again at once
  answered();
}

void Connection::answered() noexcept {
  --in_flight_;
  end_if_drained();
}

// ENOENT: nobody waits for it any more (an interrupted or aborted request). ENODEV: unmounted.
void Connection::reply_failed(const Slot& slot, Errno why) noexcept {
  if (why == Errno::noent || why == Errno::nodev) return;
  if (error_log_.admit() >= 0) {
    log::error("{}: the kernel refused the reply to a request of type {}: {}", name_,
               slot.header.opcode, describe(why));
  }
  // Whoever asked must not wait for ever.
  const fuse::OutHeader header{sizeof header, -static_cast<int32_t>(Errno::io), slot.header.unique};
  [[maybe_unused]] const ssize_t told = write(device_, &header, sizeof header);
}

// The descriptor tells of what comes by itself (edge-triggered), also of what has come since the
// last read.
bool Connection::arm() noexcept {
  slots_.trim();
  return false;
}

}  // namespace dpfs::devfuse
