// SPDX-License-Identifier: Apache-2.0
// Decoding of every message that is an operation. Fuzzed by session_fuzz.cc.
#include "fuse/decode.h"

#include <fcntl.h>

#include <algorithm>
#include <limits>

#include "fuse/extensions.h"
#include "fuse/take_text.h"

namespace dpfs {
namespace {

using namespace fuse;  // NOLINT(google-build-using-namespace): the wire structs, in this file alone

constexpr size_t kNameMax = 255;                              // NAME_MAX
constexpr size_t kMessageBytesMax = (1u << 20) + (1u << 16);  // a WRITE of 1 MiB, and its head
constexpr size_t kTargetMax = 4095;                           // PATH_MAX without its NUL
// A file offset is signed in Linux, and system calls give -1 a meaning of its own.
constexpr uint64_t kOffsetMax = std::numeric_limits<int64_t>::max();
constexpr uint32_t kXattrBytesMax = 65536;    // XATTR_SIZE_MAX and XATTR_LIST_MAX
constexpr size_t kSecondText = kNameMax + 1;  // where the second text begins in Request::names
static_assert(kSecondText + kTargetMax + 1 <= Request::kNamesMax);

NodeId node_of(const Request& request) noexcept { return NodeId{request.header.nodeid}; }

Result<Name> take_xattr_name(Request& request) noexcept {
  const Result<uint16_t> size = take_text(request.in, request.names, kNameMax);
  if (!size) return size.error() == Errno::nametoolong ? Errno::range : size.error();
  return Name(request.names, *size);
}

bool is_dots(const Name& name) noexcept { return name.view() == "." || name.view() == ".."; }

// A name of a directory entry, or "." or "..".
Result<Name> take_component(Request& request, size_t at) noexcept {
  const Result<uint16_t> size = take_text(request.in, request.names + at, kNameMax);
  if (!size) return size.error();
  const Name name(request.names + at, *size);
  if (name.view().find('/') != std::string_view::npos) return Errno::inval;
  return name;
}

// A name of a directory entry.
Result<Name> take_name(Request& request, size_t at = 0) noexcept {
  const Result<Name> name = take_component(request, at);
  if (name && is_dots(*name)) return Errno::inval;
  return name;
}

// The name that ends a message: nothing may follow it, also no second NUL.
Result<Name> last_name(Request& request) noexcept {
  const Result<Name> name = take_name(request);
  if (name && !request.in.empty()) return Errno::inval;
  return name;
}

// The `size` bytes of room behind the reply's header.
Result<IoView> room(const Request& request, uint32_t size) noexcept {
  const IoView payload = request.out.rest(sizeof(OutHeader));
  if (payload.size() < size) return Errno::inval;
  return payload.first(size);
}

}  // namespace

Result<Unit> decode_header(Request& request) noexcept {
  const size_t sent = request.in.size();
  const Result<InHeader> header = request.in.load<InHeader>();
  if (!header) {
    request.header = {};
    return Errno::inval;
  }
  request.header = *header;
  const size_t extensions = size_t{header->total_extlen} * 8;
  if (header->len > sent || header->len > kMessageBytesMax ||
      header->len < sizeof(InHeader) + extensions)
    return Errno::inval;
  const size_t arguments = header->len - sizeof(InHeader) - extensions;
  request.extensions = extensions > 0 ? request.in.rest(arguments).first(extensions) : IoView();
  request.in = request.in.first(arguments);
  return Unit{};
}

#define DPFS_DECODE(Args)                                \
  Result<Args> decode([[maybe_unused]] Request& request, \
                      [[maybe_unused]] const DecodeLimits& limits, ArgsOf<Args>) noexcept
// Copies a struct off the message into `in`, or returns.
#define DPFS_LOAD(Struct, variable)                          \
  const Result<Struct> variable = request.in.load<Struct>(); \
  if (!variable) return variable.error()
// Takes the result of `expression` into `variable`, or returns.
#define DPFS_TAKE(Type, variable, expression) \
  const Result<Type> variable = expression;   \
  if (!variable) return variable.error()

DPFS_DECODE(NodeArgs) { return NodeArgs{node_of(request)}; }

DPFS_DECODE(LookupArgs) {
  DPFS_TAKE(Name, name, take_component(request, 0));
  // A server that shares the tenant's mount again asks so for nodes that were forgotten.
  if (is_dots(*name) && (limits.flags & init_flag::kExportSupport) == 0) return Errno::inval;
  if (!request.in.empty()) return Errno::inval;
  return LookupArgs{node_of(request), *name};
}

DPFS_DECODE(ForgetArgs) {
  DPFS_LOAD(ForgetIn, in);
  return ForgetArgs{node_of(request), in->nlookup};
}

DPFS_DECODE(GetattrArgs) {
  DPFS_LOAD(GetattrIn, in);
  return GetattrArgs{node_of(request), (in->getattr_flags & getattr_flag::kFh) != 0,
                     Handle{in->fh}};
}

DPFS_DECODE(SetattrArgs) {
  DPFS_LOAD(SetattrIn, in);
  return SetattrArgs{node_of(request), *in};
}

DPFS_DECODE(ReadlinkArgs) {
  return ReadlinkArgs{node_of(request), request.out.rest(sizeof(OutHeader)).first(kTargetMax)};
}

DPFS_DECODE(SymlinkArgs) {
  DPFS_TAKE(Name, name, take_name(request));
  DPFS_TAKE(uint16_t, target_size, take_text(request.in, request.names + kSecondText, kTargetMax));
  if (!request.in.empty()) return Errno::inval;
  DPFS_TAKE(Unit, extended, decode_extensions(request, limits.flags));
  return SymlinkArgs{node_of(request), *name, request.names + kSecondText, *target_size};
}

DPFS_DECODE(MknodArgs) {
  DPFS_LOAD(MknodIn, in);
  DPFS_TAKE(Name, name, last_name(request));
  DPFS_TAKE(Unit, extended, decode_extensions(request, limits.flags));
  return MknodArgs{node_of(request), *name, in->mode, in->rdev, in->umask};
}

DPFS_DECODE(MkdirArgs) {
  DPFS_LOAD(MkdirIn, in);
  DPFS_TAKE(Name, name, last_name(request));
  DPFS_TAKE(Unit, extended, decode_extensions(request, limits.flags));
  return MkdirArgs{node_of(request), *name, in->mode, in->umask};
}

DPFS_DECODE(UnlinkArgs) {
  DPFS_TAKE(Name, name, last_name(request));
  return UnlinkArgs{node_of(request), *name};
}

DPFS_DECODE(RenameArgs) {
  Rename2In in{};
  if (static_cast<Opcode>(request.header.opcode) == Opcode::rename) {
    DPFS_LOAD(RenameIn, old);
    in.newdir = old->newdir;
  } else {
    DPFS_LOAD(Rename2In, current);
    in = *current;
  }
  DPFS_TAKE(Name, name, take_name(request));
  DPFS_TAKE(Name, new_name, take_name(request, kSecondText));
  if (!request.in.empty()) return Errno::inval;
  return RenameArgs{node_of(request), *name, NodeId{in.newdir}, *new_name, in.flags};
}

DPFS_DECODE(LinkArgs) {
  DPFS_LOAD(LinkIn, in);
  DPFS_TAKE(Name, name, last_name(request));
  return LinkArgs{NodeId{in->oldnodeid}, node_of(request), *name};
}

DPFS_DECODE(OpenArgs) {
  DPFS_LOAD(OpenIn, in);
  return OpenArgs{node_of(request), in->flags, in->open_flags};
}

DPFS_DECODE(ReadArgs) {
  DPFS_LOAD(ReadIn, in);
  if (in->size > limits.io_bytes_max || in->offset > kOffsetMax) return Errno::inval;
  DPFS_TAKE(IoView, into, room(request, in->size));
  return ReadArgs{node_of(request), Handle{in->fh}, in->offset, in->flags, *into};
}

DPFS_DECODE(WriteArgs) {
  DPFS_LOAD(WriteIn, in);
  if (in->size > limits.io_bytes_max || in->size != request.in.size()) return Errno::inval;
  if (in->offset > kOffsetMax) return Errno::inval;
  return WriteArgs{node_of(request), Handle{in->fh},  in->offset,
                   in->flags,        in->write_flags, request.in};
}

DPFS_DECODE(ReleaseArgs) {
  DPFS_LOAD(ReleaseIn, in);
  return ReleaseArgs{node_of(request), Handle{in->fh},
                     (in->release_flags & release_flag::kFlockUnlock) != 0};
}

DPFS_DECODE(FsyncArgs) {
  DPFS_LOAD(FsyncIn, in);
  return FsyncArgs{node_of(request), Handle{in->fh},
                   (in->fsync_flags & fsync_flag::kFdatasync) != 0};
}

DPFS_DECODE(SetxattrArgs) {
  SetxattrIn in{};
  const bool extended = (limits.flags & init_flag::kSetxattrExt) != 0;
  const size_t in_size = extended ? sizeof in : kSetxattrInCompatSize;
  if (request.in.copy_out(&in, in_size) != in_size) return Errno::inval;
  DPFS_TAKE(Name, name, take_xattr_name(request));
  if (in.size > kXattrBytesMax) return Errno::toobig;
  if (in.size != request.in.size()) return Errno::inval;
  return SetxattrArgs{node_of(request), *name, in.flags, in.setxattr_flags, request.in};
}

DPFS_DECODE(GetxattrArgs) {
  DPFS_LOAD(GetxattrIn, in);
  DPFS_TAKE(Name, name, take_xattr_name(request));
  if (!request.in.empty()) return Errno::inval;
  DPFS_TAKE(IoView, into, room(request, std::min(in->size, kXattrBytesMax)));
  return GetxattrArgs{node_of(request), *name, *into};
}

DPFS_DECODE(ListxattrArgs) {
  DPFS_LOAD(GetxattrIn, in);
  DPFS_TAKE(IoView, into, room(request, std::min(in->size, kXattrBytesMax)));
  return ListxattrArgs{node_of(request), *into};
}

DPFS_DECODE(RemovexattrArgs) {
  DPFS_TAKE(Name, name, take_xattr_name(request));
  if (!request.in.empty()) return Errno::inval;
  return RemovexattrArgs{node_of(request), *name};
}

DPFS_DECODE(FlushArgs) {
  DPFS_LOAD(FlushIn, in);
  return FlushArgs{node_of(request), Handle{in->fh}, in->lock_owner};
}

DPFS_DECODE(ReaddirArgs) {
  DPFS_LOAD(ReadIn, in);
  if (in->size > limits.io_bytes_max) return Errno::inval;
  DPFS_TAKE(IoView, into, room(request, in->size));
  return ReaddirArgs{node_of(request), Handle{in->fh}, in->offset, *into};
}

DPFS_DECODE(LockArgs) {
  DPFS_LOAD(LkIn, in);
  if (in->lk.type != F_RDLCK && in->lk.type != F_WRLCK && in->lk.type != F_UNLCK) {
    return Errno::inval;
  }
  if (in->lk.start > in->lk.end || in->lk.end > kOffsetMax) return Errno::inval;
  return LockArgs{
      .node = node_of(request),
      .handle = Handle{in->fh},
      .owner = in->owner,
      .start = in->lk.start,
      .end = in->lk.end,
      .type = in->lk.type,
      .pid = in->lk.pid,
      .flock = (in->lk_flags & lk_flag::kFlock) != 0,
  };
}

DPFS_DECODE(AccessArgs) {
  DPFS_LOAD(AccessIn, in);
  return AccessArgs{node_of(request), in->mask};
}

DPFS_DECODE(CreateArgs) {
  DPFS_LOAD(CreateIn, in);
  DPFS_TAKE(Name, name, last_name(request));
  DPFS_TAKE(Unit, extended, decode_extensions(request, limits.flags));
  return CreateArgs{node_of(request), *name, in->flags, in->mode, in->umask, in->open_flags};
}

// The name that comes with it is nobody's.
DPFS_DECODE(TmpfileArgs) {
  DPFS_LOAD(CreateIn, in);
  DPFS_TAKE(uint16_t, name_size, take_text(request.in, request.names, kNameMax));
  if (!request.in.empty()) return Errno::inval;
  DPFS_TAKE(Unit, extended, decode_extensions(request, limits.flags));
  return TmpfileArgs{node_of(request), in->flags, in->mode, in->umask, in->open_flags};
}

DPFS_DECODE(BmapArgs) {
  DPFS_LOAD(BmapIn, in);
  return BmapArgs{node_of(request), in->block, in->blocksize};
}

DPFS_DECODE(IoctlArgs) {
  DPFS_LOAD(IoctlIn, in);
  if (in->in_size != request.in.size()) return Errno::inval;
  const IoView room = request.out.rest(sizeof(OutHeader) + sizeof(IoctlOut));
  if (room.size() < in->out_size) return Errno::inval;
  return IoctlArgs{
      .node = node_of(request),
      .handle = Handle{in->fh},
      .flags = in->flags,
      .command = in->cmd,
      .argument = in->arg,
      .from = request.in,
      .into = room.first(in->out_size),
  };
}

DPFS_DECODE(PollArgs) {
  DPFS_LOAD(PollIn, in);
  return PollArgs{node_of(request), Handle{in->fh}, in->kh, in->flags, in->events};
}

DPFS_DECODE(FallocateArgs) {
  DPFS_LOAD(FallocateIn, in);
  return FallocateArgs{node_of(request), Handle{in->fh}, in->offset, in->length, in->mode};
}

DPFS_DECODE(LseekArgs) {
  DPFS_LOAD(LseekIn, in);
  return LseekArgs{node_of(request), Handle{in->fh}, in->offset, in->whence};
}

DPFS_DECODE(CopyFileRangeArgs) {
  DPFS_LOAD(CopyFileRangeIn, in);
  // The older of the two answers in 32 bits.
  constexpr uint64_t kOldBytesMax = 0xffff'f000;
  const bool is_old = static_cast<Opcode>(request.header.opcode) == Opcode::copy_file_range;
  return CopyFileRangeArgs{
      .node_in = node_of(request),
      .handle_in = Handle{in->fh_in},
      .offset_in = in->off_in,
      .node_out = NodeId{in->nodeid_out},
      .handle_out = Handle{in->fh_out},
      .offset_out = in->off_out,
      .length = is_old ? std::min(in->len, kOldBytesMax) : in->len,
      .flags = in->flags,
  };
}

DPFS_DECODE(StatxArgs) {
  DPFS_LOAD(StatxIn, in);
  return StatxArgs{node_of(request), (in->getattr_flags & getattr_flag::kFh) != 0, Handle{in->fh},
                   in->sx_flags, in->sx_mask};
}

#undef DPFS_TAKE
#undef DPFS_LOAD
#undef DPFS_DECODE

}  // namespace dpfs
