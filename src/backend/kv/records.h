// SPDX-License-Identifier: Apache-2.0
// What the records of a key-value file system say: the format of kFormat.
//
// Every decoder takes bytes that may be anybody's: it is false where they are no such record.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace dpfs::kv {

// Raised when a daemon of before could not use what is written. Files of a newer format are
// refused.
inline constexpr uint32_t kFormat = 1;

inline constexpr uint64_t kRootIno = 1;
inline constexpr uint64_t kFirstFreeIno = 2;
// Inode numbers are handed out from blocks, so that few changes write the allocator's record. Those
// of a block that are left when a daemon ends are never used.
inline constexpr uint64_t kInoBlock = 1024;

// Files up to this size lie in one record.
inline constexpr uint32_t kInlineBytes = 4096;
// Larger ones lie in chunks; how large those are the engine chose when the file system was made.
inline constexpr uint32_t kChunkBytesMax = 1024 * 1024;
// What is stored is counted, and holes are found, in pages.
inline constexpr uint32_t kPageBytes = 4096;

// Where directories' cookies begin: READDIR's offsets 1 and 2 are "." and "..". Cookies are never
// used again, and there are fewer than 2^53 of them.
inline constexpr uint64_t kFirstCookie = 3;

struct Time {
  int64_t s = 0;
  uint32_t ns = 0;
  bool operator==(const Time&) const = default;
};

struct Superblock {
  uint32_t format = kFormat;
  std::array<char, 16> uuid{};
  Time made;
  uint32_t chunk_bytes = 0;
  // Limits of the whole file system; 0: none.
  uint64_t bytes_max = 0;
  uint64_t inodes_max = 0;
};
inline constexpr uint32_t kSuperblockBytes = 8 + 4 + 16 + 12 + 4 + 8 + 8;

struct Inode {
  uint32_t mode = 0;  // with its type
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t nlink = 0;
  uint32_t rdev = 0;
  uint32_t flags = 0;   // inode_flag
  uint64_t size = 0;    // bytes
  uint64_t stored = 0;  // bytes of pages that are stored, or promised by fallocate(2)
  Time atime, mtime, ctime, btime;
  // Of directories.
  uint64_t parent = 0;
  uint64_t entries = 0;
  uint64_t next_cookie = 0;
};
inline constexpr uint32_t kInodeBytes = 6 * 4 + 2 * 8 + 4 * 12 + 3 * 8;

namespace inode_flag {
// The contents are one record of Collection::contents; what it has no bytes for is zeros. Else they
// are chunks.
inline constexpr uint32_t kInline = 1u << 0;
// There may be extended attributes; an access ACL; a default ACL. Where a flag is missing there is
// none.
inline constexpr uint32_t kXattrs = 1u << 1;
inline constexpr uint32_t kAccessAcl = 1u << 2;
inline constexpr uint32_t kDefaultAcl = 1u << 3;
// Pages may be stored behind the end (FALLOC_FL_KEEP_SIZE).
inline constexpr uint32_t kBehindEnd = 1u << 4;
// There may be a security.capability, which a change of the contents or the owner takes away.
inline constexpr uint32_t kCapability = 1u << 5;
// Something may be stored behind the end that the file once had: it goes before the file grows.
inline constexpr uint32_t kShrinking = 1u << 6;
inline constexpr uint32_t kAll = (1u << 7) - 1;
}  // namespace inode_flag

// A name in a directory.
struct Entry {
  uint64_t ino = 0;
  uint64_t cookie = 0;
  uint8_t type = 0;  // DT_*
};
inline constexpr uint32_t kEntryBytes = 8 + 8 + 1;

// The same, as directories are read: the cookie is in the key.
struct Listing {
  uint64_t ino = 0;
  uint8_t type = 0;
  std::string_view name;
};
inline constexpr uint32_t kListingBytesMax = 8 + 1 + 255;

// Who owns the file system: its record begins with `epoch`, so that a commit can compare that much
// of it. See ownership.h.
struct Session {
  uint64_t epoch = 0;
  uint64_t beat = 0;      // raised by a living owner
  uint32_t lease_ms = 0;  // at least once in this time
  uint32_t pid = 0;       // on its machine
  std::string_view host;
};
inline constexpr uint32_t kHostBytesMax = 64;
inline constexpr uint32_t kSessionBytesMax = 8 + 8 + 4 + 4 + kHostBytesMax;

// Each gives the bytes in `room`.
std::string_view encode(const Superblock& superblock, std::span<char, kSuperblockBytes> room);
std::string_view encode(const Inode& inode, std::span<char, kInodeBytes> room);
std::string_view encode(const Entry& entry, std::span<char, kEntryBytes> room);
std::string_view encode(const Listing& listing, std::span<char, kListingBytesMax> room);
std::string_view encode(const Session& session, std::span<char, kSessionBytesMax> room);
std::string_view encode_number(uint64_t number, std::span<char, 8> room);

// That a directory may have: of 1 to 255 bytes, neither "." nor "..", without '/' and NUL.
bool is_entry_name(std::string_view name) noexcept;

// Of a superblock that is newer than we are only `format` is right: ask for it first.
bool decode(std::string_view bytes, Superblock& superblock);
bool decode(std::string_view bytes, Inode& inode);
bool decode(std::string_view bytes, Entry& entry);
bool decode(std::string_view bytes, Listing& listing);  // its name lies in `bytes`
bool decode(std::string_view bytes, Session& session);  // its host lies in `bytes`
bool decode_number(std::string_view bytes, uint64_t& number);

}  // namespace dpfs::kv
