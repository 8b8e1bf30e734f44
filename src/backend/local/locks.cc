// SPDX-License-Identifier: Apache-2.0
// GETLK, SETLK and SETLKW of the local back end: locks of the host's files, so that the host's
// programs and other tenants see them.
//
// A lock of flock(2) belongs to an open file, as ours does. A lock of fcntl(2) belongs to a process
// (or to an open file, with F_OFD_SETLK: Linux sends an owner either way): see FileLocks. The host
// looks for no deadlocks among them.
#include <fcntl.h>

#include "backend/local/local_fs.h"
#include "backend/local/system.h"

namespace dpfs {

using local::LockCall;
using local::LockOwnerRef;
using local::OpenFile;
using local::OpenFileRef;

namespace {

LockCall call_of(const OpenFile& file, const LockArgs& args) noexcept {
  return {.fd = file.fd.get(), .flock = true, .type = args.type, .start = 0, .end = INT64_MAX};
}
LockCall call_of(const local::LockOwner& owner, const LockArgs& args) noexcept {
  return {.fd = owner.fd.get(),
          .flock = false,
          .type = args.type,
          .start = args.start,
          .end = args.end};
}

}  // namespace

void LocalFs::interrupt(uint64_t unique) noexcept { lock_waits_.interrupt(unique); }
void LocalFs::end_waits() noexcept { lock_waits_.end_all(); }

Op<fuse::LkOut> LocalFs::getlk(Request&, const LockArgs& args) {
  OpenFile* found = files_.find(args.handle, args.node);
  if (found == nullptr) return Errno::badf;
  if (args.flock) return Errno::inval;  // flock(2) has no such question
  const OpenFileRef file(files_, *found);
  return locks_.test(args, file->fd.get());
}

Op<Unit> LocalFs::setlk(Request&, const LockArgs& args) {
  OpenFile* found = files_.find(args.handle, args.node);
  if (found == nullptr) return Errno::badf;
  const OpenFileRef file(files_, *found);
  if (args.flock) {
    const LockCall call = call_of(*file, args);
    return reactor_.blocking([&] { return call.try_now(); });
  }
  if (args.type == F_UNLCK) return locks_.drop_range(args);
  const Result<local::LockOwner*> known = locks_.owner_of(args);
  if (!known) return known.error();
  const LockOwnerRef owner(locks_, **known);
  return locks_.set(*owner, args);
}

Op<Unit> LocalFs::setlkw(Request& request, const LockArgs& args) {
  Op<Unit> at_once = setlk(request, args);
  if (at_once.take() || at_once.take().error() != Errno::again) return at_once;
  OpenFile* found = files_.find(args.handle, args.node);
  if (found == nullptr) return Errno::badf;
  if (args.flock) return wait_for_flock(request, OpenFileRef(files_, *found), args);
  const Result<local::LockOwner*> known = locks_.owner_of(args);
  if (!known) return known.error();
  return wait_for_lock(request, LockOwnerRef(locks_, **known), args);
}

Op<Unit> LocalFs::wait_for_lock(Request& request, LockOwnerRef owner, LockArgs args) {
  local::LockWait wait(lock_waits_, request.header.unique, call_of(*owner, args));
  const Result<Unit> result = co_await wait;
  co_return result;
}

Op<Unit> LocalFs::wait_for_flock(Request& request, OpenFileRef file, LockArgs args) {
  local::LockWait wait(lock_waits_, request.header.unique, call_of(*file, args));
  const Result<Unit> result = co_await wait;
  co_return result;
}

}  // namespace dpfs
