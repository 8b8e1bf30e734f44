// SPDX-License-Identifier: Apache-2.0
// Mending what is stored of files, and access control lists.
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "backend/kv/check/repair.h"
#include "backend/kv/clock.h"
#include "backend/kv/found.h"
#include "backend/kv/page_map.h"
#include "backend/kv/posix_acl.h"

namespace dpfs::kv {
namespace {

Key contents_key(uint64_t ino) noexcept {
  return {.collection = Collection::contents, .object = ino};
}

struct Groups final : ScanReader {
  bool found(const Key& key, std::string_view) noexcept override {
    numbers.push_back(key.number);
    return true;
  }
  std::vector<uint64_t> numbers;
};

}  // namespace

// It has a small file's contents, or a large one's pages, or both, where it may not. What fits its
// size is its own; contents that are not are kept in a file of their own.
Op<Unit> Repair::mend_two_contents(uint64_t ino) {
  Inode inode;
  Result<Unit> ok = co_await read(ino, inode);
  if (!ok) co_return ok;
  const SurveyedInode* known = survey_.find(ino);
  if (known == nullptr) co_return Errno::noent;
  const bool is_file = S_ISREG(inode.mode);
  const bool is_small = is_file && inode.size <= kInlineBytes;
  const bool keeps_pages = is_file && known->has_pages && !(is_small && known->has_contents);
  const bool keeps_contents = S_ISLNK(inode.mode) || (is_file && !keeps_pages);
  if (known->has_contents && !keeps_contents) {
    ok = co_await save_contents(ino);
    if (!ok) co_return ok;
  }
  if (known->has_pages && !keeps_pages) {
    ok = co_await drop_pages(ino);
    if (!ok) co_return ok;
  }
  if (!is_file) co_return Unit{};
  inode.flags &= ~inode_flag::kInline;
  if (keeps_contents) inode.flags |= inode_flag::kInline;
  ok = co_await put(ino, inode);
  co_return ok;
}

// Into a file of its own, which the next check finds to be without a name.
Op<Unit> Repair::save_contents(uint64_t ino) {
  std::string contents;
  const Result<Unit> got = co_await read(contents_key(ino), contents);
  if (!got) co_return got;
  const Result<uint64_t> saved = co_await new_ino();
  if (!saved) co_return saved.error();
  Inode inode{.mode = S_IFREG | 0600, .nlink = 1, .flags = inode_flag::kInline};
  inode.size = contents.size();
  inode.stored = kPageBytes;
  inode.atime = inode.mtime = inode.ctime = inode.btime = now();
  std::array<char, kInodeBytes> room;
  const std::array writes{
      Write{.kind = Write::Kind::put, .key = contents_key(*saved), .value = contents},
      Write{.kind = Write::Kind::put,
            .key = {.collection = Collection::inode, .object = *saved},
            .value = encode(inode, room)},
      Write{.kind = Write::Kind::erase, .key = contents_key(ino)}};
  const Result<Unit> done = co_await owned_.commit(writes);
  co_return done;
}

// Their chunks are left over then.
Op<Unit> Repair::drop_pages(uint64_t ino) {
  Groups groups;
  const Scan scan{.collection = Collection::pages, .object = ino};
  const Result<bool> scanned = co_await owned_.store().scan(scan, groups);
  if (!scanned) co_return scanned.error();
  for (const uint64_t group : groups.numbers) {
    const Result<Unit> done =
        co_await erase({.collection = Collection::pages, .object = ino, .number = group});
    if (!done) co_return done;
  }
  co_return Unit{};
}

// The file is as long as what it has; what is too long for a small file makes it a large one.
Op<Unit> Repair::mend_long_contents(uint64_t ino) {
  Inode inode;
  Result<Unit> ok = co_await read(ino, inode);
  if (!ok) co_return ok;
  std::string contents;
  ok = co_await read(contents_key(ino), contents);
  if (!ok) co_return ok;
  const uint32_t chunk_bytes = owned_.superblock().chunk_bytes;
  if (contents.size() > chunk_bytes) contents.resize(chunk_bytes);
  inode.size = std::max<uint64_t>(inode.size, contents.size());
  if (contents.size() <= kInlineBytes) {
    ok = co_await put(ino, inode);
    co_return ok;
  }
  PageMap map;
  map.set(0, static_cast<uint32_t>((contents.size() + kPageBytes - 1) / kPageBytes));
  inode.flags &= ~inode_flag::kInline;
  inode.stored = uint64_t{map.count()} * kPageBytes;
  std::array<char, PageMap::kBytes> map_room;
  std::array<char, kInodeBytes> room;
  const std::array writes{
      Write{.kind = Write::Kind::put,
            .key = {.collection = Collection::chunk, .object = ino, .number = 0},
            .value = contents},
      Write{.kind = Write::Kind::put,
            .key = {.collection = Collection::pages, .object = ino, .number = 0},
            .value = encode(map, map_room)},
      Write{.kind = Write::Kind::put,
            .key = {.collection = Collection::inode, .object = ino},
            .value = encode(inode, room)},
      Write{.kind = Write::Kind::erase, .key = contents_key(ino)}};
  ok = co_await owned_.commit(writes);
  co_return ok;
}

// A symbolic link without a target is nothing; the next check finds its names.
Op<Unit> Repair::mend_link(uint64_t ino) {
  Inode inode;
  Result<Unit> ok = co_await read(ino, inode);
  if (!ok) co_return ok;
  std::string target;
  ok = co_await read(contents_key(ino), target);
  if (!ok && ok.error() != Errno::noent) co_return ok;
  if (target.empty()) {
    const std::array writes{
        Write{.kind = Write::Kind::erase, .key = contents_key(ino)},
        Write{.kind = Write::Kind::erase, .key = {.collection = Collection::inode, .object = ino}}};
    ok = co_await owned_.commit(writes);
    co_return ok;
  }
  inode.size = target.size();
  ok = co_await put(ino, inode);
  co_return ok;
}

// Less is stored than it says: a map of pages may be missing whose chunks are there.
Op<Unit> Repair::mend_stored(const Finding& finding) {
  Inode inode;
  Result<Unit> ok = co_await read(finding.ino, inode);
  if (!ok) co_return ok;
  const bool is_large = S_ISREG(inode.mode) && (inode.flags & inode_flag::kInline) == 0;
  if (is_large && finding.found > finding.expected) {
    const Result<bool> found = co_await find_chunks(finding.ino);
    if (!found) co_return found.error();
    if (*found) co_return Unit{};  // the next check counts again
  }
  inode.stored = finding.expected;
  ok = co_await put(finding.ino, inode);
  co_return ok;
}

// True: there were some, and they are in maps now.
Op<bool> Repair::find_chunks(uint64_t ino) {
  const uint32_t chunk_bytes = owned_.superblock().chunk_bytes;
  const uint64_t chunks_of_map = kGroupBytes / chunk_bytes;
  bool found = false;
  for (const Finding& finding : findings_.kept()) {
    if (finding.kind != FindingKind::leftover_chunk || finding.ino != ino) continue;
    const Key key{
        .collection = Collection::pages, .object = ino, .number = finding.number / chunks_of_map};
    PageMap map;
    std::string bytes;
    const Result<Unit> got = co_await read(key, bytes);
    if (!got && got.error() != Errno::noent) co_return got.error();
    if (got && !decode(bytes, map)) continue;
    const auto first =
        static_cast<uint32_t>(finding.number % chunks_of_map * (chunk_bytes / kPageBytes));
    const uint64_t used = std::min<uint64_t>(finding.found, chunk_bytes);
    map.set(first, first + static_cast<uint32_t>((used + kPageBytes - 1) / kPageBytes));
    if (map.none()) continue;
    std::array<char, PageMap::kBytes> room;
    const Write write{.kind = Write::Kind::put, .key = key, .value = encode(map, room)};
    const Result<Unit> done = co_await owned_.commit({&write, 1});
    if (!done) co_return done.error();
    found = true;
  }
  co_return found;
}

// The mode says what was allowed. Without the list the group's bits, which are its mask, would
// allow the group more than the list did: they go, too.
Op<Unit> Repair::drop_acl(uint64_t ino, std::string_view name) {
  Inode inode;
  const Result<Unit> ok = co_await read(ino, inode);
  if (!ok) co_return ok;
  if (name == kAccessAclName) {
    inode.flags &= ~inode_flag::kAccessAcl;
    inode.mode &= ~static_cast<uint32_t>(S_IRWXG);
  } else {
    inode.flags &= ~inode_flag::kDefaultAcl;
  }
  std::array<char, kInodeBytes> room;
  const std::array writes{
      Write{.kind = Write::Kind::erase,
            .key = {.collection = Collection::xattr, .object = ino, .name = name}},
      Write{.kind = Write::Kind::put,
            .key = {.collection = Collection::inode, .object = ino},
            .value = encode(inode, room)}};
  const Result<Unit> done = co_await owned_.commit(writes);
  co_return done;
}

}  // namespace dpfs::kv
