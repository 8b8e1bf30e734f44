// SPDX-License-Identifier: Apache-2.0
// kv+...: URLs: what they mean, that what is wrong is refused with a message that helps, and that
// no message has a password in it.
#include "daemon/kv_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace dpfs {
namespace {

using testing::HasSubstr;
using testing::Not;

KvValkeyUrl read(const std::string& text) {
  Url url = Url::parse(text);
  KvValkeyUrl asked = kv_valkey_url(url);
  url.check_all_options_known();
  return asked;
}

// What is said of a URL that is refused.
std::string refusal(const std::string& text) {
  try {
    read(text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "it is taken";
}

TEST(KvValkeyUrl, ServerAndNameAreEnough) {
  const KvValkeyUrl asked = read("kv+valkey://kv.example/files");
  ASSERT_EQ(asked.servers.size(), 1u);
  EXPECT_EQ(asked.servers[0].host, "kv.example");
  EXPECT_EQ(asked.servers[0].port, 6379);
  EXPECT_EQ(asked.engine.partition, "files");
  EXPECT_EQ(asked.engine.user, "");
  EXPECT_FALSE(asked.password);
  EXPECT_FALSE(asked.volume.create);
  EXPECT_FALSE(asked.volume.ownership.takes_over);
  EXPECT_EQ(asked.volume.ownership.lease_ms, 15'000u);
}

TEST(KvValkeyUrl, SeveralServersHaveAPortEach) {
  const KvValkeyUrl asked = read("kv+redis://a:7000,192.0.2.1,[2001:db8::1]:7001,[::1]/x");
  ASSERT_EQ(asked.servers.size(), 4u);
  EXPECT_EQ(asked.servers[0].host, "a");
  EXPECT_EQ(asked.servers[0].port, 7000);
  EXPECT_EQ(asked.servers[1].host, "192.0.2.1");
  EXPECT_EQ(asked.servers[1].port, 6379);
  EXPECT_EQ(asked.servers[2].host, "2001:db8::1");
  EXPECT_EQ(asked.servers[2].port, 7001);
  EXPECT_EQ(asked.servers[3].host, "::1");
}

TEST(KvValkeyUrl, APortIsANumber) {
  for (const char* text : {"kv+valkey://a:0/x", "kv+valkey://a:65536/x", "kv+valkey://a:/x",
                           "kv+valkey://a:1,b:z/x"}) {
    EXPECT_THAT(refusal(text), HasSubstr("from 1 to 65535")) << text;
  }
}

TEST(KvValkeyUrl, AnIpv6AddressGoesIntoBrackets) {
  EXPECT_THAT(refusal("kv+valkey://2001:db8::1/x"), HasSubstr("goes into []"));
  EXPECT_THAT(refusal("kv+valkey://[::1/x"), HasSubstr("without ']'"));
}

TEST(KvValkeyUrl, WithoutServerOrNameIsRefused) {
  for (const char* text : {"kv+valkey:", "kv+valkey:/x", "kv+valkey:///x", "kv+valkey://,a/x",
                           "kv+valkey://a,/x", "kv+valkey://:6379/x", "kv+valkey://[]/x"}) {
    EXPECT_THAT(refusal(text), HasSubstr("expected kv+valkey://host")) << text;
  }
  for (const char* text : {"kv+valkey://a", "kv+valkey://a/"}) {
    EXPECT_THAT(refusal(text), HasSubstr("no file system is named")) << text;
  }
}

TEST(KvValkeyUrl, ANameHasNoSignsThatMeanSomethingElsewhere) {
  EXPECT_EQ(read("kv+valkey://a/home-1.2_b").engine.partition, "home-1.2_b");
  for (const char* name : {"a/b", "a%7Bb", "a*", "%20", "a%2Fb"}) {
    EXPECT_THAT(refusal(std::string("kv+valkey://a/") + name), HasSubstr("a file system's name"));
  }
  EXPECT_THAT(refusal("kv+valkey://a/" + std::string(65, 'n')), HasSubstr("1 to 64"));
}

TEST(KvValkeyUrl, UserAndPasswordMayHaveAnySign) {
  const KvValkeyUrl asked = read("kv+valkey://us%40er:p%3Aa%2Fss@a:1/x");
  EXPECT_EQ(asked.engine.user, "us@er");
  EXPECT_EQ(asked.password, "p:a/ss");
  EXPECT_EQ(asked.servers[0].host, "a");
  EXPECT_EQ(read("kv+valkey://me@a/x").engine.user, "me");
  EXPECT_FALSE(read("kv+valkey://me@a/x").password);
  EXPECT_EQ(read("kv+valkey://:secret@a/x").password, "secret");
}

TEST(KvValkeyUrl, NoMessageHasThePassword) {
  for (const char* text :
       {"kv+valkey://u:secret@a", "kv+valkey://u:secret@a/x/y", "kv+valkey://u:secret@[a/x",
        "kv+valkey://u:sec%zzret@a/x", "kv+valkey://u:secret@a/x?&", "kv+valkey://u:secret@a/%zz",
        "kv+valkey://u:secret@a/x?create&create", "kv+valkey://u:secret@/x",
        "kv+valkey://u:secret@a/x?password_file=/f"}) {
    EXPECT_THAT(refusal(text), Not(HasSubstr("secret"))) << text;
    EXPECT_THAT(refusal(text), HasSubstr("u:***@")) << text;
  }
  // Signs of the password that should have been written as %..
  for (const char* text : {"kv+valkey://u:se/cret@a/x", "kv+valkey://u:se?cret@a/x"}) {
    EXPECT_THAT(refusal(text), Not(HasSubstr("cret"))) << text;
  }
  EXPECT_EQ(read("kv+valkey://u:secret@a/x").volume.name, "kv+valkey://u:***@a/x");
}

TEST(KvValkeyUrl, APasswordMayLieInAFile) {
  EXPECT_EQ(read("kv+valkey://a/x?password_file=/run/p").password_file, "/run/p");
  EXPECT_THAT(refusal("kv+valkey://:s@a/x?password_file=/run/p"), HasSubstr("not in both"));
}

TEST(KvValkeyUrl, OptionsOfTheOwnership) {
  const KvValkeyUrl asked = read("kv+valkey://a/x?lease=5&takeover&create");
  EXPECT_EQ(asked.volume.ownership.lease_ms, 5000u);
  EXPECT_TRUE(asked.volume.ownership.takes_over);
  EXPECT_TRUE(asked.volume.create);
  EXPECT_THAT(refusal("kv+valkey://a/x?lease=0"), HasSubstr("from 1 to 3600"));
  EXPECT_THAT(refusal("kv+valkey://a/x?takeover=yes"), HasSubstr("takes no value"));
}

TEST(KvValkeyUrl, OptionsOfTheEngine) {
  const KvValkeyUrl asked =
      read("kv+valkey://a/x?timeout=7&sync_timeout=8&replicas=1&chunk=64K&cache=1M");
  EXPECT_EQ(asked.engine.limit_ns, 7'000'000'000u);
  EXPECT_EQ(asked.engine.sync_limit_ns, 8'000'000'000u);
  EXPECT_EQ(asked.engine.replicas, 1u);
  EXPECT_EQ(asked.engine.chunk_bytes, 65536u);
  EXPECT_EQ(asked.volume.nodes_max, 2048u);
  EXPECT_EQ(read("kv+valkey://a/x?replicas=all").engine.replicas, kv::ValkeyOptions::kAllReplicas);
  EXPECT_THAT(refusal("kv+valkey://a/x?chunk=96K"), HasSubstr("a power of two"));
  EXPECT_THAT(refusal("kv+valkey://a/x?chunk=2M"), HasSubstr("65536 to 1048576"));
  EXPECT_THAT(refusal("kv+valkey://a/x?replicas=some"), HasSubstr("from 0 to 64"));
  EXPECT_THAT(refusal("kv+valkey://a/x?fs=y"), HasSubstr("'fs' is no option"));
}

TEST(KvValkeyUrl, TlsIsRefusedWithAReason) {
  EXPECT_THAT(refusal("kv+valkey://a/x?tls"), HasSubstr("not encrypted yet"));
}

TEST(KvPlace, IsTheSameForTheSameServersInAnyOrder) {
  EXPECT_EQ(kv_place(read("kv+valkey://a,b:7/x?lease=1")), kv_place(read("kv+valkey://u@b:7,a/x")));
  EXPECT_NE(kv_place(read("kv+valkey://a/x")), kv_place(read("kv+valkey://a/y")));
}

TEST(KvRocksdbUrl, AFolderAndANameAreRead) {
  Url url = Url::parse("kv+rocksdb:/srv/../srv/files?fs=alice&cache=1M&create");
  const KvRocksdbUrl asked = kv_rocksdb_url(url);
  EXPECT_EQ(asked.engine.path, "/srv/files");
  EXPECT_EQ(asked.engine.partition, "alice");
  EXPECT_EQ(asked.engine.memory.cache_bytes, 1u << 20);
  EXPECT_TRUE(asked.volume.create);
}

TEST(KvRocksdbUrl, WithoutAFolderIsRefused) {
  Url url = Url::parse("kv+rocksdb:");
  EXPECT_THROW(kv_rocksdb_url(url), std::invalid_argument);
}

}  // namespace
}  // namespace dpfs
