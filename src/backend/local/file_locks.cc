// SPDX-License-Identifier: Apache-2.0
// The table of owners, and the questions to the host.
#include "backend/local/file_locks.h"

#include <fcntl.h>
#include <unistd.h>

#include <new>
#include <optional>

#include "backend/local/system.h"

namespace dpfs::local {
namespace {

// How many owners are asked for who holds a lock, to tell the tenant its process.
constexpr uint32_t kAskedMax = 64;

LockCall call_of(int fd, const LockArgs& args) noexcept {
  return {.fd = fd, .flock = false, .type = args.type, .start = args.start, .end = args.end};
}

// What keeps a lock from being set through `fd`, as Linux has it (l_len 0: to the end).
Result<struct flock> conflict(int fd, uint32_t type, uint64_t start, uint64_t end) noexcept {
  struct flock lock{};
  lock.l_type = static_cast<short>(type);
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(start);
  lock.l_len = end >= INT64_MAX ? 0 : static_cast<off_t>(end - start + 1);
  const Result<Unit> ok = done([&] { return ::fcntl(fd, F_OFD_GETLK, &lock); });
  if (!ok) return ok.error();
  return lock;
}

uint64_t last_byte(const struct flock& lock) noexcept {
  return lock.l_len == 0 ? INT64_MAX : static_cast<uint64_t>(lock.l_start + lock.l_len - 1);
}

}  // namespace

FileLocks::FileLocks(Reactor& reactor, Nodes& nodes) noexcept
    : reactor_(reactor), nodes_(nodes), first_free_(kNoIndex) {
  buckets_.fill(kNoIndex);
}

Result<fuse::LkOut> FileLocks::test(const LockArgs& args, int any_fd) noexcept {
  LockOwner* known = find(args.node, args.owner);
  std::optional<LockOwnerRef> ref;
  if (known != nullptr) ref.emplace(*this, *known);
  const int fd = known != nullptr ? known->fd.get() : any_fd;
  const Result<struct flock> found =
      reactor_.blocking([&] { return conflict(fd, args.type, args.start, args.end); });
  if (!found) return found.error();
  fuse::LkOut out{};
  out.lk.type = static_cast<uint32_t>(found->l_type);
  if (found->l_type == F_UNLCK) return out;
  out.lk.start = static_cast<uint64_t>(found->l_start);
  out.lk.end = last_byte(*found);
  // -1: an open file description's, perhaps one of ours.
  out.lk.pid = found->l_pid > 0 ? static_cast<uint32_t>(found->l_pid)
                                : pid_of(args, out.lk.start, out.lk.end);
  return out;
}

// Whose is the lock that another owner has run into? Its own locks are the only ones that an owner
// never runs into. 0: nobody's here.
uint32_t FileLocks::pid_of(const LockArgs& args, uint64_t start, uint64_t end) noexcept {
  std::array<LockOwner*, kAskedMax> others;
  std::array<uint32_t, kAskedMax> pids;
  size_t count = 0;
  for (uint32_t i = bucket_of(args.node); i != kNoIndex && count < kAskedMax; i = slots_[i].next) {
    LockOwner& other = slots_[i];
    if (other.node != args.node || other.owner == args.owner) continue;
    pids[count] = other.pid;
    others[count++] = &other;
    ++other.references;
  }
  const uint32_t pid = reactor_.blocking([&]() -> uint32_t {
    for (size_t i = 0; i < count; ++i) {
      const Result<struct flock> found = conflict(others[i]->fd.get(), F_WRLCK, start, end);
      if (found && found->l_type == F_UNLCK) return pids[i];
    }
    return 0;
  });
  for (size_t i = 0; i < count; ++i) {
    if (--others[i]->references == 0) give_back(*others[i]);
  }
  return pid;
}

// Locks for reading need a descriptor that may read, those for writing one that may write.
Result<int> FileLocks::open(NodeId node, uint32_t type) noexcept {
  Result<int> both = nodes_.open(node, O_RDWR);
  // An inode that can only be appended to asks for a promise.
  if (both.error() == Errno::perm) both = nodes_.open(node, O_RDWR | O_APPEND);
  if (both || both.error() == Errno::stale || both.error() == Errno::mfile) return both;
  return nodes_.open(node, type == F_WRLCK ? O_WRONLY : O_RDONLY);
}

Result<LockOwner*> FileLocks::owner_of(const LockArgs& args) noexcept {
  if (LockOwner* known = find(args.node, args.owner)) return known;
  if (size_ >= kOwnersMax) return Errno::nolck;
  const Result<int> opened = open(args.node, args.type);
  if (!opened) return opened.error() == Errno::mfile ? Errno::nolck : opened.error();
  Fd fd(*opened);
  LockOwner* known = find(args.node, args.owner);  // another request may have been quicker
  if (known != nullptr) {
    nodes_.close(std::move(fd));
    return known;
  }
  const uint32_t index = add(args.node, args.owner, std::move(fd));
  if (index == kNoIndex) return Errno::nolck;
  return &slots_[index];
}

Result<Unit> FileLocks::set(LockOwner& owner, const LockArgs& args) noexcept {
  owner.pid = args.pid;
  owner.handle = args.handle;
  const LockCall call = call_of(owner.fd.get(), args);
  return reactor_.blocking([&] { return call.try_now(); });
}

Result<Unit> FileLocks::drop_range(const LockArgs& args) noexcept {
  LockOwner* known = find(args.node, args.owner);
  if (known == nullptr) return Unit{};
  const LockOwnerRef owner(*this, *known);
  const LockCall call = call_of(owner->fd.get(), args);
  return reactor_.blocking([&] { return call.try_now(); });
}

void FileLocks::drop_known(NodeId node, uint64_t number) noexcept {
  if (LockOwner* known = find(node, number)) drop(*known);
}

void FileLocks::drop_known(NodeId node, Handle handle) noexcept {
  const auto find_one = [&]() -> LockOwner* {
    for (uint32_t i = bucket_of(node); i != kNoIndex; i = slots_[i].next) {
      if (slots_[i].node == node && slots_[i].handle == handle) return &slots_[i];
    }
    return nullptr;
  };
  while (LockOwner* owner = find_one()) {
    owner->handle = Handle{};
    drop(*owner);
  }
}

void FileLocks::drop(LockOwner& known) noexcept {
  const LockOwnerRef owner(*this, known);
  // Somebody waits with it for a lock, or is about to use it: only what it holds now is over.
  if (owner->references > 2) {
    const LockCall call{
        .fd = owner->fd.get(), .flock = false, .type = F_UNLCK, .start = 0, .end = INT64_MAX};
    static_cast<void>(reactor_.blocking([&] { return call.try_now(); }));
    return;
  }
  remove(*owner);
}

void FileLocks::clear() noexcept {
  for (LockOwner& owner : slots_) {
    if (owner.fd) remove(owner);
  }
}

// ---- The table ----------------------------------------------------------------------------------

LockOwner* FileLocks::find(NodeId node, uint64_t owner) noexcept {
  for (uint32_t i = bucket_of(node); i != kNoIndex; i = slots_[i].next) {
    if (slots_[i].node == node && slots_[i].owner == owner) return &slots_[i];
  }
  return nullptr;
}

uint32_t FileLocks::add(NodeId node, uint64_t number, Fd fd) noexcept {
  uint32_t index = first_free_;
  if (index != kNoIndex) {
    first_free_ = slots_[index].next;
  } else {
    try {
      slots_.emplace_back();
      index = static_cast<uint32_t>(slots_.size() - 1);
    } catch (const std::bad_alloc&) {
      nodes_.close(std::move(fd));
      return kNoIndex;
    }
  }
  LockOwner& owner = slots_[index];
  owner.node = node;
  owner.owner = number;
  owner.fd = std::move(fd);
  owner.handle = Handle{};
  owner.pid = 0;
  owner.references = 1;  // the table's
  owner.next = std::exchange(bucket_of(node), index);
  ++size_;
  return index;
}

// Out of the table. It lives on as long as it is referred to.
void FileLocks::remove(LockOwner& owner) noexcept {
  uint32_t* link = &bucket_of(owner.node);
  while (*link != kNoIndex && &slots_[*link] != &owner) link = &slots_[*link].next;
  if (*link == kNoIndex) return;
  const uint32_t index = *link;
  *link = owner.next;
  owner.next = index;  // its own number, for give_back()
  --size_;
  if (--owner.references == 0) give_back(owner);
}

void FileLocks::give_back(LockOwner& owner) noexcept {
  const uint32_t index = owner.next;
  Fd fd = std::move(owner.fd);
  owner.next = std::exchange(first_free_, index);
  nodes_.close(std::move(fd));
}

}  // namespace dpfs::local
