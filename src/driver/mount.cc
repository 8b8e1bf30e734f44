// SPDX-License-Identifier: Apache-2.0
// Blocking, typed FUSE calls.
#include "driver/mount.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace dpfs::driver {

// One call: takes it, fills it, runs it, and makes of the reply what `take` says. A call that never
// came back stays the device's.
template <class Fill, class Take>
auto Mount::once(Fill&& fill, Take&& take) -> Result<decltype(take(std::declval<Call&>()))> {
  Call* call = client_.take();
  if (call == nullptr) return Errno::busy;
  fill(*call);
  Result<Unit> ok = client_.run(*call);
  if (!ok) {
    if (!call->in_flight()) client_.give(*call);
    return ok.error();
  }
  auto value = take(*call);
  client_.give(*call);
  return value;
}

template <class Fill>
Result<Unit> Mount::once(Fill&& fill) {
  return once(std::forward<Fill>(fill), [](Call&) { return Unit{}; });
}

namespace {

template <class T>
T reply_of(Call& call) {
  return call.reply<T>();
}

uint32_t cut(size_t size, Call& call) {
  return static_cast<uint32_t>(std::min(size, call.data().size()));
}

uint32_t copy_reply(Call& call, std::span<std::byte> into) {
  std::span<const std::byte> data = call.reply_data();
  const size_t size = std::min(data.size(), into.size());
  if (size != 0) std::memcpy(into.data(), data.data(), size);
  return static_cast<uint32_t>(size);
}

Mount::Created created(Call& call) {
  return {call.reply<fuse::EntryOut>(), call.reply<fuse::OpenOut>(sizeof(fuse::EntryOut))};
}

constexpr uint32_t kBadRecords = UINT32_MAX;

// Appends the records of one reply; how many, or kBadRecords.
template <class Record>
uint32_t parse(std::span<const std::byte> data, std::vector<Mount::Name>& names) {
  uint32_t count = 0;
  while (!data.empty()) {
    Record record;
    if (data.size() < sizeof record) return kBadRecords;
    std::memcpy(&record, data.data(), sizeof record);
    fuse::Dirent dirent;
    Mount::Name name;
    if constexpr (std::is_same_v<Record, fuse::Direntplus>) {
      dirent = record.dirent;
      name.entry = record.entry_out;
    } else {
      dirent = record;
    }
    const size_t size = fuse::record_align(sizeof record + dirent.namelen);
    if (dirent.namelen == 0 || size > data.size()) return kBadRecords;
    name.name.assign(reinterpret_cast<const char*>(data.data()) + sizeof record, dirent.namelen);
    name.ino = dirent.ino;
    name.offset = dirent.off;
    name.type = dirent.type;
    names.push_back(std::move(name));
    data = data.subspan(size);
    ++count;
  }
  return count;
}

Result<uint32_t> checked(Result<uint32_t> count) {
  if (count && *count == kBadRecords) return Errno::proto;
  return count;
}

}  // namespace

Result<Unit> Mount::destroy() { return once(request::destroy); }

Result<fuse::EntryOut> Mount::lookup(Entry entry) {
  return once([&](Call& call) { request::lookup(call, entry); }, reply_of<fuse::EntryOut>);
}

Result<fuse::EntryOut> Mount::walk(std::string_view path) {
  fuse::EntryOut at{};
  at.nodeid = fuse::kRootNodeId;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    std::string_view name = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (name.empty()) continue;
    Result<fuse::EntryOut> next = lookup({at.nodeid, name});
    if (!next) return next;
    // A node id of 0 is a negative entry: the name does not exist, and the driver may remember
    // that.
    if (next->nodeid == 0) return Errno::noent;
    at = *next;
  }
  return at;
}

Result<fuse::AttrOut> Mount::getattr(uint64_t node) {
  return once([&](Call& call) { request::getattr(call, node); }, reply_of<fuse::AttrOut>);
}

Result<fuse::AttrOut> Mount::getattr(File file) {
  return once([&](Call& call) { request::getattr(call, file); }, reply_of<fuse::AttrOut>);
}

Result<fuse::StatxOut> Mount::statx(uint64_t node, uint32_t mask) {
  return once([&](Call& call) { request::statx(call, node, mask); }, reply_of<fuse::StatxOut>);
}

