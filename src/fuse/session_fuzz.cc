// SPDX-License-Identifier: Apache-2.0
// A session over a file system in memory that answers at once or late, in any order.
#include "fuse/session_fuzz.h"

#include "fuse/fake_filesystem.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dpfs::FakeFileSystem fs;
  const auto later = [&fs](uint8_t how) {
    if (how == 0xff) return fs.release_all();
    fs.hold((how & 1) != 0);
    for (int i = 0; i < (how >> 2) % 4; ++i) fs.release((how & 2) != 0);
  };
  dpfs::SessionFuzzer(fs, std::string(fs.kFileName), later, dpfs::FuzzInput(data, size)).go();
  return 0;
}
