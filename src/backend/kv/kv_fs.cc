// SPDX-License-Identifier: Apache-2.0
// Sessions, and what a tenant is told of an inode.
#include "backend/kv/kv_fs.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <chrono>
#include <future>
#include <vector>

#include "base/log.h"

namespace dpfs {

using kv::Time;
namespace init_flag = fuse::init_flag;

namespace {

constexpr uint64_t kSupported = init_flag::kPosixLocks | init_flag::kFlockLocks |
                                init_flag::kExportSupport | init_flag::kDoReaddirplus |
                                init_flag::kReaddirplusAuto | init_flag::kWritebackCache |
                                init_flag::kHandleKillprivV2 | init_flag::kDontMask |
                                init_flag::kCreateSuppGroup | init_flag::kAllowIdmap;

// How long a session's end waits for the store.
constexpr std::chrono::seconds kLeavePatience{10};

fuse::SxTime sx_time(const Time& time) noexcept {
  return {.tv_sec = time.s, .tv_nsec = time.ns, .reserved = 0};
}

constexpr uint64_t seconds_of(uint32_t ms) noexcept { return ms / 1000; }
constexpr uint32_t nanoseconds_of(uint32_t ms) noexcept { return ms % 1000 * 1'000'000; }

}  // namespace

KvFs::KvFs(std::shared_ptr<kv::Volume> volume, const KvOptions& options)
    : volume_(std::move(volume)), options_(options), locks_(volume_->locks()) {}

KvFs::~KvFs() = default;

void KvFs::begin(Negotiated& negotiated) {
  uint64_t supported = kSupported;
  if (options_.xattrs && options_.posix_acls) supported |= init_flag::kPosixAcl;
  if (options_.xattrs && options_.security_labels) supported |= init_flag::kSecurityCtx;
  negotiated.flags &= ~fuse::kPromiseFlags | supported;
  // Opening and truncating are two requests: the second goes by the tenant's SETATTR.
  negotiated.flags &= ~init_flag::kAtomicOTrunc;
  negotiated_ = negotiated;
  volume_->attach();
  attached_ = true;
}

void KvFs::end() noexcept {
  if (!attached_) return;
  attached_ = false;
  locks_.clear();
  std::vector<kv::NodeRef> nameless;
  files_.each([&nameless](kv::NodeRef& node) {
    if (--node->opens > 0 || !node->is_there() || node->inode.nlink > 0) return;
    nameless.push_back(std::move(node));
  });
  files_.clear();
  auto left = std::make_shared<std::promise<void>>();
  std::future<void> done = left->get_future();
  volume_->detach([left] { left->set_value(); }, std::move(nameless));
  const bool in_time = volume_->reactor().blocking(
      [&done] { return done.wait_for(kLeavePatience) == std::future_status::ready; });
  if (!in_time) log::warn("the key-value store does not answer; it is left as it is");
}

void KvFs::interrupt(uint64_t unique) noexcept { locks_.interrupt(unique); }
void KvFs::end_waits() noexcept { locks_.end_waits(); }

fuse::Attr KvFs::attr_of(const Node& node) const noexcept {
  const Inode& inode = node.inode;
  return {.ino = node.ino,
          .size = inode.size,
          .blocks = inode.stored / 512,
          .atime = static_cast<uint64_t>(inode.atime.s),
          .mtime = static_cast<uint64_t>(inode.mtime.s),
          .ctime = static_cast<uint64_t>(inode.ctime.s),
          .atimensec = inode.atime.ns,
          .mtimensec = inode.mtime.ns,
          .ctimensec = inode.ctime.ns,
          .mode = inode.mode,
          .nlink = inode.nlink,
          .uid = inode.uid,
          .gid = inode.gid,
          .rdev = inode.rdev,
          .blksize = kv::kPageBytes,
          .flags = 0};
}

fuse::AttrOut KvFs::attr_out(const Node& node) const noexcept {
  return {.attr_valid = seconds_of(negotiated_.cache.attr_valid_ms),
          .attr_valid_nsec = nanoseconds_of(negotiated_.cache.attr_valid_ms),
          .dummy = 0,
          .attr = attr_of(node)};
}

fuse::EntryOut KvFs::entry_out(const Node& node) const noexcept {
  return {.nodeid = node.ino,
          .generation = 0,  // numbers are never used again
          .entry_valid = seconds_of(negotiated_.cache.entry_valid_ms),
          .attr_valid = seconds_of(negotiated_.cache.attr_valid_ms),
          .entry_valid_nsec = nanoseconds_of(negotiated_.cache.entry_valid_ms),
          .attr_valid_nsec = nanoseconds_of(negotiated_.cache.attr_valid_ms),
          .attr = attr_of(node)};
}

fuse::StatxOut KvFs::statx_out(const Node& node) const noexcept {
  const Inode& inode = node.inode;
  fuse::StatxOut out{};
  out.attr_valid = seconds_of(negotiated_.cache.attr_valid_ms);
  out.attr_valid_nsec = nanoseconds_of(negotiated_.cache.attr_valid_ms);
  out.stat.mask = STATX_BASIC_STATS | STATX_BTIME;
  out.stat.blksize = kv::kPageBytes;
  out.stat.nlink = inode.nlink;
  out.stat.uid = inode.uid;
  out.stat.gid = inode.gid;
  out.stat.mode = static_cast<uint16_t>(inode.mode);
  out.stat.ino = node.ino;
  out.stat.size = inode.size;
  out.stat.blocks = inode.stored / 512;
  out.stat.atime = sx_time(inode.atime);
  out.stat.btime = sx_time(inode.btime);
  out.stat.ctime = sx_time(inode.ctime);
  out.stat.mtime = sx_time(inode.mtime);
  out.stat.rdev_major = major(inode.rdev);
  out.stat.rdev_minor = minor(inode.rdev);
  return out;
}

Op<fuse::StatfsOut> KvFs::statfs(Request&, const NodeArgs&) {
  kv::Volume& volume = *volume_;
  Result<Unit> sure = co_await volume.make_sure();
  if (!sure) co_return sure.error();
  sure = co_await volume.make_usage_sure();
  if (!sure) co_return sure.error();
  const Result<kv::Store::Space> space = co_await volume.store().space();
  if (!space) co_return space.error();
  co_return fuse::StatfsOut{.st = volume.usage().statfs(*space)};
}

}  // namespace dpfs
