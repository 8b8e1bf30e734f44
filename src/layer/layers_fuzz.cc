// SPDX-License-Identifier: Apache-2.0
// A session over layers that look into requests and answers.
#include "fuse/fake_filesystem.h"
#include "fuse/session_fuzz.h"
#include "layer/id_map_layer.h"
#include "layer/xattr_map_layer.h"

namespace {

dpfs::IdMaps maps() {
  dpfs::IdMaps maps;
  maps.uids.add("map:0:1000:1000");
  maps.uids.add("forbid-guest:2000:1000000");
  maps.gids.add("squash-guest:0:7:4294967295");
  return maps;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dpfs::FakeFileSystem fs;
  dpfs::IdMapLayer owners(fs, maps());
  dpfs::XattrMapLayer names(owners, dpfs::XattrMap::parse("/bad/all/trusted./trusted./"
                                                          "/prefix/all/user./user.guest./"
                                                          "/ok/all///"));
  const auto later = [&fs](uint8_t how) {
    if (how == 0xff) return fs.release_all();
    fs.hold((how & 1) != 0);
    for (int i = 0; i < (how >> 2) % 4; ++i) fs.release((how & 2) != 0);
  };
  dpfs::FileSystem& top = names;
  dpfs::SessionFuzzer(top, std::string(fs.kFileName), later, dpfs::FuzzInput(data, size)).go();
  return 0;
}
