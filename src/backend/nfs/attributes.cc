// SPDX-License-Identifier: Apache-2.0
// fattr4: RFC 8881, section 5.
#include "backend/nfs/attributes.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <charconv>

namespace dpfs::nfs {
namespace {

constexpr size_t kOwnerBytesMax = 1024;
constexpr size_t kBitmapWordsMax = 8;
constexpr uint32_t kNobody = 65534;

Time time_from(XdrReader& from) noexcept {
  Time time;
  time.seconds = from.i64();
  time.nanoseconds = from.u32();
  if (time.nanoseconds >= 1'000'000'000) from.fail();
  return time;
}

void encode_time(XdrWriter& to, const Time& time) noexcept {
  to.i64(time.seconds);
  to.u32(time.nanoseconds);
}

FileType type_from(XdrReader& from) noexcept {
  const uint32_t type = from.u32();
  if (type < 1 || type > 9) from.fail();
  if (type > 7) return FileType::regular;  // attribute directories and named attributes
  return static_cast<FileType>(type);
}

// The value of one attribute. False for one whose layout we don't know.
bool decode_one(XdrReader& from, uint32_t number, Attributes& to) noexcept {
  switch (number) {
    case attribute::kType:
      to.type = type_from(from);
      return true;
    case attribute::kChange:
      to.change = from.u64();
      return true;
    case attribute::kSize:
      to.size = from.u64();
      return true;
    case attribute::kFsid:
      to.fsid.major = from.u64();
      to.fsid.minor = from.u64();
      return true;
    case attribute::kLeaseTime:
      to.lease_seconds = from.u32();
      return true;
    case attribute::kRdattrError:
      to.error = static_cast<Status>(from.u32());
      return true;
    case attribute::kFilehandle: {
      const Bytes handle = from.opaque(FileHandle::kBytesMax);
      to.handle.size = static_cast<uint8_t>(handle.size());
      if (!handle.empty()) std::memcpy(to.handle.bytes.data(), handle.data(), handle.size());
      return true;
    }
    case attribute::kFileid:
      to.fileid = from.u64();
      return true;
    case attribute::kFilesAvail:
      to.files_avail = from.u64();
      return true;
    case attribute::kFilesFree:
      to.files_free = from.u64();
      return true;
    case attribute::kFilesTotal:
      to.files_total = from.u64();
      return true;
    case attribute::kMaxname:
      to.name_max = from.u32();
      return true;
    case attribute::kMaxread:
      to.read_max = from.u64();
      return true;
    case attribute::kMaxwrite:
      to.write_max = from.u64();
      return true;
    case attribute::kMode:
      to.mode = from.u32() & 07777;
      return true;
    case attribute::kNumlinks:
      to.links = from.u32();
      return true;
    case attribute::kOwner:
      to.uid = id_of(from.text(kOwnerBytesMax));
      return true;
    case attribute::kOwnerGroup:
      to.gid = id_of(from.text(kOwnerBytesMax));
      return true;
    case attribute::kRawdev:
      to.major = from.u32();
      to.minor = from.u32();
      return true;
    case attribute::kSpaceAvail:
      to.space_avail = from.u64();
      return true;
    case attribute::kSpaceFree:
      to.space_free = from.u64();
      return true;
    case attribute::kSpaceTotal:
      to.space_total = from.u64();
      return true;
    case attribute::kSpaceUsed:
      to.space_used = from.u64();
      return true;
    case attribute::kTimeAccess:
      to.access = time_from(from);
      return true;
    case attribute::kTimeCreate:
      to.created = time_from(from);
      return true;
    case attribute::kTimeMetadata:
      to.metadata = time_from(from);
      return true;
    case attribute::kTimeModify:
      to.modify = time_from(from);
      return true;
    case attribute::kMountedOnFileid:
      to.mounted_on_fileid = from.u64();
      return true;
    case attribute::kXattrSupport:
      to.xattrs = from.boolean();
      return true;
    default:
      return false;
  }
}

}  // namespace

void AttributeSet::encode(XdrWriter& to) const noexcept {
  size_t words = kWords;
  while (words > 0 && words_[words - 1] == 0) --words;
  to.u32(static_cast<uint32_t>(words));
  for (size_t i = 0; i < words; ++i) to.u32(words_[i]);
}

AttributeSet AttributeSet::decode(XdrReader& from) noexcept {
  AttributeSet set;
  const uint32_t words = from.u32();
  if (words > kBitmapWordsMax) from.fail();
  for (uint32_t i = 0; i < words && !from.failed(); ++i) {
    const uint32_t word = from.u32();
    if (i < kWords) set.words_[i] = word;
  }
  return set;
}

void Attributes::decode(XdrReader& from, Attributes& to) noexcept {
  to.has = AttributeSet::decode(from);
  XdrReader values(from.opaque(from.left()));
  for (uint32_t number = 0; number < AttributeSet::kWords * 32; ++number) {
    if (to.has.has(number) && !decode_one(values, number, to)) values.fail();
  }
  if (values.failed()) from.fail();
}

uint32_t id_of(std::string_view owner) noexcept {
  uint32_t id = 0;
  const char* end = owner.data() + owner.size();
  const auto [rest, error] = std::from_chars(owner.data(), end, id);
  // The largest number is nobody's: "leave it as it is" where owners are set.
  if (error != std::errc{} || rest != end || id == UINT32_MAX) return kNobody;
  return id;
}

void NewAttributes::encode(XdrWriter& to) const noexcept {
  AttributeSet set;
  if (has_size) set.add(attribute::kSize);
  if (has_mode) set.add(attribute::kMode);
  if (has_uid) set.add(attribute::kOwner);
  if (has_gid) set.add(attribute::kOwnerGroup);
  if (set_access != Moment::unchanged) set.add(attribute::kTimeAccessSet);
  if (set_modify != Moment::unchanged) set.add(attribute::kTimeModifySet);
  set.encode(to);

  const size_t length_at = to.reserve_u32();
  const size_t begin = to.size();
  // In the order of their numbers.
  if (has_size) to.u64(size);
  if (has_mode) to.u32(mode);
  const auto encode_id = [&to](uint32_t id) {
    std::array<char, 10> digits;
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), id);
    to.text({digits.data(), static_cast<size_t>(end - digits.data())});
  };
  if (has_uid) encode_id(uid);
  if (has_gid) encode_id(gid);
  const auto encode_moment = [&to](Moment moment, const Time& time) {
    if (moment == Moment::unchanged) return;
    to.u32(moment == Moment::given ? 1 : 0);  // time_how4
    if (moment == Moment::given) encode_time(to, time);
  };
  encode_moment(set_access, access);
  encode_moment(set_modify, modify);
  to.patch_u32(length_at, static_cast<uint32_t>(to.size() - begin));
}

