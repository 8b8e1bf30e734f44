// SPDX-License-Identifier: Apache-2.0
// Configurations and command lines with a mistake: what is wrong, where, and what was expected.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/integration/daemon.h"

namespace dpfs::test {
namespace {

class ConfigFile : public testing::Test {
 protected:
  // What `dpfs serve --config` says to a file of this text; it must refuse it.
  std::string refusal_of(const std::string& text) {
    write_file(file(), text);
    Daemon daemon({"serve", "--config", file()});
    EXPECT_EQ(daemon.wait(), 2) << daemon.log();
    return daemon.log();
  }
  std::string file() const { return folder_ / "serve.toml"; }
  // Four lines: 1 is the table's head.
  std::string device(const std::string& more = "") const {
    return "[[device]]\ntag = \"share\"\nsocket = \"" + (folder_ / "a.sock") +
           "\"\nurl = \"null:\"\n" + more;
  }
  void expect_refusal(const std::string& text, int line, const std::string& key,
                      const std::string& expected) {
    const std::string said = refusal_of(text);
    EXPECT_NE(said.find(file() + ":" + std::to_string(line) + ":"), std::string::npos) << said;
    EXPECT_NE(said.find(key), std::string::npos) << said;
    EXPECT_NE(said.find(expected), std::string::npos) << said;
  }

