// SPDX-License-Identifier: Apache-2.0
// Rounds of checking and mending.
#include "backend/kv/check/fsck.h"

#include <numeric>

#include "backend/kv/check/paths.h"
#include "backend/kv/check/repair.h"

namespace dpfs::kv {
namespace {

// Stages of mending, each perhaps several times; a circle within a circle takes more.
constexpr uint32_t kRoundsMax = 64;

}  // namespace

Op<Unit> Fsck::run() {
  Result<Unit> ok = co_await check();
  if (ok && options_.repairs) ok = co_await mend();
  if (!ok) co_return ok;
  std::vector<size_t> all(check_->findings().kept().size());
  std::iota(all.begin(), all.end(), size_t{0});
  ok = co_await note(all, false);
  co_return ok;
}

Op<Unit> Fsck::check() {
  check_.reset();  // two of them need not be in memory
  check_ = std::make_unique<Check>(owned_.reactor(), owned_.store(), owned_.superblock(), progress_,
                                   Survey::Options{options_.reads_chunks});
  const Result<Unit> done = co_await check_->run();
  co_return done;
}

Op<Unit> Fsck::mend() {
  std::vector<Finding> before;
  for (uint32_t round = 0; round < kRoundsMax; ++round) {
    const std::vector<Finding>& found = check_->findings().kept();
    if (found.empty() || found == before) break;
    before = found;
    Repair repair(owned_, check_->survey(), check_->findings());
    Result<Unit> ok = co_await repair.run();
    if (!ok) co_return ok;
    ok = co_await note(repair.mended(), true);
    if (!ok) co_return ok;
    if (repair.mended().empty()) break;
    ok = co_await check();
    if (!ok) co_return ok;
  }
  co_return Unit{};
}

Op<Unit> Fsck::note(const std::vector<size_t>& which, bool mended) {
  const std::vector<Finding>& findings = check_->findings().kept();
  lists_all_ = lists_all_ && check_->findings().all_kept();
  Paths paths(owned_.store(), check_->survey(), findings);
  for (const size_t i : which) {
    if (mended && level_of(findings[i].kind) == FindingLevel::damage) ++mended_;
    Item& item = items_.emplace_back(Item{.finding = findings[i], .path = {}, .mended = mended});
    const Result<Unit> found = co_await paths.find(item.finding.ino, item.path);
    if (!found) co_return found;
  }
  co_return Unit{};
}

}  // namespace dpfs::kv
