// SPDX-License-Identifier: Apache-2.0
// The program dpfs, with the back ends that come with it.
#include "daemon/program.h"

int main(int argc, char** argv) {
  return dpfs::program_main(argc, argv, dpfs::Backends::built_in());
}
