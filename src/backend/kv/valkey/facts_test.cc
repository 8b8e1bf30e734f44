// SPDX-License-Identifier: Apache-2.0
// Servers that cannot be relied upon are refused, with what to do about it.
#include "backend/kv/valkey/facts.h"

#include <gtest/gtest.h>

namespace dpfs::kv::valkey {
namespace {

TEST(ValkeyFacts, AreReadFromInfo) {
  Facts facts;
  ASSERT_TRUE(
      parse_facts("redis_version:7.2.4\r\nvalkey_version:8.1.1\r\n"
                  "maxmemory_policy:noeviction\r\naof_enabled:1\r\n",
                  facts));
  EXPECT_EQ(facts.version, 0x0702U);
  EXPECT_TRUE(facts.has_append_file);
  EXPECT_EQ(objection(facts).why, Errno::none);
}

TEST(ValkeyFacts, NonsenseIsRefused) {
  Facts facts;
  for (const std::string_view info :
       {"", "redis_version:\r\n", "redis_version:7\r\n", "redis_version:x.2\r\n",
        "redis_version:7.x\r\n", "redis_version:7.2x\r\n", "redis_version:300.1\r\n"}) {
    EXPECT_FALSE(parse_facts(info, facts)) << info;
  }
}

TEST(ValkeyFacts, OldServersAreRefused) {
  EXPECT_EQ(objection({.version = 0x0700, .eviction = "noeviction"}).why, Errno::proto);
}

TEST(ValkeyFacts, ServersThatEvictAreRefused) {
  const Objection no = objection({.version = 0x0702, .eviction = "volatile-lru"});
  EXPECT_EQ(no.why, Errno::inval);
  EXPECT_NE(no.text.find("set its maxmemory-policy to noeviction"), std::string::npos);
}

TEST(ValkeyFacts, SpaceIsTheLimitOrTheMachines) {
  const ServerSpace limited =
      parse_space("used_memory:5\r\nmaxmemory:10\r\ntotal_system_memory:100\r\n");
  EXPECT_EQ(limited.total_bytes, 10U);
  EXPECT_EQ(limited.used_bytes, 5U);
  EXPECT_EQ(parse_space("used_memory:5\r\nmaxmemory:0\r\ntotal_system_memory:100\r\n").total_bytes,
            100U);
  EXPECT_EQ(parse_space("used_memory:50\r\nmaxmemory:10\r\n").used_bytes, 10U);
}

}  // namespace
}  // namespace dpfs::kv::valkey
