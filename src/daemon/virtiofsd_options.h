// SPDX-License-Identifier: Apache-2.0
// virtiofsd's command line (version 1.13), as a configuration of ours.
#pragma once

#include <string>
#include <vector>

#include "daemon/config.h"

namespace dpfs {

struct VirtiofsdRequest {
  ServeConfig config;              // checked, with one device
  std::vector<std::string> notes;  // options that change nothing here, and why; for the log
  std::string answer;              // to --help and --version: print it, and no more
  bool print_capabilities = false;
  bool syslog = false;
};

// Arguments without the program's name. An option that we do not need is taken and noted; one that
// we cannot honour is refused. Throws std::invalid_argument that says what is wrong and what was
// expected.
VirtiofsdRequest read_virtiofsd_arguments(const std::vector<std::string>& arguments);

}  // namespace dpfs
