// SPDX-License-Identifier: Apache-2.0
// The COMPOUNDs of open files and locks: requests byte for byte, and what is taken from replies.
#include "backend/nfs/file_operations.h"

#include <gtest/gtest.h>

#include <string>

#include "backend/nfs/client.h"
#include "backend/nfs/wire_harness.h"

namespace dpfs::nfs {
namespace {

class NoRecovery final : public Recoverer {
 public:
  Op<Unit> reclaim() noexcept override { return Unit{}; }
  Op<Unit> reopen() noexcept override { return Unit{}; }
  void revoked() noexcept override {}
  Op<Unit> resume() noexcept override { return Unit{}; }
};

// A client that is not started, and a file that is open: its stateid is 12 times 'o'.
class FileOperations : public testing::Test {
 protected:
  FileOperations() {
    open.handle = handle_of("file");
    open.stateid.other.fill('o');
    lock.stateid.other.fill('l');
    lock.owner = {.owner = 0x0807060504030201, .flock = false};
  }
  static Wire putfh(std::string_view handle) { return Wire().op(22).opaque(handle); }
  static Wire stateid(char fill) { return Wire().u32(0).fixed(std::string(12, fill)); }
  static Wire object_bitmap() {
    uint32_t words[2] = {};
    for (uint32_t number = 0; number < 64; ++number) {
      if (kObjectAttributes.has(number)) words[number / 32] |= 1u << number % 32;
    }
    return Wire().u32(2).u32(words[0]).u32(words[1]);
  }
  static Wire found() { return Wire().op(10).op(9).add(object_bitmap()); }
  static Wire size_attribute(uint64_t size) { return Wire().u32(1).u32(1u << 4).u32(8).u64(size); }
  // The answer to OPEN, with its delegation.
  static Wire opened(const Wire& delegation) {
    return Wire()
        .result(22)
        .result(18)
        .u32(1)
        .fixed("stateid12345")
        .u32(1)
        .u64(1)
        .u64(2)
        .u32(4)
        .u32(0)
        .add(delegation)
        .result(10)
        .opaque("found")
        .result(9)
        .add(size_attribute(5));
  }

