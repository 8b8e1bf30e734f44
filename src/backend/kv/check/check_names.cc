// SPDX-License-Identifier: Apache-2.0
// What is wrong with names: who has which, and whether all is below the root.
#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "backend/kv/check/check.h"

namespace dpfs::kv {

// The name itself comes later: find_names().
void Check::add_entry(FindingKind kind, const SurveyedName& entry, uint64_t found,
                      uint64_t expected) {
  const uint64_t ino = kind == FindingKind::names_of_directory ? entry.ino : entry.directory;
  const uint64_t number =
      kind == FindingKind::names_of_directory ? entry.directory : entry.cookie();
  Finding finding{.kind = kind, .ino = ino, .number = number, .found = found, .expected = expected};
  // So many are hardly looked at one by one.
  if (nameless_.size() < Findings::kKeptMax) {
    nameless_.push_back(std::move(finding));
  } else {
    findings_.add(std::move(finding));
  }
}

void Check::count_names() {
  SurveyedInode* directory = nullptr;
  uint64_t of = 0;
  for (const SurveyedName& entry : survey_.entries()) {
    if (of != entry.directory) {
      of = entry.directory;
      directory = survey_.find(of);
      if (directory == nullptr && !survey_.is_bad(of)) add(FindingKind::lost_directory, of);
    }
    count_name(entry, directory);
  }
}

void Check::count_name(const SurveyedName& entry, SurveyedInode* directory) {
  if (directory != nullptr) {
    ++directory->names_in_it;
    directory->cookie_end = entry.cookie() + 1;
    check_entry(entry, *directory);
  }
  SurveyedInode* inode = survey_.find(entry.ino);
  if (inode != nullptr && entry.ino != kRootIno) ++inode->names;
}

void Check::check_entry(const SurveyedName& entry, SurveyedInode& directory) {
  if (!S_ISDIR(directory.mode)) add_entry(FindingKind::entry_in_file, entry, entry.ino, 0);
  if (entry.ino == kRootIno) {
    add_entry(FindingKind::entry_of_root, entry, entry.ino, 0);
    return;
  }
  const SurveyedInode* inode = survey_.find(entry.ino);
  if (inode == nullptr) {
    if (!survey_.is_bad(entry.ino)) {
      add_entry(FindingKind::entry_of_nothing, entry, entry.ino, 0);
    }
    return;
  }
  if (S_ISDIR(inode->mode)) ++directory.subdirectories;
  const auto type = static_cast<uint8_t>(IFTODT(inode->mode));
  if (type != entry.type()) add_entry(FindingKind::entry_type, entry, entry.type(), type);
}

// Both are in the order of directories and cookies: directories where they differ are looked at
// again.
void Check::compare_names() {
  const std::span<const SurveyedName> entries = survey_.entries();
  const std::span<const SurveyedName> listings = survey_.listings();
  size_t e = 0;
  size_t l = 0;
  while (e < entries.size() || l < listings.size()) {
    if (e < entries.size() && l < listings.size() && entries[e] == listings[l]) {
      ++e;
      ++l;
      continue;
    }
    const bool of_entry = l == listings.size() ||
                          (e < entries.size() && entries[e].directory <= listings[l].directory);
    const uint64_t directory = of_entry ? entries[e].directory : listings[l].directory;
    doubtful_.push_back(directory);
    while (e < entries.size() && entries[e].directory == directory) ++e;
    while (l < listings.size() && listings[l].directory == directory) ++l;
  }
}

namespace {

struct KeptEntries final : ScanReader {
  bool found(const Key& key, std::string_view value) noexcept override {
    Entry entry;
    if (decode(value, entry) && is_entry_name(key.name)) by_name.emplace(key.name, entry);
    return true;
  }
  std::map<std::string, Entry, std::less<>> by_name;
};

struct KeptListing {
  uint64_t cookie;
  uint64_t ino;
  uint8_t type;
  std::string name;
};
struct KeptListings final : ScanReader {
  bool found(const Key& key, std::string_view value) noexcept override {
    Listing listing;
    if (decode(value, listing)) {
      all.push_back({key.number, listing.ino, listing.type, std::string(listing.name)});
    }
    return true;
  }
  std::vector<KeptListing> all;
};

}  // namespace

// Name by name, as a directory where something is wrong may be large but is one of few.
Op<Unit> Check::check_doubtful() {
  for (const uint64_t directory : doubtful_) {
    KeptEntries entries;
    KeptListings listings;
    const Scan names{.collection = Collection::entry, .object = directory};
    Result<bool> scanned = co_await store_.scan(names, entries);
    if (!scanned) co_return scanned.error();
    const Scan cookies{.collection = Collection::listing, .object = directory};
    scanned = co_await store_.scan(cookies, listings);
    if (!scanned) co_return scanned.error();
    for (const KeptListing& listing : listings.all) {
      const auto entry = entries.by_name.find(listing.name);
      const bool same = entry != entries.by_name.end() && entry->second.cookie == listing.cookie &&
                        entry->second.ino == listing.ino && entry->second.type == listing.type;
      if (same) {
        entries.by_name.erase(entry);  // done
        continue;
      }
      // Where only the cookie is right, the entry's finding is enough.
      if (entry != entries.by_name.end() && entry->second.cookie == listing.cookie) continue;
      findings_.add({.kind = FindingKind::listing_of_nothing,
                     .ino = directory,
                     .number = listing.cookie,
                     .found = listing.ino,
                     .name = listing.name});
    }
    for (const auto& [name, entry] : entries.by_name) {
      findings_.add({.kind = FindingKind::entry_not_listed,
                     .ino = directory,
                     .number = entry.cookie,
                     .found = entry.ino,
                     .name = name});
    }
  }
  co_return Unit{};
}

// Where each directory lies: where it says, if it has a name there.
void Check::choose_places() {
  bool several_names = false;
  for (const SurveyedName& entry : survey_.entries()) {
    SurveyedInode* inode = survey_.find(entry.ino);
    if (inode == nullptr || !S_ISDIR(inode->mode) || inode->ino == kRootIno) continue;
    several_names = several_names || inode->names > 1;
    if (inode->lies_in == 0 || entry.directory == inode->parent) inode->lies_in = entry.directory;
  }
  // One name is right; all others are too many.
  if (!several_names) return;
  for (const SurveyedName& entry : survey_.entries()) {
    const SurveyedInode* inode = survey_.find(entry.ino);
    if (inode == nullptr || !S_ISDIR(inode->mode) || inode->names < 2) continue;
    const std::span<const SurveyedName> there = survey_.entries_of(inode->lies_in);
    const auto first = std::ranges::find(there, entry.ino, &SurveyedName::ino);
    if (&*first == &entry) continue;
    add_entry(FindingKind::names_of_directory, entry, entry.cookie(), 0);
  }
}

void Check::reach_all() {
  reach_from(kRootIno);
  // What hangs together and has no name is one finding: its top.
  for (const SurveyedInode& inode : survey_.inodes()) {
    if (!S_ISDIR(inode.mode) || inode.is_reached) continue;
    if (inode.names == 0 || survey_.find(inode.lies_in) == nullptr) reach_from(inode.ino);
  }
  find_circles();
}

void Check::reach_from(uint64_t directory) {
  to_visit_.assign(1, directory);
  while (!to_visit_.empty()) {
    const uint64_t ino = to_visit_.back();
    to_visit_.pop_back();
    SurveyedInode* inode = survey_.find(ino);
    if (inode == nullptr || inode->is_reached || !S_ISDIR(inode->mode)) continue;
    inode->is_reached = true;
    for (const SurveyedName& entry : survey_.entries_of(ino)) {
      if (entry.type() == DT_DIR) to_visit_.push_back(entry.ino);
    }
  }
}

// All that is not reached by now hangs below itself.
void Check::find_circles() {
  for (const SurveyedInode& inode : survey_.inodes()) {
    if (!S_ISDIR(inode.mode) || inode.is_reached) continue;
    // Upwards until some directory comes again: that one is in the circle itself.
    std::vector<uint64_t> seen;
    uint64_t at = inode.ino;
    while (std::ranges::find(seen, at) == seen.end()) {
      seen.push_back(at);
      const SurveyedInode* above = survey_.find(at);
      if (above == nullptr || above->is_reached) break;
      at = above->lies_in;
    }
    const SurveyedInode* top = survey_.find(at);
    if (top == nullptr || top->is_reached) {
      reach_from(inode.ino);  // a name of the wrong type led here: that is a finding by itself
      continue;
    }
    findings_.add({.kind = FindingKind::circle, .ino = at, .number = top->lies_in});
    reach_from(at);
  }
}

namespace {

struct KeptName final : ValueReader {
  void found(std::string_view value) noexcept override {
    Listing listing;
    if (decode(value, listing)) name = listing.name;
  }
  std::string name;
};

}  // namespace

Op<Unit> Check::find_names() {
  for (Finding& finding : nameless_) {
    const bool of_child = finding.kind == FindingKind::names_of_directory;
    KeptName kept;
    Get get{.key = {.collection = Collection::listing,
                    .object = of_child ? finding.number : finding.ino,
                    .number = of_child ? finding.found : finding.number},
            .reader = &kept};
    const Result<Unit> got = co_await store_.get({&get, 1});
    if (!got) co_return got;
    finding.name = std::move(kept.name);
    findings_.add(std::move(finding));
  }
  nameless_.clear();
  co_return Unit{};
}

}  // namespace dpfs::kv
