// SPDX-License-Identifier: Apache-2.0
// Extensions: what follows the arguments of a message that makes something new.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "fuse/request.h"

namespace dpfs {

// Reads request.extensions into request.creation. `flags` (fuse::init_flag) are those that were
// agreed on: kSecurityCtx and kCreateSuppGroup say which may come; others are left out. EINVAL:
// malformed, more than one label, or more than one group, which no Linux sends.
Result<Unit> decode_extensions(Request& request, uint64_t flags) noexcept;

}  // namespace dpfs
