// SPDX-License-Identifier: Apache-2.0
// The numbers of the FUSE protocol, 7.45: opcodes, notification codes, flags. wire.h has the
// structures they go into.
//
// Names are Linux's, cut by their prefix: FOPEN_DIRECT_IO is open_flag::kDirectIo.
#pragma once

#include <cstdint>

namespace dpfs::fuse {

inline constexpr uint32_t kMajorVersion = 7;
inline constexpr uint32_t kMinorVersion = 45;

inline constexpr uint64_t kRootNodeId = 1;

enum class Opcode : uint32_t {
  lookup = 1,
  forget = 2,  // no reply
  getattr = 3,
  setattr = 4,
  readlink = 5,
  symlink = 6,
  mknod = 8,
  mkdir = 9,
  unlink = 10,
  rmdir = 11,
  rename = 12,
  link = 13,
  open = 14,
  read = 15,
  write = 16,
  statfs = 17,
  release = 18,
  fsync = 20,
  setxattr = 21,
  getxattr = 22,
  listxattr = 23,
  removexattr = 24,
  flush = 25,
  init = 26,
  opendir = 27,
  readdir = 28,
  releasedir = 29,
  fsyncdir = 30,
  getlk = 31,
  setlk = 32,
  setlkw = 33,
  access = 34,
  create = 35,
  interrupt = 36,
  bmap = 37,
  destroy = 38,
  ioctl = 39,
  poll = 40,
  notify_reply = 41,
  batch_forget = 42,  // no reply
  fallocate = 43,
  readdirplus = 44,
  rename2 = 45,
  lseek = 46,
  copy_file_range = 47,
  setupmapping = 48,
  removemapping = 49,
  syncfs = 50,
  tmpfile = 51,             // 7.37
  statx = 52,               // 7.39
  copy_file_range_64 = 53,  // 7.45

  cuse_init = 4096,

