// SPDX-License-Identifier: Apache-2.0
// GETLK, SETLK and SETLKW: locks of all tenants of the volume, in memory.
#include <fcntl.h>

#include "backend/kv/kv_fs.h"
#include "backend/kv/lock_wait.h"

namespace dpfs {

Op<fuse::LkOut> KvFs::getlk(Request&, const LockArgs& args) {
  if (files_.find(args.handle, args.node) == nullptr) return Errno::badf;
  return locks_.test(static_cast<uint64_t>(args.node), args);
}

Op<Unit> KvFs::setlk(Request&, const LockArgs& args) {
  if (files_.find(args.handle, args.node) == nullptr) return Errno::badf;
  return locks_.set(static_cast<uint64_t>(args.node), args);
}

Op<Unit> KvFs::setlkw(Request& request, const LockArgs& args) {
  if (files_.find(args.handle, args.node) == nullptr) return Errno::badf;
  // flock(2) unlocks so.
  if (args.type == F_UNLCK) return locks_.set(static_cast<uint64_t>(args.node), args);
  return wait_for_lock(request.header.unique, args);
}

Op<Unit> KvFs::wait_for_lock(uint64_t unique, LockArgs args) {
  kv::LockWait wait(locks_, unique, static_cast<uint64_t>(args.node), args);
  const Result<Unit> result = co_await wait;
  co_return result;
}

}  // namespace dpfs
