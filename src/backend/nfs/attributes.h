// SPDX-License-Identifier: Apache-2.0
// fattr4: which attributes are asked for, what a server says of an object, and what is to be set.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "backend/nfs/nfs4.h"
#include "backend/nfs/xdr.h"
#include "fuse/wire.h"

namespace dpfs::nfs {

// bitmap4, of as many words as any attribute that we know needs.
class AttributeSet {
 public:
  static constexpr size_t kWords = 3;

  constexpr AttributeSet() = default;
  constexpr AttributeSet(std::initializer_list<uint32_t> numbers) {
    for (const uint32_t number : numbers) add(number);
  }
  constexpr void add(uint32_t number) noexcept { words_[number / 32] |= 1u << number % 32; }
  constexpr void remove(uint32_t number) noexcept { words_[number / 32] &= ~(1u << number % 32); }
  constexpr bool has(uint32_t number) const noexcept {
    return (words_[number / 32] >> number % 32 & 1) != 0;
  }
  constexpr bool empty() const noexcept { return words_ == std::array<uint32_t, kWords>{}; }
  // False when there is one that `other` has not.
  constexpr bool is_within(const AttributeSet& other) const noexcept {
    for (size_t i = 0; i < kWords; ++i) {
      if ((words_[i] & ~other.words_[i]) != 0) return false;
    }
    return true;
  }
  bool operator==(const AttributeSet&) const = default;

  void encode(XdrWriter& to) const noexcept;
  // Attributes beyond those that we know are dropped.
  static AttributeSet decode(XdrReader& from) noexcept;

 private:
  std::array<uint32_t, kWords> words_{};
};

// What every answer about an object brings: enough for fuse::Attr.
inline constexpr AttributeSet kObjectAttributes{
    attribute::kType,         attribute::kChange,     attribute::kSize,
    attribute::kFsid,         attribute::kFileid,     attribute::kMode,
    attribute::kNumlinks,     attribute::kOwner,      attribute::kOwnerGroup,
    attribute::kRawdev,       attribute::kSpaceUsed,  attribute::kTimeAccess,
    attribute::kTimeMetadata, attribute::kTimeModify, attribute::kMountedOnFileid};

inline constexpr AttributeSet kFileSystemAttributes{
    attribute::kFilesAvail, attribute::kFilesFree, attribute::kFilesTotal, attribute::kMaxname,
    attribute::kSpaceAvail, attribute::kSpaceFree, attribute::kSpaceTotal};

struct Time {  // nfstime4
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;
  bool operator==(const Time&) const = default;
};

// Decoded. `has` says which there were; the rest is zero.
struct Attributes {
  AttributeSet has;
  FileType type = FileType::none;
  uint64_t change = 0;
  uint64_t size = 0;
  FsId fsid;
  uint64_t fileid = 0;
  uint64_t mounted_on_fileid = 0;
  uint32_t mode = 0;  // without the type
  uint32_t links = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t major = 0;  // of the device that a node stands for
  uint32_t minor = 0;
  uint64_t space_used = 0;  // bytes
  Time access;
  Time modify;
  Time metadata;
  Time created;

  uint64_t files_avail = 0;
  uint64_t files_free = 0;
  uint64_t files_total = 0;
  uint64_t space_avail = 0;  // bytes, these three
  uint64_t space_free = 0;
  uint64_t space_total = 0;
  uint32_t name_max = 0;

  uint32_t lease_seconds = 0;
  uint64_t read_max = 0;  // bytes
  uint64_t write_max = 0;
  bool xattrs = false;
  Status error = Status::ok;  // rdattr_error: why an entry of READDIR has none
  FileHandle handle;

  // fattr4. Fails the reader when it is not one, or has an attribute that we can't skip.
  static void decode(XdrReader& from, Attributes& to) noexcept;
};

// Who an owner string means: a number as it is (RFC 8881, section 5.9), "nobody" (65534) for a
// name.
uint32_t id_of(std::string_view owner) noexcept;

// What SETATTR, CREATE and OPEN set.
struct NewAttributes {
  bool has_size = false;
  bool has_mode = false;
  bool has_uid = false;
  bool has_gid = false;
  enum class Moment : uint8_t { unchanged, now, given };
  Moment set_access = Moment::unchanged;
  Moment set_modify = Moment::unchanged;
  uint64_t size = 0;
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  Time access;
  Time modify;

  bool empty() const noexcept {
    return !has_size && !has_mode && !has_uid && !has_gid && set_access == Moment::unchanged &&
           set_modify == Moment::unchanged;
  }
  // As a fattr4.
  void encode(XdrWriter& to) const noexcept;
};

// As FUSE has it. `links` etc. as the server says.
fuse::Attr to_fuse(const Attributes& from, uint32_t block_bytes) noexcept;
// S_IFMT bits.
uint32_t type_bits(FileType type) noexcept;

}  // namespace dpfs::nfs
