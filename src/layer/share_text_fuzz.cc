// SPDX-License-Identifier: Apache-2.0
// What an operator may write: rules for extended attributes and id ranges; and names to apply them
// to.
#include <algorithm>
#include <array>
#include <stdexcept>

#include "base/assert.h"
#include "fuse/fuzz_input.h"
#include "layer/id_map.h"
#include "layer/xattr_map.h"

namespace {

void try_ids(dpfs::FuzzInput& input) {
  dpfs::IdMap map;
  while (!input.empty()) {
    const bool was_empty = map.empty();
    try {
      map.add(input.bytes(input.byte() % 64));
    } catch (const std::invalid_argument&) {
      DPFS_ASSERT(map.empty() == was_empty);
    }
  }
  for (const uint32_t id : {0u, 1u, 1000u, 65534u, 4294967294u}) {
    const dpfs::Result<uint32_t> host = map.to_host(id);
    DPFS_ASSERT(!host || *host != UINT32_MAX);
    DPFS_ASSERT(map.to_guest(id) != UINT32_MAX);
  }
  DPFS_ASSERT(*map.to_host(UINT32_MAX) == UINT32_MAX);
}

void try_names(dpfs::FuzzInput& input) {
  const std::string rules = input.bytes(input.byte());
  try {
    const dpfs::XattrMap map = dpfs::XattrMap::parse(rules);
    std::string name = input.bytes(input.byte());
    std::erase(name, '\0');
    std::array<char, dpfs::XattrMap::kNameMax + 1> into;
    const dpfs::Result<uint16_t> size = map.to_host(name, into);
    DPFS_ASSERT(!size || (*size <= dpfs::XattrMap::kNameMax && into[*size] == '\0'));
    std::string list = input.bytes(1000);
    const size_t kept = map.list_to_guest(list);
    DPFS_ASSERT(kept <= list.size() && (kept == 0 || list[kept - 1] == '\0'));
  } catch (const std::invalid_argument&) {
    return;  // refused, with a message
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dpfs::FuzzInput input(data, size);
  if (input.byte() % 2 == 0) {
    try_ids(input);
  } else {
    try_names(input);
  }
  return 0;
}
