// SPDX-License-Identifier: Apache-2.0
// Scratch: our own memory, for what must be looked at on its way between a tenant and a back end.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/spares.h"
#include "guest/io_view.h"

namespace dpfs {

// Handed to the back end in place of the tenant's memory, which may change while it is looked at.
class Scratch {
 public:
  static constexpr size_t kBytes = 65536;  // XATTR_SIZE_MAX and XATTR_LIST_MAX

  Scratch() noexcept : part_{bytes_, kBytes} {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // The first `bytes`, or all, as somebody else fills or reads them.
  IoView view(size_t bytes) const noexcept { return IoView({&part_, 1}).first(bytes); }
  std::span<char> bytes(size_t count) noexcept { return {bytes_, std::min(count, kBytes)}; }

 private:
  iovec part_;
  char bytes_[kBytes];  // not initialized: pages that nobody touches cost nothing
};

using ScratchLease = Spares<Scratch>::Lease;

}  // namespace dpfs
