// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value, or the errno that says why there is none.
#pragma once

#include <type_traits>

#include "base/assert.h"
#include "base/errno.h"

namespace dpfs {

struct Unit {};  // the value of an operation that has none

// Results travel in registers and into tenant memory, so T is plain data. What owns something is
// returned as itself, and thrown about at start-up only.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  constexpr Result(const T& value) noexcept : value_(value) {}
  constexpr Result(Errno why) noexcept : value_{}, error_(why) { DPFS_ASSERT(why != Errno::none); }

  constexpr explicit operator bool() const noexcept { return error_ == Errno::none; }
  constexpr const T& operator*() const noexcept { return value_; }
  constexpr const T* operator->() const noexcept { return &value_; }
  constexpr Errno error() const noexcept { return error_; }

 private:
  static_assert(std::is_trivially_copyable_v<T>);
  T value_;
  Errno error_ = Errno::none;
};

}  // namespace dpfs
