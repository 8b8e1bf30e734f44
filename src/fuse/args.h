// SPDX-License-Identifier: Apache-2.0
// What each operation of the contract gets: checked copies of what the tenant sent.
//
// Plain values. A Name lies in the Request and an IoView's bytes in the tenant's memory; both last
// until the request is answered. Sizes and offsets are bytes. Flags are Linux's own (O_*, RENAME_*,
// FALLOC_FL_*).
#pragma once

#include <cstdint>
#include <string_view>

#include "fuse/ids.h"
#include "fuse/wire.h"
#include "guest/io_view.h"

namespace dpfs {

// One path component: 1 to 255 bytes, no '/', no NUL inside, neither "." nor "..". Ends with a NUL
// for system calls' sake. (Names of extended attributes are Names too: 1 to 255 bytes without NUL,
// anything else allowed.)
class Name {
 public:
  Name() = default;
  Name(const char* text, uint16_t size) noexcept : text_(text), size_(size) {}
  const char* c_str() const noexcept { return text_; }
  std::string_view view() const noexcept { return {text_, size_}; }
  uint16_t size() const noexcept { return size_; }

 private:
  const char* text_ = "";
  uint16_t size_ = 0;
};

struct NodeArgs {
  NodeId node;
};
struct LookupArgs {
  NodeId parent;
  Name name;
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
};
struct FsyncArgs {
  NodeId node;
  Handle handle;
  bool data_only;
};
struct SetxattrArgs {
  NodeId node;
  Name name;
  uint32_t flags;
  IoView value;  // at most 64 KiB
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
};
struct ReaddirArgs {
  NodeId node;
  Handle handle;
  uint64_t offset;  // 0, or the `off` of an entry that was returned before
  IoView into;
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

// CREATE is answered by both, one behind the other.
struct CreateOut {
  fuse::EntryOut entry;
  fuse::OpenOut open;
};
static_assert(sizeof(CreateOut) == sizeof(fuse::EntryOut) + sizeof(fuse::OpenOut));

}  // namespace dpfs
