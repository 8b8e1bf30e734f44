// SPDX-License-Identifier: Apache-2.0
// Spares by the name that this room uses.
#pragma once

#include "base/spares.h"

namespace dpfs::local {

using dpfs::Spares;

}  // namespace dpfs::local
