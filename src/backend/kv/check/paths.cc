// SPDX-License-Identifier: Apache-2.0
// From an inode up to the root.
#include "backend/kv/check/paths.h"

#include <algorithm>

#include "backend/kv/records.h"

namespace dpfs::kv {
namespace {

constexpr size_t kDepthMax = 4096;  // of what is printed; damage may be a circle

struct KeptName final : ValueReader {
  void found(std::string_view value) noexcept override {
    Listing listing;
    if (decode(value, listing)) name = listing.name;
  }
  std::string name;
};

}  // namespace

Paths::Paths(Store& store, Survey& survey, const std::vector<Finding>& findings)
    : store_(store), survey_(survey) {
  for (const Finding& finding : findings) {
    if (finding.ino > kRootIno) places_.try_emplace(finding.ino);
  }
  if (places_.empty()) return;
  for (const SurveyedName& entry : survey_.entries()) {
    const auto wanted = places_.find(entry.ino);
    if (wanted == places_.end() || wanted->second.directory != 0) continue;
    wanted->second = {.directory = entry.directory, .cookie = entry.cookie()};
  }
}

Paths::Place Paths::place_of(uint64_t ino) {
  const auto [at, is_new] = places_.try_emplace(ino);
  const SurveyedInode* inode = is_new ? survey_.find(ino) : nullptr;
  if (inode != nullptr && inode->lies_in != 0) {
    const std::span<const SurveyedName> names = survey_.entries_of(inode->lies_in);
    const auto entry = std::ranges::find(names, ino, &SurveyedName::ino);
    if (entry != names.end())
      at->second = {.directory = entry->directory, .cookie = entry->cookie()};
  }
  return at->second;
}

Op<Unit> Paths::find(uint64_t ino, std::string& path) {
  path.clear();
  if (ino == kRootIno) path = "/";
  if (ino <= kRootIno) co_return Unit{};
  const uint64_t last = ino;
  std::string behind;
  for (size_t depth = 0; ino != kRootIno; ++depth) {
    const auto known = known_.find(ino);
    if (known != known_.end()) {
      if (!known->second.empty()) path = known->second + behind;
      break;
    }
    const Place place = place_of(ino);
    KeptName kept;
    Get get{.key = {.collection = Collection::listing,
                    .object = place.directory,
                    .number = place.cookie},
            .reader = &kept};
    if (place.directory != 0 && depth < kDepthMax) {
      const Result<Unit> got = co_await store_.get({&get, 1});
      if (!got) co_return got;
    }
    if (kept.name.empty()) break;
    behind.insert(0, "/" + kept.name);
    ino = place.directory;
    if (ino == kRootIno) path = behind;
  }
  known_.emplace(last, path);
  co_return Unit{};
}

}  // namespace dpfs::kv
