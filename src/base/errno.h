// SPDX-License-Identifier: Apache-2.0
// The one error type: a Linux errno, as FUSE carries it (negated) to the tenant.
#pragma once

#include <cerrno>
#include <cstdint>

namespace dpfs {

enum class Errno : int32_t {
  none = 0,
  perm = EPERM,
  noent = ENOENT,
  intr = EINTR,
  io = EIO,
  nxio = ENXIO,
  toobig = E2BIG,
  badf = EBADF,
  again = EAGAIN,
  nomem = ENOMEM,
  acces = EACCES,
  fault = EFAULT,
  busy = EBUSY,
  exist = EEXIST,
  xdev = EXDEV,
  nodev = ENODEV,
  notdir = ENOTDIR,
  isdir = EISDIR,
  inval = EINVAL,
  nfile = ENFILE,
  mfile = EMFILE,
  notty = ENOTTY,
  fbig = EFBIG,
  nospc = ENOSPC,
  rofs = EROFS,
  mlink = EMLINK,
  range = ERANGE,
  deadlk = EDEADLK,
  nametoolong = ENAMETOOLONG,
  nolck = ENOLCK,
  nosys = ENOSYS,
  notempty = ENOTEMPTY,
  loop = ELOOP,
  nodata = ENODATA,
  proto = EPROTO,
  overflow = EOVERFLOW,
  opnotsupp = EOPNOTSUPP,
  nobufs = ENOBUFS,
  notconn = ENOTCONN,
  timedout = ETIMEDOUT,
  stale = ESTALE,
  dquot = EDQUOT,
  canceled = ECANCELED,
};

// From a positive errno value; values that have no name above are carried as they are.
constexpr Errno to_errno(int value) noexcept { return static_cast<Errno>(value); }

// Of the system call that has just failed on this thread.
inline Errno last_errno() noexcept { return to_errno(errno); }

// For logs: "No such file or directory". Never null, valid for ever.
const char* describe(Errno why) noexcept;

}  // namespace dpfs
