// SPDX-License-Identifier: Apache-2.0
// The few FUSE messages that the kernel sends for two files.
#include "tests/integration/slow_filesystem.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace dpfs::test {
namespace {

constexpr uint64_t kSlow = 2;
constexpr uint64_t kFast = 3;
constexpr uint32_t kDirectIo = 1;  // FOPEN_DIRECT_IO: each read comes to us

fuse::Attr attr(uint64_t node) {
  fuse::Attr attr{};
  attr.ino = node;
  attr.nlink = 1;
  attr.mode = node == fuse::kRootNodeId ? S_IFDIR | 0755 : S_IFREG | 0644;
  attr.size = node == fuse::kRootNodeId ? 0 : SlowFileSystem::kFileBytes;
  attr.blksize = 4096;
  return attr;
}

}  // namespace

bool SlowFileSystem::possible() {
  static const bool possible_here = [] {
    if (access("/dev/fuse", R_OK | W_OK) != 0 || unshare(CLONE_NEWNS) != 0) return false;
    return mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  }();
  return possible_here;
}

SlowFileSystem::SlowFileSystem(std::string mount_point)
    : mount_point_(std::move(mount_point)), device_(open("/dev/fuse", O_RDWR | O_CLOEXEC)) {
  const std::string options =
      "fd=" + std::to_string(device_.get()) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
  if (mount("slow", mount_point_.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    throw std::runtime_error(std::string("cannot mount on /dev/fuse: ") + std::strerror(errno));
  }
  thread_ = std::thread([this] { serve(); });
}

SlowFileSystem::~SlowFileSystem() {
  release();
  umount2(mount_point_.c_str(), MNT_FORCE);  // aborts: the thread's read() ends
  umount2(mount_point_.c_str(), MNT_DETACH);
  thread_.join();
}

size_t SlowFileSystem::waiting() {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

void SlowFileSystem::hold_closing() {
  const std::lock_guard lock(mutex_);
  closing_waits_ = true;
}

void SlowFileSystem::release() {
  const std::lock_guard lock(mutex_);
  released_ = true;
  for (const Waiting& request : waiting_) finish(request);
  waiting_.clear();
}

void SlowFileSystem::serve() {
  std::vector<char> buffer(1 << 17);
  while (true) {
    const ssize_t n = read(device_.get(), buffer.data(), buffer.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT)) continue;
    if (n < static_cast<ssize_t>(sizeof(fuse::InHeader))) return;
    fuse::InHeader header;
    std::memcpy(&header, buffer.data(), sizeof header);
    answer(header, buffer.data() + sizeof header);
  }
}

void SlowFileSystem::answer(const fuse::InHeader& header, const char* args) {
  using fuse::Opcode;
  const auto wait_or_finish = [&](bool waits) {
    const Waiting request{header.unique, static_cast<Opcode>(header.opcode)};
    if (released_ || !waits) return finish(request);
    waiting_.push_back(request);
  };
  const std::lock_guard lock(mutex_);
  switch (static_cast<Opcode>(header.opcode)) {
    case Opcode::init: {
      fuse::InitOut out{};
      out.major = 7;
      out.minor = 31;
      out.max_write = 1 << 16;
      out.flags = static_cast<uint32_t>(fuse::init_flag::kParallelDirops);
      return reply(header.unique, 0, &out, sizeof out);
    }
    case Opcode::lookup: {
      const std::string_view name(args);
      if (name == "stuck") return wait_or_finish(true);
      const uint64_t node = name == "slow" ? kSlow : name == "fast" ? kFast : 0;
      if (node == 0) return reply(header.unique, ENOENT);
      fuse::EntryOut out{};
      out.nodeid = node;
      out.attr_valid = out.entry_valid = 3600;
      out.attr = attr(node);
      return reply(header.unique, 0, &out, sizeof out);
    }
    case Opcode::getattr: {
      fuse::AttrOut out{};
      out.attr_valid = 3600;
      out.attr = attr(header.nodeid);
      return reply(header.unique, 0, &out, sizeof out);
    }
    case Opcode::open:
    case Opcode::opendir: {
      fuse::OpenOut out{};
      out.open_flags = header.nodeid == fuse::kRootNodeId ? 0 : kDirectIo;
      return reply(header.unique, 0, &out, sizeof out);
    }
    case Opcode::read:
    case Opcode::fsync:
      return wait_or_finish(header.nodeid == kSlow);
    case Opcode::statfs: {
      fuse::StatfsOut out{};
      out.st.bsize = out.st.frsize = 4096;
      out.st.namelen = 255;
      return reply(header.unique, 0, &out, sizeof out);
    }
    case Opcode::flush:
      return wait_or_finish(closing_waits_);
    case Opcode::release:
    case Opcode::releasedir:
      return reply(header.unique, 0);
    case Opcode::forget:
    case Opcode::batch_forget:
    case Opcode::interrupt:
      return;
    default:
      return reply(header.unique, ENOSYS);
  }
}

void SlowFileSystem::finish(const Waiting& request) {
  if (request.opcode == fuse::Opcode::lookup) return reply(request.unique, ENOENT);
  if (request.opcode != fuse::Opcode::read) return reply(request.unique, 0);
  std::array<char, kFileBytes> bytes;
  bytes.fill(kByte);
  reply(request.unique, 0, bytes.data(), bytes.size());
}

void SlowFileSystem::reply(uint64_t unique, int error, const void* payload, size_t size) {
  const fuse::OutHeader out{static_cast<uint32_t>(sizeof out + size), -error, unique};
  const iovec parts[] = {{const_cast<fuse::OutHeader*>(&out), sizeof out},
                         {const_cast<void*>(payload), size}};
  [[maybe_unused]] const ssize_t written = writev(device_.get(), parts, size > 0 ? 2 : 1);
}

}  // namespace dpfs::test
