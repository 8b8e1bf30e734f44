// SPDX-License-Identifier: Apache-2.0
// Histogram: counts of values of any size, exact to 1/64 of the value, recorded in a few
// instructions.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace dpfs {

// Log-linear: each power of two is divided into 64 equal buckets, and below 128 each value has its
// own. Values from 2^40 on (18 minutes, in nanoseconds) share the last bucket; the maximum is kept
// exactly. 18 KiB, no allocation, one thread.
class Histogram {
 public:
  void record(uint64_t value) noexcept {
    ++counts_[bucket(value)];
    ++count_;
    sum_ += value;
    max_ = std::max(max_, value);
  }

  void merge(const Histogram& other) noexcept {
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
  }

  void clear() noexcept { *this = {}; }

  uint64_t count() const noexcept { return count_; }
  uint64_t sum() const noexcept { return sum_; }
  uint64_t max() const noexcept { return max_; }
  double mean() const noexcept {
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
  }

  // The value that a fraction of all values, 0 to 1, does not exceed: the upper end of its bucket,
  // at most max(). 0 where there are no values.
  uint64_t quantile(double fraction) const noexcept {
    if (count_ == 0) return 0;
    const auto rank = static_cast<uint64_t>(fraction * static_cast<double>(count_) + 0.5);
    const uint64_t wanted = std::clamp<uint64_t>(rank, 1, count_);
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= wanted) return std::min(upper_end(i), max_);
    }
    return max_;
  }

 private:
  static constexpr uint32_t kStepBits = 6;
  static constexpr uint32_t kValueBits = 40;
  static constexpr uint64_t kSteps = 1u << kStepBits;
  static constexpr size_t kBuckets = (kValueBits - kStepBits + 1) * kSteps;

  static constexpr size_t bucket(uint64_t value) noexcept {
    if (value < kSteps) return value;
    if (value >> kValueBits != 0) return kBuckets - 1;
    const uint32_t shift = static_cast<uint32_t>(std::bit_width(value)) - 1 - kStepBits;
    return shift * kSteps + (value >> shift);
  }
  static constexpr uint64_t upper_end(size_t index) noexcept {
    if (index < 2 * kSteps) return index;
    const uint32_t shift = static_cast<uint32_t>(index / kSteps) - 1;
    const uint64_t step = index % kSteps + kSteps;
    // The last bucket has no upper end.
    return index == kBuckets - 1 ? UINT64_MAX : ((step + 1) << shift) - 1;
  }

  std::array<uint64_t, kBuckets> counts_{};
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t max_ = 0;
};

}  // namespace dpfs