uint32_t type_bits(FileType type) noexcept {
  switch (type) {
    case FileType::directory:
      return S_IFDIR;
    case FileType::block:
      return S_IFBLK;
    case FileType::character:
      return S_IFCHR;
    case FileType::link:
      return S_IFLNK;
    case FileType::socket:
      return S_IFSOCK;
    case FileType::fifo:
      return S_IFIFO;
    case FileType::none:
    case FileType::regular:
      break;
  }
  return S_IFREG;
}

fuse::Attr to_fuse(const Attributes& from, uint32_t block_bytes) noexcept {
  fuse::Attr attr{};
  attr.ino = from.fileid;
  attr.size = from.size;
  attr.blocks = from.space_used / 512 + (from.space_used % 512 != 0 ? 1 : 0);
  attr.atime = static_cast<uint64_t>(from.access.seconds);
  attr.mtime = static_cast<uint64_t>(from.modify.seconds);
  attr.ctime = static_cast<uint64_t>(from.metadata.seconds);
  attr.atimensec = from.access.nanoseconds;
  attr.mtimensec = from.modify.nanoseconds;
  attr.ctimensec = from.metadata.nanoseconds;
  attr.mode = type_bits(from.type) | from.mode;
  attr.nlink = from.links;
  attr.uid = from.uid;
  attr.gid = from.gid;
  // As Linux encodes it for FUSE: new_encode_dev(), 12 bits of major and 20 of minor.
  attr.rdev = (from.minor & 0xff) | from.major << 8 | (from.minor & ~0xffu) << 12;
  attr.blksize = block_bytes;
  return attr;
}

}  // namespace dpfs::nfs
