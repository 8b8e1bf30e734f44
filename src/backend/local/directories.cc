// SPDX-License-Identifier: Apache-2.0
// Listing directories of the local back end: OPENDIR, READDIR, READDIRPLUS.
#include <dirent.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "backend/local/local_fs.h"
#include "backend/local/system.h"
#include "fuse/dirent_writer.h"

namespace dpfs {

namespace local {

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

}  // namespace local

using local::HostEntry;
using local::Listing;
using local::OpenFile;
using local::OpenFileRef;

namespace {

constexpr uint64_t kNowhere = UINT64_MAX;

// Inside blocking(). The entries behind listing.offset, as many as fit; none at the end.
Result<Unit> fill(OpenFile& directory, Listing& listing) noexcept {
  const std::lock_guard lock(directory.seeking);
  if (directory.position != listing.offset) {
    const Result<off_t> sought = local::checked(
        [&] { return ::lseek(directory.fd.get(), static_cast<off_t>(listing.offset), SEEK_SET); });
    if (!sought) return sought.error();
  }
  directory.position = kNowhere;
  const Result<ssize_t> got = local::checked(
      [&] { return ::getdents64(directory.fd.get(), listing.bytes, sizeof listing.bytes); });
  if (!got) return got.error();
  listing.begin = 0;
  listing.end = static_cast<uint32_t>(*got);
  directory.position = listing.offset;
  for (uint32_t at = 0; at < listing.end;) {
    const HostEntry entry(listing.bytes + at);
    directory.position = entry.next_offset;
    at += entry.record_bytes;
  }
  return Unit{};
}

}  // namespace

Op<fuse::OpenOut> LocalFs::opendir(Request&, const OpenArgs& args) {
  Result<fuse::OpenOut> out = open_node(args.node, O_RDONLY | O_DIRECTORY, 0);
  if (!out) return out;
  fuse::OpenOut directory = *out;
  directory.open_flags = negotiated_.cache.directory_flags;
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
  local::Spares<Listing>::Lease lease = files_.take_listing(*directory, args.offset);
  if (!lease) return Errno::nomem;
  Listing& listing = *lease;

  DirentWriter writer(args.into);
  bool full = false;
  while (!full) {
    if (listing.begin == listing.end) {
      const Result<Unit> ok = reactor_.blocking([&] { return fill(*directory, listing); });
      if (!ok && writer.bytes() == 0) return ok.error();
      if (!ok || listing.end == 0) break;
    }
    const HostEntry entry(listing.bytes + listing.begin);
    full = !put(writer, {directory->fd.get(), args.node}, entry, plus);
    if (full) break;
    listing.offset = entry.next_offset;
    listing.begin += entry.record_bytes;
  }
  files_.keep_listing(*directory, std::move(lease));
  if (full && writer.bytes() == 0) return Errno::inval;  // 0 would mean the end
  return writer.bytes();
}

// False: the entry does not fit.
bool LocalFs::put(DirentWriter& writer, const local::Directory& directory, const HostEntry& host,
                  bool plus) noexcept {
  DirentWriter::Entry entry{
      .ino = host.ino, .next_offset = host.next_offset, .type = host.type, .name = host.name};
  if (host.is_dots()) {
    // What lies above the shared directory is nobody's business.
    if (directory.node == NodeId::root) entry.ino = nodes_.root_ino();
    return plus ? writer.add_plus(entry, fuse::EntryOut{}) : writer.add(entry);
  }
  if (!plus) return writer.add(entry);

  // With its attributes an entry counts as a lookup, so there must be room for the answer.
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
