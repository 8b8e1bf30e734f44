// SPDX-License-Identifier: Apache-2.0
// nfs://server[:port]/export/path?option&option=value, as NfsOptions.
#pragma once

#include "backend/nfs/options.h"
#include "daemon/url.h"

namespace dpfs {

// Options are named as those of mount(8) for NFS. Throws std::invalid_argument, with what was
// expected.
NfsOptions nfs_options(Url& url);

}  // namespace dpfs
