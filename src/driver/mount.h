// SPDX-License-Identifier: Apache-2.0
// A mounted file system: blocking, typed FUSE calls, one after the other, for tests and set-up
// work.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "driver/client.h"
#include "driver/requests.h"

namespace dpfs::driver {

// Errors are the device's replies, and those of Client::run(). Sizes that exceed one request's room
// are cut: read() and write() move at most one request's worth.
class Mount {
 public:
  explicit Mount(Client& client) noexcept : client_(client) {}

  Result<fuse::InitOut> init() { return client_.init(); }
  Result<Unit> destroy();

  Result<fuse::EntryOut> lookup(Entry entry);
  // Every component looked up in turn, from the root.
  Result<fuse::EntryOut> walk(std::string_view path);
  Result<Unit> forget(uint64_t node, uint64_t lookups = 1) { return client_.forget(node, lookups); }
  Result<fuse::AttrOut> getattr(uint64_t node);
  Result<fuse::AttrOut> getattr(File file);
  Result<fuse::StatxOut> statx(uint64_t node, uint32_t mask);
  Result<fuse::AttrOut> setattr(uint64_t node, const fuse::SetattrIn& in);
  Result<fuse::AttrOut> truncate(uint64_t node, uint64_t size);
  Result<fuse::Kstatfs> statfs(uint64_t node = fuse::kRootNodeId);
  Result<Unit> access(uint64_t node, uint32_t mask);

  Result<fuse::EntryOut> mkdir(Entry entry, uint32_t mode = 0755);
  Result<fuse::EntryOut> mknod(Entry entry, uint32_t mode, uint32_t rdev = 0);
  Result<fuse::EntryOut> symlink(Entry entry, std::string_view target);
  Result<fuse::EntryOut> link(uint64_t node, Entry to);
  Result<Unit> unlink(Entry entry);
  Result<Unit> rmdir(Entry entry);
  Result<Unit> rename(Entry from, Entry to);
  Result<Unit> rename2(Entry from, Entry to, uint32_t flags);
  // The target goes to `target`.
  Result<Unit> readlink(uint64_t node, std::string& target);

  struct Created {
    fuse::EntryOut entry;
    fuse::OpenOut open;
    File file() const noexcept { return {entry.nodeid, open.fh}; }
  };
  Result<Created> create(Entry entry, uint32_t flags, uint32_t mode = 0644);
  Result<Created> tmpfile(uint64_t parent, uint32_t flags, uint32_t mode = 0600);
  Result<File> open(uint64_t node, uint32_t flags);
  Result<Unit> release(File file);
  Result<uint32_t> read(File file, uint64_t offset, std::span<std::byte> into);
  Result<uint32_t> write(File file, uint64_t offset, std::span<const std::byte> from);
  Result<Unit> flush(File file);
  Result<Unit> fsync(File file, bool data_only = false);
  Result<Unit> fallocate(File file, uint32_t mode, uint64_t offset, uint64_t length);
  Result<uint64_t> lseek(File file, uint64_t offset, uint32_t whence);
  Result<uint32_t> copy_file_range(File from, uint64_t from_offset, File to, uint64_t to_offset,
                                   uint64_t length);
  Result<Unit> syncfs(uint64_t node = fuse::kRootNodeId);

  struct Name {
    std::string name;
    uint64_t ino = 0;
    uint64_t offset = 0;     // where the next request goes on
    uint32_t type = 0;       // DT_...
    fuse::EntryOut entry{};  // readdirplus only; nodeid 0 where the device did not look it up
  };
  Result<File> opendir(uint64_t node);
  Result<Unit> releasedir(File file);
  // One request; the names are appended. None at the end. EPROTO where the records do not fit
  // together.
  Result<uint32_t> readdir(File file, uint64_t offset, std::vector<Name>& names);
  Result<uint32_t> readdirplus(File file, uint64_t offset, std::vector<Name>& names);
  // opendir, readdirplus to the end, releasedir.
  Result<Unit> list(uint64_t node, std::vector<Name>& names);

  Result<Unit> setxattr(Entry entry, std::span<const std::byte> value, uint32_t flags = 0);
  // How many bytes there are, where `into` is empty; else how many it got.
  Result<uint32_t> getxattr(Entry entry, std::span<std::byte> into);
  Result<uint32_t> listxattr(uint64_t node, std::span<std::byte> into);
  Result<Unit> removexattr(Entry entry);

  Client& client() noexcept { return client_; }

 private:
  template <class Fill, class Take>
  auto once(Fill&& fill, Take&& take) -> Result<decltype(take(std::declval<Call&>()))>;
  template <class Fill>
  Result<Unit> once(Fill&& fill);

  Client& client_;
};

}  // namespace dpfs::driver
