// SPDX-License-Identifier: Apache-2.0
// Pinning threads to processors.
#pragma once

namespace dpfs {

// To processor `cpu`; does nothing when it is negative. A refusal is logged: pinning is a wish.
void pin_this_thread(int cpu) noexcept;

}  // namespace dpfs
