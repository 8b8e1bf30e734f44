// SPDX-License-Identifier: Apache-2.0
// Numbers and small values of NFS version 4: RFC 8881 (4.1), RFC 7862 (4.2), RFC 8276 (extended
// attributes). Enumerators are named as there, without their prefixes.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

namespace dpfs::nfs {

inline constexpr uint32_t kProgram = 100003;
inline constexpr uint32_t kVersion = 4;
inline constexpr uint32_t kProcedureCompound = 1;
inline constexpr uint16_t kDefaultPort = 2049;

// nfs_opnum4
enum class Operation : uint32_t {
  access = 3,
  close = 4,
  commit = 5,
  create = 6,
  getattr = 9,
  getfh = 10,
  link = 11,
  lock = 12,
  lockt = 13,
  locku = 14,
  lookup = 15,
  lookupp = 16,
  open = 18,
  open_downgrade = 21,
  putfh = 22,
  putrootfh = 24,
  read = 25,
  readdir = 26,
  readlink = 27,
  remove = 28,
  rename = 29,
  restorefh = 31,
  savefh = 32,
  setattr = 34,
  write = 38,
  bind_conn_to_session = 41,
  exchange_id = 42,
  create_session = 43,
  destroy_session = 44,
  free_stateid = 45,
  sequence = 53,
  test_stateid = 55,
  destroy_clientid = 57,
  reclaim_complete = 58,
  allocate = 59,
  copy = 60,
  deallocate = 62,
  seek = 69,
  clone = 71,
  getxattr = 72,
  setxattr = 73,
  listxattrs = 74,
  removexattr = 75,
};

// nfsstat4
enum class Status : uint32_t {
  ok = 0,
  perm = 1,
  noent = 2,
  io = 5,
  nxio = 6,
  access = 13,
  exist = 17,
  xdev = 18,
  notdir = 20,
  isdir = 21,
  inval = 22,
  fbig = 27,
  nospc = 28,
  rofs = 30,
  mlink = 31,
  nametoolong = 63,
  notempty = 66,
  dquot = 69,
  stale = 70,
  badhandle = 10001,
  bad_cookie = 10003,
  notsupp = 10004,
  toosmall = 10005,
  serverfault = 10006,
  badtype = 10007,
  delay = 10008,
  same = 10009,
  denied = 10010,
  expired = 10011,
  locked = 10012,
  grace = 10013,
  fhexpired = 10014,
  share_denied = 10015,
  wrongsec = 10016,
  clid_inuse = 10017,
  resource = 10018,
  moved = 10019,
  nofilehandle = 10020,
  minor_vers_mismatch = 10021,
  stale_clientid = 10022,
  stale_stateid = 10023,
  old_stateid = 10024,
  bad_stateid = 10025,
  bad_seqid = 10026,
  not_same = 10027,
  lock_range = 10028,
  symlink = 10029,
  lease_moved = 10031,
  attrnotsupp = 10032,
  no_grace = 10033,
  reclaim_bad = 10034,
  reclaim_conflict = 10035,
  badxdr = 10036,
  locks_held = 10037,
  openmode = 10038,
  badowner = 10039,
  badchar = 10040,
  badname = 10041,
  bad_range = 10042,
  lock_notsupp = 10043,
  op_illegal = 10044,
  deadlock = 10045,
  file_open = 10046,
  admin_revoked = 10047,
  cb_path_down = 10048,
  badsession = 10052,
  badslot = 10053,
  complete_already = 10054,
  conn_not_bound_to_session = 10055,
  back_chan_busy = 10057,
  seq_misordered = 10063,
  sequence_pos = 10064,
  req_too_big = 10065,
  rep_too_big = 10066,
  rep_too_big_to_cache = 10067,
  retry_uncached_rep = 10068,
  too_many_ops = 10070,
  op_not_in_session = 10071,
  clientid_busy = 10074,
  seq_false_retry = 10076,
  bad_high_slot = 10077,
  deadsession = 10078,
  not_only_op = 10081,
  wrong_cred = 10082,
  wrong_type = 10083,
  deleg_revoked = 10087,
  offload_no_reqs = 10094,
  noxattr = 10095,
  xattr2big = 10096,
};

// nfs_ftype4
enum class FileType : uint32_t {
  none = 0,
  regular = 1,
  directory = 2,
  block = 3,
  character = 4,
  link = 5,
  socket = 6,
  fifo = 7,
};

// The numbers of attributes: bits of a bitmap4.
namespace attribute {
inline constexpr uint32_t kType = 1;
inline constexpr uint32_t kChange = 3;
inline constexpr uint32_t kSize = 4;
inline constexpr uint32_t kFsid = 8;
inline constexpr uint32_t kLeaseTime = 10;
inline constexpr uint32_t kRdattrError = 11;
inline constexpr uint32_t kFilehandle = 19;
inline constexpr uint32_t kFileid = 20;
inline constexpr uint32_t kFilesAvail = 21;
inline constexpr uint32_t kFilesFree = 22;
inline constexpr uint32_t kFilesTotal = 23;
inline constexpr uint32_t kMaxname = 29;
inline constexpr uint32_t kMaxread = 30;
inline constexpr uint32_t kMaxwrite = 31;
inline constexpr uint32_t kMode = 33;
inline constexpr uint32_t kNumlinks = 35;
inline constexpr uint32_t kOwner = 36;
inline constexpr uint32_t kOwnerGroup = 37;
inline constexpr uint32_t kRawdev = 41;
inline constexpr uint32_t kSpaceAvail = 42;
inline constexpr uint32_t kSpaceFree = 43;
inline constexpr uint32_t kSpaceTotal = 44;
inline constexpr uint32_t kSpaceUsed = 45;
inline constexpr uint32_t kTimeAccess = 47;
inline constexpr uint32_t kTimeAccessSet = 48;
inline constexpr uint32_t kTimeCreate = 50;
inline constexpr uint32_t kTimeMetadata = 52;
inline constexpr uint32_t kTimeModify = 53;
inline constexpr uint32_t kTimeModifySet = 54;
inline constexpr uint32_t kMountedOnFileid = 55;
inline constexpr uint32_t kXattrSupport = 82;
}  // namespace attribute

// sr_status_flags: what SEQUENCE says of the client's state (RFC 8881, section 18.46.3).
namespace sequence_status {
inline constexpr uint32_t kExpiredAllStateRevoked = 0x8;
inline constexpr uint32_t kExpiredSomeStateRevoked = 0x10;
inline constexpr uint32_t kAdminStateRevoked = 0x20;
inline constexpr uint32_t kRecallableStateRevoked = 0x40;
inline constexpr uint32_t kLeaseMoved = 0x80;
inline constexpr uint32_t kRestartReclaimNeeded = 0x100;
inline constexpr uint32_t kStateLost =
    kExpiredAllStateRevoked | kExpiredSomeStateRevoked | kAdminStateRevoked | kRestartReclaimNeeded;
}  // namespace sequence_status

// share_access, of OPEN
namespace share {
inline constexpr uint32_t kRead = 1;
inline constexpr uint32_t kWrite = 2;
inline constexpr uint32_t kBoth = 3;
inline constexpr uint32_t kWantNoDelegation = 0x400;
}  // namespace share

enum class LockType : uint32_t { read = 1, write = 2 };
enum class Stable : uint32_t { unstable = 0, data_sync = 1, file_sync = 2 };
// seek4: data_content4
enum class Content : uint32_t { data = 0, hole = 1 };

inline constexpr uint64_t kToTheEnd = UINT64_MAX;  // length4 of locks

struct Verifier {
  std::array<uint8_t, 8> bytes{};
  bool operator==(const Verifier&) const = default;
};

struct SessionId {
  std::array<uint8_t, 16> bytes{};
  bool operator==(const SessionId&) const = default;
};

// stateid4. We always send sequence 0, "the newest": requests of one file go side by side (RFC
// 8881, section 8.2.2).
struct StateId {
  std::array<uint8_t, 12> other{};  // all zeros: nobody's, RFC 8881, section 8.2.3
  bool operator==(const StateId&) const = default;
};

// nfs_fh4: the server's own name of an object, to be given back as it is.
struct FileHandle {
  static constexpr size_t kBytesMax = 128;  // NFS4_FHSIZE
  uint8_t size = 0;
  std::array<uint8_t, kBytesMax> bytes;

  FileHandle() noexcept {}  // not initialized: of what is large little is used
  bool operator==(const FileHandle& other) const noexcept {
    return size == other.size && std::memcmp(bytes.data(), other.bytes.data(), size) == 0;
  }
};

// fsid4
struct FsId {
  uint64_t major = 0;
  uint64_t minor = 0;
  bool operator==(const FsId&) const = default;
};

}  // namespace dpfs::nfs
