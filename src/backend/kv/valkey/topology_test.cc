// SPDX-License-Identifier: Apache-2.0
// What servers say about themselves and each other is read strictly.
#include "backend/kv/valkey/topology.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "backend/kv/valkey/reply_harness.h"

namespace dpfs::kv::valkey {
namespace {

Address asked() {
  Address address;
  EXPECT_TRUE(parse_address("192.0.2.9", 7000, address));
  return address;
}

std::string bulk(const std::string& text) {
  return '$' + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}
std::string server(const std::string& host, int port, const std::string& id) {
  return "*4\r\n" + bulk(host) + ':' + std::to_string(port) + "\r\n" + bulk(id) + "*0\r\n";
}
std::string range(int first, int last, const std::vector<std::string>& servers) {
  std::string text = '*' + std::to_string(servers.size() + 2) + "\r\n:" + std::to_string(first) +
                     "\r\n:" + std::to_string(last) + "\r\n";
  for (const std::string& each : servers) text += each;
  return text;
}

bool parse(const std::string& bytes, Topology& topology) {
  const std::optional<Reply> reply = reply_of(bytes);
  return reply && parse_slots(*reply, asked(), topology);
}

TEST(ValkeyTopology, SlotsHaveTheirPrimaries) {
  Topology topology;
  ASSERT_TRUE(parse("*2\r\n" +
                        range(0, 8000, {server("192.0.2.1", 1, "a"), server("192.0.2.2", 2, "b")}) +
                        range(8001, 16383, {server("2001:db8::1", 3, "c")}),
                    topology));
  ASSERT_EQ(topology.ranges.size(), 2U);
  EXPECT_EQ(topology.servers.size(), 3U);
  EXPECT_EQ(topology.ranges[0].last, 8000U);
  EXPECT_EQ(topology.ranges[0].primary_id, "a");
  EXPECT_EQ(text_of(topology.servers[topology.ranges[0].primary]), "192.0.2.1:1");
  EXPECT_EQ(text_of(topology.servers[topology.ranges[1].primary]), "[2001:db8::1]:3");
}

TEST(ValkeyTopology, ServerWithoutAnAddressIsTheOneThatWasAsked) {
  Topology topology;
  ASSERT_TRUE(parse("*1\r\n" + range(0, 16383, {server("", 7001, "a")}), topology));
  EXPECT_EQ(text_of(topology.servers[0]), "192.0.2.9:7001");
  ASSERT_TRUE(parse("*1\r\n" + range(0, 16383, {server("?", 7002, "a")}), topology));
  EXPECT_EQ(text_of(topology.servers[0]), "192.0.2.9:7002");
}

TEST(ValkeyTopology, NonsenseIsRefused) {
  Topology topology;
  const std::string one = server("192.0.2.1", 1, "a");
  for (const std::string& bytes :
       {std::string("+OK\r\n"), std::string("*1\r\n:1\r\n"), "*1\r\n" + range(0, 16384, {one}),
        "*1\r\n" + range(-1, 5, {one}), "*1\r\n" + range(7, 5, {one}),
        "*2\r\n" + range(0, 5, {one}) + range(5, 9, {one}), "*1\r\n" + range(0, 5, {}),
        "*1\r\n" + range(0, 5, {server("name.example", 1, "a")}),
        "*1\r\n" + range(0, 5, {server("192.0.2.1", 0, "a")}),
        "*1\r\n" + range(0, 5, {server("192.0.2.1", 65536, "a")})}) {
    EXPECT_FALSE(parse(bytes, topology)) << bytes;
  }
}

TEST(ValkeyTopology, RedirectionsNameAServer) {
  Address address;
  ASSERT_TRUE(parse_redirect("MOVED 3999 192.0.2.1:6381", asked(), address));
  EXPECT_EQ(text_of(address), "192.0.2.1:6381");
  ASSERT_TRUE(parse_redirect("ASK 3999 2001:db8::1:6381", asked(), address));
  EXPECT_EQ(text_of(address), "[2001:db8::1]:6381");
  ASSERT_TRUE(parse_redirect("ASK 3999 :6381", asked(), address));
  EXPECT_EQ(text_of(address), "192.0.2.9:6381");
  EXPECT_FALSE(parse_redirect("MOVED", asked(), address));
  EXPECT_FALSE(parse_redirect("MOVED 3999 192.0.2.1", asked(), address));
  EXPECT_FALSE(parse_redirect("MOVED 3999 192.0.2.1:x", asked(), address));
}

TEST(ValkeyTopology, FieldsOfInfoAreWholeLines) {
  const std::string_view info = "# Server\r\nredis_version:7.2.4\r\nused_memory:12\r\nbad:x\r\n";
  EXPECT_EQ(info_field(info, "redis_version"), "7.2.4");
  EXPECT_EQ(info_field(info, "version"), "");
  EXPECT_EQ(info_number(info, "used_memory"), 12U);
  EXPECT_EQ(info_number(info, "used"), 0U);
  EXPECT_EQ(info_number(info, "bad"), 0U);
}

TEST(ValkeyTopology, ReplicasThatHaveFailedDoNotCount) {
  const std::string_view nodes =
      "aa 192.0.2.1:1@11 myself,master - 0 0 1 connected 0-16383\n"
      "bb 192.0.2.2:1@11 slave aa 0 0 1 connected\n"
      "cc 192.0.2.3:1@11 slave,fail? aa 0 0 1 connected\n"
      "dd 192.0.2.4:1@11 slave,fail aa 0 0 1 disconnected\n"
      "ee 192.0.2.5:1@11 slave ff 0 0 1 connected\n"
      "gg\n\n";
  EXPECT_EQ(replicas_of(nodes, "aa"), 2U);
  EXPECT_EQ(replicas_of(nodes, "ff"), 1U);
  EXPECT_EQ(replicas_of(nodes, "bb"), 0U);
  EXPECT_EQ(replicas_of("", "aa"), 0U);
}

}  // namespace
}  // namespace dpfs::kv::valkey
