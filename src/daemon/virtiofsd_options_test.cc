// SPDX-License-Identifier: Apache-2.0
// virtiofsd's command line: its documented examples, its defaults, what is refused and why.
#include "daemon/virtiofsd_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace dpfs {
namespace {

using testing::HasSubstr;

class VirtiofsdOptions : public testing::Test {
 protected:
  static VirtiofsdRequest read(std::vector<std::string> arguments) {
    return read_virtiofsd_arguments(arguments);
  }
  // With what every command line needs.
  static VirtiofsdRequest read_more(std::vector<std::string> more) {
    more.insert(more.begin(), {"--socket-path=/run/s", "--shared-dir", "/srv"});
    return read(more);
  }
  static DeviceConfig device_of(const std::vector<std::string>& more) {
    return read_more(more).config.devices.front();
  }
  static std::string refusal_of(const std::vector<std::string>& arguments) {
    try {
      read(arguments);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "not refused";
  }
  static std::string refusal_of_more(std::vector<std::string> more) {
    more.insert(more.begin(), {"--socket-path=/run/s", "--shared-dir", "/srv"});
    return refusal_of(more);
  }
};

TEST_F(VirtiofsdOptions, DefaultsAreThoseOfVirtiofsd) {
  const VirtiofsdRequest request = read_more({});
  const DeviceConfig& device = request.config.devices.front();
  EXPECT_EQ(device.socket, "/run/s");
  EXPECT_EQ(device.share.url, "local:/srv");
  EXPECT_FALSE(device.tells_tag);
  EXPECT_TRUE(device.one_vmm);
  EXPECT_FALSE(device.share.xattr);
  EXPECT_FALSE(device.share.posix_acl);
  EXPECT_FALSE(device.share.readonly);
  EXPECT_FALSE(device.share.writeback);
  EXPECT_FALSE(device.share.allow_direct_io);
  EXPECT_TRUE(device.share.announce_submounts);
  EXPECT_EQ(device.share.cache, CacheMode::automatic);
  EXPECT_EQ(request.config.sandbox.mode, "") << "namespace where the kernel lets us";
  EXPECT_EQ(request.config.sandbox.seccomp, "");
  EXPECT_EQ(request.config.log_level, "info");
  EXPECT_TRUE(request.notes.empty());
}

TEST_F(VirtiofsdOptions, ExamplesOfItsManualAreUnderstood) {
  const VirtiofsdRequest first = read({"--socket-path=/tmp/vfsd.sock", "--shared-dir", "/mnt",
                                       "--announce-submounts", "--inode-file-handles=mandatory"});
  EXPECT_EQ(first.config.devices.front().share.inode_file_handles, FileHandles::mandatory);

  const VirtiofsdRequest rootless = read({"--socket-path=/tmp/vfsd.sock", "--shared-dir", "/mnt",
                                          "--announce-submounts", "--sandbox", "chroot"});
  EXPECT_EQ(rootless.config.sandbox.mode, "chroot");

  const VirtiofsdRequest mapped =
      read({"--socket-path=/tmp/vfsd.sock", "--shared-dir", "/mnt", "--translate-uid",
            "squash-guest:0:1000:4294967295", "--translate-gid", "map:0:1000:1",
            "--translate-gid=forbid-guest:1:4294967294"});
  EXPECT_FALSE(mapped.config.devices.front().share.ids.uids.empty());
  EXPECT_FALSE(mapped.config.devices.front().share.ids.gids.empty());

  const VirtiofsdRequest user_namespace =
      read({"--socket-path=/tmp/vfsd.sock", "--shared-dir", "/mnt", "--uid-map",
            ":0:100000:65536:", "--gid-map", ":0:100000:65536:"});
  ASSERT_EQ(user_namespace.config.sandbox.maps.users.size(), 1u);
  EXPECT_EQ(user_namespace.config.sandbox.maps.users.front().outside, 100000u);
  EXPECT_EQ(user_namespace.config.sandbox.maps.users.front().count, 65536u);
  EXPECT_EQ(user_namespace.config.sandbox.mode, "namespace");
}

TEST_F(VirtiofsdOptions, LibvirtsOldAndNewWordsMeanTheSame) {
  const VirtiofsdRequest old =
      read({"--fd=3", "-o", "source=/srv,cache=always,xattr,no_posix_lock,no_flock"});
  const VirtiofsdRequest now =
      read({"--fd", "3", "--shared-dir", "/srv", "--cache", "always", "--xattr"});
  for (const VirtiofsdRequest* request : {&old, &now}) {
    const DeviceConfig& device = request->config.devices.front();
    EXPECT_EQ(device.listen_fd, 3);
    EXPECT_EQ(device.share.url, "local:/srv");
    EXPECT_EQ(device.share.cache, CacheMode::always);
    EXPECT_TRUE(device.share.xattr);
  }
}

TEST_F(VirtiofsdOptions, CachePoliciesHaveTheirNames) {
  EXPECT_EQ(device_of({"--cache", "never"}).share.cache, CacheMode::never);
  EXPECT_EQ(device_of({"--cache=metadata"}).share.cache, CacheMode::metadata);
  EXPECT_EQ(device_of({"-o", "cache=none"}).share.cache, CacheMode::never);
  EXPECT_EQ(device_of({"-ocache=auto"}).share.cache, CacheMode::automatic);
}

TEST_F(VirtiofsdOptions, SwitchesBehindOTurnOnAndOff) {
  const ShareConfig on =
      device_of({"-o", "xattr,posix_acl,writeback", "-o", "allow_direct_io,security_label"}).share;
  EXPECT_TRUE(on.xattr && on.posix_acl && on.writeback && on.allow_direct_io && on.security_label);
  const ShareConfig off = device_of({"--writeback", "-o", "no_writeback,no_xattr"}).share;
  EXPECT_FALSE(off.writeback || off.xattr);
}

TEST_F(VirtiofsdOptions, OfOneGivenTwiceTheLastCounts) {
  const VirtiofsdRequest request = read_more(
      {"--sandbox=chroot", "--sandbox=none", "--seccomp=log", "--seccomp", "none",
       "--rlimit-nofile=1000", "--rlimit-nofile=2000", "--modcaps=+sys_admin", "--modcaps=-chown",
       "--log-level=debug", "--log-level=warn", "--thread-pool-size=0", "--thread-pool-size=4",
       "--cache=always", "--cache=never", "--tag=a", "--tag=b", "--shared-dir=/other"});
  EXPECT_EQ(request.config.sandbox.mode, "none");
  EXPECT_EQ(request.config.sandbox.seccomp, "none");
  EXPECT_EQ(request.config.sandbox.rlimit_nofile, 2000u);
  EXPECT_EQ(request.config.sandbox.modcaps, "-chown");
  EXPECT_EQ(request.config.log_level, "warn");
  const DeviceConfig& device = request.config.devices.front();
  EXPECT_EQ(device.share.cache, CacheMode::never);
  EXPECT_EQ(device.tag, "b");
  EXPECT_EQ(device.share.url, "local:/other");
}

TEST_F(VirtiofsdOptions, OfASwitchAndItsOppositeTheLastCounts) {
  EXPECT_TRUE(
      device_of({"--no-announce-submounts", "--announce-submounts"}).share.announce_submounts);
  EXPECT_FALSE(
      device_of({"--announce-submounts", "--no-announce-submounts"}).share.announce_submounts);
}

TEST_F(VirtiofsdOptions, WhatNeedsExtendedAttributesTurnsThemOn) {
  EXPECT_TRUE(device_of({"--posix-acl"}).share.xattr);
  EXPECT_TRUE(device_of({"--security-label"}).share.xattr);
  EXPECT_TRUE(device_of({"--xattrmap", ":map::user.virtiofs.:"}).share.xattr);
  EXPECT_TRUE(device_of({"-o", "xattrmap=:map::user.virtiofs.:"}).share.xattr);
}

TEST_F(VirtiofsdOptions, ConfinementIsAsAsked) {
  const SandboxConfig sandbox = read_more({"--sandbox", "none", "--seccomp=log",
                                           "--modcaps=+sys_admin:-chown", "--rlimit-nofile", "0"})
                                    .config.sandbox;
  EXPECT_EQ(sandbox.mode, "none");
  EXPECT_EQ(sandbox.seccomp, "log");
  EXPECT_EQ(sandbox.modcaps, "+sys_admin:-chown");
  EXPECT_EQ(sandbox.rlimit_nofile, 0u);
}

TEST_F(VirtiofsdOptions, TagIsToldWhenItIsGiven) {
  EXPECT_TRUE(device_of({"--tag", "share"}).tells_tag);
  EXPECT_EQ(device_of({"--tag", "share"}).tag, "share");
}

TEST_F(VirtiofsdOptions, LogLevels) {
  EXPECT_EQ(read_more({"--log-level", "trace"}).config.log_level, "trace");
  EXPECT_EQ(read_more({"--log-level", "off"}).config.log_level, "error");
  EXPECT_EQ(read_more({"-d"}).config.log_level, "debug");
  EXPECT_EQ(read_more({"-o", "loglevel=err"}).config.log_level, "error");
  EXPECT_TRUE(read_more({"--syslog"}).syslog);
}

TEST_F(VirtiofsdOptions, UnneededOnesAreTakenAndNoted) {
  const VirtiofsdRequest request =
      read_more({"--thread-pool-size", "64", "--no-readdirplus", "--killpriv-v2", "--allow-mmap",
                 "--preserve-noatime", "-f"});
  EXPECT_EQ(request.notes.size(), 6u);
  for (const std::string& note : request.notes) {
    EXPECT_THAT(note, HasSubstr(" changes nothing here: "));
  }
  EXPECT_TRUE(read_more({"--thread-pool-size=0"}).notes.empty());
}

TEST_F(VirtiofsdOptions, MigrationIsRefusedWithAReason) {
  EXPECT_THAT(refusal_of_more({"--migration-mode", "file-handles"}), HasSubstr("not supported"));
  EXPECT_THAT(refusal_of_more({"--migration-verify-handles"}), HasSubstr("not supported"));
}

TEST_F(VirtiofsdOptions, WhatCannotBeIsRefusedWithWhatWasExpected) {
  EXPECT_THAT(refusal_of({}), HasSubstr("--shared-dir"));
  EXPECT_THAT(refusal_of({"--shared-dir", "/srv"}), HasSubstr("--socket-path"));
  EXPECT_THAT(refusal_of_more({"--fd", "3"}), HasSubstr("either"));
  EXPECT_THAT(refusal_of_more({"--cache", "some"}), HasSubstr("auto, always, never"));
  EXPECT_THAT(refusal_of_more({"-o", "cache=never"}), HasSubstr("none"));
  EXPECT_THAT(refusal_of_more({"-o", "timeout=1"}), HasSubstr("no such option"));
  EXPECT_THAT(refusal_of_more({"--sandbox", "jail"}), HasSubstr("namespace, chroot or none"));
  EXPECT_THAT(refusal_of_more({"--seccomp", "x"}), HasSubstr("kill, log or trap"));
  EXPECT_THAT(refusal_of_more({"--log-level", "loud"}), HasSubstr("error"));
  EXPECT_THAT(refusal_of_more({"--thread-pool-size", "many"}), HasSubstr("thread-pool-size"));
  EXPECT_THAT(refusal_of_more({"--posix-acl", "--translate-uid", "map:0:1000:1"}),
              HasSubstr("--posix-acl"));
  EXPECT_THAT(refusal_of_more({"--nonsense"}), HasSubstr("nonsense"));
}

TEST_F(VirtiofsdOptions, RangesOfIdsMustBeWhole) {
  for (const char* range : {"0:1:2", ":0:1:2", ":0:1:", ":0:1:2:3:", ":a:1:2:", "::1:2:", "",
                            ":0:1:0:", ":0:1:4294967296:"}) {
    EXPECT_THAT(refusal_of_more({"--uid-map", range}), HasSubstr(":0:100000:65536:")) << range;
  }
  EXPECT_EQ(read_more({"--uid-map", "/0/1/2/"}).config.sandbox.maps.users.front().count, 2u);
  EXPECT_THAT(refusal_of_more({"--uid-map", ":0:1:2:", "--sandbox", "none"}),
              HasSubstr("--sandbox namespace"));
}

TEST_F(VirtiofsdOptions, DirectoryMayHaveAnyName) {
  const VirtiofsdRequest request = read({"--socket-path=/s", "--shared-dir", "/what?100%"});
  EXPECT_EQ(request.config.devices.front().share.url, "local:/what%3F100%25");
}

TEST_F(VirtiofsdOptions, QuestionsAreAnsweredWithoutADirectory) {
  EXPECT_THAT(read({"--version"}).answer, HasSubstr("virtiofsd 1.13"));
  EXPECT_THAT(read({"-V"}).answer, HasSubstr("dpfs"));
  EXPECT_THAT(read({"--help"}).answer, HasSubstr("--shared-dir"));
  EXPECT_TRUE(read({"--print-capabilities"}).print_capabilities);
}

}  // namespace
}  // namespace dpfs
