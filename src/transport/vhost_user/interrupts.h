// SPDX-License-Identifier: Apache-2.0
// InterruptPolicy: whether a driver is told at once of what was done, or with what comes after it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "fuse/wire_constants.h"

namespace dpfs::vhost_user {

// At once, as a rule. While many reads and writes are under way that take their time (a network, a
// disk), one interrupt does for several of them, as network cards have it (rx-usecs and rx-frames
// of ethtool(8)): an interrupt costs a tenant as much as half a read. The driver is shown what is
// done at once in any case; one that looks by itself needs no interrupt.
class InterruptPolicy {
 public:
  // Not for fewer under way: whoever has few waits for each.
  static constexpr uint32_t kInFlightMin = 8;
  // So many that come together are worth an interrupt. More of them would only keep the tenant from
  // going on while we work.
  static constexpr uint32_t kBurst = 16;

  // `delay_ns_max`: how long one may be held back; 0: never.
  explicit InterruptPolicy(uint64_t delay_ns_max) noexcept : delay_ns_max_(delay_ns_max) {}

  // So many were shown to the driver at once.
  void shown(uint32_t together) noexcept { hurries_ = hurries_ || together >= kBurst; }
  // The answer to something else than a read or a write is there, or one that was answered as soon
  // as it was asked: who waits for it, waits for it alone.
  void hurry() noexcept { hurries_ = true; }
  static bool can_wait(uint32_t opcode) noexcept {
    return static_cast<fuse::Opcode>(opcode) == fuse::Opcode::read ||
           static_cast<fuse::Opcode>(opcode) == fuse::Opcode::write;
  }

  // How long to wait for more before the driver is told; 0: tell it now. `untold` requests are done
  // that it was not told of, `in_flight` are still to come.
  uint64_t wait_ns(uint32_t untold, uint32_t in_flight, uint64_t now_ns) noexcept {
    if (hurries_ || delay_ns_max_ == 0 || in_flight < kInFlightMin || untold >= 2 * in_flight)
      return 0;
    if (until_ns_ == 0) until_ns_ = now_ns + delay_ns_max_;
    return until_ns_ - std::min(until_ns_, now_ns);
  }
  void told() noexcept {
    hurries_ = false;
    until_ns_ = 0;
  }

 private:
  const uint64_t delay_ns_max_;
  uint64_t until_ns_ = 0;
  bool hurries_ = false;
};

}  // namespace dpfs::vhost_user
