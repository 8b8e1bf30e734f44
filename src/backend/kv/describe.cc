// SPDX-License-Identifier: Apache-2.0
// A line for each kind of record.
#include "backend/kv/describe.h"

#include <fmt/format.h>

#include "backend/kv/found.h"
#include "backend/kv/page_map.h"
#include "backend/kv/records.h"

namespace dpfs::kv {
namespace {

std::string hexadecimal(std::string_view bytes) {
  constexpr size_t kShown = 64;
  std::string out;
  for (const char byte : bytes.substr(0, kShown)) {
    out += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  }
  return bytes.size() > kShown ? out + "..." : out;
}

std::string text_of(const Superblock& superblock) {
  if (superblock.format > kFormat) return fmt::format("format {} (newer)", superblock.format);
  return fmt::format(
      "format {}, uuid {}, made {}.{:09}, chunk_bytes {}, bytes_max {}, inodes_max {}",
      superblock.format, hexadecimal({superblock.uuid.data(), superblock.uuid.size()}),
      superblock.made.s, superblock.made.ns, superblock.chunk_bytes, superblock.bytes_max,
      superblock.inodes_max);
}

std::string text_of(const Inode& inode) {
  const auto time = [](const Time& at) { return fmt::format("{}.{:09}", at.s, at.ns); };
  std::string out = fmt::format(
      "mode {:07o}, uid {}, gid {}, nlink {}, rdev {}, flags {:#x}, size {}, stored {}, atime {}, "
      "mtime {}, ctime {}, btime {}",
      inode.mode, inode.uid, inode.gid, inode.nlink, inode.rdev, inode.flags, inode.size,
      inode.stored, time(inode.atime), time(inode.mtime), time(inode.ctime), time(inode.btime));
  if (inode.parent == 0) return out;
  return out + fmt::format(", parent {}, entries {}, next_cookie {}", inode.parent, inode.entries,
                           inode.next_cookie);
}

std::string text_of(const Entry& entry) {
  return fmt::format("ino {}, cookie {}, type {}", entry.ino, entry.cookie, entry.type);
}

std::string text_of(const Listing& listing) {
  return fmt::format("ino {}, type {}, name '{}'", listing.ino, listing.type,
                     escaped(listing.name));
}

std::string text_of(const Session& session) {
  return fmt::format("epoch {}, beat {}, lease_ms {}, pid {}, host '{}'", session.epoch,
                     session.beat, session.lease_ms, session.pid, escaped(session.host));
}

std::string text_of(const PageMap& map) {
  std::string out = fmt::format("{} pages:", map.count());
  for (uint32_t begin = map.next_set(0); begin < PageMap::kPages;) {
    const uint32_t end = map.next_clear(begin);
    out += end - begin == 1 ? fmt::format(" {}", begin) : fmt::format(" {}-{}", begin, end - 1);
    begin = end < PageMap::kPages ? map.next_set(end) : PageMap::kPages;
  }
  return out;
}

std::string text_of(const uint64_t& number) {
  return fmt::format("{}", static_cast<int64_t>(number));
}

template <class Record>
std::string decoded(std::string_view value) {
  Record record{};
  return decode(value, record) ? text_of(record) : "? " + hexadecimal(value);
}

std::string beginning(std::string_view value) {
  constexpr size_t kShown = 64;
  return fmt::format("{} bytes: '{}'{}", value.size(), escaped(value.substr(0, kShown)),
                     value.size() > kShown ? "..." : "");
}

}  // namespace

std::string escaped(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || byte == '\\' || byte == '\'') {
      out += fmt::format("\\{:03o}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

const char* name_of(Collection collection) noexcept {
  switch (collection) {
#define DPFS_KV_COLLECTION(name, shape, letter) \
  case Collection::name:                        \
    return #name;
#include "backend/kv/collections.def"
  }
  return "?";
}

std::optional<Collection> collection_named(std::string_view name) noexcept {
#define DPFS_KV_COLLECTION(its_name, shape, letter) \
  if (name == #its_name) return Collection::its_name;
#include "backend/kv/collections.def"
  return std::nullopt;
}

std::string describe_value(Collection collection, std::string_view value) {
  switch (collection) {
    case Collection::superblock:
      return decoded<Superblock>(value);
    case Collection::allocator:
    case Collection::usage:
      return decoded<uint64_t>(value);
    case Collection::session:
      return decoded<Session>(value);
    case Collection::inode:
      return decoded<Inode>(value);
    case Collection::entry:
      return decoded<Entry>(value);
    case Collection::listing:
      return decoded<Listing>(value);
    case Collection::pages:
      return decoded<PageMap>(value);
    case Collection::orphan:
    case Collection::garbage:
      return {};
    case Collection::contents:
    case Collection::xattr:
    case Collection::chunk:
      return beginning(value);
  }
  return {};
}

}  // namespace dpfs::kv