Result<fuse::AttrOut> Mount::setattr(uint64_t node, const fuse::SetattrIn& in) {
  return once([&](Call& call) { request::setattr(call, node, in); }, reply_of<fuse::AttrOut>);
}

Result<fuse::AttrOut> Mount::truncate(uint64_t node, uint64_t size) {
  fuse::SetattrIn in{};
  in.valid = fuse::attr_valid::kSize;
  in.size = size;
  return setattr(node, in);
}

Result<fuse::Kstatfs> Mount::statfs(uint64_t node) {
  return once([&](Call& call) { request::statfs(call, node); }, reply_of<fuse::Kstatfs>);
}

Result<Unit> Mount::access(uint64_t node, uint32_t mask) {
  return once([&](Call& call) { request::access(call, node, mask); });
}

Result<fuse::EntryOut> Mount::mkdir(Entry entry, uint32_t mode) {
  fuse::MkdirIn in{.mode = mode, .umask = 0};
  return once([&](Call& call) { request::mkdir(call, entry, in); }, reply_of<fuse::EntryOut>);
}

Result<fuse::EntryOut> Mount::mknod(Entry entry, uint32_t mode, uint32_t rdev) {
  fuse::MknodIn in{.mode = mode, .rdev = rdev, .umask = 0, .padding = 0};
  return once([&](Call& call) { request::mknod(call, entry, in); }, reply_of<fuse::EntryOut>);
}

Result<fuse::EntryOut> Mount::symlink(Entry entry, std::string_view target) {
  return once([&](Call& call) { request::symlink(call, entry, target); }, reply_of<fuse::EntryOut>);
}

Result<fuse::EntryOut> Mount::link(uint64_t node, Entry to) {
  return once([&](Call& call) { request::link(call, node, to); }, reply_of<fuse::EntryOut>);
}

Result<Unit> Mount::unlink(Entry entry) {
  return once([&](Call& call) { request::unlink(call, entry); });
}

Result<Unit> Mount::rmdir(Entry entry) {
  return once([&](Call& call) { request::rmdir(call, entry); });
}

Result<Unit> Mount::rename(Entry from, Entry to) {
  return once([&](Call& call) { request::rename(call, from, to); });
}

Result<Unit> Mount::rename2(Entry from, Entry to, uint32_t flags) {
  return once([&](Call& call) { request::rename2(call, from, to, flags); });
}

Result<Unit> Mount::readlink(uint64_t node, std::string& target) {
  return once([&](Call& call) { request::readlink(call, node); },
              [&](Call& call) {
                std::span<const std::byte> data = call.reply_data();
                target.assign(reinterpret_cast<const char*>(data.data()), data.size());
                return Unit{};
              });
}

Result<Mount::Created> Mount::create(Entry entry, uint32_t flags, uint32_t mode) {
  fuse::CreateIn in{.flags = flags | O_CREAT, .mode = mode | 0100000, .umask = 0, .open_flags = 0};
  return once([&](Call& call) { request::create(call, entry, in); }, created);
}

Result<Mount::Created> Mount::tmpfile(uint64_t parent, uint32_t flags, uint32_t mode) {
  fuse::CreateIn in{.flags = flags, .mode = mode | 0100000, .umask = 0, .open_flags = 0};
  return once([&](Call& call) { request::tmpfile(call, parent, in); }, created);
}

Result<File> Mount::open(uint64_t node, uint32_t flags) {
  return once([&](Call& call) { request::open(call, node, flags); },
              [&](Call& call) { return File{node, call.reply<fuse::OpenOut>().fh}; });
}

Result<Unit> Mount::release(File file) {
  return once([&](Call& call) { request::release(call, file); });
}

Result<uint32_t> Mount::read(File file, uint64_t offset, std::span<std::byte> into) {
  return once([&](Call& call) { request::read(call, file, offset, cut(into.size(), call)); },
              [&](Call& call) { return copy_reply(call, into); });
}

Result<uint32_t> Mount::write(File file, uint64_t offset, std::span<const std::byte> from) {
  return once(
      [&](Call& call) {
        const uint32_t size = cut(from.size(), call);
        if (size != 0) std::memcpy(call.data().data(), from.data(), size);
        request::write(call, file, offset, size);
      },
      [](Call& call) { return call.reply<fuse::WriteOut>().size; });
}

