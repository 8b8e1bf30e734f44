// SPDX-License-Identifier: Apache-2.0
// nfs:// URLs: what they mean, and that what is wrong is refused with a message that helps.
#include "daemon/nfs_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace dpfs {
namespace {

using testing::HasSubstr;

NfsOptions read(const std::string& text) {
  Url url = Url::parse(text);
  NfsOptions options = nfs_options(url);
  url.check_all_options_known();
  return options;
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

TEST(NfsUrl, ServerAndPathAreEnough) {
  const NfsOptions options = read("nfs://server.example/export/home");
  EXPECT_EQ(options.server, "server.example");
  EXPECT_EQ(options.port, 2049);
  EXPECT_EQ(options.path, "/export/home");
  EXPECT_EQ(options.nconnect, 1u);
  EXPECT_EQ(options.slots, 128u);
  EXPECT_EQ(options.read_bytes_max, 1u << 20);
  EXPECT_EQ(options.write_bytes_max, 1u << 20);
  EXPECT_FALSE(options.soft);
  EXPECT_FALSE(options.learns_validity);
  EXPECT_EQ(options.minor_version, 2u);
  EXPECT_EQ(options.client_name, "");
}

TEST(NfsUrl, ThePathMayBeTheServersRoot) { EXPECT_EQ(read("nfs://server/").path, "/"); }

TEST(NfsUrl, PortIsTakenFromEitherPlace) {
  EXPECT_EQ(read("nfs://server:20490/x").port, 20490);
  EXPECT_EQ(read("nfs://server/x?port=20490").port, 20490);
  for (const char* text : {"nfs://server:0/x", "nfs://server:65536/x", "nfs://server:/x",
                           "nfs://server:2049x/x", "nfs://server/x?port=nfs"}) {
    EXPECT_THAT(refusal(text), HasSubstr("from 1 to 65535")) << text;
  }
}

TEST(NfsUrl, AddressesOfBothKindsAreTaken) {
  EXPECT_EQ(read("nfs://192.0.2.1:20490/x").server, "192.0.2.1");
  const NfsOptions options = read("nfs://[2001:db8::1]:20490/x");
  EXPECT_EQ(options.server, "2001:db8::1");
  EXPECT_EQ(options.port, 20490);
  EXPECT_THAT(refusal("nfs://[2001:db8::1/x"), HasSubstr("without ']'"));
  EXPECT_THAT(refusal("nfs://[2001:db8::1]2049/x"), HasSubstr("[2001:db8::1], and :port"));
}

TEST(NfsUrl, WithoutAServerOrAPathIsRefused) {
  for (const char* text :
       {"nfs:", "nfs:/export", "nfs:///export", "nfs://server", "nfs://:2049/x", "nfs://[]/x"}) {
    EXPECT_THAT(refusal(text), HasSubstr("expected nfs://server/export/path")) << text;
  }
}

TEST(NfsUrl, ANameThatWouldEndInItsMiddleIsRefused) {
  EXPECT_THROW(read(std::string("nfs://server\0/x", 15)), std::invalid_argument);
  EXPECT_THROW(read(std::string("nfs://server/x\0y", 16)), std::invalid_argument);
}

TEST(NfsUrl, SizesAreBytesOrPowersOf1024) {
  EXPECT_EQ(read("nfs://s/x?rsize=65536").read_bytes_max, 65536u);
  EXPECT_EQ(read("nfs://s/x?wsize=64K").write_bytes_max, 65536u);
  EXPECT_EQ(read("nfs://s/x?unstable=1G").unstable_bytes_max, 1u << 30);
  EXPECT_EQ(read("nfs://s/x?unstable=0").unstable_bytes_max, 0u);
  for (const char* text : {"nfs://s/x?rsize=4095", "nfs://s/x?rsize=2M", "nfs://s/x?wsize=1"}) {
    EXPECT_THAT(refusal(text), HasSubstr("from 4096 to 1048576 bytes")) << text;
  }
}

TEST(NfsUrl, NumbersOutOfTheirRangeAreRefused) {
  EXPECT_EQ(read("nfs://s/x?nconnect=16&slots=1024").nconnect, 16u);
  for (const char* text :
       {"nfs://s/x?nconnect=0", "nfs://s/x?nconnect=17", "nfs://s/x?slots=0",
        "nfs://s/x?slots=1025", "nfs://s/x?timeo=0", "nfs://s/x?retrans=1001", "nfs://s/x?slots=-1",
        "nfs://s/x?slots", "nfs://s/x?acregmin=86401", "nfs://s/x?slots=18446744073709551616"}) {
    EXPECT_THAT(refusal(text), HasSubstr("expected a number from")) << text;
  }
}

TEST(NfsUrl, HardIsTheDefaultAndSoftIsAsked) {
  EXPECT_FALSE(read("nfs://s/x?hard").soft);
  const NfsOptions soft = read("nfs://s/x?soft&timeo=50&retrans=0");
  EXPECT_TRUE(soft.soft);
  EXPECT_EQ(soft.timeo_ds, 50u);
  EXPECT_EQ(soft.retrans, 0u);
  EXPECT_THAT(refusal("nfs://s/x?soft&hard"), HasSubstr("soft or hard"));
  for (const char* text : {"nfs://s/x?soft=0", "nfs://s/x?hard=no"}) {
    EXPECT_THAT(refusal(text), HasSubstr("takes no value")) << text;
  }
}

TEST(NfsUrl, ValidityOfAttributesIsLearnedOnceItIsBounded) {
  const NfsOptions both = read("nfs://s/x?actimeo=7&acregmax=9");
  EXPECT_TRUE(both.learns_validity);
  EXPECT_EQ(both.acregmin, 7u);
  EXPECT_EQ(both.acregmax, 9u);
  EXPECT_EQ(both.acdirmin, 7u);
  EXPECT_EQ(both.acdirmax, 7u);
  EXPECT_EQ(read("nfs://s/x?acdirmin=1").acdirmax, 60u);
  EXPECT_TRUE(read("nfs://s/x?actimeo=0").learns_validity);
}

TEST(NfsUrl, VersionsOfTheProtocol) {
  EXPECT_EQ(read("nfs://s/x?vers=4").minor_version, 2u);
  EXPECT_EQ(read("nfs://s/x?vers=4.2").minor_version, 2u);
  EXPECT_EQ(read("nfs://s/x?vers=4.1").minor_version, 1u);
  for (const char* text : {"nfs://s/x?vers=3", "nfs://s/x?vers=4.0", "nfs://s/x?vers"}) {
    EXPECT_THAT(refusal(text), HasSubstr("expected 4.1 or 4.2")) << text;
  }
}

TEST(NfsUrl, KerberosAndTlsAreRefusedWithAReason) {
  EXPECT_EQ(read("nfs://s/x?sec=sys").server, "s");
  for (const char* text : {"nfs://s/x?sec=krb5", "nfs://s/x?sec=krb5p", "nfs://s/x?sec=tls"}) {
    EXPECT_THAT(refusal(text), HasSubstr("neither Kerberos nor TLS")) << text;
  }
}

TEST(NfsUrl, AClientsNameFitsIntoItsRequest) {
  EXPECT_EQ(read("nfs://s/x?client=home").client_name, "home");
  EXPECT_EQ(read("nfs://s/x?client=" + std::string(255, 'c')).client_name.size(), 255u);
  EXPECT_THAT(refusal("nfs://s/x?client=" + std::string(256, 'c')), HasSubstr("255"));
}

TEST(NfsUrl, AnOptionThatIsNoneIsRefused) {
  EXPECT_THAT(refusal("nfs://s/x?proto=udp"), HasSubstr("proto"));
}

}  // namespace
}  // namespace dpfs
