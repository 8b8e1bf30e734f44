// SPDX-License-Identifier: Apache-2.0
// What `-o` says.
#include "transport/devfuse/mount_options.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <stdexcept>

namespace dpfs::devfuse {
namespace {

MountOptions applied(const char* list) {
  MountOptions options = MountOptions::defaults(false);
  EXPECT_TRUE(options.apply(list).empty()) << list;
  return options;
}

TEST(MountOptions, RootsMountsAreForAllAndOthersForTheirUser) {
  EXPECT_TRUE(MountOptions::defaults(true).allow_other);
  EXPECT_FALSE(MountOptions::defaults(false).allow_other);
}

TEST(MountOptions, SetUserIdAndDevicesDoNotCountUnlessAsked) {
  EXPECT_EQ(applied("").flags, unsigned{MS_NOSUID | MS_NODEV});
  EXPECT_EQ(applied("suid,dev").flags, 0u);
}

TEST(MountOptions, LastOneWins) {
  EXPECT_EQ(applied("suid,dev,ro,rw").flags, 0u);
  EXPECT_EQ(applied("suid,dev,noatime,relatime").flags, unsigned{MS_RELATIME});
  EXPECT_FALSE(applied("allow_other,noallow_other").allow_other);
}

TEST(MountOptions, ValuesAreTaken) {
  const MountOptions options = applied("fsname=a\\,b\\\\c,subtype=x,max_read=8192");
  EXPECT_EQ(options.fsname, "a,b\\c");
  EXPECT_EQ(options.subtype, "x");
  EXPECT_EQ(options.max_read_bytes, 8192u);
}

TEST(MountOptions, WhatIsForOtherToolsIsIgnored) {
  EXPECT_EQ(applied("defaults,auto,noauto,nofail,_netdev,x-systemd.automount,comment=hello,"
                    "default_permissions,,nonempty")
                .flags,
            applied("").flags);
}

TEST(MountOptions, UsersMountsAreConfinedAsMountDoes) {
  EXPECT_EQ(applied("suid,dev,user").flags, unsigned{MS_NOSUID | MS_NODEV | MS_NOEXEC});
  EXPECT_EQ(applied("user,exec").flags, unsigned{MS_NOSUID | MS_NODEV});
}

TEST(MountOptions, SecurityContextsGoToTheKernel) {
  EXPECT_EQ(applied("context=system_u:object_r:nfs_t").kernel_options.size(), 1u);
}

TEST(MountOptions, UnknownOnesComeBackInOrder) {
  MountOptions options;
  const MountOptions::Others others = options.apply("cache=always,ro,writeback");
  const MountOptions::Others expected{{"cache", "always"}, {"writeback", ""}};
  EXPECT_EQ(others, expected);
}

TEST(MountOptions, WhatCannotBeIsRefused) {
  for (const char* list : {"max_read=", "max_read=1", "max_read=64K", "max_read=99999999999",
                           "fsname=", "subtype=", "remount", "bind"}) {
    MountOptions options;
    EXPECT_THROW(options.apply(list), std::invalid_argument) << list;
  }
}

}  // namespace
}  // namespace dpfs::devfuse
