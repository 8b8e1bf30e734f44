// SPDX-License-Identifier: Apache-2.0
// What a read-only device refuses.
#include "layer/read_only.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace dpfs {
namespace {

// What says nothing but how things are. The numbers themselves do not tell.
bool only_asks(uint32_t command) noexcept {
  switch (command) {
    case FS_IOC_GETFLAGS:
    case FS_IOC32_GETFLAGS:
    case FS_IOC_GETVERSION:
    case FS_IOC32_GETVERSION:
    case FS_IOC_FSGETXATTR:
    case FS_IOC_GETFSLABEL:
    case FIGETBSZ:
      return true;
    default:
      return false;
  }
}

}  // namespace

void ReadOnlyLayer::begin(Negotiated& negotiated) {
  negotiated.flags &= ~fuse::init_flag::kWritebackCache;  // there is nothing to write back
  Layer::begin(negotiated);
}

Op<Unit> ReadOnlyLayer::admit(Request&, const Operation& operation) {
  if (operation.changes) return Errno::rofs;
  return Unit{};
}

Op<fuse::OpenOut> ReadOnlyLayer::open(Request& request, const OpenArgs& args) {
  constexpr uint32_t kTruncates = O_TRUNC;
  if ((args.flags & O_ACCMODE) != O_RDONLY || (args.flags & kTruncates) != 0) return Errno::rofs;
  // Linux asks for it only with O_TRUNC; nobody else shall change a mode with it.
  if ((args.open_flags & fuse::open_in_flag::kKillSuidgid) != 0) return Errno::rofs;
  return Layer::open(request, args);
}

Op<Unit> ReadOnlyLayer::access(Request& request, const AccessArgs& args) {
  if ((args.mask & W_OK) != 0) return Errno::rofs;
  return Layer::access(request, args);
}

// ENOTTY, which a request that nobody knows gets, where it is not known to be one that changes.
Op<IoctlDone> ReadOnlyLayer::ioctl(Request& request, const IoctlArgs& args) {
  if (only_asks(args.command)) return Layer::ioctl(request, args);
  return (_IOC_DIR(args.command) & _IOC_WRITE) != 0 ? Errno::rofs : Errno::notty;
}

}  // namespace dpfs
