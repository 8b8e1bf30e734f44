// SPDX-License-Identifier: Apache-2.0
// Fsck: checks a file system, and mends it until nothing is left to mend.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/kv/check/check.h"
#include "backend/kv/check/finding.h"
#include "backend/kv/check/progress.h"
#include "backend/kv/owned_store.h"
#include "base/op.h"

namespace dpfs::kv {

class Fsck {
 public:
  struct Options {
    bool repairs = false;
    bool reads_chunks = true;
  };
  struct Item {
    Finding finding;
    std::string path;  // "" where none is known
    bool mended = false;
  };

  Fsck(OwnedStore& owned, Progress& progress, const Options& options) noexcept
      : owned_(owned), progress_(progress), options_(options) {}
  Fsck(const Fsck&) = delete;
  Fsck& operator=(const Fsck&) = delete;

  // The store is open. EIO and the like: it could not be read, or not be written.
  Op<Unit> run();

  // What was mended, then what is still so.
  const std::vector<Item>& items() const noexcept { return items_; }
  bool lists_all() const noexcept { return lists_all_; }
  uint64_t mended() const noexcept { return mended_; }
  // The last check.
  const Findings& left() const noexcept { return check_->findings(); }
  const Check::Totals& totals() const noexcept { return check_->totals(); }
  const Survey& survey() const noexcept { return check_->survey(); }

 private:
  Op<Unit> check();
  Op<Unit> mend();
  Op<Unit> note(const std::vector<size_t>& which, bool mended);

  OwnedStore& owned_;
  Progress& progress_;
  const Options options_;
  std::unique_ptr<Check> check_;
  std::vector<Item> items_;
  bool lists_all_ = true;
  uint64_t mended_ = 0;  // of damage
};

}  // namespace dpfs::kv
