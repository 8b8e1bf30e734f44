// SPDX-License-Identifier: Apache-2.0
// A share's options on a command line.
#pragma once

#include <vector>

#include "daemon/share_config.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's own name
class App;
class Option;
}  // namespace CLI

namespace dpfs {

// Adds all of share_options() to `app`, as a group of their own in its help. `share` has the
// defaults, and gets what the command line says; it must outlive app.parse(). Of a switch, the help
// shows the word that changes the default, and both are understood.
std::vector<CLI::Option*> add_share_options(CLI::App& app, ShareConfig& share);

}  // namespace dpfs
