// SPDX-License-Identifier: Apache-2.0
// What a tenant is told of what a server says.
#include "backend/nfs/status.h"

#include <gtest/gtest.h>

#include <string>

namespace dpfs::nfs {
namespace {

TEST(Status, ThoseThatAreErrnosAreThem) {
  EXPECT_EQ(to_errno(Status::ok), Errno::none);
  EXPECT_EQ(to_errno(Status::perm), Errno::perm);
  EXPECT_EQ(to_errno(Status::noent), Errno::noent);
  EXPECT_EQ(to_errno(Status::access), Errno::acces);
  EXPECT_EQ(to_errno(Status::exist), Errno::exist);
  EXPECT_EQ(to_errno(Status::notdir), Errno::notdir);
  EXPECT_EQ(to_errno(Status::isdir), Errno::isdir);
  EXPECT_EQ(to_errno(Status::nospc), Errno::nospc);
  EXPECT_EQ(to_errno(Status::dquot), Errno::dquot);
  EXPECT_EQ(to_errno(Status::notempty), Errno::notempty);
  EXPECT_EQ(to_errno(Status::xdev), Errno::xdev);
  EXPECT_EQ(to_errno(Status::stale), Errno::stale);
}

TEST(Status, WhatIsNotThereIsNotSupported) {
  for (const Status status : {Status::notsupp, Status::op_illegal, Status::attrnotsupp}) {
    EXPECT_EQ(to_errno(status), Errno::opnotsupp);
  }
}

TEST(Status, LocksInTheWayAreTriedAgain) {
  EXPECT_EQ(to_errno(Status::denied), Errno::again);
  EXPECT_EQ(to_errno(Status::locked), Errno::again);
  EXPECT_EQ(to_errno(Status::deadlock), Errno::deadlk);  // asking for it again would be for ever
}

TEST(Status, ExtendedAttributesHaveTheirOwn) {
  EXPECT_EQ(to_errno(Status::noxattr), Errno::nodata);
  EXPECT_EQ(to_errno(Status::xattr2big), Errno::toobig);
}

TEST(Status, WhatTheClientShouldHaveDealtWithIsAnIoError) {
  for (const Status status : {Status::badsession, Status::expired, Status::bad_stateid,
                              Status::grace, Status::serverfault, static_cast<Status>(12345)}) {
    EXPECT_EQ(to_errno(status), Errno::io);
  }
}

TEST(Status, EachOfTheProtocolsHasItsName) {
  EXPECT_STREQ(describe_status(Status::ok), "NFS4_OK");
  EXPECT_STREQ(describe_status(Status::stale), "NFS4ERR_STALE");
  EXPECT_STREQ(describe_status(Status::badsession), "NFS4ERR_BADSESSION");
  EXPECT_STREQ(describe_status(Status::xattr2big), "NFS4ERR_XATTR2BIG");
  EXPECT_STREQ(describe_status(static_cast<Status>(12345)), "an unknown status");
}

TEST(Status, NoStatusIsForgottenAmongTheNames) {
  for (const uint32_t number : {1u, 2u, 5u, 13u, 28u, 70u, 10001u, 10008u, 10013u, 10022u, 10025u,
                                10036u, 10048u, 10055u, 10063u, 10068u, 10078u, 10094u, 10096u}) {
    EXPECT_TRUE(std::string(describe_status(static_cast<Status>(number))).starts_with("NFS4ERR_"))
        << number;
  }
}

}  // namespace
}  // namespace dpfs::nfs
