// SPDX-License-Identifier: Apache-2.0
// The FUSE protocol as it travels: byte-exact with Linux's include/uapi/linux/fuse.h, version 7.45.
//
// Fields keep Linux's names; the comments say which minor version brought them where it matters.
// All integers are in the byte order of the driver (VIRTIO 1.3, section 5.11.6.1), which we require
// to be ours, little-endian. Structures whose size grew over time have their old sizes as
// k...CompatSize.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "fuse/wire_constants.h"

namespace dpfs::fuse {

static_assert(std::endian::native == std::endian::little, "the wire structs are little-endian");

// ---- Headers ------------------------------------------------------------------------------------

struct InHeader {
  uint32_t len;
  uint32_t opcode;
  uint64_t unique;
  uint64_t nodeid;
  uint32_t uid;
  uint32_t gid;
  uint32_t pid;
  uint16_t total_extlen;  // extensions behind the arguments, in units of 8 bytes; 7.38
  uint16_t padding;
};
static_assert(sizeof(InHeader) == 40 && offsetof(InHeader, nodeid) == 16 &&
              offsetof(InHeader, total_extlen) == 36);

struct OutHeader {
  uint32_t len;
  int32_t error;  // 0 or a negative errno; a NotifyCode where unique is 0
  uint64_t unique;
};
static_assert(sizeof(OutHeader) == 16 && offsetof(OutHeader, unique) == 8);

// ---- Attributes ---------------------------------------------------------------------------------

struct Attr {
  uint64_t ino;
  uint64_t size;
  uint64_t blocks;
  uint64_t atime;
  uint64_t mtime;
  uint64_t ctime;
  uint32_t atimensec;
  uint32_t mtimensec;
  uint32_t ctimensec;
  uint32_t mode;
  uint32_t nlink;
  uint32_t uid;
  uint32_t gid;
  uint32_t rdev;
  uint32_t blksize;
  uint32_t flags;
};
static_assert(sizeof(Attr) == 88 && offsetof(Attr, atimensec) == 48 && offsetof(Attr, flags) == 84);

// Bit for bit what statx(2) returns; 7.39.
struct SxTime {
  int64_t tv_sec;
  uint32_t tv_nsec;
  int32_t reserved;
};
static_assert(sizeof(SxTime) == 16);

struct Statx {
  uint32_t mask;
  uint32_t blksize;
  uint64_t attributes;
  uint32_t nlink;
  uint32_t uid;
  uint32_t gid;
  uint16_t mode;
  uint16_t spare0;
  uint64_t ino;
  uint64_t size;
  uint64_t blocks;
  uint64_t attributes_mask;
  SxTime atime;
  SxTime btime;
  SxTime ctime;
  SxTime mtime;
  uint32_t rdev_major;
  uint32_t rdev_minor;
  uint32_t dev_major;
  uint32_t dev_minor;
  uint64_t spare2[14];
};
static_assert(sizeof(Statx) == 256 && offsetof(Statx, ino) == 32 && offsetof(Statx, atime) == 64);

struct Kstatfs {
  uint64_t blocks;
  uint64_t bfree;
  uint64_t bavail;
  uint64_t files;
  uint64_t ffree;
  uint32_t bsize;
  uint32_t namelen;
  uint32_t frsize;
  uint32_t padding;
  uint32_t spare[6];
};
static_assert(sizeof(Kstatfs) == 80 && offsetof(Kstatfs, bsize) == 40);

struct FileLock {
  uint64_t start;
  uint64_t end;
  uint32_t type;
  uint32_t pid;
};
static_assert(sizeof(FileLock) == 24);

// ---- Requests and replies, in the order of their opcodes
// -----------------------------------------

inline constexpr size_t kEntryOutCompatSize = 120;  // before 7.9
struct EntryOut {
  uint64_t nodeid;
  uint64_t generation;
  uint64_t entry_valid;  // seconds
  uint64_t attr_valid;   // seconds
  uint32_t entry_valid_nsec;
  uint32_t attr_valid_nsec;
  Attr attr;
};
static_assert(sizeof(EntryOut) == 128 && offsetof(EntryOut, attr) == 40);

struct ForgetIn {
  uint64_t nlookup;
};
static_assert(sizeof(ForgetIn) == 8);

struct ForgetOne {
  uint64_t nodeid;
  uint64_t nlookup;
};
static_assert(sizeof(ForgetOne) == 16);

struct BatchForgetIn {
  uint32_t count;  // of ForgetOne behind it
  uint32_t dummy;
};
static_assert(sizeof(BatchForgetIn) == 8);

struct GetattrIn {
  uint32_t getattr_flags;
  uint32_t dummy;
  uint64_t fh;
};
static_assert(sizeof(GetattrIn) == 16);

inline constexpr size_t kAttrOutCompatSize = 96;  // before 7.9
struct AttrOut {
  uint64_t attr_valid;  // seconds
  uint32_t attr_valid_nsec;
  uint32_t dummy;
  Attr attr;
};
static_assert(sizeof(AttrOut) == 104 && offsetof(AttrOut, attr) == 16);

struct StatxIn {
  uint32_t getattr_flags;
  uint32_t reserved;
  uint64_t fh;
  uint32_t sx_flags;
  uint32_t sx_mask;
};
static_assert(sizeof(StatxIn) == 24);

struct StatxOut {
  uint64_t attr_valid;  // seconds
  uint32_t attr_valid_nsec;
  uint32_t flags;
  uint64_t spare[2];
  Statx stat;
};
static_assert(sizeof(StatxOut) == 288 && offsetof(StatxOut, stat) == 32);

struct SetattrIn {
  uint32_t valid;
  uint32_t padding;
  uint64_t fh;
  uint64_t size;
  uint64_t lock_owner;
  uint64_t atime;
  uint64_t mtime;
  uint64_t ctime;
  uint32_t atimensec;
  uint32_t mtimensec;
  uint32_t ctimensec;
  uint32_t mode;
  uint32_t unused4;
  uint32_t uid;
  uint32_t gid;
  uint32_t unused5;
};
static_assert(sizeof(SetattrIn) == 88 && offsetof(SetattrIn, mode) == 68 &&
              offsetof(SetattrIn, uid) == 76);

inline constexpr size_t kMknodInCompatSize = 8;  // before 7.12
struct MknodIn {
  uint32_t mode;
  uint32_t rdev;
  uint32_t umask;
  uint32_t padding;
};
static_assert(sizeof(MknodIn) == 16);

struct MkdirIn {
  uint32_t mode;
  uint32_t umask;
};
static_assert(sizeof(MkdirIn) == 8);

struct RenameIn {
  uint64_t newdir;
};
static_assert(sizeof(RenameIn) == 8);

struct Rename2In {
  uint64_t newdir;
  uint32_t flags;
  uint32_t padding;
};
static_assert(sizeof(Rename2In) == 16);

struct LinkIn {
  uint64_t oldnodeid;
};
static_assert(sizeof(LinkIn) == 8);

struct OpenIn {
  uint32_t flags;
  uint32_t open_flags;
};
static_assert(sizeof(OpenIn) == 8);

struct OpenOut {
  uint64_t fh;
  uint32_t open_flags;
  int32_t backing_id;  // 7.40
};
static_assert(sizeof(OpenOut) == 16);

// CREATE and TMPFILE; answered by an EntryOut with an OpenOut behind it.
struct CreateIn {
  uint32_t flags;
  uint32_t mode;
  uint32_t umask;
  uint32_t open_flags;
};
static_assert(sizeof(CreateIn) == 16);

// READ, READDIR and READDIRPLUS
struct ReadIn {
  uint64_t fh;
  uint64_t offset;
  uint32_t size;
  uint32_t read_flags;
  uint64_t lock_owner;
  uint32_t flags;
  uint32_t padding;
};
static_assert(sizeof(ReadIn) == 40 && offsetof(ReadIn, lock_owner) == 24);

inline constexpr size_t kWriteInCompatSize = 24;  // before 7.9
struct WriteIn {
  uint64_t fh;
  uint64_t offset;
  uint32_t size;
  uint32_t write_flags;
  uint64_t lock_owner;
  uint32_t flags;
  uint32_t padding;
};
static_assert(sizeof(WriteIn) == 40 && offsetof(WriteIn, lock_owner) == 24);

// WRITE and COPY_FILE_RANGE
struct WriteOut {
  uint32_t size;
  uint32_t padding;
};
static_assert(sizeof(WriteOut) == 8);

inline constexpr size_t kStatfsOutCompatSize = 48;  // before 7.4
struct StatfsOut {
  Kstatfs st;
};
static_assert(sizeof(StatfsOut) == 80);

// RELEASE and RELEASEDIR
struct ReleaseIn {
  uint64_t fh;
  uint32_t flags;
  uint32_t release_flags;
  uint64_t lock_owner;
};
static_assert(sizeof(ReleaseIn) == 24);

// FSYNC and FSYNCDIR
struct FsyncIn {
  uint64_t fh;
  uint32_t fsync_flags;
  uint32_t padding;
};
static_assert(sizeof(FsyncIn) == 16);

inline constexpr size_t kSetxattrInCompatSize = 8;  // unless init_flag::kSetxattrExt is agreed on
struct SetxattrIn {
  uint32_t size;
  uint32_t flags;
  uint32_t setxattr_flags;
  uint32_t padding;
};
static_assert(sizeof(SetxattrIn) == 16);

// GETXATTR and LISTXATTR; size 0 asks for a GetxattrOut, anything else for the bytes themselves.
struct GetxattrIn {
  uint32_t size;
  uint32_t padding;
};
static_assert(sizeof(GetxattrIn) == 8);

struct GetxattrOut {
  uint32_t size;
  uint32_t padding;
};
static_assert(sizeof(GetxattrOut) == 8);

struct FlushIn {
  uint64_t fh;
  uint32_t unused;
  uint32_t padding;
  uint64_t lock_owner;
};
static_assert(sizeof(FlushIn) == 24);

inline constexpr size_t kInitInCompatSize = 16;  // without init_flag::kInitExt: ends before flags2
struct InitIn {
  uint32_t major;
  uint32_t minor;
  uint32_t max_readahead;
  uint32_t flags;
  uint32_t flags2;  // 7.36
  uint32_t unused[11];
};
static_assert(sizeof(InitIn) == 64 && offsetof(InitIn, flags2) == 16);

inline constexpr size_t kInitOutCompatSize = 8;     // before 7.5
inline constexpr size_t kInitOutCompat22Size = 24;  // before 7.23
struct InitOut {
  uint32_t major;
  uint32_t minor;
  uint32_t max_readahead;
  uint32_t flags;
  uint16_t max_background;
  uint16_t congestion_threshold;
  uint32_t max_write;
  uint32_t time_gran;  // nanoseconds
  uint16_t max_pages;
  uint16_t map_alignment;  // log2
  uint32_t flags2;
  uint32_t max_stack_depth;  // 7.40
  uint16_t request_timeout;  // seconds; 7.43
  uint16_t unused[11];
};
static_assert(sizeof(InitOut) == 64 && offsetof(InitOut, flags2) == 32 &&
              offsetof(InitOut, request_timeout) == 40);

// GETLK, SETLK and SETLKW
struct LkIn {
  uint64_t fh;
  uint64_t owner;
  FileLock lk;
  uint32_t lk_flags;
  uint32_t padding;
};
static_assert(sizeof(LkIn) == 48);

struct LkOut {
  FileLock lk;
};
static_assert(sizeof(LkOut) == 24);

struct AccessIn {
  uint32_t mask;
  uint32_t padding;
};
static_assert(sizeof(AccessIn) == 8);

struct InterruptIn {
  uint64_t unique;
};
static_assert(sizeof(InterruptIn) == 8);

struct BmapIn {
  uint64_t block;
  uint32_t blocksize;
  uint32_t padding;
};
static_assert(sizeof(BmapIn) == 16);

struct BmapOut {
  uint64_t block;
};
static_assert(sizeof(BmapOut) == 8);

struct IoctlIn {
  uint64_t fh;
  uint32_t flags;
  uint32_t cmd;
  uint64_t arg;
  uint32_t in_size;
  uint32_t out_size;
};
static_assert(sizeof(IoctlIn) == 32);

struct IoctlIovec {
  uint64_t base;
  uint64_t len;
};
static_assert(sizeof(IoctlIovec) == 16);

struct IoctlOut {
  int32_t result;
  uint32_t flags;
  uint32_t in_iovs;
  uint32_t out_iovs;
};
static_assert(sizeof(IoctlOut) == 16);

struct PollIn {
  uint64_t fh;
  uint64_t kh;
  uint32_t flags;
  uint32_t events;
};
static_assert(sizeof(PollIn) == 24);

struct PollOut {
  uint32_t revents;
  uint32_t padding;
};
static_assert(sizeof(PollOut) == 8);

struct FallocateIn {
  uint64_t fh;
  uint64_t offset;
  uint64_t length;
  uint32_t mode;
  uint32_t padding;
};
static_assert(sizeof(FallocateIn) == 32);

struct LseekIn {
  uint64_t fh;
  uint64_t offset;
  uint32_t whence;
  uint32_t padding;
};
static_assert(sizeof(LseekIn) == 24);

struct LseekOut {
  uint64_t offset;
};
static_assert(sizeof(LseekOut) == 8);

// COPY_FILE_RANGE (answered by WriteOut) and COPY_FILE_RANGE_64 (answered by CopyFileRangeOut)
struct CopyFileRangeIn {
  uint64_t fh_in;
  uint64_t off_in;
  uint64_t nodeid_out;
  uint64_t fh_out;
  uint64_t off_out;
  uint64_t len;
  uint64_t flags;
};
static_assert(sizeof(CopyFileRangeIn) == 56);

struct CopyFileRangeOut {  // 7.45
  uint64_t bytes_copied;
};
static_assert(sizeof(CopyFileRangeOut) == 8);

struct SetupmappingIn {
  uint64_t fh;
  uint64_t foffset;
  uint64_t len;
  uint64_t flags;
  uint64_t moffset;
};
static_assert(sizeof(SetupmappingIn) == 40);

struct RemovemappingIn {
  uint32_t count;  // of RemovemappingOne behind it
};
static_assert(sizeof(RemovemappingIn) == 4);

struct RemovemappingOne {
  uint64_t moffset;
  uint64_t len;
};
static_assert(sizeof(RemovemappingOne) == 16);

struct SyncfsIn {
  uint64_t padding;
};
static_assert(sizeof(SyncfsIn) == 8);

// ---- Directory entries --------------------------------------------------------------------------

// A name of namelen bytes follows, without a terminator, then zeros up to a multiple of 8.
struct Dirent {
  uint64_t ino;
  uint64_t off;
  uint32_t namelen;
  uint32_t type;
};
static_assert(sizeof(Dirent) == 24);

struct Direntplus {
  EntryOut entry_out;
  Dirent dirent;
};
static_assert(sizeof(Direntplus) == 152 && offsetof(Direntplus, dirent) == 128);

constexpr size_t record_align(size_t size) { return (size + 7) & ~size_t{7}; }
constexpr size_t dirent_size(size_t name_size) { return record_align(sizeof(Dirent) + name_size); }
constexpr size_t direntplus_size(size_t name_size) {
  return record_align(sizeof(Direntplus) + name_size);
}

// ---- Extensions behind the arguments of CREATE, MKDIR, SYMLINK, MKNOD and TMPFILE
// ------------------

// Each is followed by the attribute's name with its NUL, then by size bytes of value, then zeros up
// to a multiple of 8.
struct Secctx {
  uint32_t size;
  uint32_t padding;
};
static_assert(sizeof(Secctx) == 8);

// The same 8 bytes as an ExtHeader whose type is at most ExtType::max_nr_secctx.
struct SecctxHeader {
  uint32_t size;  // of everything, this header included
  uint32_t nr_secctx;
};
static_assert(sizeof(SecctxHeader) == 8);

struct ExtHeader {
  uint32_t size;  // of this extension, this header included
  uint32_t type;  // ExtType
};
static_assert(sizeof(ExtHeader) == 8);

struct SuppGroups {
  uint32_t nr_groups;  // 32-bit group ids that follow
};
static_assert(sizeof(SuppGroups) == 4);

// ---- Notifications (the device speaks first)
// -------------------------------------------------------

struct NotifyPollWakeupOut {
  uint64_t kh;
};
static_assert(sizeof(NotifyPollWakeupOut) == 8);

struct NotifyInvalInodeOut {
  uint64_t ino;
  int64_t off;
  int64_t len;
};
static_assert(sizeof(NotifyInvalInodeOut) == 24);

struct NotifyInvalEntryOut {
  uint64_t parent;
  uint32_t namelen;
  uint32_t flags;
};
static_assert(sizeof(NotifyInvalEntryOut) == 16);

struct NotifyDeleteOut {
  uint64_t parent;
  uint64_t child;
  uint32_t namelen;
  uint32_t padding;
};
static_assert(sizeof(NotifyDeleteOut) == 24);

struct NotifyStoreOut {
  uint64_t nodeid;
  uint64_t offset;
  uint32_t size;
  uint32_t padding;
};
static_assert(sizeof(NotifyStoreOut) == 24);

struct NotifyRetrieveOut {
  uint64_t notify_unique;
  uint64_t nodeid;
  uint64_t offset;
  uint32_t size;
  uint32_t padding;
};
static_assert(sizeof(NotifyRetrieveOut) == 32);

// The size of a WriteIn, by intention.
struct NotifyRetrieveIn {
  uint64_t dummy1;
  uint64_t offset;
  uint32_t size;
  uint32_t dummy2;
  uint64_t dummy3;
  uint64_t dummy4;
};
static_assert(sizeof(NotifyRetrieveIn) == sizeof(WriteIn));

struct NotifyPruneOut {  // 7.45
  uint32_t count;        // of 64-bit node ids that follow
  uint32_t padding;
  uint64_t spare;
};
static_assert(sizeof(NotifyPruneOut) == 16);

// ---- /dev/fuse
// ------------------------------------------------------------------------------------

struct BackingMap {  // 7.40
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
static_assert(sizeof(BackingMap) == 16);

// FUSE over io_uring, 7.42.
inline constexpr size_t kUringInOutHeaderSize = 128;
inline constexpr size_t kUringOpInOutSize = 128;

struct UringEntInOut {
  uint64_t flags;
  uint64_t commit_id;
  uint32_t payload_sz;
  uint32_t padding;
  uint64_t reserved;
};
static_assert(sizeof(UringEntInOut) == 32);

struct UringReqHeader {
  char in_out[kUringInOutHeaderSize];  // InHeader or OutHeader
  char op_in[kUringOpInOutSize];       // the operation's first argument
  UringEntInOut ring_ent_in_out;
};
static_assert(sizeof(UringReqHeader) == 288);

enum class UringCmd : uint32_t { invalid = 0, register_ = 1, commit_and_fetch = 2 };

// Lies in the 80 bytes of command area of a 128-byte SQE.
struct UringCmdReq {
  uint64_t flags;
  uint64_t commit_id;
  uint16_t qid;
  uint8_t padding[6];
};
static_assert(sizeof(UringCmdReq) == 24);

static_assert(std::is_trivially_copyable_v<InitOut> && std::is_trivially_copyable_v<Statx>);

}  // namespace dpfs::fuse