  TemporaryFolder folder_;
};

TEST_F(ConfigFile, FileThatDoesNotExistIsNamed) {
  Daemon daemon({"serve", "--config", folder_ / "none.toml"});
  EXPECT_EQ(daemon.wait(), 2);
  EXPECT_TRUE(daemon.has_logged("none.toml")) << daemon.log();
}

TEST_F(ConfigFile, TextThatIsNoTomlIsRefusedWithItsLine) {
  expect_refusal("reactors = 1\nthis is no toml\n", 2, "", "");
}

TEST_F(ConfigFile, UnknownKeyIsRefusedWithTheKnownOnes) {
  expect_refusal("reactors = 1\nreactor = 2\n" + device(), 2, "reactor: no such key",
                 "expected one of: ");
  expect_refusal(device("tagg = \"x\"\n"), 5, "tagg: no such key", "queue_size");
}

TEST_F(ConfigFile, KeyOfTheWrongTypeIsRefused) {
  expect_refusal("reactors = \"two\"\n" + device(), 1, "reactors", "a whole number from 1 to 256");
  expect_refusal("pin = 1\n" + device(), 1, "pin", "true or false");
  expect_refusal("log_level = 3\n" + device(), 1, "log_level", "a string in quotes");
  expect_refusal(device("queues = 2.5\n"), 5, "queues", "a whole number from 1 to 64");
  expect_refusal("device = 5\n", 1, "device", "[[device]]");
}

TEST_F(ConfigFile, NumberOutOfRangeIsRefused) {
  expect_refusal("reactors = 0\n" + device(), 1, "reactors", "from 1 to 256");
  expect_refusal("poll_us = -1\n" + device(), 1, "poll_us", "from 0 to 1000000");
  expect_refusal(device("queues = 65\n"), 5, "queues", "from 1 to 64");
  expect_refusal(device("queue_size = 65536\n"), 5, "queue_size", "from 1 to 32768");
  expect_refusal(device("interrupt_delay_us = 10001\n"), 5, "interrupt_delay_us", "to 10000");
  expect_refusal(device("queue_size = 9223372036854775808\n"), 5, "", "");
}

TEST_F(ConfigFile, QueueSizeThatIsNoPowerOfTwoIsRefused) {
  expect_refusal(device("queue_size = 100\n"), 5, "queue_size", "a power of two");
}

TEST_F(ConfigFile, LogLevelThatDoesNotExistIsRefused) {
  expect_refusal("log_level = \"loud\"\n" + device(), 1, "log_level",
                 "trace, debug, info, warn or error");
}

TEST_F(ConfigFile, OptionOfTheShareWithAWrongValueIsRefused) {
  expect_refusal(device("cache = \"some\"\n"), 5, "cache: 'some'",
                 "expected auto, always, never or metadata");
  expect_refusal(device("readonly = 1\n"), 5, "readonly", "true or false");
  expect_refusal(device("\nattr_timeout = -1\n"), 6, "attr_timeout", "seconds, like 1 or 0.5");
  expect_refusal(device("entry_timeout = \"soon\"\n"), 5, "entry_timeout", "seconds");
  expect_refusal(device("entry_timeout = true\n"), 5, "entry_timeout", "a number");
  expect_refusal(device("inode_file_handles = \"yes\"\n"), 5, "inode_file_handles",
                 "never, prefer or mandatory");
}

TEST_F(ConfigFile, MapOfIdsThatIsWrongIsRefusedAtItsLine) {
  expect_refusal(device("translate_uid = \"map:0:1\"\n"), 5, "translate_uid: 'map:0:1'",
                 "expected map:<source base>:<target base>:<count>");
  expect_refusal(device("translate_gid = [\n  \"map:0:1000:10\",\n  \"guest:9:0:1\"]\n"), 7,
                 "translate_gid", "mapped already");
  expect_refusal(device("translate_uid = [1]\n"), 5, "translate_uid", "1");
}

TEST_F(ConfigFile, RulesForAttributesThatAreWrongAreRefused) {
  expect_refusal(device("xattrmap = \":ok:client:::\"\n"), 5, "xattrmap", ":bad:all:::");
}

TEST_F(ConfigFile, OptionsOfTheShareThatExcludeEachOtherAreRefused) {
  expect_refusal(device("cache = \"never\"\nwriteback = true\n"), 6, "writeback", "auto or always");
}

TEST_F(ConfigFile, ConfinementThatDoesNotExistIsRefused) {
  expect_refusal("sandbox = \"jail\"\n" + device(), 1, "sandbox", "namespace, chroot or none");
  expect_refusal("seccomp = \"maybe\"\n" + device(), 1, "seccomp", "none, kill, log or trap");
  expect_refusal("modcaps = \"chown\"\n" + device(), 1, "modcaps", "+NAME or -NAME");
  expect_refusal("rlimit_nofile = -1\n" + device(), 1, "rlimit_nofile", "a whole number");
}

TEST_F(ConfigFile, DeviceWithoutATagIsRefused) {
  expect_refusal("[[device]]\nsocket = \"/tmp/x\"\nurl = \"null:\"\n", 1, "tag", "1 to 36 bytes");
}

TEST_F(ConfigFile, TagThatIsTooLongIsRefused) {
  expect_refusal(
      "[[device]]\ntag = \"" + std::string(37, 't') + "\"\nsocket = \"/tmp/x\"\nurl = \"null:\"\n",
      2, "tag", "1 to 36 bytes");
}

TEST_F(ConfigFile, DeviceWithoutAUrlIsRefused) {
  expect_refusal("[[device]]\ntag = \"t\"\nsocket = \"/tmp/x\"\n", 1, "url", "local:/srv/share");
}

TEST_F(ConfigFile, DeviceWithoutASocketIsRefused) {
  expect_refusal("[[device]]\ntag = \"t\"\nurl = \"null:\"\n", 1, "socket", "");
}

TEST_F(ConfigFile, DeviceWithSocketAndDescriptorIsRefused) {
  expect_refusal(device("fd = 3\n"), 3, "socket", "either");
}

TEST_F(ConfigFile, SocketOfTwoDevicesIsRefused) {
  const std::string said = refusal_of(device() + device());
  EXPECT_NE(said.find(file()), std::string::npos) << said;
  EXPECT_NE(said.find("another device's too"), std::string::npos) << said;
}

TEST_F(ConfigFile, UrlThatNobodyServesIsRefusedWithThoseThatAre) {
  expect_refusal("[[device]]\ntag = \"t\"\nsocket = \"/tmp/x\"\nurl = \"ftp:/x\"\n", 4, "url",
                 "local:/path");
  expect_refusal("[[device]]\ntag = \"t\"\nsocket = \"/tmp/x\"\nurl = \"/srv\"\n", 4, "url",
                 "has no scheme");
}

TEST_F(ConfigFile, FileWithoutDevicesIsRefused) {
  const std::string said = refusal_of("reactors = 1\n");
  EXPECT_NE(said.find("no device to serve"), std::string::npos) << said;
}

TEST_F(ConfigFile, CommandLineGoesBeforeTheFile) {
  write_file(file(), "reactors = 2\nlog_level = \"error\"\n" + device());
  Daemon daemon({"serve", "--config", file(), "--log-level", "info", "--reactors", "1"});
  EXPECT_TRUE(daemon.wait_until_ready()) << daemon.log();
  EXPECT_EQ(daemon.end(), 0);
}

// ---- The command line ---------------------------------------------------------------------------

class CommandLine : public testing::Test {
 protected:
  void expect_refusal(std::vector<std::string> arguments, const std::string& expected,
                      int code = 2) {
    arguments.insert(arguments.begin(), "serve");
    Daemon daemon(arguments);
    EXPECT_EQ(daemon.wait(), code) << daemon.log();
    EXPECT_TRUE(daemon.has_logged(expected)) << daemon.log();
  }
  std::string socket() const { return folder_ / "a.sock"; }
  TemporaryFolder folder_;
};

TEST_F(CommandLine, NothingToServeSaysWhatIsMissing) {
  expect_refusal({}, "tag");
  expect_refusal({"--socket", socket(), "--tag", "t"}, "URL");
  expect_refusal({"--tag", "t", "null:"}, "socket");
}

TEST_F(CommandLine, UrlWithoutASchemeIsRefused) {
  expect_refusal({"--socket", socket(), "--tag", "t", "/srv/share"}, "has no scheme");
}

TEST_F(CommandLine, UrlThatNobodyServesIsRefused) {
  expect_refusal({"--socket", socket(), "--tag", "t", "ftp://host/"}, "nothing here serves ftp");
}

TEST_F(CommandLine, UnknownUrlOptionIsRefused) {
  expect_refusal({"--socket", socket(), "--tag", "t", "null:?colour=red"},
                 "'colour' is no option of null: URLs", 1);
}

TEST_F(CommandLine, SizeThatIsNoneIsRefused) {
  for (const char* size : {"", "x", "1X", "-1", "99999999999999999999", "99999999999T"}) {
    expect_refusal({"--socket", socket(), "--tag", "t", std::string("null:?size=") + size},
                   "is no size", 1);
  }
}

TEST_F(CommandLine, MoreFilesThanTheNullBackEndHasNumbersForAreRefused) {
  expect_refusal({"--socket", socket(), "--tag", "t", "null:?files=5G"}, "files", 1);
}

TEST_F(CommandLine, NumbersOutOfRangeAreRefused) {
  expect_refusal({"--socket", socket(), "--tag", "t", "--queues", "0", "null:"}, "1 to 64");
  expect_refusal({"--socket", socket(), "--tag", "t", "--queues", "65", "null:"}, "1 to 64");
  expect_refusal({"--socket", socket(), "--tag", "t", "--queue-size", "3", "null:"},
                 "a power of two");
  expect_refusal({"--socket", socket(), "--tag", "t", "--reactors", "0", "null:"}, "1 to 256");
  expect_refusal({"--socket", socket(), "--tag", "t", "--queues", "many", "null:"}, "queues");
}

TEST_F(CommandLine, OptionsOfTheShareAreChecked) {
  const std::vector<std::string> device{"--socket", socket(), "--tag", "t", "null:"};
  const auto with = [&device](std::vector<std::string> more) {
    more.insert(more.end(), device.begin(), device.end());
    return more;
  };
  expect_refusal(with({"--cache", "some"}), "expected auto, always, never or metadata");
  expect_refusal(with({"--translate-uid", "map:0:1"}), "expected map:<source base>");
  expect_refusal(with({"--xattrmap", ":ok:all::"}), "rule 1: a field does not end with ':'");
  expect_refusal(with({"--cache=metadata", "--writeback"}), "expected cache auto or always");
}

TEST_F(CommandLine, HelpHasExamplesAndEndsWell) {
  Daemon daemon({"serve", "--help"});
  EXPECT_EQ(daemon.wait(), 0);
  EXPECT_TRUE(daemon.has_logged("Examples:"));
}

}  // namespace
}  // namespace dpfs::test
