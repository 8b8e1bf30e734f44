// SPDX-License-Identifier: Apache-2.0
// File operations by a few threads, where io_uring is not to be had.
#pragma once

#include <memory>

#include "io/file_io.h"

namespace dpfs {

// Throws std::system_error when there is no descriptor or thread for it.
std::unique_ptr<IoEngine> make_thread_engine();

}  // namespace dpfs
