// SPDX-License-Identifier: Apache-2.0
// What a local file system has nothing to say to.
#include "backend/local/local_fs.h"

namespace dpfs {

// Blocks of a device that the tenant's kernel could read itself: there is none.
Op<fuse::BmapOut> LocalFs::bmap(Request&, const BmapArgs&) { return Errno::nosys; }
// Linux knows that files are always ready when nobody answers.
Op<fuse::PollOut> LocalFs::poll(Request&, const PollArgs&) { return Errno::nosys; }

}  // namespace dpfs