Result<Unit> Mount::flush(File file) {
  return once([&](Call& call) { request::flush(call, file); });
}

Result<Unit> Mount::fsync(File file, bool data_only) {
  return once([&](Call& call) { request::fsync(call, file, data_only); });
}

Result<Unit> Mount::fallocate(File file, uint32_t mode, uint64_t offset, uint64_t length) {
  fuse::FallocateIn in{
      .fh = file.handle, .offset = offset, .length = length, .mode = mode, .padding = 0};
  return once([&](Call& call) { request::fallocate(call, file, in); });
}

Result<uint64_t> Mount::lseek(File file, uint64_t offset, uint32_t whence) {
  return once([&](Call& call) { request::lseek(call, file, offset, whence); },
              [](Call& call) { return call.reply<fuse::LseekOut>().offset; });
}

Result<uint32_t> Mount::copy_file_range(File from, uint64_t from_offset, File to,
                                        uint64_t to_offset, uint64_t length) {
  fuse::CopyFileRangeIn in{.fh_in = from.handle,
                           .off_in = from_offset,
                           .nodeid_out = to.node,
                           .fh_out = to.handle,
                           .off_out = to_offset,
                           .len = length,
                           .flags = 0};
  return once([&](Call& call) { request::copy_file_range(call, from.node, in); },
              [](Call& call) { return call.reply<fuse::WriteOut>().size; });
}

Result<Unit> Mount::syncfs(uint64_t node) {
  return once([&](Call& call) { request::syncfs(call, node); });
}

Result<File> Mount::opendir(uint64_t node) {
  return once([&](Call& call) { request::opendir(call, node, O_RDONLY | O_DIRECTORY); },
              [&](Call& call) { return File{node, call.reply<fuse::OpenOut>().fh}; });
}

Result<Unit> Mount::releasedir(File file) {
  return once([&](Call& call) { request::releasedir(call, file); });
}

Result<uint32_t> Mount::readdir(File file, uint64_t offset, std::vector<Name>& names) {
  return checked(
      once([&](Call& call) { request::readdir(call, file, offset, cut(SIZE_MAX, call)); },
           [&](Call& call) { return parse<fuse::Dirent>(call.reply_data(), names); }));
}

Result<uint32_t> Mount::readdirplus(File file, uint64_t offset, std::vector<Name>& names) {
  return checked(
      once([&](Call& call) { request::readdirplus(call, file, offset, cut(SIZE_MAX, call)); },
           [&](Call& call) { return parse<fuse::Direntplus>(call.reply_data(), names); }));
}

Result<Unit> Mount::list(uint64_t node, std::vector<Name>& names) {
  Result<File> directory = opendir(node);
  if (!directory) return directory.error();
  Result<uint32_t> count = 0u;
  uint64_t offset = 0;
  do {
    count = readdirplus(*directory, offset, names);
    if (count && *count != 0) offset = names.back().offset;
  } while (count && *count != 0);
  Result<Unit> released = releasedir(*directory);
  if (!count) return count.error();
  return released;
}

Result<Unit> Mount::setxattr(Entry entry, std::span<const std::byte> value, uint32_t flags) {
  const bool extended = (client_.agreement().flags & fuse::init_flag::kSetxattrExt) != 0;
  return once([&](Call& call) { request::setxattr(call, entry, value, flags, extended); });
}

Result<uint32_t> Mount::getxattr(Entry entry, std::span<std::byte> into) {
  return once([&](Call& call) { request::getxattr(call, entry, cut(into.size(), call)); },
              [&](Call& call) {
                return into.empty() ? call.reply<fuse::GetxattrOut>().size : copy_reply(call, into);
              });
}

Result<uint32_t> Mount::listxattr(uint64_t node, std::span<std::byte> into) {
  return once([&](Call& call) { request::listxattr(call, node, cut(into.size(), call)); },
              [&](Call& call) {
                return into.empty() ? call.reply<fuse::GetxattrOut>().size : copy_reply(call, into);
              });
}

Result<Unit> Mount::removexattr(Entry entry) {
  return once([&](Call& call) { request::removexattr(call, entry); });
}

}  // namespace dpfs::driver
