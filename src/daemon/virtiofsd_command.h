// SPDX-License-Identifier: Apache-2.0
// `dpfs virtiofsd`: in place of the program virtiofsd, for libvirt, Kata and scripts.
#pragma once

#include <string_view>

#include "daemon/backends.h"

namespace dpfs {

// Whether the program was called by a link named virtiofsd or dpfs-virtiofsd.
bool is_virtiofsd(std::string_view program) noexcept;

// The exit code: 0 ended as asked or with its VMM, 1 could not serve, 2 wrong arguments.
int virtiofsd_main(int argc, char** argv, const Backends& backends);

}  // namespace dpfs
