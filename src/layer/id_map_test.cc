// SPDX-License-Identifier: Apache-2.0
// Id ranges, right and wrong, and what they make of ids.
#include "layer/id_map.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <stdexcept>
#include <string>

namespace dpfs {
namespace {

IdMap map_of(std::initializer_list<const char*> texts) {
  IdMap map;
  for (const char* text : texts) map.add(text);
  return map;
}

TEST(IdMap, WithoutRangesNothingChanges) {
  const IdMap map;
  EXPECT_TRUE(map.empty());
  for (const uint32_t id : {0u, 1u, 65534u, UINT32_MAX}) {
    EXPECT_EQ(*map.to_host(id), id);
    EXPECT_EQ(map.to_guest(id), id);
  }
}

TEST(IdMap, GuestRangeMapsOneWayOnly) {
  const IdMap map = map_of({"guest:10:100:5"});
  EXPECT_EQ(*map.to_host(9), 9u);
  EXPECT_EQ(*map.to_host(10), 100u);
  EXPECT_EQ(*map.to_host(14), 104u);
  EXPECT_EQ(*map.to_host(15), 15u);
  EXPECT_EQ(map.to_guest(100), 100u);
}

TEST(IdMap, HostRangeMapsTheOtherWayOnly) {
  const IdMap map = map_of({"host:100:10:5"});
  EXPECT_EQ(map.to_guest(99), 99u);
  EXPECT_EQ(map.to_guest(100), 10u);
  EXPECT_EQ(map.to_guest(104), 14u);
  EXPECT_EQ(map.to_guest(105), 105u);
  EXPECT_EQ(*map.to_host(10), 10u);
}

TEST(IdMap, MapIsBothWays) {
  const IdMap map = map_of({"map:0:100000:65536"});
  EXPECT_EQ(*map.to_host(0), 100000u);
  EXPECT_EQ(*map.to_host(65535), 165535u);
  EXPECT_EQ(*map.to_host(65536), 65536u);
  EXPECT_EQ(map.to_guest(100000), 0u);
  EXPECT_EQ(map.to_guest(165535), 65535u);
}

TEST(IdMap, SquashedIdsAreAllOne) {
  const IdMap map = map_of({"squash-guest:0:1001:4294967295", "squash-host:5:7:3"});
  EXPECT_EQ(*map.to_host(0), 1001u);
  EXPECT_EQ(*map.to_host(4294967294), 1001u);
  EXPECT_EQ(*map.to_host(UINT32_MAX), UINT32_MAX);  // nobody stays nobody
  EXPECT_EQ(map.to_guest(4), 4u);
  EXPECT_EQ(map.to_guest(5), 7u);
  EXPECT_EQ(map.to_guest(7), 7u);
  EXPECT_EQ(map.to_guest(8), 8u);
}

TEST(IdMap, ForbiddenIdsAreRefused) {
  const IdMap map = map_of({"forbid-guest:0:1000", "map:1000:1000:1"});
  EXPECT_EQ(map.to_host(0).error(), Errno::perm);
  EXPECT_EQ(map.to_host(999).error(), Errno::perm);
  EXPECT_EQ(*map.to_host(1000), 1000u);
  EXPECT_EQ(map.to_guest(0), 0u);
}

TEST(IdMap, RangesAreFoundInAnyOrderOfAdding) {
  const IdMap map = map_of({"guest:200:2:10", "guest:0:1000:10", "guest:100:3000:10"});
  EXPECT_EQ(*map.to_host(5), 1005u);
  EXPECT_EQ(*map.to_host(105), 3005u);
  EXPECT_EQ(*map.to_host(205), 7u);
  EXPECT_EQ(*map.to_host(110), 110u);
}

TEST(IdMap, NeighboursAreNoOverlap) {
  EXPECT_NO_THROW(map_of({"guest:10:0:10", "guest:20:0:10", "guest:0:0:10"}));
}

TEST(IdMap, EmptyRangeMapsNothing) { EXPECT_TRUE(map_of({"map:5:6:0"}).empty()); }

TEST(IdMap, LastIdMayBeMapped) {
  const IdMap map = map_of({"map:4294967294:0:1"});
  EXPECT_EQ(*map.to_host(4294967294), 0u);
  EXPECT_EQ(map.to_guest(0), 4294967294u);
}

TEST(IdMap, AnySeparatorAndCapitalsAreTaken) {
  EXPECT_EQ(*map_of({"guest,1,2,3"}).to_host(1), 2u);
  EXPECT_EQ(*map_of({"MAP/1/2/3"}).to_host(1), 2u);
}

TEST(IdMap, TextThatIsNoMapIsRefused) {
  for (const char* text : {"",
                           "map",
                           ":",
                           "map:",
                           "map:1:2",
                           "map:1:2:3:4",
                           ":1:2:3",
                           "other:1:2:3",
                           "map:a:2:3",
                           "map: 1:2:3",
                           "map:-1:2:3",
                           "map:1:2:",
                           "map::2:3",
                           "map:1:2:3:",
                           "map:0x1:2:3",
                           "map:4294967296:0:1",
                           "map,1:2:3",
                           "forbid-guest:1",
                           "forbid-guest:1:2:3",
                           "guest:1:2"}) {
    EXPECT_THROW(map_of({text}), std::invalid_argument) << text;
  }
}

TEST(IdMap, RangeBeyondTheLastIdIsRefused) {
  for (const char* text : {"guest:4294967295:0:1", "guest:4294967290:0:6", "guest:0:4294967290:6",
                           "host:0:4294967295:1", "squash-guest:0:4294967295:1",
                           "forbid-guest:1:4294967295", "map:0:4294967290:10"}) {
    EXPECT_THROW(map_of({text}), std::invalid_argument) << text;
  }
}

TEST(IdMap, OverlappingRangesAreRefusedInEachDirection) {
  EXPECT_THROW(map_of({"map:0:5:10", "guest:9:1:1"}), std::invalid_argument);
  EXPECT_THROW(map_of({"map:0:5:10", "host:14:1:1"}), std::invalid_argument);
  EXPECT_THROW(map_of({"map:0:5:10", "map:20:5:10"}), std::invalid_argument);
  EXPECT_THROW(map_of({"squash-guest:0:1:5", "forbid-guest:4:1"}), std::invalid_argument);
  EXPECT_THROW(map_of({"guest:5:0:1", "guest:0:0:10"}), std::invalid_argument);
  EXPECT_NO_THROW(map_of({"map:0:5:10", "guest:10:1:1", "host:15:1:1", "host:0:1:5"}));
}

TEST(IdMap, RefusedRangeAddsNothing) {
  IdMap map = map_of({"host:5:0:1"});
  EXPECT_THROW(map.add("map:0:5:1"), std::invalid_argument);
  EXPECT_EQ(*map.to_host(0), 0u);
}

TEST(IdMap, RefusalNamesTheTextAndWhatWasExpected) {
  try {
    map_of({"squash:1:2:3"});
    FAIL();
  } catch (const std::invalid_argument& error) {
    const std::string said = error.what();
    EXPECT_NE(said.find("squash:1:2:3"), std::string::npos) << said;
    EXPECT_NE(said.find("squash-guest"), std::string::npos) << said;
  }
}

}  // namespace
}  // namespace dpfs
