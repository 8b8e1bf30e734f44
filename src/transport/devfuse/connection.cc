// SPDX-License-Identifier: Apache-2.0
// From INIT to the last answer.
#include "transport/devfuse/connection.h"

#include <utility>

#include "base/assert.h"
#include "base/log.h"

namespace dpfs::devfuse {
namespace {

// How often a request that is early asks again: 5 ms.
constexpr uint32_t kAskedMax = 100;
// Where numbers do not come as we think, nobody waits for them any more.
constexpr uint32_t kWaitsInVainMax = 8;

// Whether it makes a difference if a file was closed before.
bool asks_for_lock(uint32_t opcode) noexcept {
  return opcode == static_cast<uint32_t>(fuse::Opcode::setlk) ||
         opcode == static_cast<uint32_t>(fuse::Opcode::getlk);
}

}  // namespace

Connection::Connection(Reactor& reactor, ConnectionOwner& owner, FileSystem& fs, std::string name,
                       int device, const Options& options, SessionCounters& counters)
    : owner_(owner),
      name_(std::move(name)),
      readers_(reactor, static_cast<FetchHost&>(*this), name_, device,
               options.session.io_bytes_max) {
  Session::Options session = options.session;
  if (options.io_uring) {
    FetchHost& host = *this;
    queues_ = UringQueues::make(reactor, host, name_, device, session.io_bytes_max);
  }
  if (queues_ != nullptr) session.transport_flags |= fuse::init_flag::kOverIoUring;
  session_.emplace(fs, name_, session, counters);
}

Connection::~Connection() { DPFS_ASSERT(in_flight_ == 0); }

void Connection::close() noexcept {
  if (!over_) {
    over_ = true;
    session_->end_waits();
    readers_.stop();
    if (queues_ != nullptr) queues_->stop();
  }
  end_if_drained();
}

void Connection::abandon() noexcept {
  close();
  if (queues_ != nullptr) queues_->abandon();
}

void Connection::end_if_drained() noexcept {
  if (!over_ || told_ || in_flight_ > 0 || readers_.running() > 0) return;
  if (queues_ != nullptr && queues_->running() > 0) return;
  told_ = true;
  owner_.connection_ended();
}

bool Connection::may_serve(const dpfs::Request& request, uint32_t times_asked) noexcept {
  IoView in = request.in;
  const Result<fuse::InHeader> header = in.load<fuse::InHeader>();
  if (!header) return true;
  order_.fetched(header->unique);
  if (!asks_for_lock(header->opcode) || waits_in_vain_ >= kWaitsInVainMax) return true;
  if (order_.is_early(header->unique)) {
    if (times_asked < kAskedMax) return false;
    order_.give_up();
    ++waits_in_vain_;
  } else if (times_asked > 0) {
    waits_in_vain_ = 0;
  }
  return true;
}

void Connection::serve(dpfs::Request& request) noexcept {
  ++in_flight_;
  session_->serve(request);
}

void Connection::answered() noexcept {
  --in_flight_;
  end_if_drained();
}

void Connection::greeted() noexcept {
  const bool agreed = (session_->negotiated().flags & fuse::init_flag::kOverIoUring) != 0;
  by_queues_ = agreed && !over_ && queues_->start();
  readers_.keep(by_queues_ ? kReadersBesideQueues : Readers::kThreads);
  greeted_ = true;
  owner_.connection_begun(session_->begun());
}

void Connection::queues_refused() noexcept {
  by_queues_ = false;
  readers_.keep(Readers::kThreads);
}

void Connection::read_failed(Errno why) noexcept {
  if (why != Errno::nodev) log::warn("{}: /dev/fuse: {}", name_, describe(why));
  if (!std::exchange(greeted_, true)) owner_.connection_begun(false);
  close();
}

}  // namespace dpfs::devfuse
