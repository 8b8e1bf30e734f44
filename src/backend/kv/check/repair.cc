// SPDX-License-Identifier: Apache-2.0
// Which finding is mended how; inodes.
#include "backend/kv/check/repair.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "backend/kv/clock.h"
#include "backend/kv/codec.h"
#include "backend/kv/found.h"
#include "backend/kv/page_map.h"
#include "backend/kv/usage.h"

namespace dpfs::kv {

Repair::Stage Repair::stage_of(FindingKind kind) noexcept {
  if (level_of(kind) == FindingLevel::garbage) return Stage::leftovers;
  if (kind < FindingKind::circle) return Stage::records;
  if (kind <= FindingKind::unreachable) return Stage::places;
  if (kind < FindingKind::parent) return Stage::contents;
  return Stage::sums;
}

Op<Unit> Repair::run() {
  const std::vector<Finding>& findings = findings_.kept();
  if (findings.empty()) co_return Unit{};
  Stage stage = Stage::leftovers;
  for (const Finding& finding : findings) stage = std::min(stage, stage_of(finding.kind));
  for (size_t i = 0; i < findings.size(); ++i) {
    if (stage_of(findings[i].kind) != stage) continue;
    const Result<Unit> done = co_await mend(findings[i]);
    if (!done && done.error() != Errno::noent) co_return done;
    const bool is_for_mounting =
        findings[i].kind == FindingKind::orphan || findings[i].kind == FindingKind::garbage;
    if (!is_for_mounting) mended_.push_back(i);
  }
  co_return Unit{};
}

Op<Unit> Repair::mend(const Finding& finding) {
  const uint64_t ino = finding.ino;
  switch (finding.kind) {
    case FindingKind::bad_inode:
      return mend_inode(ino);
    case FindingKind::bad_entry:
      return erase({.collection = Collection::entry, .object = ino, .name = finding.name});
    case FindingKind::bad_listing:
      return erase({.collection = Collection::listing, .object = ino, .number = finding.number});
    case FindingKind::bad_pages:
    case FindingKind::pages_empty:
      return erase({.collection = Collection::pages, .object = ino, .number = finding.number});
    case FindingKind::root_missing:
    case FindingKind::lost_directory:
      return make_directory(ino);
    case FindingKind::lost_contents:
      return make_file(ino);
    case FindingKind::lost_attributes:
      return erase_unless_inode(
          ino, {.collection = Collection::xattr, .object = ino, .name = finding.name});
    case FindingKind::garbage_of_living:
      return erase_garbage(ino);
    case FindingKind::entry_of_root:
    case FindingKind::entry_in_file:
      return remove_name(ino, finding.name);
    case FindingKind::entry_of_nothing:
      return remove_name_of(finding.found, ino, finding.name);
    case FindingKind::entry_not_listed:
      return list(ino, finding.name);
    case FindingKind::listing_of_nothing:
      return restore(finding);
    case FindingKind::entry_type:
      return set_type(ino, finding.name, static_cast<uint8_t>(finding.expected));
    case FindingKind::names_of_directory:
      return remove_name(finding.number, finding.name);
    case FindingKind::circle:
      return break_circle(ino, finding.number);
    case FindingKind::orphan_of_nothing:
    case FindingKind::orphan_in_use:
      return erase({.collection = Collection::orphan, .number = ino});
    case FindingKind::unreachable:
      return attach(ino);
    case FindingKind::contents_of_large:
    case FindingKind::pages_of_small:
    case FindingKind::contents_of_none:
      return mend_two_contents(ino);
    case FindingKind::contents_long:
      return mend_long_contents(ino);
    case FindingKind::link_target:
      return mend_link(ino);
    case FindingKind::stored:
      return mend_stored(finding);
    case FindingKind::bad_acl:
      return drop_acl(ino, finding.name);
    case FindingKind::allocator:
      return put_number({.collection = Collection::allocator}, finding.expected);
    case FindingKind::used_bytes:
      return put_number(usage_key(UsageCounter::bytes), finding.expected);
    case FindingKind::used_inodes:
      return put_number(usage_key(UsageCounter::inodes), finding.expected);
    case FindingKind::leftover_chunk:
      return erase({.collection = Collection::chunk, .object = ino, .number = finding.number});
    case FindingKind::chunk_long:
    case FindingKind::leftover_tail:
      return cut_chunk(finding);
    case FindingKind::orphan:
    case FindingKind::garbage:
      return Unit{};  // who mounts it next collects them
    default:
      return mend_field(finding);
  }
}

Op<Unit> Repair::cut_chunk(const Finding& finding) {
  const Write cut{
      .kind = Write::Kind::cut,
      .key = {.collection = Collection::chunk, .object = finding.ino, .number = finding.number},
      .number = static_cast<int64_t>(finding.expected)};
  const Result<Unit> done = co_await owned_.commit({&cut, 1});
  co_return done;
}

// One field of an inode.
Op<Unit> Repair::mend_field(const Finding& finding) {
  Inode inode;
  const Result<Unit> there = co_await read(finding.ino, inode);
  if (!there) co_return there;
  switch (finding.kind) {
    case FindingKind::pages_behind_end:
      inode.flags |= inode_flag::kShrinking;  // so they go before the file grows
      break;
    case FindingKind::attribute_flags:
      inode.flags |= static_cast<uint32_t>(finding.expected);
      break;
    case FindingKind::parent:
      inode.parent = finding.expected;
      break;
    case FindingKind::entries:
      inode.entries = finding.expected;
      inode.next_cookie = std::max(inode.next_cookie, kFirstCookie + inode.entries);
      break;
    case FindingKind::cookie:
      inode.next_cookie = std::max(inode.next_cookie, finding.expected);
      break;
    case FindingKind::links:
      inode.nlink = static_cast<uint32_t>(finding.expected);
      break;
    default:
      break;
  }
  const Result<Unit> done = co_await put(finding.ino, inode);
  co_return done;
}

// ---- Inodes -------------------------------------------------------------------------------------

namespace {

// What can be used of a record that is wrong somewhere: false where not even the type can.
bool salvage(std::string_view bytes, Inode& inode) {
  if (bytes.size() != kInodeBytes) return false;
  RecordReader reader(bytes);
  inode.mode = reader.take<uint32_t>();
  inode.uid = reader.take<uint32_t>();
  inode.gid = reader.take<uint32_t>();
  inode.nlink = reader.take<uint32_t>();
  inode.rdev = reader.take<uint32_t>();
  inode.flags = reader.take<uint32_t>() & inode_flag::kAll;
  inode.size = std::min<uint64_t>(reader.take<uint64_t>(), INT64_MAX);
  inode.stored = std::min<uint64_t>(reader.take<uint64_t>(), INT64_MAX);
  for (Time* time : {&inode.atime, &inode.mtime, &inode.ctime, &inode.btime}) {
    time->s = reader.take<int64_t>();
    time->ns = reader.take<uint32_t>() % 1'000'000'000;
  }
  inode.parent = std::max(reader.take<uint64_t>(), kRootIno);
  // Counts are found by the next check.
  inode.entries = 0;
  inode.next_cookie = kFirstCookie;
  inode.mode &= S_IFMT | 07777;
  std::array<char, kInodeBytes> room;
  Inode again;
  return decode(encode(inode, room), again);
}

Inode made_now(uint32_t mode) {
  Inode inode{.mode = mode, .nlink = S_ISDIR(mode) ? 2u : 1u};
  inode.atime = inode.mtime = inode.ctime = inode.btime = now();
  return inode;
}

class FoundMaps final : public ScanReader {
 public:
  bool found(const Key& key, std::string_view value) noexcept override {
    PageMap map;
    if (!decode(value, map) || map.none()) return true;
    pages += map.count();
    for (uint32_t page = map.next_set(0); page < PageMap::kPages; page = map.next_set(page + 1)) {
      end_page = key.number * PageMap::kPages + page + 1;
    }
    return true;
  }
  uint64_t pages = 0;
  uint64_t end_page = 0;
};

}  // namespace

Op<Unit> Repair::mend_inode(uint64_t ino) {
  const Key key{.collection = Collection::inode, .object = ino};
  std::string value;
  const Result<Unit> there = co_await read(key, value);
  if (!there) co_return there;
  Inode inode;
  // Where it cannot be salvaged, what else there is of it makes it again.
  if (salvage(value, inode)) {
    const Result<Unit> salvaged = co_await put(ino, inode);
    co_return salvaged;
  }
  const Result<Unit> done = co_await erase(key);
  co_return done;
}

Op<Unit> Repair::make_directory(uint64_t ino) {
  Inode inode;
  const Result<Unit> there = co_await read(ino, inode);
  if (there || there.error() != Errno::noent) co_return there;
  inode = made_now(S_IFDIR | (ino == kRootIno ? 0755 : 0700));
  inode.parent = kRootIno;
  inode.next_cookie = kFirstCookie;
  const Result<Unit> done = co_await put(ino, inode);
  co_return done;
}

// Of what is stored of it: a large file's pages, or a small one's contents.
Op<Unit> Repair::make_file(uint64_t ino) {
  Inode inode;
  const Result<Unit> there = co_await read(ino, inode);
  if (there || there.error() != Errno::noent) co_return there;
  FoundMaps maps;
  const Scan scan{.collection = Collection::pages, .object = ino};
  const Result<bool> scanned = co_await owned_.store().scan(scan, maps);
  if (!scanned) co_return scanned.error();
  inode = made_now(S_IFREG | 0600);
  if (maps.pages > 0) {
    inode.stored = maps.pages * kPageBytes;
    inode.size = maps.end_page * kPageBytes;
    const uint32_t chunk_bytes = owned_.superblock().chunk_bytes;
    const uint64_t last = (inode.size - 1) / chunk_bytes;
    std::string chunk;
    const Result<Unit> got =
        co_await read({.collection = Collection::chunk, .object = ino, .number = last}, chunk);
    if (!got && got.error() != Errno::noent) co_return got;
    if (got) inode.size = std::min(inode.size, last * chunk_bytes + chunk.size());
    const Result<Unit> done = co_await put(ino, inode);
    co_return done;
  }
  std::string contents;
  const Result<Unit> got =
      co_await read({.collection = Collection::contents, .object = ino}, contents);
  if (!got) co_return got;
  inode.flags = inode_flag::kInline;
  inode.size = contents.size();
  inode.stored = kPageBytes;
  const std::span<const SurveyedName> names = survey_.entries();
  const auto name = std::ranges::find(names, ino, &SurveyedName::ino);
  if (name != names.end() && name->type() == DT_LNK) {
    inode.mode = S_IFLNK | 0777;
    inode.stored = 0;
  }
  const Result<Unit> done = co_await put(ino, inode);
  co_return done;
}

Op<Unit> Repair::erase_unless_inode(uint64_t ino, Key key) {
  Inode inode;
  const Result<Unit> there = co_await read(ino, inode);
  if (there || there.error() != Errno::noent) co_return there;
  const Result<Unit> done = co_await erase(key);
  co_return done;
}

Op<Unit> Repair::erase_garbage(uint64_t ino) {
  return erase({.collection = Collection::garbage, .number = ino});
}

// ---- Reading and writing ------------------------------------------------------------------------

namespace {

struct KeptValue final : ValueReader {
  explicit KeptValue(std::string& into) noexcept : text(into) {}
  void found(std::string_view value) noexcept override { text = value; }
  std::string& text;
};

template <class Record>
Op<Unit> read_record(Store& store, Key key, Record& record) {
  Found<Record> found;
  Get get{.key = key, .reader = &found};
  const Result<Unit> got = co_await store.get({&get, 1});
  if (!got) co_return got;
  if (found.why(get) != Errno::none) co_return Errno::noent;
  record = found.value;
  co_return Unit{};
}

}  // namespace

Op<Unit> Repair::read(uint64_t ino, Inode& inode) {
  return read_record(owned_.store(), {.collection = Collection::inode, .object = ino}, inode);
}

Op<Unit> Repair::read(uint64_t directory, std::string_view name, Entry& entry) {
  return read_record(owned_.store(),
                     {.collection = Collection::entry, .object = directory, .name = name}, entry);
}

Op<Unit> Repair::read(Key key, std::string& value) {
  KeptValue reader(value);
  Get get{.key = key, .reader = &reader};
  const Result<Unit> got = co_await owned_.store().get({&get, 1});
  if (!got) co_return got;
  if (!get.found) co_return Errno::noent;
  co_return Unit{};
}

Op<Unit> Repair::put(uint64_t ino, const Inode& inode) {
  std::array<char, kInodeBytes> room;
  const Write write{.kind = Write::Kind::put,
                    .key = {.collection = Collection::inode, .object = ino},
                    .value = encode(inode, room)};
  const Result<Unit> done = co_await owned_.commit({&write, 1});
  co_return done;
}

Op<Unit> Repair::put_number(Key key, uint64_t number) {
  std::array<char, 8> room;
  const Write write{.kind = Write::Kind::put, .key = key, .value = encode_number(number, room)};
  const Result<Unit> done = co_await owned_.commit({&write, 1});
  co_return done;
}

Op<Unit> Repair::erase(Key key) {
  const Write write{.kind = Write::Kind::erase, .key = key};
  const Result<Unit> done = co_await owned_.commit({&write, 1});
  co_return done;
}

}  // namespace dpfs::kv
