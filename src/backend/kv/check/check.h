// SPDX-License-Identifier: Apache-2.0
// Check: whether the records of a file system agree with each other.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/kv/check/finding.h"
#include "backend/kv/check/progress.h"
#include "backend/kv/check/survey.h"
#include "backend/kv/records.h"
#include "backend/kv/store.h"
#include "base/op.h"
#include "io/reactor.h"

namespace dpfs::kv {

// Of a store that nobody changes meanwhile. What holds in a file system that is whole:
//
//   each entry has its listing with the same cookie, and the reverse; both say the same
//   each entry leads to an inode of its type; each inode but the root and those that are open
//     without a name (orphan) has an entry; directories have one, and all lie below the root
//   nlink is the number of entries; of a directory 2 and one more for each subdirectory
//   a directory knows where it lies, how many entries it has, and a cookie that none of them has
//   small files and symbolic links have one record of contents; large files have pages, as many as
//     they say, and chunks where there are pages
//   attributes, pages and contents are of inodes that are there, or are garbage
//   counters of usage are the sums; numbers of inodes are below the allocator's
class Check {
 public:
  struct Totals {
    uint64_t inodes = 0;
    uint64_t directories = 0;
    uint64_t stored_bytes = 0;
  };

  Check(Reactor& reactor, Store& store, const Superblock& superblock, Progress& progress,
        const Survey::Options& options) noexcept;
  Check(const Check&) = delete;
  Check& operator=(const Check&) = delete;

  // EIO and the like: the store could not be read.
  Op<Unit> run();

  const Findings& findings() const noexcept { return findings_; }
  const Survey& survey() const noexcept { return survey_; }
  Survey& survey() noexcept { return survey_; }
  const Totals& totals() const noexcept { return totals_; }

 private:
  void count_names();
  void count_name(const SurveyedName& entry, SurveyedInode* directory);
  void check_entry(const SurveyedName& entry, SurveyedInode& directory);
  void compare_names();
  Op<Unit> check_doubtful();
  void choose_places();
  void reach_all();
  void reach_from(uint64_t directory);
  void find_circles();
  void check_inodes();
  void check_inode(const SurveyedInode& inode);
  void check_file(const SurveyedInode& inode);
  void check_directory(const SurveyedInode& inode);
  void check_usage();
  Op<Unit> find_names();

  void add(FindingKind kind, uint64_t ino, uint64_t found = 0, uint64_t expected = 0) {
    findings_.add({.kind = kind, .ino = ino, .found = found, .expected = expected});
  }
  void add_entry(FindingKind kind, const SurveyedName& entry, uint64_t found, uint64_t expected);

  Reactor& reactor_;
  Store& store_;
  Findings findings_;
  Survey survey_;
  Totals totals_;
  std::vector<uint64_t> doubtful_;  // directories whose entries and listings differ
  // Findings about entries, whose names are still to be found.
  std::vector<Finding> nameless_;
  std::vector<uint64_t> to_visit_;
};

}  // namespace dpfs::kv
