// SPDX-License-Identifier: Apache-2.0
// What a read-only device refuses.
#include "layer/read_only.h"

#include <fcntl.h>
#include <unistd.h>

namespace dpfs {

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
  return Layer::open(request, args);
}

Op<Unit> ReadOnlyLayer::access(Request& request, const AccessArgs& args) {
  if ((args.mask & W_OK) != 0) return Errno::rofs;
  return Layer::access(request, args);
}

}  // namespace dpfs
