// SPDX-License-Identifier: Apache-2.0
// File operations by io_uring.
#pragma once

#include <memory>

#include "io/file_io.h"

namespace dpfs {

// nullptr, with errno set, where the kernel has no io_uring for us (old, forbidden by sysctl or
// seccomp).
std::unique_ptr<IoEngine> make_uring_engine() noexcept;

}  // namespace dpfs
