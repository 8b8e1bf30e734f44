// SPDX-License-Identifier: Apache-2.0
// Words and sentences.
#include "backend/kv/check/finding.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace dpfs::kv {
namespace {

struct Row {
  const char* word;
  FindingLevel level;
  const char* sentence;
};

constexpr std::array kRows{
#define DPFS_KV_FINDING(name, word, level, sentence) Row{word, FindingLevel::level, sentence},
#include "backend/kv/check/findings.def"
};

const Row& row_of(FindingKind kind) noexcept { return kRows[static_cast<size_t>(kind)]; }

}  // namespace

const char* word_of(FindingKind kind) noexcept { return row_of(kind).word; }
FindingLevel level_of(FindingKind kind) noexcept { return row_of(kind).level; }

std::string printable(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || byte == '\\') {
      out += fmt::format("\\{:03o}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string sentence_of(const Finding& finding) {
  return fmt::format(fmt::runtime(row_of(finding.kind).sentence),
                     fmt::arg("name", printable(finding.name)), fmt::arg("number", finding.number),
                     fmt::arg("found", finding.found), fmt::arg("expected", finding.expected));
}

void Findings::add(Finding finding) {
  uint64_t& count = counts_[static_cast<size_t>(finding.kind)];
  if (count++ < kKeptMax) kept_.push_back(std::move(finding));
}

void Findings::finish() {
  const auto place = [](const Finding& finding) {
    return std::tie(finding.kind, finding.ino, finding.number, finding.name, finding.found,
                    finding.expected);
  };
  std::ranges::sort(kept_, {}, place);
  const auto again = std::ranges::unique(kept_);
  kept_.erase(again.begin(), again.end());
  std::array<uint64_t, kFindingKinds> kept{};
  for (const Finding& finding : kept_) ++kept[static_cast<size_t>(finding.kind)];
  for (size_t i = 0; i < kFindingKinds; ++i) {
    if (counts_[i] <= kKeptMax) counts_[i] = kept[i];
  }
}

uint64_t Findings::count(FindingLevel level) const noexcept {
  uint64_t sum = 0;
  for (size_t i = 0; i < kFindingKinds; ++i) {
    if (kRows[i].level == level) sum += counts_[i];
  }
  return sum;
}

bool Findings::all_kept() const noexcept {
  return std::ranges::all_of(counts_, [](uint64_t count) { return count <= kKeptMax; });
}

}  // namespace dpfs::kv
