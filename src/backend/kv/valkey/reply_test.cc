// SPDX-License-Identifier: Apache-2.0
// Replies are taken apart however they come in pieces, and nonsense is refused.
#include "backend/kv/valkey/reply.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "backend/kv/valkey/reply_harness.h"

namespace dpfs::kv::valkey {
namespace {

TEST(ValkeyReply, IsWhatTheServerSays) {
  EXPECT_EQ(reply_of("+OK\r\n")->text(), "OK");
  EXPECT_EQ(reply_of(":-7\r\n")->integer(), -7);
  EXPECT_EQ(reply_of("$3\r\na\rb\r\n")->text(), "a\rb");
  EXPECT_EQ(reply_of("$-1\r\n")->type(), Reply::Type::nil);
  EXPECT_TRUE(reply_of("-ERR no\r\n")->is_error());
}

TEST(ValkeyReply, ArraysAreWalkedInOrder) {
  const std::optional<Reply> reply = reply_of("*3\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n$1\r\nb\r\n");
  ASSERT_TRUE(reply);
  Reply::Walk walk(*reply);
  uint32_t elements = 0;
  int64_t number = 0;
  std::string_view text;
  EXPECT_TRUE(walk.array(elements));
  EXPECT_EQ(elements, 3U);
  EXPECT_FALSE(walk.string(text));
  EXPECT_TRUE(walk.integer(number));
  EXPECT_TRUE(walk.skip());
  EXPECT_TRUE(walk.string(text));
  EXPECT_EQ(text, "b");
  EXPECT_TRUE(walk.at_end());
  EXPECT_FALSE(walk.skip());
}

TEST(ValkeyReply, ComesInAnyPieces) {
  const std::string bytes = "*2\r\n$5\r\nhello\r\n:12\r\n+OK\r\n";
  for (size_t piece = 1; piece < bytes.size(); ++piece) {
    NoTaker taker;
    ReplyReader reader(taker);
    size_t replies = 0;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      const std::string part = bytes.substr(at, piece);
      ASSERT_TRUE(reader.feed(part.data(), part.size()));
      while (reader.next() == ReplyReader::Next::reply) ++replies;
    }
    EXPECT_EQ(replies, 2U) << piece;
  }
}

TEST(ValkeyReply, NonsenseIsRefused) {
  for (const std::string bytes :
       {"hello\r\n", "*-2\r\n", "$99999999999999999999\r\n", ":x\r\n", "*9999999999\r\n"}) {
    NoTaker taker;
    ReplyReader reader(taker);
    ASSERT_TRUE(reader.feed(bytes.data(), bytes.size()));
    EXPECT_EQ(reader.next(), ReplyReader::Next::broken) << bytes;
  }
}

TEST(ValkeyReply, ErrorsSayWhatToDo) {
  const auto what = [](const std::string& text) { return trouble(*reply_of(text)); };
  EXPECT_EQ(what("+OK\r\n"), Trouble::none);
  EXPECT_EQ(what("-MOVED 3999 127.0.0.1:6381\r\n"), Trouble::moved);
  EXPECT_EQ(what("-READONLY You can't write against a read only replica.\r\n"), Trouble::moved);
  EXPECT_EQ(what("-ASK 3999 127.0.0.1:6381\r\n"), Trouble::ask);
  EXPECT_EQ(what("-CLUSTERDOWN The cluster is down\r\n"), Trouble::later);
  EXPECT_EQ(what("-TRYAGAIN\r\n"), Trouble::later);
  EXPECT_EQ(what("-NOSCRIPT No matching script.\r\n"), Trouble::no_script);
  EXPECT_EQ(what("-OOM command not allowed\r\n"), Trouble::out_of_memory);
  EXPECT_EQ(what("-NOAUTH Authentication required.\r\n"), Trouble::denied);
  EXPECT_EQ(what("-ERR anything else\r\n"), Trouble::other);
}

}  // namespace
}  // namespace dpfs::kv::valkey
