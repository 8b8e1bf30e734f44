// SPDX-License-Identifier: Apache-2.0
// From a message to the arguments of its operation: copied once, checked, bounded.
#pragma once

#include "base/result.h"
#include "fuse/args.h"
#include "fuse/request.h"

namespace dpfs {

// What decoding depends on besides the message.
struct DecodeLimits {
  uint32_t io_bytes_max = 1u << 20;  // of one READ or WRITE
  uint64_t flags = 0;                // fuse::init_flag, as they were agreed on
};

// Reads request.header, checks that its length is true, and leaves in request.in and
// request.extensions what belongs to the message. EINVAL: it is too short, or says it is longer
// than it is.
Result<Unit> decode_header(Request& request) noexcept;

// One for each Args type, by overload. EINVAL: too short, too long, a size that does not fit the
// reply's room, a name with '/' or NUL, "." or "..", or none. ENAMETOOLONG: a name over 255 bytes.
template <class Args>
struct ArgsOf {};
#define DPFS_DECODE(Args) \
  Result<Args> decode(Request& request, const DecodeLimits& limits, ArgsOf<Args>) noexcept
DPFS_DECODE(NodeArgs);
DPFS_DECODE(LookupArgs);
DPFS_DECODE(ForgetArgs);
DPFS_DECODE(GetattrArgs);
DPFS_DECODE(SetattrArgs);
DPFS_DECODE(ReadlinkArgs);
DPFS_DECODE(SymlinkArgs);
DPFS_DECODE(MknodArgs);
DPFS_DECODE(MkdirArgs);
DPFS_DECODE(UnlinkArgs);
DPFS_DECODE(RenameArgs);  // of a RENAME2 or a RENAME
DPFS_DECODE(LinkArgs);
DPFS_DECODE(OpenArgs);
DPFS_DECODE(ReadArgs);
DPFS_DECODE(WriteArgs);
DPFS_DECODE(ReleaseArgs);
DPFS_DECODE(FsyncArgs);
DPFS_DECODE(SetxattrArgs);
DPFS_DECODE(GetxattrArgs);
DPFS_DECODE(ListxattrArgs);
DPFS_DECODE(RemovexattrArgs);
DPFS_DECODE(FlushArgs);
DPFS_DECODE(ReaddirArgs);
DPFS_DECODE(LockArgs);
DPFS_DECODE(AccessArgs);
DPFS_DECODE(CreateArgs);
DPFS_DECODE(TmpfileArgs);
DPFS_DECODE(BmapArgs);
DPFS_DECODE(IoctlArgs);
DPFS_DECODE(PollArgs);
DPFS_DECODE(FallocateArgs);
DPFS_DECODE(LseekArgs);
DPFS_DECODE(CopyFileRangeArgs);  // of a COPY_FILE_RANGE or a COPY_FILE_RANGE_64
DPFS_DECODE(StatxArgs);
#undef DPFS_DECODE

}  // namespace dpfs
