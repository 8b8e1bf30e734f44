// SPDX-License-Identifier: Apache-2.0
// Fields in their order, and what makes a record impossible.
#include "backend/kv/records.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>

#include "backend/kv/codec.h"

namespace dpfs::kv {
namespace {

constexpr std::string_view kMagic = "DPFS-KV\n";
constexpr uint32_t kNsMax = 1'000'000'000;
constexpr uint64_t kCookieEnd = uint64_t{1} << 53;

void put(RecordWriter& writer, const Time& time) noexcept {
  writer.put(time.s);
  writer.put(time.ns);
}

Time take_time(RecordReader& reader) noexcept {
  Time time;
  time.s = reader.take<int64_t>();
  time.ns = reader.take<uint32_t>();
  return time;
}

bool is_type(uint8_t type) noexcept {
  switch (type) {
    case DT_REG:
    case DT_DIR:
    case DT_LNK:
    case DT_CHR:
    case DT_BLK:
    case DT_FIFO:
    case DT_SOCK:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool is_entry_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

std::string_view encode(const Superblock& superblock, std::span<char, kSuperblockBytes> room) {
  RecordWriter writer(room);
  writer.put_bytes(kMagic);
  writer.put(superblock.format);
  writer.put_bytes({superblock.uuid.data(), superblock.uuid.size()});
  put(writer, superblock.made);
  writer.put(superblock.chunk_bytes);
  writer.put(superblock.bytes_max);
  writer.put(superblock.inodes_max);
  return writer.view();
}

bool decode(std::string_view bytes, Superblock& superblock) {
  RecordReader reader(bytes);
  if (reader.take_bytes(kMagic.size()) != kMagic) return false;
  superblock.format = reader.take<uint32_t>();
  if (superblock.format > kFormat) return bytes.size() >= kMagic.size() + 4;
  std::ranges::copy(reader.take_bytes(superblock.uuid.size()), superblock.uuid.begin());
  superblock.made = take_time(reader);
  superblock.chunk_bytes = reader.take<uint32_t>();
  superblock.bytes_max = reader.take<uint64_t>();
  superblock.inodes_max = reader.take<uint64_t>();
  const uint32_t chunk = superblock.chunk_bytes;
  return reader.ends_well() && superblock.format > 0 && chunk >= 64 * 1024 &&
         chunk <= kChunkBytesMax && (chunk & (chunk - 1)) == 0;
}

std::string_view encode(const Inode& inode, std::span<char, kInodeBytes> room) {
  RecordWriter writer(room);
  writer.put(inode.mode);
  writer.put(inode.uid);
  writer.put(inode.gid);
  writer.put(inode.nlink);
  writer.put(inode.rdev);
  writer.put(inode.flags);
  writer.put(inode.size);
  writer.put(inode.stored);
  for (const Time* time : {&inode.atime, &inode.mtime, &inode.ctime, &inode.btime}) {
    put(writer, *time);
  }
  writer.put(inode.parent);
  writer.put(inode.entries);
  writer.put(inode.next_cookie);
  return writer.view();
}

bool decode(std::string_view bytes, Inode& inode) {
  RecordReader reader(bytes);
  inode.mode = reader.take<uint32_t>();
  inode.uid = reader.take<uint32_t>();
  inode.gid = reader.take<uint32_t>();
  inode.nlink = reader.take<uint32_t>();
  inode.rdev = reader.take<uint32_t>();
  inode.flags = reader.take<uint32_t>();
  inode.size = reader.take<uint64_t>();
  inode.stored = reader.take<uint64_t>();
  bool times_ok = true;
  for (Time* time : {&inode.atime, &inode.mtime, &inode.ctime, &inode.btime}) {
    *time = take_time(reader);
    times_ok = times_ok && time->ns < kNsMax;
  }
  inode.parent = reader.take<uint64_t>();
  inode.entries = reader.take<uint64_t>();
  inode.next_cookie = reader.take<uint64_t>();
  if (!reader.ends_well() || !times_ok || !is_type(static_cast<uint8_t>(IFTODT(inode.mode))) ||
      inode.mode > (S_IFMT | 07777) || (inode.flags & ~inode_flag::kAll) != 0 ||
      inode.size > INT64_MAX || inode.stored > INT64_MAX) {
    return false;
  }
  if (!S_ISDIR(inode.mode)) return true;
  return inode.parent != 0 && inode.next_cookie >= kFirstCookie && inode.next_cookie < kCookieEnd &&
         inode.entries <= inode.next_cookie - kFirstCookie;
}

std::string_view encode(const Entry& entry, std::span<char, kEntryBytes> room) {
  RecordWriter writer(room);
  writer.put(entry.ino);
  writer.put(entry.cookie);
  writer.put(entry.type);
  return writer.view();
}

bool decode(std::string_view bytes, Entry& entry) {
  RecordReader reader(bytes);
  entry.ino = reader.take<uint64_t>();
  entry.cookie = reader.take<uint64_t>();
  entry.type = reader.take<uint8_t>();
  return reader.ends_well() && entry.ino != 0 && entry.cookie >= kFirstCookie &&
         entry.cookie < kCookieEnd && is_type(entry.type);
}

std::string_view encode(const Listing& listing, std::span<char, kListingBytesMax> room) {
  RecordWriter writer(room);
  writer.put(listing.ino);
  writer.put(listing.type);
  writer.put_bytes(listing.name);
  return writer.view();
}

bool decode(std::string_view bytes, Listing& listing) {
  RecordReader reader(bytes);
  listing.ino = reader.take<uint64_t>();
  listing.type = reader.take<uint8_t>();
  listing.name = reader.take_rest();
  return reader.ends_well() && listing.ino != 0 && is_type(listing.type) &&
         is_entry_name(listing.name);
}

std::string_view encode(const Session& session, std::span<char, kSessionBytesMax> room) {
  RecordWriter writer(room);
  writer.put(session.epoch);
  writer.put(session.beat);
  writer.put(session.lease_ms);
  writer.put(session.pid);
  writer.put_bytes(session.host.substr(0, kHostBytesMax));
  return writer.view();
}

bool decode(std::string_view bytes, Session& session) {
  RecordReader reader(bytes);
  session.epoch = reader.take<uint64_t>();
  session.beat = reader.take<uint64_t>();
  session.lease_ms = reader.take<uint32_t>();
  session.pid = reader.take<uint32_t>();
  session.host = reader.take_rest();
  return reader.ends_well() && session.host.size() <= kHostBytesMax;
}

std::string_view encode_number(uint64_t number, std::span<char, 8> room) {
  RecordWriter writer(room);
  writer.put(number);
  return writer.view();
}

bool decode_number(std::string_view bytes, uint64_t& number) {
  RecordReader reader(bytes);
  number = reader.take<uint64_t>();
  return reader.ends_well();
}

}  // namespace dpfs::kv
