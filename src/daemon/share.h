// SPDX-License-Identifier: Apache-2.0
// From what the operator asked for to the file system that does it.
#pragma once

#include <memory>

#include "daemon/backends.h"
#include "daemon/share_config.h"
#include "fuse/session.h"
#include "io/reactor.h"

namespace dpfs {

// The back end, with a layer upon it for each thing that was asked for: what was not costs nothing.
// Throws std::exception, with a message for the operator, when the URL cannot be served.
std::unique_ptr<FileSystem> make_share(Reactor& reactor, const ShareConfig& share,
                                       const Backends& backends);

// For each session of the share.
Session::Options session_options(const ShareConfig& share);

}  // namespace dpfs
