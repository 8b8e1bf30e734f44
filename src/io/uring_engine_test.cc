// SPDX-License-Identifier: Apache-2.0
// What a ring of the engine takes from whoever gets hold of it: no more than the engine asks.
#include "io/uring_engine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"

namespace dpfs {
namespace {

class UringEngine : public testing::Test {
 protected:
  void SetUp() override {
    engine_ = make_uring_engine();
    if (engine_ == nullptr) GTEST_SKIP() << "no io_uring here";
    // A ring that is laid out alike tells where everything lies in the engine's.
    io_uring_params layout{};
    layout.flags = IORING_SETUP_R_DISABLED;
    io_uring twin{};
    if (io_uring_queue_init_params(256, &twin, &layout) != 0) {
      GTEST_SKIP() << "rings cannot be restricted here";
    }
    io_uring_queue_exit(&twin);
    ASSERT_EQ(io_uring_queue_mmap(engine_->readiness_fd(), &layout, &ring_), 0);
    mapped_ = true;
  }
  void TearDown() override {
    if (!mapped_) return;
    // The descriptor is the engine's.
    ring_.ring_fd = ring_.enter_ring_fd = dup(engine_->readiness_fd());
    io_uring_queue_exit(&ring_);
  }
  // The result of the entry that was prepared.
  int result() {
    EXPECT_EQ(io_uring_submit(&ring_), 1);
    io_uring_cqe* entry = nullptr;
    EXPECT_EQ(io_uring_wait_cqe(&ring_, &entry), 0);
    const int value = entry->res;
    io_uring_cqe_seen(&ring_, entry);
    return value;
  }

  std::unique_ptr<IoEngine> engine_;
  io_uring ring_{};
  bool mapped_ = false;
};

TEST_F(UringEngine, OpensNothingAndConnectsNowhere) {
  io_uring_prep_openat(io_uring_get_sqe(&ring_), AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
  EXPECT_EQ(result(), -EACCES);
  io_uring_prep_connect(io_uring_get_sqe(&ring_), 0, nullptr, 0);
  EXPECT_EQ(result(), -EACCES);
  io_uring_prep_nop(io_uring_get_sqe(&ring_));
  EXPECT_EQ(result(), -EACCES);
}

TEST_F(UringEngine, ReadsAndSyncs) {
  const Fd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  char bytes[4];
  const iovec part{bytes, sizeof bytes};
  io_uring_prep_readv(io_uring_get_sqe(&ring_), file.get(), &part, 1, 0);
  EXPECT_EQ(result(), 4);
}

TEST_F(UringEngine, TakesNoFlagsButThatForWorkers) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  char byte;
  const iovec part{&byte, 1};
  io_uring_prep_readv(entry, 0, &part, 1, 0);
  io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
  EXPECT_EQ(result(), -EACCES);
}

TEST_F(UringEngine, RegistersNothing) {
  const Fd event(eventfd(0, EFD_CLOEXEC));
  const int number = event.get();
  EXPECT_EQ(
      syscall(SYS_io_uring_register, engine_->readiness_fd(), IORING_REGISTER_EVENTFD, &number, 1),
      -1);
  EXPECT_EQ(errno, EACCES);
}

}  // namespace
}  // namespace dpfs
