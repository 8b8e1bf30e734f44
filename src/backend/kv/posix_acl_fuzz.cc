// SPDX-License-Identifier: Apache-2.0
// Access control lists of any bytes: refused, or valid, and valid after everything that is done.
#include "backend/kv/posix_acl.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/assert.h"
#include "fuse/fuzz_input.h"

namespace {

using dpfs::kv::PosixAcl;

bool equal(const PosixAcl& a, const PosixAcl& b) {
  return std::equal(a.entries().begin(), a.entries().end(), b.entries().begin(), b.entries().end());
}

// What is stored can be read again, and is the same.
void expect_valid(const PosixAcl& acl) {
  std::array<char, PosixAcl::kBytesMax> bytes;
  const size_t size = acl.encode(bytes);
  DPFS_ASSERT(size == acl.bytes() && size <= bytes.size());
  PosixAcl again;
  DPFS_ASSERT(again.decode({bytes.data(), size}));
  DPFS_ASSERT(equal(acl, again));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dpfs::FuzzInput input(data, size);
  const auto mode = input.take<uint16_t>();
  const auto umask = input.take<uint16_t>();
  PosixAcl acl;
  if (!acl.decode(input.bytes(size))) {
    DPFS_ASSERT(acl.none());
    return 0;
  }
  expect_valid(acl);
  PosixAcl access;
  const dpfs::kv::Inherited made = inherit(acl, mode, umask, access);
  expect_valid(access);
  // A new object has no right that was not asked for, and its list says what its mode says.
  DPFS_ASSERT((made.mode & ~uint32_t{mode}) == 0);
  DPFS_ASSERT(access.none() || access.mode_of(made.mode) == made.mode);
  DPFS_ASSERT(!access.is_only_a_mode() || access.none());
  if (acl.none()) return 0;
  acl.chmod(mode);
  expect_valid(acl);
  DPFS_ASSERT(acl.mode_of(mode) == mode);
  return 0;
}
