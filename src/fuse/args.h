// SPDX-License-Identifier: Apache-2.0
// What each operation of the contract gets: checked copies of what the tenant sent.
//
// Plain values. A Name lies in the Request and an IoView's bytes in the tenant's memory; both last
// until the request is answered. Sizes and offsets are bytes. Flags are Linux's own (O_*, RENAME_*,
// FALLOC_FL_*).
#pragma once

#include <cstdint>

#include "fuse/ids.h"
#include "fuse/name.h"
#include "fuse/wire.h"
#include "guest/io_view.h"

namespace dpfs {

struct NodeArgs {
  NodeId node;
};
struct LookupArgs {
  NodeId parent;  // or, for "." and "..", the node itself
  Name name;      // also "." and ".." where init_flag::kExportSupport was agreed on
};
struct ForgetArgs {
  NodeId node;
  uint64_t lookups;  // how many of the lookups that were answered with this node are taken back
};
struct GetattrArgs {
  NodeId node;
  bool has_handle;
  Handle handle;
};
struct SetattrArgs {
  NodeId node;
  fuse::SetattrIn in;  // `valid` (fuse::attr_valid) says which fields are meant
};
struct ReadlinkArgs {
  NodeId node;
  IoView into;
};
struct SymlinkArgs {
  NodeId parent;
  Name name;
  const char* target;    // with a NUL behind it
  uint16_t target_size;  // 1 to 4095
};
struct MknodArgs {
  NodeId parent;
  Name name;
  uint32_t mode;
  uint32_t rdev;
  uint32_t umask;
};
struct MkdirArgs {
  NodeId parent;
  Name name;
  uint32_t mode;
  uint32_t umask;
};
struct UnlinkArgs {
  NodeId parent;
  Name name;
};
struct RenameArgs {
  NodeId parent;
  Name name;
  NodeId new_parent;
  Name new_name;
  uint32_t flags;
};
struct LinkArgs {
  NodeId node;
  NodeId new_parent;
  Name new_name;
};
struct OpenArgs {
  NodeId node;
  uint32_t flags;
  uint32_t open_flags;  // fuse::open_in_flag
};
struct ReadArgs {
  NodeId node;
  Handle handle;
  uint64_t offset;
  uint32_t flags;  // of the open file, as they are now
  IoView into;     // its size is what is asked for
};
struct WriteArgs {
  NodeId node;
  Handle handle;
  uint64_t offset;
  uint32_t flags;        // of the open file, as they are now
  uint32_t write_flags;  // fuse::write_flag
  IoView from;
};
struct ReleaseArgs {
  NodeId node;
  Handle handle;
  bool drops_flock;  // the last use of the open file is over, and flock(2)'s lock with it
};
struct FsyncArgs {
  NodeId node;
  Handle handle;
  bool data_only;
};
struct SetxattrArgs {
  NodeId node;
  Name name;
  uint32_t flags;           // XATTR_...
  uint32_t setxattr_flags;  // fuse::setxattr_flag
  IoView value;             // at most 64 KiB
};
struct GetxattrArgs {
  NodeId node;
  Name name;
  IoView into;  // empty: how long is it?
};
struct ListxattrArgs {
  NodeId node;
  IoView into;  // empty: how long is it?
};
struct RemovexattrArgs {
  NodeId node;
  Name name;
};
struct FlushArgs {
  NodeId node;
  Handle handle;
  uint64_t lock_owner;  // whose fcntl(2) locks of the file are over
};
struct ReaddirArgs {
  NodeId node;
  Handle handle;
  uint64_t offset;  // 0, or the `off` of an entry that was returned before
  IoView into;
};
// GETLK, SETLK and SETLKW: a lock of fcntl(2), or of flock(2), which is always of the whole file.
struct LockArgs {
  NodeId node;
  Handle handle;
  uint64_t owner;  // locks of one owner never exclude each other
  uint64_t start;
  uint64_t end;   // the last byte; INT64_MAX: to the end of the file, wherever it is
  uint32_t type;  // F_RDLCK, F_WRLCK or F_UNLCK
  uint32_t pid;   // of the tenant's process, for others to be told
  bool flock;
};
struct AccessArgs {
  NodeId node;
  uint32_t mask;
};
struct CreateArgs {
  NodeId parent;
  Name name;
  uint32_t flags;
  uint32_t mode;
  uint32_t umask;
  uint32_t open_flags;  // fuse::open_in_flag
};
struct TmpfileArgs {
  NodeId parent;
  uint32_t flags;
  uint32_t mode;
  uint32_t umask;
  uint32_t open_flags;  // fuse::open_in_flag
};
struct BmapArgs {
  NodeId node;
  uint64_t block;
  uint32_t block_bytes;
};
struct IoctlArgs {
  NodeId node;
  Handle handle;
  uint32_t flags;  // fuse::ioctl_flag
  uint32_t command;
  uint64_t argument;
  IoView from;  // what the tenant's kernel took from behind `argument`
  IoView into;  // what it will put there
};
struct PollArgs {
  NodeId node;
  Handle handle;
  uint64_t wakeup;  // to name in a notification
  uint32_t flags;   // fuse::poll_flag
  uint32_t events;  // POLLIN, ...
};
struct FallocateArgs {
  NodeId node;
  Handle handle;
  uint64_t offset;
  uint64_t length;
  uint32_t mode;
};
struct LseekArgs {
  NodeId node;
  Handle handle;
  uint64_t offset;
  uint32_t whence;
};
struct CopyFileRangeArgs {
  NodeId node_in;
  Handle handle_in;
  uint64_t offset_in;
  NodeId node_out;
  Handle handle_out;
  uint64_t offset_out;
  uint64_t length;
  uint64_t flags;
};

struct StatxArgs {
  NodeId node;
  bool has_handle;
  Handle handle;
  uint32_t flags;  // AT_STATX_...
  uint32_t mask;   // STATX_...: what is wanted
};

// What ioctl(2) gives, and how many bytes lie in `into`.
struct IoctlDone {
  int32_t result;
  uint32_t bytes;
};

// CREATE and TMPFILE are answered by both, one behind the other.
struct CreateOut {
  fuse::EntryOut entry;
  fuse::OpenOut open;
};
static_assert(sizeof(CreateOut) == sizeof(fuse::EntryOut) + sizeof(fuse::OpenOut));

}  // namespace dpfs
