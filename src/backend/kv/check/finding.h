// SPDX-License-Identifier: Apache-2.0
// Finding: one thing that a check of a file system has found.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace dpfs::kv {

enum class FindingKind : uint8_t {
#define DPFS_KV_FINDING(name, word, level, sentence) name,
#include "backend/kv/check/findings.def"
};
inline constexpr size_t kFindingKinds = 0
#define DPFS_KV_FINDING(name, word, level, sentence) +1
#include "backend/kv/check/findings.def"
    ;

enum class FindingLevel : uint8_t { damage, garbage };

struct Finding {
  FindingKind kind;
  uint64_t ino = 0;     // 0: the file system as a whole
  uint64_t number = 0;  // a cookie, a chunk, a group of pages, or another inode
  uint64_t found = 0;   // what is recorded
  uint64_t expected = 0;
  std::string name = {};  // in a directory, or of an extended attribute
  bool operator==(const Finding&) const = default;
};

const char* word_of(FindingKind kind) noexcept;
FindingLevel level_of(FindingKind kind) noexcept;
// For people. Names are printed so that they harm no terminal.
std::string sentence_of(const Finding& finding);
std::string printable(const std::string& text);

// Counts all, and keeps the first of each kind.
class Findings {
 public:
  static constexpr size_t kKeptMax = 20'000;  // of a kind: some 2 MB

  void add(Finding finding);
  // In the order of findings.def, each once.
  void finish();
  const std::vector<Finding>& kept() const noexcept { return kept_; }
  uint64_t count(FindingLevel level) const noexcept;
  uint64_t count(FindingKind kind) const noexcept { return counts_[static_cast<size_t>(kind)]; }
  bool all_kept() const noexcept;

 private:
  std::array<uint64_t, kFindingKinds> counts_{};
  std::vector<Finding> kept_;
};

}  // namespace dpfs::kv