  // An INIT from a driver of the other byte order arrives as one of these.
  cuse_init_bswap_reserved = 1048576,
  init_bswap_reserved = 436207616,
};

enum class NotifyCode : uint32_t {
  poll = 1,
  inval_inode = 2,
  inval_entry = 3,
  store = 4,
  retrieve = 5,
  del = 6,        // "delete" is a keyword
  resend = 7,     // 7.40
  inc_epoch = 8,  // 7.44
  prune = 9,      // 7.45
};

enum class ExtType : uint32_t {
  max_nr_secctx = 31,  // types 0..31 are a SecctxHeader's nr_secctx
  groups = 32,         // SuppGroups
};

// ---- Flags --------------------------------------------------------------------------------------

// SetattrIn::valid
namespace attr_valid {
inline constexpr uint32_t kMode = 1u << 0;
inline constexpr uint32_t kUid = 1u << 1;
inline constexpr uint32_t kGid = 1u << 2;
inline constexpr uint32_t kSize = 1u << 3;
inline constexpr uint32_t kAtime = 1u << 4;
inline constexpr uint32_t kMtime = 1u << 5;
inline constexpr uint32_t kFh = 1u << 6;
inline constexpr uint32_t kAtimeNow = 1u << 7;
inline constexpr uint32_t kMtimeNow = 1u << 8;
inline constexpr uint32_t kLockowner = 1u << 9;
inline constexpr uint32_t kCtime = 1u << 10;
inline constexpr uint32_t kKillSuidgid = 1u << 11;
}  // namespace attr_valid

// OpenOut::open_flags (Linux's FOPEN_...)
namespace open_flag {
inline constexpr uint32_t kDirectIo = 1u << 0;
inline constexpr uint32_t kKeepCache = 1u << 1;
inline constexpr uint32_t kNonseekable = 1u << 2;
inline constexpr uint32_t kCacheDir = 1u << 3;
inline constexpr uint32_t kStream = 1u << 4;
inline constexpr uint32_t kNoflush = 1u << 5;
inline constexpr uint32_t kParallelDirectWrites = 1u << 6;
inline constexpr uint32_t kPassthrough = 1u << 7;  // 7.40
}  // namespace open_flag

// InitIn and InitOut: bits 0..31 travel in flags, bits 32..63 in flags2 (only with kInitExt).
namespace init_flag {
inline constexpr uint64_t kAsyncRead = 1ull << 0;
inline constexpr uint64_t kPosixLocks = 1ull << 1;
inline constexpr uint64_t kFileOps = 1ull << 2;
inline constexpr uint64_t kAtomicOTrunc = 1ull << 3;
inline constexpr uint64_t kExportSupport = 1ull << 4;
inline constexpr uint64_t kBigWrites = 1ull << 5;
inline constexpr uint64_t kDontMask = 1ull << 6;
inline constexpr uint64_t kSpliceWrite = 1ull << 7;
inline constexpr uint64_t kSpliceMove = 1ull << 8;
inline constexpr uint64_t kSpliceRead = 1ull << 9;
inline constexpr uint64_t kFlockLocks = 1ull << 10;
inline constexpr uint64_t kHasIoctlDir = 1ull << 11;
inline constexpr uint64_t kAutoInvalData = 1ull << 12;
inline constexpr uint64_t kDoReaddirplus = 1ull << 13;
inline constexpr uint64_t kReaddirplusAuto = 1ull << 14;
inline constexpr uint64_t kAsyncDio = 1ull << 15;
inline constexpr uint64_t kWritebackCache = 1ull << 16;
inline constexpr uint64_t kNoOpenSupport = 1ull << 17;
inline constexpr uint64_t kParallelDirops = 1ull << 18;
inline constexpr uint64_t kHandleKillpriv = 1ull << 19;
inline constexpr uint64_t kPosixAcl = 1ull << 20;
inline constexpr uint64_t kAbortError = 1ull << 21;
inline constexpr uint64_t kMaxPages = 1ull << 22;
inline constexpr uint64_t kCacheSymlinks = 1ull << 23;
inline constexpr uint64_t kNoOpendirSupport = 1ull << 24;
inline constexpr uint64_t kExplicitInvalData = 1ull << 25;
inline constexpr uint64_t kMapAlignment = 1ull << 26;
inline constexpr uint64_t kSubmounts = 1ull << 27;
inline constexpr uint64_t kHandleKillprivV2 = 1ull << 28;
inline constexpr uint64_t kSetxattrExt = 1ull << 29;
inline constexpr uint64_t kInitExt = 1ull << 30;
inline constexpr uint64_t kInitReserved = 1ull << 31;
inline constexpr uint64_t kSecurityCtx = 1ull << 32;
inline constexpr uint64_t kHasInodeDax = 1ull << 33;
inline constexpr uint64_t kCreateSuppGroup = 1ull << 34;    // 7.38
inline constexpr uint64_t kHasExpireOnly = 1ull << 35;      // 7.38
inline constexpr uint64_t kDirectIoAllowMmap = 1ull << 36;  // 7.39
inline constexpr uint64_t kPassthrough = 1ull << 37;        // 7.40
inline constexpr uint64_t kNoExportSupport = 1ull << 38;    // 7.40
inline constexpr uint64_t kHasResend = 1ull << 39;          // 7.40
inline constexpr uint64_t kAllowIdmap = 1ull << 40;         // 7.41
inline constexpr uint64_t kOverIoUring = 1ull << 41;        // 7.42
inline constexpr uint64_t kRequestTimeout = 1ull << 42;     // 7.43
}  // namespace init_flag

// What a device promises to do by agreeing, where the tenant does not find out and do without when
// it doesn't.
inline constexpr uint64_t kPromiseFlags =
    init_flag::kPosixLocks | init_flag::kFlockLocks | init_flag::kExportSupport |
    init_flag::kDontMask | init_flag::kHasIoctlDir | init_flag::kDoReaddirplus |
    init_flag::kReaddirplusAuto | init_flag::kWritebackCache | init_flag::kHandleKillprivV2 |
    init_flag::kPosixAcl | init_flag::kSubmounts | init_flag::kSecurityCtx |
    init_flag::kCreateSuppGroup | init_flag::kNoExportSupport | init_flag::kAllowIdmap;

// ReleaseIn::release_flags
namespace release_flag {
inline constexpr uint32_t kFlush = 1u << 0;
inline constexpr uint32_t kFlockUnlock = 1u << 1;
}  // namespace release_flag

// GetattrIn::getattr_flags and StatxIn::getattr_flags
namespace getattr_flag {
inline constexpr uint32_t kFh = 1u << 0;
}

// LkIn::lk_flags
namespace lk_flag {
inline constexpr uint32_t kFlock = 1u << 0;
}

// WriteIn::write_flags
namespace write_flag {
inline constexpr uint32_t kCache = 1u << 0;
inline constexpr uint32_t kLockowner = 1u << 1;
inline constexpr uint32_t kKillSuidgid = 1u << 2;
}  // namespace write_flag

// ReadIn::read_flags
namespace read_flag {
inline constexpr uint32_t kLockowner = 1u << 1;
}

// IoctlIn::flags and IoctlOut::flags
namespace ioctl_flag {
inline constexpr uint32_t kCompat = 1u << 0;
inline constexpr uint32_t kUnrestricted = 1u << 1;
inline constexpr uint32_t kRetry = 1u << 2;
inline constexpr uint32_t k32bit = 1u << 3;
inline constexpr uint32_t kDir = 1u << 4;
inline constexpr uint32_t kCompatX32 = 1u << 5;
}  // namespace ioctl_flag
inline constexpr uint32_t kIoctlMaxIov = 256;

// PollIn::flags
namespace poll_flag {
inline constexpr uint32_t kScheduleNotify = 1u << 0;
}

// FsyncIn::fsync_flags
namespace fsync_flag {
inline constexpr uint32_t kFdatasync = 1u << 0;
}

// Attr::flags and StatxOut::flags
namespace attr_flag {
inline constexpr uint32_t kSubmount = 1u << 0;
inline constexpr uint32_t kDax = 1u << 1;
}  // namespace attr_flag

// OpenIn::open_flags and CreateIn::open_flags
namespace open_in_flag {
inline constexpr uint32_t kKillSuidgid = 1u << 0;
}

// SetxattrIn::setxattr_flags
namespace setxattr_flag {
inline constexpr uint32_t kAclKillSgid = 1u << 0;
}

// NotifyInvalEntryOut::flags
namespace inval_entry_flag {
inline constexpr uint32_t kExpireOnly = 1u << 0;
}

// SetupmappingIn::flags
namespace setupmapping_flag {
inline constexpr uint64_t kWrite = 1ull << 0;
inline constexpr uint64_t kRead = 1ull << 1;
}  // namespace setupmapping_flag

// Set in InHeader::unique of a request that is sent again (7.40).
inline constexpr uint64_t kUniqueResend = 1ull << 63;
// InHeader::uid and gid where an id-mapped mount has none (7.41).
inline constexpr uint32_t kInvalidUidGid = UINT32_MAX;
// What a device must at least be able to read in one piece; the payload of READ and WRITE comes on
// top.
inline constexpr uint32_t kMinReadBuffer = 8192;

}  // namespace dpfs::fuse
