// SPDX-License-Identifier: Apache-2.0
// The contract: what every back end and every layer is. One method for each row of fuse/ops.def.
#pragma once

#include "base/op.h"
#include "fuse/args.h"
#include "fuse/cache_policy.h"
#include "fuse/request.h"

namespace dpfs {

// What a session has agreed on with its tenant, for the file system to know and, before that, to
// restrict.
struct Negotiated {
  uint32_t minor = 0;  // of protocol 7
  uint64_t flags = 0;  // fuse::init_flag, as both sides have them
  uint32_t write_bytes_max = 0;
  uint32_t readahead_bytes_max = 0;
  CachePolicy cache;       // the operator's wish
  bool direct_io = false;  // the tenant's O_DIRECT is to be passed on to what is below
};

// Called on its device's reactor, for one session at a time. Every method may answer at once or
// later (Op). An operation that is not overridden answers ENOSYS, which Linux takes as "never ask
// again" where it can.
//
// FORGET has no answer that could wait: forget() is always ready, and does what takes time on its
// own.
//
// `request` gives who asks (request.header.uid, gid, pid) and lives until the operation is done; so
// do the Names and IoViews in `args`. A coroutine takes args by value.
class FileSystem {
 public:
  FileSystem() = default;
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;
  virtual ~FileSystem() = default;

  // A session begins: node 1 is the root, nothing else is known. May clear flags, and lower limits.
  // Here, the flags are cleared that promise the tenant what a file system has to do on purpose:
  // Linux does not go back to READDIR when READDIRPLUS says ENOSYS, and leaves set-user-id bits to
  // a device that says it drops them.
  virtual void begin(Negotiated& negotiated) { negotiated.flags &= ~fuse::kPromiseFlags; }
  // The session is over: forget all nodes, close all handles. No operation is in flight, and none
  // comes before it returns, also where it lets the reactor go on meanwhile.
  virtual void end() noexcept {}

  // The tenant no longer waits for its request of that number (INTERRUPT). An operation that waits
  // for something that may never come (a lock) answers EINTR soon; others go on. May come before
  // the request itself (EarlyInterrupts).
  virtual void interrupt(uint64_t /*unique*/) noexcept {}
  // All operations that wait so answer ENOLCK soon: the transport is being stopped, or the session
  // ends.
  virtual void end_waits() noexcept {}

#define DPFS_OP(name, Args, Out, effect) \
  virtual Op<Out> name(Request& /*request*/, const Args& /*args*/) { return Errno::nosys; }
#include "fuse/ops.def"
};

}  // namespace dpfs
