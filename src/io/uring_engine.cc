// SPDX-License-Identifier: Apache-2.0
// File operations by io_uring: batched into one submit per turn.
#include "io/uring_engine.h"

#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/assert.h"

namespace dpfs {
namespace {

// More may be in flight: the kernel takes a batch at each submit.
constexpr unsigned kEntries = 256;
// Operations that wait below at once, of all devices of a reactor. Workers are made when they are
// needed.
constexpr unsigned kWorkersMax = 4096;

class UringEngine final : public IoEngine {
 public:
  // Neither SINGLE_ISSUER nor DEFER_TASKRUN: the thread that is the reactor changes (io/relay.h).
  bool open() noexcept {
    int status = io_uring_queue_init(kEntries, &ring_, IORING_SETUP_R_DISABLED);
    const bool restricts = status == 0;
    // Before Linux 5.10 rings cannot be restricted.
    if (status == -EINVAL) status = io_uring_queue_init(kEntries, &ring_, 0);
    if (status < 0) errno = -status;
    opened_ = status == 0;
    if (!opened_) return false;
    // By default a few for each processor: one device whose file system hangs would take them all.
    // A refusal (an old kernel) leaves that default.
    unsigned workers[] = {kWorkersMax, kWorkersMax};
    io_uring_register_iowq_max_workers(&ring_, workers);
    return !restricts || restrict_ring();
  }
  ~UringEngine() override {
    DPFS_ASSERT(in_flight_ == 0);
    if (opened_) io_uring_queue_exit(&ring_);
  }

  void submit(FileIo& io) noexcept override {
    ++in_flight_;
    if (!waiting_.empty() || !prepare(io)) waiting_.push(io);
  }

  bool flush() noexcept override {
    prepare_waiting();
    do {
      if (io_uring_sq_ready(&ring_) == 0) return false;
      // EBUSY and EAGAIN: the kernel has no room now. The entries stay.
      if (io_uring_submit(&ring_) < 0) return true;
    } while (prepare_waiting());
    return false;
  }

  void reap(CompletionQueue& done) noexcept override {
    if (in_flight_ == 0) return;
    if ((IO_URING_READ_ONCE(*ring_.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0)
      io_uring_submit(&ring_);
    unsigned head;
    unsigned count = 0;
    io_uring_cqe* entry;
    io_uring_for_each_cqe(&ring_, head, entry) {
      ++count;
      auto& io = *static_cast<FileIo*>(io_uring_cqe_get_data(entry));
      // We cancel nothing. The kernel does when the thread that submitted ends (io/relay.h lets
      // idle ones go).
      if (entry->res == -ECANCELED || entry->res == -EINTR) {
        waiting_.push(io);
        continue;
      }
      io.result = entry->res;
      done.push(io);
      --in_flight_;
    }
    io_uring_cq_advance(&ring_, count);
  }

  int readiness_fd() const noexcept override { return ring_.ring_fd; }
  const char* name() const noexcept override { return "io_uring"; }

 private:
  // To what prepare() makes, for ever. A seccomp filter does not see what a ring is told.
  bool restrict_ring() noexcept {
    io_uring_restriction allowed[4] = {};
    const uint8_t operations[] = {IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC};
    size_t count = 0;
    for (const uint8_t operation : operations) {
      allowed[count].opcode = IORING_RESTRICTION_SQE_OP;
      allowed[count++].sqe_op = operation;
    }
    allowed[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    allowed[count++].sqe_flags = IOSQE_ASYNC;
    // liburing 2.3 declares functions for these two and has not got them.
    return register_ring(IORING_REGISTER_RESTRICTIONS, allowed, static_cast<unsigned>(count)) &&
           register_ring(IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  }

  bool register_ring(unsigned operation, const void* argument, unsigned count) noexcept {
    return syscall(SYS_io_uring_register, ring_.ring_fd, operation, argument, count) >= 0;
  }

  bool prepare(FileIo& io) noexcept {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr) return false;
    switch (io.kind) {
      case FileIo::Kind::readv:
        io_uring_prep_readv(entry, io.fd, io.buffers.data(),
                            static_cast<unsigned>(io.buffers.size()), io.offset);
        break;
      case FileIo::Kind::writev:
        io_uring_prep_writev(entry, io.fd, io.buffers.data(),
                             static_cast<unsigned>(io.buffers.size()), io.offset);
        break;
      case FileIo::Kind::fsync:
        io_uring_prep_fsync(entry, io.fd, 0);
        break;
      case FileIo::Kind::fdatasync:
        io_uring_prep_fsync(entry, io.fd, IORING_FSYNC_DATASYNC);
        break;
    }
    // To the kernel's workers at once: what would have to be completed by the thread that submitted
    // it would wait for as long as that thread is blocked in a call for another device
    // (io/relay.h).
    io_uring_sqe_set_flags(entry, IOSQE_ASYNC);
    io_uring_sqe_set_data(entry, &io);
    return true;
  }

  // True when some of those that found the ring full, or must go again, have a place now.
  bool prepare_waiting() noexcept {
    bool some = false;
    while (!waiting_.empty() && io_uring_sq_space_left(&ring_) > 0) {
      some = prepare(static_cast<FileIo&>(*waiting_.pop()));
    }
    return some;
  }

  io_uring ring_{};
  bool opened_ = false;
  CompletionQueue waiting_;
};

}  // namespace

std::unique_ptr<IoEngine> make_uring_engine() noexcept {
  auto engine = std::make_unique<UringEngine>();
  if (!engine->open()) return nullptr;
  return engine;
}

}  // namespace dpfs
