// SPDX-License-Identifier: Apache-2.0
// A session over the null back end.
#include "backend/null/null_fs.h"
#include "fuse/session_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dpfs::NullFs fs({.files = 4, .file_bytes = 1 << 16});
  dpfs::SessionFuzzer(fs, "f0", [](uint8_t) {}, dpfs::FuzzInput(data, size)).go();
  return 0;
}
