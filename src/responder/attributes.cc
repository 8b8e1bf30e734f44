// SPDX-License-Identifier: Apache-2.0
// fattr4: RFC 8881, section 5, and RFC 8276 for the support of extended attributes.
#include "responder/attributes.h"

#include <charconv>
#include <string>

namespace dpfs::responder {

using nfs::Status;
using nfs::XdrReader;
using nfs::XdrWriter;

namespace {

namespace attribute {
using namespace nfs::attribute;
// What the project's own client does not ask for, but others need to mount.
constexpr uint32_t kSupportedAttrs = 0;
constexpr uint32_t kFhExpireType = 2;
constexpr uint32_t kLinkSupport = 5;
constexpr uint32_t kSymlinkSupport = 6;
constexpr uint32_t kNamedAttr = 7;
constexpr uint32_t kUniqueHandles = 9;
constexpr uint32_t kMaxfilesize = 27;
constexpr uint32_t kMaxlink = 28;
constexpr uint32_t kSuppattrExclcreat = 75;
}  // namespace attribute

constexpr uint32_t kLinksMax = 65000;
constexpr uint32_t kNameBytesMax = 255;
constexpr uint32_t kBitmapWordsMax = 16;
constexpr uint32_t kSetToServerTime = 0;

Bitmap set_of(std::initializer_list<uint32_t> numbers) {
  Bitmap set;
  for (const uint32_t number : numbers) set.add(number);
  return set;
}

const Bitmap kSettable =
    set_of({attribute::kSize, attribute::kMode, attribute::kOwner, attribute::kOwnerGroup,
            attribute::kTimeAccessSet, attribute::kTimeModifySet});

const Bitmap kSupported = set_of({attribute::kSupportedAttrs,
                                  attribute::kType,
                                  attribute::kFhExpireType,
                                  attribute::kChange,
                                  attribute::kSize,
                                  attribute::kLinkSupport,
                                  attribute::kSymlinkSupport,
                                  attribute::kNamedAttr,
                                  attribute::kFsid,
                                  attribute::kUniqueHandles,
                                  attribute::kLeaseTime,
                                  attribute::kRdattrError,
                                  attribute::kFilehandle,
                                  attribute::kFileid,
                                  attribute::kFilesAvail,
                                  attribute::kFilesFree,
                                  attribute::kFilesTotal,
                                  attribute::kMaxfilesize,
                                  attribute::kMaxlink,
                                  attribute::kMaxname,
                                  attribute::kMaxread,
                                  attribute::kMaxwrite,
                                  attribute::kMode,
                                  attribute::kNumlinks,
                                  attribute::kOwner,
                                  attribute::kOwnerGroup,
                                  attribute::kRawdev,
                                  attribute::kSpaceAvail,
                                  attribute::kSpaceFree,
                                  attribute::kSpaceTotal,
                                  attribute::kSpaceUsed,
                                  attribute::kTimeAccess,
                                  attribute::kTimeAccessSet,
                                  attribute::kTimeCreate,
                                  attribute::kTimeMetadata,
                                  attribute::kTimeModify,
                                  attribute::kTimeModifySet,
                                  attribute::kMountedOnFileid,
                                  attribute::kSuppattrExclcreat,
                                  attribute::kXattrSupport});

void put_time(XdrWriter& to, const timespec& time) {
  to.i64(time.tv_sec);
  to.u32(static_cast<uint32_t>(time.tv_nsec));
}

void put_number(XdrWriter& to, uint32_t number) { to.text(std::to_string(number)); }

// One attribute of the node itself.
void put_one(XdrWriter& to, uint32_t number, const Node& node, const nfs::FileHandle& handle) {
  switch (number) {
    case attribute::kType:
      return to.enumerator(node.type);
    case attribute::kChange:
      return to.u64(node.change);
    case attribute::kSize:
      return to.u64(node.is_regular() ? node.contents.size() : node.target.size());
    case attribute::kFilehandle:
      return to.opaque({handle.bytes.data(), handle.size});
    case attribute::kFileid:
    case attribute::kMountedOnFileid:
      return to.u64(node.fileid);
    case attribute::kMode:
      return to.u32(node.mode);
    case attribute::kNumlinks:
      return to.u32(node.links);
    case attribute::kOwner:
      return put_number(to, node.uid);
    case attribute::kOwnerGroup:
      return put_number(to, node.gid);
    case attribute::kRawdev:
      to.u32(node.device_major);
      return to.u32(node.device_minor);
    case attribute::kSpaceUsed:
      return to.u64(node.prepared ? node.contents.size() : node.contents.allocated_bytes());
    case attribute::kTimeAccess:
      return put_time(to, node.accessed);
    case attribute::kTimeCreate:
      return put_time(to, node.created);
    case attribute::kTimeMetadata:
      return put_time(to, node.changed);
    case attribute::kTimeModify:
      return put_time(to, node.modified);
    default:
      break;
  }
}

// One attribute of the file system. False: it is none.
bool put_shared(XdrWriter& to, uint32_t number, const FileSystemAttributes& file_system) {
  constexpr uint64_t kFiles = 1'000'000;
  const uint64_t free_bytes = file_system.space_bytes - file_system.space_used_bytes;
  switch (number) {
    case attribute::kSupportedAttrs:
      kSupported.put(to);
      return true;
    case attribute::kSuppattrExclcreat:
      kSettable.put(to);
      return true;
    case attribute::kFhExpireType:  // FH4_PERSISTENT
    case attribute::kRdattrError:   // NFS4_OK
      to.u32(0);
      return true;
    case attribute::kLinkSupport:
    case attribute::kSymlinkSupport:
    case attribute::kUniqueHandles:
      to.boolean(true);
      return true;
    case attribute::kNamedAttr:
      to.boolean(false);
      return true;
    case attribute::kXattrSupport:
      to.boolean(file_system.xattrs);
      return true;
    case attribute::kFsid:
      to.u64(file_system.fsid.major);
      to.u64(file_system.fsid.minor);
      return true;
    case attribute::kLeaseTime:
      to.u32(file_system.lease_s);
      return true;
    case attribute::kFilesAvail:
    case attribute::kFilesFree:
    case attribute::kFilesTotal:
      to.u64(kFiles);
      return true;
    case attribute::kMaxfilesize:
      to.u64(INT64_MAX);
      return true;
    case attribute::kMaxlink:
      to.u32(kLinksMax);
      return true;
    case attribute::kMaxname:
      to.u32(kNameBytesMax);
      return true;
    case attribute::kMaxread:
      to.u64(file_system.read_bytes_max);
      return true;
    case attribute::kMaxwrite:
      to.u64(file_system.write_bytes_max);
      return true;
    case attribute::kSpaceAvail:
    case attribute::kSpaceFree:
      to.u64(free_bytes);
      return true;
    case attribute::kSpaceTotal:
      to.u64(file_system.space_bytes);
      return true;
    default:
      return false;
  }
}

std::optional<uint32_t> take_number(XdrReader& from) {
  constexpr size_t kOwnerBytesMax = 1024;
  const std::string_view text = from.text(kOwnerBytesMax);
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

SetAttributes::Time take_time(XdrReader& from) {
  if (from.u32() == kSetToServerTime) return {.is_now = true};
  SetAttributes::Time time;
  time.time.tv_sec = from.i64();
  time.time.tv_nsec = from.u32();
  return time;
}

Status take_one(XdrReader& from, uint32_t number, SetAttributes& to) {
  switch (number) {
    case attribute::kSize:
      to.size = from.u64();
      return Status::ok;
    case attribute::kMode:
      to.mode = from.u32() & 07777;
      return Status::ok;
    case attribute::kOwner:
      to.uid = take_number(from);
      return to.uid ? Status::ok : Status::badowner;
    case attribute::kOwnerGroup:
      to.gid = take_number(from);
      return to.gid ? Status::ok : Status::badowner;
    case attribute::kTimeAccessSet:
      to.accessed = take_time(from);
      return Status::ok;
    case attribute::kTimeModifySet:
      to.modified = take_time(from);
      return Status::ok;
    default:
      return kSupported.has(number) ? Status::inval : Status::attrnotsupp;
  }
}

timespec time_of(const SetAttributes::Time& time) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return time.is_now ? now : time.time;
}

}  // namespace

Bitmap Bitmap::operator&(const Bitmap& other) const noexcept {
  Bitmap both;
  for (size_t i = 0; i < words_.size(); ++i) both.words_[i] = words_[i] & other.words_[i];
  return both;
}

Bitmap Bitmap::take(XdrReader& from) noexcept {
  Bitmap bitmap;
  const uint32_t words = from.u32();
  if (words > kBitmapWordsMax) from.fail();
  for (uint32_t i = 0; i < words && !from.failed(); ++i) {
    const uint32_t word = from.u32();
    if (i < bitmap.words_.size()) bitmap.words_[i] = word;
  }
  return bitmap;
}

void Bitmap::put(XdrWriter& to) const noexcept {
  size_t words = words_.size();
  while (words > 0 && words_[words - 1] == 0) --words;
  to.u32(static_cast<uint32_t>(words));
  for (size_t i = 0; i < words; ++i) to.u32(words_[i]);
}

void put_attributes(XdrWriter& to, const Bitmap& wanted, const Node& node,
                    const nfs::FileHandle& handle, const FileSystemAttributes& file_system) {
  const Bitmap given = wanted & kSupported;
  given.put(to);
  const size_t length = to.reserve_u32();
  const size_t begin = to.size();
  for (uint32_t number = 0; number < 96; ++number) {
    if (!given.has(number)) continue;
    if (!put_shared(to, number, file_system)) put_one(to, number, node, handle);
  }
  to.patch_u32(length, static_cast<uint32_t>(to.size() - begin));
}

Status take_attributes(XdrReader& from, SetAttributes& to) {
  constexpr size_t kBytesMax = 64 << 10;
  to.named = Bitmap::take(from);
  XdrReader values(from.opaque(kBytesMax));
  if (from.failed()) return Status::badxdr;
  for (uint32_t number = 0; number < 96; ++number) {
    if (!to.named.has(number)) continue;
    const Status status = take_one(values, number, to);
    if (status != Status::ok) return status;
  }
  return values.failed() || values.left() > 0 ? Status::badxdr : Status::ok;
}

void apply(const SetAttributes& set, Node& node) {
  if (set.mode) node.mode = *set.mode;
  if (set.uid) node.uid = *set.uid;
  if (set.gid) node.gid = *set.gid;
  if (set.accessed) node.accessed = time_of(*set.accessed);
  if (set.modified) node.modified = time_of(*set.modified);
  node.touch_attributes();
}

}  // namespace dpfs::responder
