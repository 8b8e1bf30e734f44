// SPDX-License-Identifier: Apache-2.0
// The null back end under a session: 10,000 requests call no malloc.
#include <gtest/gtest.h>

#include "backend/null/null_fs.h"
#include "base/count_allocations.h"
#include "fuse/fake_message.h"
#include "fuse/session.h"

namespace dpfs {
namespace {

TEST(NullSession, TenThousandRequestsOfEachKindCallNoMalloc) {
  NullFs fs;
  SessionCounters counters;
  Session session(fs, "test", {}, counters);
  FakeMessage init(fuse::Opcode::init, bytes_of(linux_init()));
  ASSERT_EQ(init.serve(session).error(), Errno::none);
  const uint64_t file = 2;  // handles of the null back end are its nodes' numbers
  FakeMessage read(fuse::Opcode::read, bytes_of(fuse::ReadIn{.fh = file, .size = 4096}), file);
  FakeMessage write(fuse::Opcode::write,
                    bytes_of(fuse::WriteIn{.fh = file, .size = 4096}) + std::string(4096, 'w'),
                    file);
  FakeMessage getattr(fuse::Opcode::getattr, bytes_of(fuse::GetattrIn{}), file);
  FakeMessage lookup(fuse::Opcode::lookup, text_of("f0"));
  FakeMessage list(fuse::Opcode::readdirplus, bytes_of(fuse::ReadIn{.fh = 1, .size = 4096}));
  for (FakeMessage* message : {&read, &write, &getattr, &lookup, &list}) {
    ASSERT_EQ(message->serve(session).error(), Errno::none);
    const uint64_t before = allocations_counted;
    for (int i = 0; i < 10'000; ++i) message->serve_again(session);
    EXPECT_EQ(allocations_counted, before) << message->header.opcode;
    EXPECT_EQ(message->error(), Errno::none);
  }
}

}  // namespace
}  // namespace dpfs
