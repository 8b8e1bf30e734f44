// SPDX-License-Identifier: Apache-2.0
// Registered, filled, answered and handed in again.
#include "transport/devfuse/uring_entry.h"

#include <liburing.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "base/assert.h"

namespace dpfs::devfuse {
namespace {

constexpr size_t kPageBytes = 4096;
// One entry is one submission and one completion at a time.
constexpr unsigned kSubmissions = 2;

Errno make_ring(io_uring& ring) noexcept {
  io_uring_params parameters{};
  // The thread that waits is the one that has handed in, and looks at nothing else meanwhile.
  parameters.flags = IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  return to_errno(-io_uring_queue_init_params(kSubmissions, &ring, &parameters));
}

}  // namespace

UringEntry::UringEntry(uint32_t queue, size_t payload_bytes)
    : queue_(queue), payload_bytes_(payload_bytes) {
  // The headers in a page of their own, so that the payload is aligned.
  void* mapped = mmap(nullptr, kPageBytes + payload_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  // A huge page would be 2 MiB for a message of 100 bytes.
  madvise(mapped, kPageBytes + payload_bytes, MADV_NOHUGEPAGE);
  headers_ = new (mapped) fuse::UringReqHeader;
  payload_ = static_cast<char*>(mapped) + kPageBytes;
  buffers_[0] = {headers_, sizeof *headers_};
  buffers_[1] = {payload_, payload_bytes_};
  out_parts_[0] = {headers_->in_out, sizeof(fuse::OutHeader)};
  out_parts_[1] = {payload_, payload_bytes_};
}

UringEntry::~UringEntry() {
  close();
  munmap(headers_, kPageBytes + payload_bytes_);
}

bool UringEntry::possible() noexcept {
  io_uring ring{};
  if (make_ring(ring) != Errno::none) return false;
  io_uring_queue_exit(&ring);
  return true;
}

Errno UringEntry::open(int device) noexcept {
  device_ = device;
  auto ring = std::make_unique<io_uring>();
  const Errno why = make_ring(*ring);
  if (why == Errno::none) ring_ = std::move(ring);
  return why;
}

void UringEntry::close() noexcept {
  if (ring_ == nullptr) return;
  io_uring_queue_exit(ring_.get());
  ring_.reset();
}

Errno UringEntry::fetch() noexcept {
  if (!handed_in_) hand_in();
  const int submitted = io_uring_submit_and_wait(ring_.get(), 1);
  io_uring_cqe* completion = nullptr;
  if (io_uring_peek_cqe(ring_.get(), &completion) != 0) {
    return submitted < 0 ? to_errno(-submitted) : Errno::again;
  }
  const int result = completion->res;
  io_uring_cqe_seen(ring_.get(), completion);
  handed_in_ = false;
  if (result < 0) return to_errno(-result);
  take();
  return Errno::none;
}

void UringEntry::hand_in() noexcept {
  io_uring_sqe* submission = io_uring_get_sqe(ring_.get());
  DPFS_ASSERT(submission != nullptr);
  // liburing clears the first half of a large entry only.
  std::memset(submission, 0, 2 * sizeof *submission);
  submission->opcode = IORING_OP_URING_CMD;
  submission->fd = device_;
  if (registered_) {
    submission->cmd_op = static_cast<uint32_t>(fuse::UringCmd::commit_and_fetch);
  } else {
    submission->cmd_op = static_cast<uint32_t>(fuse::UringCmd::register_);
    submission->addr = reinterpret_cast<uintptr_t>(buffers_);
    submission->len = static_cast<uint32_t>(std::size(buffers_));
  }
  const fuse::UringCmdReq command{.commit_id = commit_id_, .qid = static_cast<uint16_t>(queue_)};
  std::memcpy(submission->cmd, &command, sizeof command);
  handed_in_ = true;
}

// The kernel has filled the buffers.
void UringEntry::take() noexcept {
  const fuse::UringEntInOut& sizes = headers_->ring_ent_in_out;
  fuse::InHeader in_header;
  std::memcpy(&in_header, headers_->in_out, sizeof in_header);
  commit_id_ = sizes.commit_id;
  registered_ = true;
  // The first argument's size is what is left of the message's.
  const size_t payload = std::min<size_t>(sizes.payload_sz, payload_bytes_);
  const size_t rest = in_header.len - std::min<size_t>(in_header.len, sizeof in_header + payload);
  in_parts_[0] = {headers_->in_out, sizeof in_header};
  in_parts_[1] = {headers_->op_in, std::min(rest, sizeof headers_->op_in)};
  in_parts_[2] = {payload_, payload};
  in = IoView(in_parts_);
  out = IoView(out_parts_);
}

void UringEntry::set_reply(uint32_t bytes) noexcept {
  constexpr auto kHeaderBytes = static_cast<uint32_t>(sizeof(fuse::OutHeader));
  headers_->ring_ent_in_out.payload_sz = bytes - std::min(bytes, kHeaderBytes);
}

}  // namespace dpfs::devfuse
