// SPDX-License-Identifier: Apache-2.0
// Listing directories of the local back end: OPENDIR, READDIR, READDIRPLUS.
#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "backend/local/local_fs.h"
#include "backend/local/system.h"
#include "fuse/dirent_writer.h"

namespace dpfs {

using local::OpenFile;
using local::OpenFileRef;

namespace {

constexpr size_t kNameMax = 255;
// Enough for any one entry, so that the kernel never says EINVAL for want of room.
constexpr size_t kChunkBytesMin = 512;
constexpr uint64_t kNowhere = UINT64_MAX;

// One entry as getdents64(2) packs it.
struct HostEntry {
  uint64_t ino;
  uint64_t next_offset;
  uint16_t record_bytes;
  uint8_t type;
  const char* name;  // with a NUL behind it

  explicit HostEntry(const char* record) noexcept : name(record + offsetof(dirent64, d_name)) {
    std::memcpy(&ino, record + offsetof(dirent64, d_ino), sizeof ino);
    std::memcpy(&next_offset, record + offsetof(dirent64, d_off), sizeof next_offset);
    std::memcpy(&record_bytes, record + offsetof(dirent64, d_reclen), sizeof record_bytes);
    std::memcpy(&type, record + offsetof(dirent64, d_type), sizeof type);
  }
  bool is_dots() const noexcept {
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
  }
};

// Inside blocking(). The entries behind `offset`, as many as fit; none at the end.
Result<ssize_t> read_entries(OpenFile& directory, uint64_t offset, char* to,
                             size_t bytes) noexcept {
  const std::lock_guard lock(directory.listing);
  if (directory.position != offset) {
    const Result<off_t> sought = local::checked(
        [&] { return ::lseek(directory.fd.get(), static_cast<off_t>(offset), SEEK_SET); });
    if (!sought) return sought.error();
  }
  directory.position = kNowhere;
  const Result<ssize_t> got =
      local::checked([&] { return ::getdents64(directory.fd.get(), to, bytes); });
  if (!got) return got;
  directory.position = offset;
  for (ssize_t at = 0; at < *got;) {
    const HostEntry entry(to + at);
    directory.position = entry.next_offset;
    at += entry.record_bytes;
  }
  return got;
}

// What lies above the shared directory is nobody's business.
uint64_t ino_to_show(NodeId directory, uint64_t root_ino, const HostEntry& entry) noexcept {
  return directory == NodeId::root && entry.is_dots() ? root_ino : entry.ino;
}

}  // namespace

Op<fuse::OpenOut> LocalFs::opendir(Request&, const OpenArgs& args) {
  Result<fuse::OpenOut> out = open_node(args.node, O_RDONLY | O_DIRECTORY);
  if (!out) return out;
  fuse::OpenOut directory = *out;
  directory.open_flags = 0;
  if (options_.keep_cache) {
    directory.open_flags = fuse::open_flag::kKeepCache | fuse::open_flag::kCacheDir;
  }
  return directory;
}

Op<Unit> LocalFs::releasedir(Request&, const ReleaseArgs& args) {
  return files_.close(args.handle, args.node);
}

Op<Unit> LocalFs::fsyncdir(Request&, const FsyncArgs& args) {
  OpenFile* file = files_.find(args.handle, args.node);
  if (file == nullptr) return Errno::badf;
  return sync_later(OpenFileRef(files_, *file), args.data_only);
}

Op<uint32_t> LocalFs::readdir(Request&, const ReaddirArgs& args) { return list(args, false); }
Op<uint32_t> LocalFs::readdirplus(Request&, const ReaddirArgs& args) { return list(args, true); }

// The offsets are the host file system's own, so a listing can go on at any of them, also after
// entries came and went.
Op<uint32_t> LocalFs::list(const ReaddirArgs& args, bool plus) noexcept {
  OpenFile* found = files_.find(args.handle, args.node);
  if (found == nullptr) return Errno::badf;
  const OpenFileRef directory(files_, *found);
  const local::Spares<Scratch>::Lease scratch = scratch_.take();
  if (!scratch) return Errno::nomem;

  const size_t entry_bytes_max =
      plus ? fuse::direntplus_size(kNameMax) : fuse::dirent_size(kNameMax);
  // A READDIRPLUS entry is several times as long here as on the host.
  const size_t chunk_bytes =
      std::clamp(plus ? args.into.size() / 4 : args.into.size(), kChunkBytesMin, kScratchBytes);
  DirentWriter writer(args.into);
  uint64_t offset = args.offset;
  do {
    const Result<ssize_t> got = reactor_.blocking(
        [&] { return read_entries(*directory, offset, (*scratch).data(), chunk_bytes); });
    if (!got && writer.bytes() == 0) return got.error();
    if (!got || *got == 0) break;
    for (ssize_t at = 0; at < *got;) {
      const HostEntry entry((*scratch).data() + at);
      const DirentWriter::Entry out{.ino = ino_to_show(args.node, nodes_.root_ino(), entry),
                                    .next_offset = entry.next_offset,
                                    .type = entry.type,
                                    .name = entry.name};
      const bool fits = plus && !entry.is_dots()
                            ? add_plus(writer, {directory->fd.get(), args.node}, out)
                        : plus ? writer.add_plus(out, fuse::EntryOut{})
                               : writer.add(out);
      if (!fits) {
        if (writer.bytes() == 0) return Errno::inval;  // 0 would mean the end
        return writer.bytes();
      }
      offset = entry.next_offset;
      at += entry.record_bytes;
    }
  } while (writer.bytes() + entry_bytes_max <= args.into.size());
  return writer.bytes();
}

// An entry with its attributes, which counts as a lookup. False: it does not fit.
bool LocalFs::add_plus(DirentWriter& writer, const local::Directory& directory,
                       const DirentWriter::Entry& entry) noexcept {
  if (!writer.has_room_plus(entry)) return false;
  local::Stat stat;
  const Name name(entry.name.data(), static_cast<uint16_t>(entry.name.size()));
  const Result<local::Nodes::Found> found = nodes_.look_up(directory, name, stat, false);
  if (found) return writer.add_plus(entry, entry_out(*found, stat));
  // It is gone meanwhile, or it is there and cannot be looked at: then the tenant gets its name,
  // and the error when it looks it up itself.
  if (found.error() == Errno::noent) return true;
  return writer.add_plus(entry, fuse::EntryOut{});
}

}  // namespace dpfs
