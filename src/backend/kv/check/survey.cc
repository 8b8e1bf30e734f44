// SPDX-License-Identifier: Apache-2.0
// Reading everything once.
#include "backend/kv/check/survey.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <functional>

#include "backend/kv/found.h"
#include "backend/kv/page_map.h"
#include "backend/kv/posix_acl.h"
#include "backend/kv/usage.h"

namespace dpfs::kv {
namespace {

template <class Give>
class Giving final : public ScanReader {
 public:
  explicit Giving(Give& give) noexcept : give_(give) {}
  bool found(const Key& key, std::string_view value) noexcept override {
    give_(key, value);
    ++count;
    return true;
  }
  uint64_t count = 0;

 private:
  Give& give_;
};

// Engines give most collections in order already.
template <class Row>
void sort_rows(std::vector<Row>& rows) {
  if (!std::ranges::is_sorted(rows)) std::ranges::sort(rows);
  const auto again = std::ranges::unique(rows);
  rows.erase(again.begin(), again.end());
}

uint64_t hash_of(std::string_view name) noexcept { return std::hash<std::string_view>()(name); }

std::span<const SurveyedName> of_directory(const std::vector<SurveyedName>& names,
                                           uint64_t directory) noexcept {
  const auto range = std::ranges::equal_range(names, directory, {}, &SurveyedName::directory);
  return {range.begin(), range.end()};
}

uint32_t needed_flags(std::string_view name) noexcept {
  if (name == kAccessAclName) return inode_flag::kXattrs | inode_flag::kAccessAcl;
  if (name == kDefaultAclName) return inode_flag::kXattrs | inode_flag::kDefaultAcl;
  if (name == "security.capability") return inode_flag::kXattrs | inode_flag::kCapability;
  return inode_flag::kXattrs;
}

}  // namespace

Survey::Survey(Store& store, const Superblock& superblock, Findings& findings, Progress& progress,
               const Options& options) noexcept
    : store_(store),
      chunk_bytes_(superblock.chunk_bytes),
      findings_(findings),
      progress_(progress),
      options_(options) {}

Op<Unit> Survey::read() {
  Result<Unit> ok = co_await read_numbers();
  if (!ok) co_return ok;
  ok = co_await read_nameless();
  if (!ok) co_return ok;
  ok = co_await read_names();
  if (!ok) co_return ok;
  ok = co_await read_contents();
  co_return ok;
}

template <class Give>
Op<Unit> Survey::sweep(Collection collection, const char* stage, uint64_t of, Give give) {
  Giving<Give> reader(give);
  Sweep sweep{.collection = collection};
  do {
    const Result<Unit> swept = co_await store_.sweep(sweep, reader);
    if (!swept) co_return swept;
    progress_.is_at(stage, reader.count, of);
  } while (sweep.cursor != 0);
  co_return Unit{};
}

Op<Unit> Survey::read_numbers() {
  FoundNumber next;
  FoundNumber bytes;
  FoundNumber inodes;
  std::array gets{Get{.key = {.collection = Collection::allocator}, .reader = &next},
                  Get{.key = usage_key(UsageCounter::bytes), .reader = &bytes},
                  Get{.key = usage_key(UsageCounter::inodes), .reader = &inodes}};
  const Result<Unit> got = co_await store_.get(gets);
  if (!got) co_return got;
  // What cannot be read is 0, and so it is found to be wrong, unless 0 is right.
  next_ino_ = next.value;
  used_bytes_ = bytes.why(gets[1]) == Errno::io ? -1 : static_cast<int64_t>(bytes.value);
  used_inodes_ = inodes.why(gets[2]) == Errno::io ? -1 : static_cast<int64_t>(inodes.value);
  co_return Unit{};
}

// Inodes, and who is on the way out.
Op<Unit> Survey::read_nameless() {
  const auto about = static_cast<uint64_t>(std::max<int64_t>(used_inodes_, 0));
  Op<Unit> inodes =
      sweep(Collection::inode, "inodes", about,
            [this](const Key& key, std::string_view value) { note_inode(key, value); });
  Result<Unit> ok = co_await inodes;
  if (!ok) co_return ok;
  sort_inodes();
  Op<Unit> garbage =
      sweep(Collection::garbage, "garbage", 0,
            [this](const Key& key, std::string_view) { garbage_.push_back(key.number); });
  ok = co_await garbage;
  if (!ok) co_return ok;
  sort_rows(garbage_);
  for (const uint64_t ino : garbage_) {
    highest_ino_ = std::max(highest_ino_, ino);
    const bool lives = find(ino) != nullptr;
    findings_.add(
        {.kind = lives ? FindingKind::garbage_of_living : FindingKind::garbage, .ino = ino});
  }
  Op<Unit> orphans =
      sweep(Collection::orphan, "files without a name", 0,
            [this](const Key& key, std::string_view) { orphans_.push_back(key.number); });
  ok = co_await orphans;
  if (!ok) co_return ok;
  sort_rows(orphans_);
  for (const uint64_t ino : orphans_) {
    highest_ino_ = std::max(highest_ino_, ino);
    SurveyedInode* inode = find(ino);
    if (inode != nullptr) inode->is_orphan = true;
    if (inode == nullptr && !is_bad(ino)) {
      findings_.add({.kind = FindingKind::orphan_of_nothing, .ino = ino});
    }
  }
  co_return Unit{};
}

void Survey::note_inode(const Key& key, std::string_view value) {
  highest_ino_ = std::max(highest_ino_, key.object);
  Inode inode;
  if (!decode(value, inode)) {
    findings_.add({.kind = FindingKind::bad_inode, .ino = key.object});
    bad_inodes_.push_back(key.object);
    return;
  }
  SurveyedInode& row = inodes_.emplace_back();
  row.ino = key.object;
  row.size = inode.size;
  row.stored = inode.stored;
  row.parent = inode.parent;
  row.entries = inode.entries;
  row.next_cookie = inode.next_cookie;
  row.mode = inode.mode;
  row.nlink = inode.nlink;
  row.flags = inode.flags;
}

void Survey::sort_inodes() {
  if (!std::ranges::is_sorted(inodes_, {}, &SurveyedInode::ino)) {
    std::ranges::sort(inodes_, {}, &SurveyedInode::ino);
  }
  const auto again = std::ranges::unique(inodes_, {}, &SurveyedInode::ino);
  inodes_.erase(again.begin(), again.end());
  sort_rows(bad_inodes_);
}

Op<Unit> Survey::read_names() {
  const uint64_t about = inodes_.size();
  entries_.reserve(about);
  listings_.reserve(about);
  Op<Unit> entries =
      sweep(Collection::entry, "names", about, [this](const Key& key, std::string_view value) {
        Entry entry;
        if (!decode(value, entry) || !is_entry_name(key.name)) {
          findings_.add(
              {.kind = FindingKind::bad_entry, .ino = key.object, .name = std::string(key.name)});
          return;
        }
        entries_.push_back({.directory = key.object,
                            .cookie_and_type = entry.cookie << 8 | entry.type,
                            .ino = entry.ino,
                            .name_hash = hash_of(key.name)});
      });
  Result<Unit> ok = co_await entries;
  if (!ok) co_return ok;
  sort_rows(entries_);
  counts_.names = entries_.size();
  Op<Unit> listings =
      sweep(Collection::listing, "listings", entries_.size(),
            [this](const Key& key, std::string_view value) {
              Listing listing;
              if (!decode(value, listing) || key.number >= uint64_t{1} << 53) {
                findings_.add(
                    {.kind = FindingKind::bad_listing, .ino = key.object, .number = key.number});
                return;
              }
              listings_.push_back({.directory = key.object,
                                   .cookie_and_type = key.number << 8 | listing.type,
                                   .ino = listing.ino,
                                   .name_hash = hash_of(listing.name)});
            });
  ok = co_await listings;
  if (!ok) co_return ok;
  sort_rows(listings_);
  for (const std::vector<SurveyedName>* names : {&entries_, &listings_}) {
    for (const SurveyedName& name : *names) {
      highest_ino_ = std::max({highest_ino_, name.directory, name.ino});
    }
  }
  co_return Unit{};
}

Op<Unit> Survey::read_contents() {
  const uint64_t about = inodes_.size();
  Op<Unit> contents =
      sweep(Collection::contents, "small contents", about,
            [this](const Key& key, std::string_view value) {
              SurveyedInode* inode = find(key.object);
              if (inode != nullptr) {
                inode->has_contents = true;
                inode->contents_bytes = static_cast<uint32_t>(value.size());
                return;
              }
              highest_ino_ = std::max(highest_ino_, key.object);
              if (is_bad(key.object)) return;
              findings_.add({.kind = FindingKind::lost_contents, .ino = key.object});
            });
  Result<Unit> ok = co_await contents;
  if (!ok) co_return ok;
  Op<Unit> attributes =
      sweep(Collection::xattr, "extended attributes", 0,
            [this](const Key& key, std::string_view value) { note_attribute(key, value); });
  ok = co_await attributes;
  if (!ok) co_return ok;
  Op<Unit> pages =
      sweep(Collection::pages, "stored pages", 0,
            [this](const Key& key, std::string_view value) { note_pages(key, value); });
  ok = co_await pages;
  if (!ok) co_return ok;
  sort_pages();
  if (!options_.reads_chunks) co_return Unit{};
  const uint64_t chunks = static_cast<uint64_t>(std::max<int64_t>(used_bytes_, 0)) / chunk_bytes_;
  Op<Unit> chunk =
      sweep(Collection::chunk, "large contents", chunks,
            [this](const Key& key, std::string_view value) { note_chunk(key, value); });
  ok = co_await chunk;
  co_return ok;
}

void Survey::note_attribute(const Key& key, std::string_view value) {
  ++counts_.attributes;
  SurveyedInode* inode = find(key.object);
  if (inode == nullptr) {
    highest_ino_ = std::max(highest_ino_, key.object);
    if (is_garbage(key.object) || is_bad(key.object)) return;
    findings_.add(
        {.kind = FindingKind::lost_attributes, .ino = key.object, .name = std::string(key.name)});
    return;
  }
  const uint32_t flags = needed_flags(key.name);
  inode->needed_flags |= flags;
  if ((flags & (inode_flag::kAccessAcl | inode_flag::kDefaultAcl)) == 0) return;
  PosixAcl acl;
  if (acl.decode(value)) return;
  findings_.add({.kind = FindingKind::bad_acl, .ino = key.object, .name = std::string(key.name)});
}

void Survey::note_pages(const Key& key, std::string_view value) {
  PageMap map;
  if (!decode(value, map) || key.number > INT64_MAX / kGroupBytes) {
    findings_.add({.kind = FindingKind::bad_pages, .ino = key.object, .number = key.number});
    return;
  }
  SurveyedPages row{.ino = key.object, .group = key.number};
  const uint32_t chunk_pages = chunk_bytes_ / kPageBytes;
  for (uint32_t page = 0; page < PageMap::kPages; page += chunk_pages) {
    if (map.any(page, page + chunk_pages)) row.chunks |= uint64_t{1} << page / chunk_pages;
  }
  row.pages = map.count();
  for (uint32_t page = map.next_set(0); page < PageMap::kPages; page = map.next_set(row.end)) {
    row.end = map.next_clear(page);
  }
  if (row.pages == 0) {
    findings_.add({.kind = FindingKind::pages_empty, .ino = key.object, .number = key.number});
  }
  pages_.push_back(row);
}

void Survey::sort_pages() {
  sort_rows(pages_);
  for (const SurveyedPages& row : pages_) {
    SurveyedInode* inode = find(row.ino);
    if (inode != nullptr) {
      inode->has_pages = true;
      inode->pages += row.pages;
      if (row.pages > 0) inode->pages_end = row.group * PageMap::kPages + row.end;
      continue;
    }
    highest_ino_ = std::max(highest_ino_, row.ino);
    if (is_garbage(row.ino)) {
      garbage_pages_ += row.pages;
    } else if (!is_bad(row.ino)) {
      findings_.add({.kind = FindingKind::lost_contents, .ino = row.ino});
    }
  }
}

// What a write that was not finished has left is no damage: chunks are written before the rest.
void Survey::note_chunk(const Key& key, std::string_view value) {
  ++counts_.chunks;
  counts_.chunk_bytes += value.size();
  highest_ino_ = std::max(highest_ino_, key.object);
  const uint64_t chunks_of_map = kGroupBytes / chunk_bytes_;
  const SurveyedPages* pages = find_pages(key.object, key.number / chunks_of_map);
  const bool known = pages != nullptr && (pages->chunks >> key.number % chunks_of_map & 1) != 0;
  if (!known) {
    findings_.add({.kind = FindingKind::leftover_chunk,
                   .ino = key.object,
                   .number = key.number,
                   .found = value.size()});
    return;
  }
  SurveyedInode* inode = find(key.object);
  if (inode == nullptr) return;
  if (value.size() > chunk_bytes_) {
    findings_.add({.kind = FindingKind::chunk_long,
                   .ino = key.object,
                   .number = key.number,
                   .found = value.size(),
                   .expected = chunk_bytes_});
    return;
  }
  if ((inode->flags & (inode_flag::kShrinking | inode_flag::kBehindEnd)) != 0) return;
  const uint64_t begin = key.number * chunk_bytes_;
  const uint64_t inside = inode->size > begin ? inode->size - begin : 0;
  if (inside >= value.size()) return;
  if (value.find_first_not_of('\0', inside) == std::string_view::npos) return;
  findings_.add({.kind = FindingKind::leftover_tail,
                 .ino = key.object,
                 .number = key.number,
                 .found = value.size(),
                 .expected = inside});
}

SurveyedInode* Survey::find(uint64_t ino) noexcept {
  const auto at = std::ranges::lower_bound(inodes_, ino, {}, &SurveyedInode::ino);
  return at != inodes_.end() && at->ino == ino ? &*at : nullptr;
}

bool Survey::is_garbage(uint64_t ino) const noexcept {
  return std::ranges::binary_search(garbage_, ino);
}
bool Survey::is_bad(uint64_t ino) const noexcept {
  return std::ranges::binary_search(bad_inodes_, ino);
}

std::span<const SurveyedName> Survey::entries_of(uint64_t directory) const noexcept {
  return of_directory(entries_, directory);
}
std::span<const SurveyedName> Survey::listings_of(uint64_t directory) const noexcept {
  return of_directory(listings_, directory);
}

const SurveyedPages* Survey::find_pages(uint64_t ino, uint64_t group) const noexcept {
  const auto at = std::ranges::lower_bound(
      pages_, std::pair(ino, group), {},
      [](const SurveyedPages& row) { return std::pair(row.ino, row.group); });
  return at != pages_.end() && at->ino == ino && at->group == group ? &*at : nullptr;
}

uint64_t Survey::memory_bytes() const noexcept {
  return inodes_.capacity() * sizeof(SurveyedInode) +
         (entries_.capacity() + listings_.capacity()) * sizeof(SurveyedName) +
         pages_.capacity() * sizeof(SurveyedPages);
}

}  // namespace dpfs::kv
