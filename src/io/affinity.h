// SPDX-License-Identifier: Apache-2.0
// Pinning threads to processors.
#pragma once

#include "base/result.h"

namespace dpfs {

// To processor `cpu`; does nothing when it is negative.
Result<Unit> pin_this_thread(int cpu) noexcept;

}  // namespace dpfs
