// SPDX-License-Identifier: Apache-2.0
// Listings and access control lists of any bytes: what is no id stays as it is.
#include "base/assert.h"
#include "fuse/fuzz_input.h"
#include "layer/id_translate.h"

namespace {

// An owner's ids are 8 bytes of at least 152, an entry's of a list are 4 of 8.
void expect_only_ids_changed(const std::string& before, const std::string& after) {
  DPFS_ASSERT(before.size() == after.size());
  size_t changed = 0;
  for (size_t i = 0; i < before.size(); ++i) changed += before[i] != after[i];
  DPFS_ASSERT(changed <= before.size() / 2);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const dpfs::IdMaps kMaps = [] {
    dpfs::IdMaps maps;
    maps.uids.add("map:0:1000:1000");
    maps.uids.add("forbid-guest:2000:1");
    maps.gids.add("squash-guest:0:7:4294967295");
    maps.gids.add("squash-host:0:9:4294967295");
    return maps;
  }();
  dpfs::FuzzInput input(data, size);
  const uint8_t what = input.byte();
  const std::string text = input.bytes(size);
  std::string changed = text;
  switch (what % 3) {
    case 0:
      dpfs::listing_to_guest(kMaps, changed);
      break;
    case 1: {
      const dpfs::Result<dpfs::Unit> ok = dpfs::acl_to_host(kMaps, changed);
      if (!ok && ok.error() == dpfs::Errno::inval) DPFS_ASSERT(changed == text);
      break;
    }
    case 2:
      dpfs::acl_to_guest(kMaps, changed);
      break;
  }
  expect_only_ids_changed(text, changed);
  // Without ranges nothing changes.
  std::string same = text;
  dpfs::listing_to_guest({}, same);
  dpfs::acl_to_guest({}, same);
  (void)dpfs::acl_to_host({}, same);
  DPFS_ASSERT(same == text);
  return 0;
}
