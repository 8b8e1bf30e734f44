// SPDX-License-Identifier: Apache-2.0
// Repair: mends what a check has found.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backend/kv/check/finding.h"
#include "backend/kv/check/survey.h"
#include "backend/kv/owned_store.h"
#include "backend/kv/records.h"
#include "base/op.h"

namespace dpfs::kv {

// One round: the findings of the first stage that has any. Then another check says what is left,
// since one damage may show as several, and mending one may show another.
//
// Nothing is thrown away that could be kept. What no name leads to gets one in /lost+found, "#" and
// its number; so does a small file's contents that is not the file's. What is there of an inode
// that has no record gets one, of the user root and readable to nobody else. A name goes only where
// nothing is behind it.
class Repair {
 public:
  // `survey` is that of the check.
  Repair(OwnedStore& owned, Survey& survey, const Findings& findings) noexcept
      : owned_(owned), survey_(survey), findings_(findings) {}
  Repair(const Repair&) = delete;
  Repair& operator=(const Repair&) = delete;

  // EIO and the like: the store.
  Op<Unit> run();
  // Those that were dealt with, as indices of findings.kept().
  const std::vector<size_t>& mended() const noexcept { return mended_; }

 private:
  enum class Stage : uint8_t { records, places, contents, sums, leftovers };
  static Stage stage_of(FindingKind kind) noexcept;
  Op<Unit> mend(const Finding& finding);

  // Records.
  Op<Unit> mend_inode(uint64_t ino);
  Op<Unit> make_directory(uint64_t ino);
  Op<Unit> make_file(uint64_t ino);
  Op<Unit> erase_unless_inode(uint64_t ino, Key key);
  Op<Unit> erase_garbage(uint64_t ino);

  // Names.
  Op<Unit> remove_name(uint64_t directory, std::string_view name);
  Op<Unit> remove_name_of(uint64_t nothing, uint64_t directory, std::string_view name);
  Op<Unit> list(uint64_t directory, std::string_view name);
  Op<Unit> restore(const Finding& listing);
  Op<Unit> set_type(uint64_t directory, std::string_view name, uint8_t type);
  Op<Unit> break_circle(uint64_t ino, uint64_t directory);
  Op<Unit> attach(uint64_t ino);
  Op<uint64_t> lost_and_found();

  // Contents.
  Op<Unit> mend_two_contents(uint64_t ino);
  Op<Unit> save_contents(uint64_t ino);
  Op<Unit> drop_pages(uint64_t ino);
  Op<Unit> mend_long_contents(uint64_t ino);
  Op<Unit> mend_link(uint64_t ino);
  Op<Unit> mend_stored(const Finding& finding);
  Op<bool> find_chunks(uint64_t ino);
  Op<Unit> drop_acl(uint64_t ino, std::string_view name);
  Op<Unit> cut_chunk(const Finding& finding);
  Op<Unit> mend_field(const Finding& finding);

  // What the store has now. ENOENT: no such record, or none that can be read.
  Op<Unit> read(uint64_t ino, Inode& inode);
  Op<Unit> read(uint64_t directory, std::string_view name, Entry& entry);
  Op<Unit> read(Key key, std::string& value);
  Op<Unit> put(uint64_t ino, const Inode& inode);
  Op<Unit> put_number(Key key, uint64_t number);
  Op<Unit> erase(Key key);
  Op<uint64_t> new_ino();

  OwnedStore& owned_;
  Survey& survey_;
  const Findings& findings_;
  std::vector<size_t> mended_;
  uint64_t lost_and_found_ = 0;
  uint64_t next_ino_ = 0;
};

}  // namespace dpfs::kv
