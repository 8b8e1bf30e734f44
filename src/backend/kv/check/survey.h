// SPDX-License-Identifier: Apache-2.0
// Survey: all records of a file system, as far as a check needs them, in tables that are sorted.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "backend/kv/check/finding.h"
#include "backend/kv/check/progress.h"
#include "backend/kv/records.h"
#include "backend/kv/store.h"
#include "base/op.h"

namespace dpfs::kv {

// An inode's record, and what other records say of it.
struct SurveyedInode {
  uint64_t ino = 0;
  uint64_t size = 0;
  uint64_t stored = 0;
  uint64_t parent = 0;
  uint64_t entries = 0;
  uint64_t next_cookie = 0;
  uint32_t mode = 0;
  uint32_t nlink = 0;
  uint32_t flags = 0;

  uint32_t contents_bytes = 0;
  uint32_t needed_flags = 0;  // of inode_flag, by its extended attributes
  uint32_t names = 0;         // entries that lead to it
  uint32_t subdirectories = 0;
  uint32_t pages = 0;  // that are stored; 2^32 of them are 16 TiB
  bool has_contents : 1 = false;
  bool has_pages : 1 = false;
  bool is_orphan : 1 = false;
  bool is_reached : 1 = false;
  uint64_t names_in_it = 0;
  uint64_t cookie_end = 0;  // behind the highest that is used
  uint64_t lies_in = 0;     // of a directory: where its name is
  uint64_t pages_end = 0;
};
static_assert(sizeof(SurveyedInode) == 120);

// A name, as its entry or the listing says it: some 10^8 of them fit a large machine's memory, so
// the name itself stays where it is.
struct SurveyedName {
  uint64_t directory = 0;
  uint64_t cookie_and_type = 0;  // cookies have 53 bits
  uint64_t ino = 0;
  uint64_t name_hash = 0;
  uint64_t cookie() const noexcept { return cookie_and_type >> 8; }
  uint8_t type() const noexcept { return static_cast<uint8_t>(cookie_and_type); }
  auto operator<=>(const SurveyedName&) const = default;
};

// A map of stored pages.
struct SurveyedPages {
  uint64_t ino = 0;
  uint64_t group = 0;
  uint64_t chunks = 0;  // a bit for each of the map's chunks: pages of it are stored
  uint32_t pages = 0;
  uint32_t end = 0;  // behind the last one
  auto operator<=>(const SurveyedPages&) const = default;
};

// Memory: 120 bytes for each inode, 64 for each name, 32 for each 4 MiB of large files.
class Survey {
 public:
  struct Options {
    bool reads_chunks = true;  // all that is stored of large files
  };
  struct Counts {
    uint64_t names = 0;
    uint64_t attributes = 0;
    uint64_t chunks = 0;
    uint64_t chunk_bytes = 0;
  };

  Survey(Store& store, const Superblock& superblock, Findings& findings, Progress& progress,
         const Options& options) noexcept;
  Survey(const Survey&) = delete;
  Survey& operator=(const Survey&) = delete;

  // Reads all; what cannot be read or belongs to nobody is a finding.
  Op<Unit> read();

  std::span<SurveyedInode> inodes() noexcept { return inodes_; }
  std::span<const SurveyedName> entries() const noexcept { return entries_; }
  std::span<const SurveyedName> listings() const noexcept { return listings_; }
  std::span<const uint64_t> garbage() const noexcept { return garbage_; }
  uint64_t garbage_pages() const noexcept { return garbage_pages_; }
  // nullptr: there is none.
  SurveyedInode* find(uint64_t ino) noexcept;
  bool is_garbage(uint64_t ino) const noexcept;
  // Its record cannot be read: what else is wrong with it is not worth a finding.
  bool is_bad(uint64_t ino) const noexcept;
  bool any_bad() const noexcept { return !bad_inodes_.empty(); }
  // Its names, in the order of their cookies.
  std::span<const SurveyedName> entries_of(uint64_t directory) const noexcept;
  std::span<const SurveyedName> listings_of(uint64_t directory) const noexcept;

  // The highest number that any record has.
  uint64_t highest_ino() const noexcept { return highest_ino_; }
  uint64_t next_ino() const noexcept { return next_ino_; }
  int64_t used_bytes() const noexcept { return used_bytes_; }
  int64_t used_inodes() const noexcept { return used_inodes_; }
  const Counts& counts() const noexcept { return counts_; }
  uint64_t memory_bytes() const noexcept;

 private:
  template <class Give>
  Op<Unit> sweep(Collection collection, const char* stage, uint64_t of, Give give);
  Op<Unit> read_numbers();
  Op<Unit> read_nameless();
  Op<Unit> read_names();
  Op<Unit> read_contents();

  void note_inode(const Key& key, std::string_view value);
  void note_attribute(const Key& key, std::string_view value);
  void note_pages(const Key& key, std::string_view value);
  void note_chunk(const Key& key, std::string_view value);
  void sort_inodes();
  void sort_pages();
  const SurveyedPages* find_pages(uint64_t ino, uint64_t group) const noexcept;

  Store& store_;
  const uint32_t chunk_bytes_;
  Findings& findings_;
  Progress& progress_;
  const Options options_;

  std::vector<SurveyedInode> inodes_;
  std::vector<SurveyedName> entries_;
  std::vector<SurveyedName> listings_;
  std::vector<SurveyedPages> pages_;
  std::vector<uint64_t> bad_inodes_;
  std::vector<uint64_t> garbage_;
  std::vector<uint64_t> orphans_;
  uint64_t garbage_pages_ = 0;
  uint64_t highest_ino_ = kRootIno;
  uint64_t next_ino_ = 0;
  int64_t used_bytes_ = 0;
  int64_t used_inodes_ = 0;
  Counts counts_;
};

}  // namespace dpfs::kv
