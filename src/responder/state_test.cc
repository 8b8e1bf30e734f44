// SPDX-License-Identifier: Apache-2.0
// Opens, locks, leases, grace and reclaim.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "responder/raw_client_harness.h"
#include "responder/responder.h"

namespace dpfs::responder {

namespace {

using nfs::LockType;
class StateTest : public testing::Test {
 protected:
  StateTest() : responder({.grace_ms = 600'000}), client(responder.port()) { client.begin(); }
  // OPEN with CLAIM_PREVIOUS.
  RawClient::Opened reclaim(const RawClient::Opened& file) {
    RawClient::Compound request = client.compound(1);
    request.fh(file.handle).op(Operation::open).u32(0).u32(nfs::share::kBoth).u32(0);
    request.u64(0).text("owner").u32(0).u32(1).u32(0);
    Results results = client.call(request);
    RawClient::Opened opened{.status = results.status, .handle = file.handle};
    if (opened.status != Status::ok) return opened;
    results.next(Operation::putfh);
    results.next(Operation::open);
    opened.sequence = results.body.u32();
    results.body.fixed(opened.state.other);
    return opened;
  }
  Status complete() {
    RawClient::Compound request = client.compound(1);
    request.op(Operation::reclaim_complete).boolean(false);
    return client.call(request).status;
  }
  void begin_anew() {
    client.connect();
    client.exchange_id("raw", 1);
    ASSERT_EQ(client.create_session(), Status::ok);
  }
  Responder responder;
  RawClient client;
};

TEST_F(StateTest, OpeningAgainIsTheSameStateWithTheNextSequence) {
  responder.put_file("file", "");
  const RawClient::Opened first = client.open("file");
  const RawClient::Opened second = client.open("file");
  EXPECT_EQ(first.state, second.state);
  EXPECT_EQ(second.sequence, first.sequence + 1);
  EXPECT_NE(client.open("file", false, "another").state, first.state);
}

TEST_F(StateTest, LocksOfTwoOwnersExcludeEachOther) {
  responder.put_file("file", "");
  const RawClient::Opened file = client.open("file");
  Results one = client.lock(file, LockType::write, {.offset = 0, .length = 10}, "one");
  ASSERT_EQ(one.next(Operation::lock), Status::ok);
  Results other = client.lock(file, LockType::read, {.offset = 9, .length = 5}, "other");
  ASSERT_EQ(other.next(Operation::lock), Status::denied);
  EXPECT_EQ(other.body.u64(), 0u);
  EXPECT_EQ(other.body.u64(), 10u);
  EXPECT_EQ(LockType{other.body.u32()}, LockType::write);
  EXPECT_EQ(other.body.u64(), client.client_id);
  EXPECT_EQ(other.body.text(100), "one");
  other = client.lock(file, LockType::read, {.offset = 10, .length = nfs::kToTheEnd}, "other");
  EXPECT_EQ(other.next(Operation::lock), Status::ok);
  EXPECT_EQ(client.close(file), Status::locks_held);
}

TEST_F(StateTest, UnlockingTheMiddleLeavesBothEnds) {
  responder.put_file("file", "");
  const RawClient::Opened file = client.open("file");
  Results locked = client.lock(file, LockType::write, {.offset = 0, .length = 30}, "one");
  ASSERT_EQ(locked.next(Operation::lock), Status::ok);
  locked.body.u32();
  nfs::StateId state;
  locked.body.fixed(state.other);
  RawClient::Compound request = client.compound(1);
  request.fh(file.handle).op(Operation::locku).u32(2).u32(0).stateid(state).u64(10).u64(10);
  EXPECT_EQ(client.call(request).status, Status::ok);
  Results middle = client.lock(file, LockType::write, {.offset = 10, .length = 10}, "two");
  EXPECT_EQ(middle.next(Operation::lock), Status::ok);
  Results begin = client.lock(file, LockType::write, {.offset = 9, .length = 1}, "two");
  EXPECT_EQ(begin.next(Operation::lock), Status::denied);
  Results end = client.lock(file, LockType::write, {.offset = 20, .length = 1}, "two");
  EXPECT_EQ(end.next(Operation::lock), Status::denied);
}

TEST_F(StateTest, OpensAndLocksAreReclaimedInGraceAndNewOnesWait) {
  responder.put_file("file", "");
  const RawClient::Opened file = client.open("file");
  client.lock(file, LockType::write, {.offset = 0, .length = 10}, "one");
  responder.restart();
  begin_anew();
  EXPECT_EQ(client.open("file").status, Status::grace);
  const RawClient::Opened again = reclaim(file);
  ASSERT_EQ(again.status, Status::ok);
  Results lock = client.lock(again, LockType::write, {.offset = 0, .length = 10}, "one", true);
  EXPECT_EQ(lock.next(Operation::lock), Status::ok);
  EXPECT_EQ(complete(), Status::ok);
  EXPECT_EQ(client.open("file").status, Status::ok);  // nobody else has anything to reclaim
  EXPECT_EQ(complete(), Status::complete_already);
}

TEST_F(StateTest, WhoComesAfterGraceReclaimsNothing) {
  responder.put_file("file", "");
  const RawClient::Opened file = client.open("file");
  responder.restart();
  begin_anew();
  responder.end_grace();
  EXPECT_EQ(reclaim(file).status, Status::no_grace);
}

TEST_F(StateTest, WhoHadNothingReclaimsNothing) {
  responder.put_file("file", "");
  const RawClient::Opened file = client.open("file");
  responder.restart();
  client.connect();
  client.exchange_id("somebody else", 1);
  ASSERT_EQ(client.create_session(), Status::ok);
  EXPECT_EQ(reclaim(file).status, Status::no_grace);
}

TEST_F(StateTest, BeforeReclaimCompleteNothingIsOpened) {
  responder.put_file("file", "");
  RawClient other(responder.port());
  other.exchange_id("other", 1);
  ASSERT_EQ(other.create_session(), Status::ok);
  EXPECT_EQ(other.open("file").status, Status::grace);
}

TEST_F(StateTest, RevokedStateIsExpiredUntilItIsFreed) {
  responder.put_file("file", "");
  const RawClient::Opened file = client.open("file");
  responder.expire_clients(Responder::Expiry::revoked);
  EXPECT_EQ(client.close(file), Status::expired);
  EXPECT_EQ(client.sequence_flags, nfs::sequence_status::kExpiredAllStateRevoked);
  RawClient::Compound request = client.compound(1);
  request.op(Operation::free_stateid).stateid(file.state);
  EXPECT_EQ(client.call(request).status, Status::ok);
  EXPECT_EQ(client.close(file), Status::bad_stateid);
  EXPECT_EQ(client.sequence_flags, 0u);
}

TEST_F(StateTest, LeasesRunOutUnlessTheyAreRenewed) {
  responder.advance_clock(std::chrono::seconds(40));
  EXPECT_EQ(client.call(client.compound(1).root()).status, Status::ok);
  responder.advance_clock(std::chrono::seconds(40));
  EXPECT_EQ(client.call(client.compound(1).root()).status, Status::ok);
  responder.advance_clock(std::chrono::seconds(61));
  EXPECT_EQ(client.call(client.compound(1).root()).status, Status::badsession);
}

TEST_F(StateTest, AClientThatHasRestartedLosesItsFormerStateWhenItIsConfirmed) {
  responder.put_file("file", "");
  ASSERT_EQ(client.open("file").status, Status::ok);
  RawClient again(responder.port());
  again.exchange_id("raw", 2);
  EXPECT_EQ(client.call(client.compound(1).root()).status, Status::ok);
  ASSERT_EQ(again.create_session(), Status::ok);
  EXPECT_EQ(client.call(client.compound(1).root()).status, Status::badsession);
}

TEST_F(StateTest, ExclusiveCreateOnceMoreIsTheSameFile) {
  const auto create = [&](uint8_t verifier) {
    RawClient::Compound request = client.compound(1);
    request.root().op(Operation::open).u32(0).u32(3).u32(0).u64(0).text("owner").u32(1).u32(3);
    request.fixed(std::vector<uint8_t>(8, verifier)).u32(0).u32(0).u32(0).text("file");
    return client.call(request).status;
  };
  EXPECT_EQ(create(5), Status::ok);
  EXPECT_EQ(create(5), Status::ok);
  EXPECT_EQ(create(6), Status::exist);
}

TEST_F(StateTest, HolesAreMadeAndFound) {
  responder.put_file("file", std::string(5 * 4096, 'x'));
  const RawClient::Opened file = client.open("file");
  RawClient::Compound punch = client.compound(2);
  punch.fh(file.handle).op(Operation::deallocate).stateid(file.state).u64(4096).u64(8192);
  EXPECT_EQ(client.call(punch).status, Status::ok);
  const auto seek = [&](uint64_t offset, uint32_t what) {
    RawClient::Compound request = client.compound(2);
    request.fh(file.handle).op(Operation::seek).stateid(file.state).u64(offset).u32(what);
    Results results = client.call(request);
    results.next(Operation::putfh);
    EXPECT_EQ(results.next(Operation::seek), Status::ok);
    results.body.boolean();
    return results.body.u64();
  };
  EXPECT_EQ(seek(0, 1), 4096u);
  EXPECT_EQ(seek(4096, 0), 3u * 4096);
  EXPECT_EQ(seek(3 * 4096, 1), 5u * 4096);
}

TEST_F(StateTest, CopyAndCloneCopy) {
  responder.put_file("from", "0123456789");
  const RawClient::Opened from = client.open("from");
  const RawClient::Opened to = client.open("to", true);
  RawClient::Compound copy = client.compound(2);
  copy.fh(from.handle).op(Operation::savefh).fh(to.handle).op(Operation::copy);
  copy.stateid(from.state).stateid(to.state).u64(2).u64(0).u64(4).u32(1).u32(1).u32(0);
  EXPECT_EQ(client.call(copy).status, Status::ok);
  EXPECT_EQ(responder.contents("to"), "2345");
  EXPECT_EQ(responder.stable_contents("to"), "");
  RawClient::Compound clone = client.compound(2);
  clone.fh(from.handle).op(Operation::savefh).fh(to.handle).op(Operation::clone);
  clone.stateid(from.state).stateid(to.state).u64(0).u64(4).u64(0);
  EXPECT_EQ(client.call(clone).status, Status::ok);
  EXPECT_EQ(responder.contents("to"), "23450123456789");
}

TEST_F(StateTest, ExtendedAttributesAreSetListedAndRemoved) {
  responder.put_file("file", "");
  const nfs::FileHandle handle = client.look_up("file");
  const auto set = [&](uint32_t how, std::string_view name) {
    RawClient::Compound request = client.compound(2);
    request.fh(handle).op(Operation::setxattr).u32(how).text(name).text("value");
    return client.call(request).status;
  };
  EXPECT_EQ(set(2, "color"), Status::noxattr);
  EXPECT_EQ(set(1, "color"), Status::ok);
  EXPECT_EQ(set(1, "color"), Status::exist);
  EXPECT_EQ(set(0, "size"), Status::ok);
  RawClient::Compound list = client.compound(2);
  list.fh(handle).op(Operation::listxattrs).u64(0).u32(28);
  Results listed = client.call(list);
  listed.next(Operation::putfh);
  ASSERT_EQ(listed.next(Operation::listxattrs), Status::ok);
  EXPECT_EQ(listed.body.u64(), 1u);
  EXPECT_EQ(listed.body.u32(), 1u);
  EXPECT_EQ(listed.body.text(100), "color");
  EXPECT_FALSE(listed.body.boolean());
  RawClient::Compound remove = client.compound(2);
  remove.fh(handle).op(Operation::removexattr).text("color");
  EXPECT_EQ(client.call(remove).status, Status::ok);
  RawClient::Compound get = client.compound(2);
  get.fh(handle).op(Operation::getxattr).text("color");
  EXPECT_EQ(client.call(get).status, Status::noxattr);
}

}  // namespace

}  // namespace dpfs::responder
