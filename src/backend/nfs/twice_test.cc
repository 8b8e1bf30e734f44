// SPDX-License-Identifier: Apache-2.0
// Requests that are sent again are not executed again, whatever happens while the server is found
// again.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "backend/nfs/nfs_fs_harness.h"
#include "fuse/dirent_writer.h"

namespace dpfs::nfs {

namespace {

using Expiry = Responder::Expiry;

class Races : public testing::Test, public NfsFsHarness {
 protected:
  Races() : NfsFsHarness({.grace_ms = 600'000}) {}
  std::vector<std::string> list(NodeId node, bool plus) {
    const Result<fuse::OpenOut> opened = call(&NfsFs::opendir, {.node = node, .flags = O_RDONLY});
    EXPECT_TRUE(opened);
    std::vector<char> buffer(1 << 16);
    const iovec part{buffer.data(), buffer.size()};
    std::vector<std::string> names;
    uint64_t offset = 0;
    while (true) {
      const Result<uint32_t> bytes =
          call(plus ? &NfsFs::readdirplus : &NfsFs::readdir, {.node = node,
                                                              .handle = Handle{opened->fh},
                                                              .offset = offset,
                                                              .into = IoView({&part, 1})});
      EXPECT_TRUE(bytes) << describe(bytes.error());
      if (!bytes || *bytes == 0) break;
      IoView left = IoView({&part, 1}).first(*bytes);
      while (!left.empty()) {
        if (plus) left.skip(sizeof(fuse::EntryOut));
        const fuse::Dirent head = *left.load<fuse::Dirent>();
        std::string name(head.namelen, '\0');
        left.copy_out(name.data(), name.size());
        left.skip(fuse::dirent_size(head.namelen) - sizeof head - head.namelen);
        names.push_back(name);
        offset = head.off;
      }
    }
    EXPECT_TRUE(call(&NfsFs::releasedir, {.node = node, .handle = Handle{opened->fh}}));
    return names;
  }
};

// RFC 8881, section 2.10.6.2: so a server answers a retry while the request itself is still being
// executed.
TEST_F(Races, DelayOfARetrysSequenceMeansThatItIsStillUnderWay) {
  put("file", "");
  node("file");
  server.drop_after({.operation = Operation::remove});
  server.answer({.operation = Operation::sequence, .skip = 1}, Status::delay);
  const Result<Unit> removed =
      call(&NfsFs::unlink, {.parent = NodeId::root, .name = name_of("file")});
  EXPECT_TRUE(removed) << describe(removed.error());
  EXPECT_EQ(server.executed(Operation::remove), 1u);
  put("other", "");
  node("other");
  EXPECT_EQ(server.counters().false_retries, 0u);
  EXPECT_EQ(server.counters().misordered, 0u);
}

TEST_F(Races, AConnectionThatIsLostAgainWhileRecoveringExecutesNothingTwice) {
  put("file", "");
  node("file");
  server.drop_after({.operation = Operation::remove});
  server.drop_before({.skip = 2});  // the first request after BIND_CONN_TO_SESSION
  EXPECT_TRUE(call(&NfsFs::unlink, {.parent = NodeId::root, .name = name_of("file")}));
  EXPECT_EQ(server.executed(Operation::remove), 1u);
  EXPECT_EQ(server.executed(Operation::create_session), 1u);
}

}  // namespace

}  // namespace dpfs::nfs