  Reactor reactor{Reactor::Options{.io_uring = false}};
  Timers timers{reactor};
  NoRecovery recovery;
  Client client{reactor, timers, recovery, NfsOptions{}};
  Open open;
  Lock lock;
};

TEST_F(FileOperations, OpenByNameCreatesAsItIsAsked) {
  OpenCall call(client);
  call.node = handle_of("dir");
  call.name = "n";
  call.claim = OpenCall::Claim::name;
  call.access = share::kBoth;
  call.owner = 0x0102030405060708;
  const Wire head = putfh("dir").op(18).u32(0).u32(3 | 0x400).u32(0).u64(0).opaque(
      "\x08\x07\x06\x05\x04\x03\x02\x01");
  const Wire by_name = Wire().u32(0).opaque("n").add(found());
  EXPECT_EQ(operations_of(call), Wire(head).u32(0).add(by_name));
  call.create = OpenCall::Create::unchecked;
  EXPECT_EQ(operations_of(call), Wire(head).u32(1).u32(0).u32(0).u32(0).add(by_name));
  call.create = OpenCall::Create::guarded;
  EXPECT_EQ(operations_of(call), Wire(head).u32(1).u32(1).u32(0).u32(0).add(by_name));
  call.create = OpenCall::Create::exclusive;
  call.verifier.bytes.fill('v');
  // The verifier may be kept in the times, which are set behind it.
  const Wire now = Wire().u32(2).u32(0).u32(1u << (48 - 32) | 1u << (54 - 32)).u32(8).u32(0).u32(0);
  EXPECT_EQ(operations_of(call), Wire(head)
                                     .u32(1)
                                     .u32(3)
                                     .fixed("vvvvvvvv")
                                     .u32(0)
                                     .u32(0)
                                     .u32(0)
                                     .opaque("n")
                                     .op(10)
                                     .op(34)
                                     .add(stateid('\0'))
                                     .add(now)
                                     .op(9)
                                     .add(object_bitmap()));
}

TEST_F(FileOperations, OpenOfAHandleAndWhatIsReclaimed) {
  OpenCall call(client);
  call.node = handle_of("file");
  call.access = share::kRead;
  const Wire owner = Wire().u64(0).opaque(std::string(8, '\0'));
  EXPECT_EQ(
      operations_of(call),
      putfh("file").op(18).u32(0).u32(1 | 0x400).u32(0).add(owner).u32(0).u32(4).add(found()));
  call.claim = OpenCall::Claim::previous;
  EXPECT_EQ(operations_of(call),
            putfh("file").op(18).u32(0).u32(1).u32(0).add(owner).u32(0).u32(1).u32(0).add(found()));
}

TEST_F(FileOperations, OpensAnswerMayHaveAnyDelegation) {
  const Wire ace = Wire().u32(0).u32(0).u32(1).opaque("who");
  const Wire its = Wire().u32(1).fixed("delegation12").u32(0);
  for (const Wire& delegation :
       {Wire().u32(0), Wire().u32(1).add(its).add(ace),
        Wire().u32(2).add(its).u32(1).u64(4096).add(ace),
        Wire().u32(2).add(its).u32(2).u32(1).u32(4096).add(ace), Wire().u32(3).u32(0),
        Wire().u32(3).u32(1).u32(1), Wire().u32(3).u32(2).u32(0)}) {
    OpenCall call(client);
    EXPECT_FALSE(answer(call, 4, opened(delegation)).failed);
    EXPECT_EQ(std::memcmp(call.stateid.other.data(), "stateid12345", 12), 0);
    EXPECT_EQ(text_of(call.handle), "found");
    EXPECT_EQ(call.attributes.size, 5u);
  }
  OpenCall call(client);
  EXPECT_TRUE(answer(call, 4, opened(Wire().u32(4))).failed);
}

TEST_F(FileOperations, CloseGivesTheStateBack) {
  Close call(client);
  call.open = &open;
  EXPECT_EQ(operations_of(call), putfh("file").op(4).u32(0).add(stateid('o')));
  EXPECT_FALSE(answer(call, 2, Wire().result(22).result(4).u32(1).fixed("stateid12345")).failed);
}

TEST_F(FileOperations, ReadAsksForWhatThereIsRoomFor) {
  std::string into(10, '-');
  const iovec part{into.data(), into.size()};
  Read call(client);
  call.node = handle_of("file");
  call.open = &open;
  call.offset = 0x100000002;
  call.data_into = IoView({&part, 1});
  EXPECT_EQ(operations_of(call), putfh("file").op(25).add(stateid('o')).u64(0x100000002).u32(10));
  EXPECT_FALSE(answer(call, 2, Wire().result(22).result(25).u32(1).opaque("data")).failed);
  EXPECT_EQ(into, "data------");
  EXPECT_EQ(call.bytes, 4u);
  EXPECT_TRUE(call.at_end);
  EXPECT_TRUE(answer(call, 2, Wire().result(22).result(25).u32(1).opaque("eleven byte")).failed);
}

TEST_F(FileOperations, DataThatHasBeenPlacedIsNotLookedFor) {
  std::string into(10, '-');
  const iovec part{into.data(), into.size()};
  Read call(client);
  call.data_into = IoView({&part, 1});
  EXPECT_FALSE(answer(call, 2, Wire().result(22).result(25).u32(0).u32(10), 10).failed);
  EXPECT_EQ(call.bytes, 10u);
  EXPECT_EQ(into, "----------");
}

TEST_F(FileOperations, WriteCarriesItsDataLast) {
  const std::array<uint8_t, 4> data{'d', 'a', 't', 'a'};
  Write call(client);
  call.node = handle_of("file");
  call.open = &open;
  call.offset = 9;
  call.data = data;
  EXPECT_EQ(operations_of(call),
            putfh("file").op(38).add(stateid('o')).u64(9).u32(0).opaque("data"));
  EXPECT_FALSE(
      answer(call, 2, Wire().result(22).result(38).u32(3).u32(2).fixed("verifier")).failed);
  EXPECT_EQ(call.bytes, 3u);
  EXPECT_EQ(call.committed, Stable::file_sync);
  EXPECT_EQ(call.verifier.bytes[0], 'v');
  EXPECT_TRUE(answer(call, 2, Wire().result(22).result(38).u32(5).u32(2).fixed("verifier")).failed)
      << "more than there was";
}

TEST_F(FileOperations, CommitIsOfTheWholeFile) {
  Commit call;
  call.node = handle_of("file");
  EXPECT_EQ(operations_of(call), putfh("file").op(5).u64(0).u32(0));
  EXPECT_FALSE(answer(call, 2, Wire().result(22).result(5).fixed("verifier")).failed);
  EXPECT_EQ(call.verifier.bytes[7], 'r');
}

TEST_F(FileOperations, SetattrTellsTheAttributesBehindIt) {
  SetAttributes call(client);
  call.node = handle_of("file");
  call.changed.has_size = true;
  call.changed.size = 7;
  EXPECT_EQ(
      operations_of(call),
      putfh("file").op(34).add(stateid('\0')).add(size_attribute(7)).op(9).add(object_bitmap()));
  EXPECT_FALSE(
      answer(call, 3,
             Wire().result(22).result(34).u32(1).u32(1u << 4).result(9).add(size_attribute(7)))
          .failed);
  EXPECT_EQ(call.attributes.size, 7u);
}

TEST_F(FileOperations, AllocateSeekAndCopyAreThoseOfTheRfc) {
  Allocate allocate(client);
  allocate.node = handle_of("file");
  allocate.open = &open;
  allocate.operation = Operation::deallocate;
  allocate.offset = 1;
  allocate.length = 2;
  EXPECT_EQ(operations_of(allocate), putfh("file").op(62).add(stateid('o')).u64(1).u64(2));
  Seek seek(client);
  seek.node = handle_of("file");
  seek.open = &open;
  seek.offset = 3;
  seek.what = Content::hole;
  EXPECT_EQ(operations_of(seek), putfh("file").op(69).add(stateid('o')).u64(3).u32(1));
  EXPECT_FALSE(answer(seek, 2, Wire().result(22).result(69).u32(1).u64(4096)).failed);
  EXPECT_TRUE(seek.at_end);
  EXPECT_EQ(seek.found, 4096u);
  Open from;
  from.stateid.other.fill('f');
  Copy copy(client);
  copy.from_node = handle_of("from");
  copy.from_open = &from;
  copy.node = handle_of("file");
  copy.open = &open;
  copy.from_offset = 1;
  copy.offset = 2;
  copy.length = 3;
  EXPECT_EQ(operations_of(copy), putfh("from")
                                     .op(32)
                                     .add(putfh("file"))
                                     .op(60)
                                     .add(stateid('f'))
                                     .add(stateid('o'))
                                     .u64(1)
                                     .u64(2)
                                     .u64(3)
                                     .u32(1)
                                     .u32(1)
                                     .u32(0));
}

TEST_F(FileOperations, ACopyThatGoesOnUnaskedOrCopiedTooMuchIsNone) {
  const Wire head = Wire().result(22).result(32).result(22).result(60);
  const auto try_it = [&](const Wire& result) {
    Copy call(client);
    call.length = 3;
    return answer(call, 4, Wire(head).add(result)).failed;
  };
  EXPECT_FALSE(try_it(Wire().u32(0).u64(3).u32(2).fixed("verifier").u32(1).u32(1)));
  EXPECT_TRUE(try_it(Wire().u32(0).u64(4).u32(2).fixed("verifier").u32(1).u32(1)));
  EXPECT_TRUE(try_it(Wire().u32(1).u32(1).fixed("stateid12345").u64(0)));
}

TEST_F(FileOperations, TheFirstLockOfAnOwnerNamesItAndTheNextItsState) {
  LockCall call(client);
  call.node = handle_of("file");
  call.open = &open;
  call.lock = &lock;
  call.range = {.begin = 10, .end = 30, .type = LockType::write};
  const Wire change = Wire().op(9).u32(1).u32(1u << 3);
  const Wire owner = Wire().u64(0).opaque("p\x01\x02\x03\x04\x05\x06\x07\x08");
  EXPECT_EQ(operations_of(call), putfh("file")
                                     .op(12)
                                     .u32(2)
                                     .u32(0)
                                     .u64(10)
                                     .u64(20)
                                     .u32(1)
                                     .u32(0)
                                     .add(stateid('o'))
                                     .u32(0)
                                     .add(owner)
                                     .add(change));
  lock.has_stateid = true;
  call.reclaim = true;
  call.range = {.begin = 10, .end = kToTheEnd, .type = LockType::read};
  EXPECT_EQ(operations_of(call), putfh("file")
                                     .op(12)
                                     .u32(1)
                                     .u32(1)
                                     .u64(10)
                                     .u64(UINT64_MAX)
                                     .u32(0)
                                     .add(stateid('l'))
                                     .u32(0)
                                     .add(change));
}

TEST_F(FileOperations, ALockThatIsDeniedIsNoFailureOfTheAnswer) {
  LockCall call(client);
  call.open = &open;
  call.lock = &lock;
  const Outcome outcome = answer(
      call, 2,
      Wire().result(22).result(12, Status::denied).u64(0).u64(1).u32(1).u64(5).opaque("somebody"));
  EXPECT_FALSE(outcome.failed);
  EXPECT_EQ(outcome.status, Status::denied);
  EXPECT_EQ(call.holder.client_id, 5u);
}

TEST_F(FileOperations, TestLockTellsWhoIsInTheWay) {
  const auto held = [](uint64_t offset, uint64_t length, std::string_view owner) {
    return Wire()
        .result(22)
        .result(13, Status::denied)
        .u64(offset)
        .u64(length)
        .u32(2)
        .u64(9)
        .opaque(owner);
  };
  TestLock ours(client);
  ours.owner = lock.owner;
  ours.range = {.begin = 0, .end = kToTheEnd, .type = LockType::read};
  EXPECT_FALSE(answer(ours, 2, held(5, 10, "f\x01\x02\x03\x04\x05\x06\x07\x08")).failed);
  EXPECT_EQ(ours.holder.range, (LockRange{.begin = 5, .end = 15, .type = LockType::write}));
  EXPECT_EQ(ours.holder.client_id, 9u);
  EXPECT_TRUE(ours.holder.known);
  EXPECT_TRUE(ours.holder.owner.flock);
  EXPECT_EQ(ours.holder.owner.owner, 0x0807060504030201u);
  TestLock anothers(client);
  EXPECT_FALSE(answer(anothers, 2, held(5, UINT64_MAX, "somebody else")).failed);
  EXPECT_EQ(anothers.holder.range.end, kToTheEnd);
  EXPECT_FALSE(anothers.holder.known);
}

TEST_F(FileOperations, UnlockNamesTheRange) {
  Unlock call(client);
  call.node = handle_of("file");
  call.open = &open;
  call.lock = &lock;
  call.begin = 4;
  call.end = 6;
  EXPECT_EQ(operations_of(call),
            putfh("file").op(14).u32(2).u32(0).add(stateid('l')).u64(4).u64(2));
}

TEST_F(FileOperations, AStateThatIsBadIsRecoveredOnce) {
  Read call(client);
  call.node = handle_of("file");
  call.open = &open;
  operations_of(call);
  EXPECT_TRUE(call.state_is_bad());
  EXPECT_TRUE(open.doubtful);
  open.doubtful = false;
  ++open.epoch;  // it has been given anew meanwhile
  EXPECT_TRUE(call.state_is_bad());
  EXPECT_FALSE(open.doubtful);
  operations_of(call);
  open.lost = true;
  EXPECT_FALSE(call.state_is_bad());
}

}  // namespace
}  // namespace dpfs::nfs
