// SPDX-License-Identifier: Apache-2.0
// Capabilities: a set of Linux capabilities (capabilities(7)), and giving up all others.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace dpfs::sandbox {

class Capabilities {
 public:
  constexpr Capabilities() noexcept = default;
  constexpr Capabilities(std::initializer_list<int> numbers) noexcept {
    for (const int number : numbers) bits_ |= uint64_t{1} << number;
  }

  // Those in effect on this thread.
  static Capabilities of_this_thread() noexcept;
  // "chown", "CHOWN" or "CAP_CHOWN". Throws std::invalid_argument for one that does not exist.
  static Capabilities named(std::string_view name);

  constexpr bool contains(Capabilities others) const noexcept {
    return (bits_ & others.bits_) == others.bits_;
  }
  constexpr bool empty() const noexcept { return bits_ == 0; }
  constexpr uint64_t bits() const noexcept { return bits_; }
  constexpr bool operator==(const Capabilities&) const noexcept = default;
  friend constexpr Capabilities operator|(Capabilities a, Capabilities b) noexcept {
    return of(a.bits_ | b.bits_);
  }
  friend constexpr Capabilities operator&(Capabilities a, Capabilities b) noexcept {
    return of(a.bits_ & b.bits_);
  }
  friend constexpr Capabilities operator-(Capabilities a, Capabilities b) noexcept {
    return of(a.bits_ & ~b.bits_);
  }

  // "chown setuid", or "none".
  std::string text() const;

 private:
  static constexpr Capabilities of(uint64_t bits) noexcept {
    Capabilities set;
    set.bits_ = bits;
    return set;
  }
  uint64_t bits_ = 0;
};

// Changes a set as virtiofsd's --modcaps has it: "+sys_admin:-chown". Throws std::invalid_argument
// when `changes` is none.
Capabilities changed_by(Capabilities set, std::string_view changes);

// From now on this thread, and all that it starts, have those of `kept` that it has now, and can
// never have another one. Throws std::system_error.
void keep_only(Capabilities kept);

}  // namespace dpfs::sandbox
