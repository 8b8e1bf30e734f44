// SPDX-License-Identifier: Apache-2.0
// What a hostile server answers: each call's decoder, READ's place, attributes. The first byte says
// which; the rest is the record. Nothing is read outside of it, nothing written outside of where it
// belongs, and what comes out is within the bounds that the rest relies on.
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "backend/nfs/client.h"
#include "backend/nfs/file_operations.h"
#include "backend/nfs/operations.h"
#include "backend/nfs/session_operations.h"
#include "base/assert.h"

namespace dpfs::nfs {
namespace {

class NoRecovery final : public Recoverer {
 public:
  Op<Unit> reclaim() noexcept override { return Unit{}; }
  Op<Unit> reopen() noexcept override { return Unit{}; }
  void revoked() noexcept override {}
  Op<Unit> resume() noexcept override { return Unit{}; }
};

// A client that is never started: calls want to know its id.
struct House {
  Reactor reactor{Reactor::Options{.io_uring = false}};
  Timers timers{reactor};
  NoRecovery recovery;
  Client client{reactor, timers, recovery, NfsOptions{}};
  Open open;
  Lock lock;
};
House& house() {
  static auto* const the_house = new House;
  return *the_house;
}

// Every byte counts, so that a sanitizer sees each one looked at.
void look_at(Bytes bytes) {
  static volatile uint8_t sum = 0;
  for (const uint8_t byte : bytes) sum = static_cast<uint8_t>(sum ^ byte);
}
void look_at(std::string_view text) {
  look_at(Bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

void check(const FileHandle& handle) {
  DPFS_ASSERT(handle.size <= FileHandle::kBytesMax);
  look_at(Bytes(handle.bytes.data(), handle.size));
}

void check(const Attributes& attributes) {
  for (const Time& time : {attributes.access, attributes.modify, attributes.metadata}) {
    DPFS_ASSERT(time.nanoseconds < 1'000'000'000);
  }
  DPFS_ASSERT((attributes.mode & ~07777u) == 0);
  const fuse::Attr attr = to_fuse(attributes, 4096);
  DPFS_ASSERT((attr.mode & ~0177777u) == 0);
  check(attributes.handle);
}

// Room for what is decoded, in pieces that end where their memory does.
class Room {
 public:
  IoView view() noexcept { return IoView(parts_); }

 private:
  static constexpr size_t kFirst = 7;
  static constexpr size_t kSecond = 100;
  std::unique_ptr<char[]> first_ = std::make_unique<char[]>(kFirst);
  std::unique_ptr<char[]> second_ = std::make_unique<char[]>(kSecond);
  std::array<iovec, 2> parts_{{{first_.get(), kFirst}, {second_.get(), kSecond}}};
};

// As Client does it: the RPC header, SEQUENCE where there is a session, and the call's own results.
// True when there is an answer, of which all was good.
bool decode(Call& call, Bytes bytes, size_t placed = 0) {
  std::array<uint8_t, Slot::kRequestBytesMax> request;
  CompoundWriter writer(request);
  writer.begin(1, call.who, "fuzz", 2);
  call.encode(writer);
  DPFS_ASSERT(writer.end());

  CompoundReader reader(Record{.bytes = bytes, .placed = placed});
  reader.xdr().u32();
  reader.begin();
  DPFS_ASSERT(reader.refusal() == nullptr || reader.failed());
  if (reader.failed()) return false;
  if (call.has_session) {
    if (!reader.operation(Operation::sequence)) return false;
    reader.xdr().skip(36);
  }
  call.decode(reader);
  return !reader.failed() && reader.status() == Status::ok;
}

class Taker final : public EntryTaker {
 public:
  bool take(uint64_t, std::string_view name, const Attributes& attributes) override {
    look_at(name);
    check(attributes);
    return ++taken != 5;  // full
  }
  uint32_t taken = 0;
};

// ---- One function for each call ----

template <class Found>
void try_found(Bytes reply) {
  Found call;
  if (!decode(call, reply)) return;
  check(call.handle);
  check(call.attributes);
}
void try_path(Bytes reply) {
  LookupPath call;
  call.from_root = false;
  call.count = 2;
  call.names = {"a", "b"};
  if (!decode(call, reply)) return;
  check(call.handle);
  check(call.attributes);
}
template <class Plain>
void try_plain(Bytes reply) {
  Plain call;
  decode(call, reply);
}
void try_link(Bytes reply) {
  Link call;
  if (decode(call, reply)) check(call.attributes);
}
void try_readlink(Bytes reply) {
  Room room;
  ReadLink call;
  call.into = room.view();
  if (decode(call, reply)) DPFS_ASSERT(call.bytes <= room.view().size());
}
void try_readdir(Bytes reply) {
  Taker taker;
  ReadDirectory call;
  call.taker = &taker;
  call.bytes_max = 4096;
  const bool good = decode(call, reply);
  DPFS_ASSERT(good || taker.taken == 0);  // nothing is taken of an answer that is none
  DPFS_ASSERT(taker.taken == call.entries);
}
void try_getattr(Bytes reply) {
  GetAttributes call;
  if (decode(call, reply)) check(call.attributes);
}
void try_getxattr(Bytes reply) {
  Room room;
  GetXattr call;
  call.into = room.view();
  decode(call, reply);
}
void try_listxattrs(Bytes reply) {
  Room room;
  ListXattrs call;
  call.into = room.view();
  decode(call, reply);
}
template <class Stateful>
void try_stateful(Bytes reply) {
  Stateful call(house().client);
  call.open = &house().open;
  decode(call, reply);
}
void try_open(Bytes reply) {
  OpenCall call(house().client);
  if (!decode(call, reply)) return;
  check(call.handle);
  check(call.attributes);
}
void try_exclusive_open(Bytes reply) {
  OpenCall call(house().client);
  call.create = OpenCall::Create::exclusive;
  if (!decode(call, reply)) return;
  check(call.handle);
  check(call.attributes);
}
void try_read(Bytes reply) {
  Room room;
  Read call(house().client);
  call.data_into = room.view();
  if (decode(call, reply)) DPFS_ASSERT(call.bytes <= room.view().size());
}
void try_placed_read(Bytes reply) {
  Room room;
  Read call(house().client);
  call.data_into = room.view();
  if (decode(call, reply, 50)) DPFS_ASSERT(call.bytes <= room.view().size());
}
void try_write(Bytes reply) {
  static constexpr std::array<uint8_t, 100> kData{};
  Write call(house().client);
  call.data = kData;
  if (decode(call, reply)) DPFS_ASSERT(call.bytes <= kData.size());
}
void try_setattr(Bytes reply) {
  SetAttributes call(house().client);
  if (decode(call, reply)) check(call.attributes);
}
void try_copy(Bytes reply) {
  Copy call(house().client);
  call.from_open = call.open = &house().open;
  call.length = 1000;
  if (decode(call, reply)) DPFS_ASSERT(call.bytes <= call.length);
}
template <class OfLock>
void try_lock(Bytes reply) {
  OfLock call(house().client);
  call.open = &house().open;
  call.lock = &house().lock;
  decode(call, reply);
}
void try_testlock(Bytes reply) {
  TestLock call(house().client);
  decode(call, reply);
  DPFS_ASSERT(call.holder.range.end >= call.holder.range.begin);
}
void try_exchange_id(Bytes reply) {
  const Verifier verifier;
  const std::string name = "fuzz";
  ExchangeId call(verifier, name);
  decode(call, reply);
}
void try_read_place(Bytes head) {
  const std::optional<DataPlace> place = find_read_data(head);
  DPFS_ASSERT(!place || place->offset <= head.size());
}
void try_attributes(Bytes bytes) {
  XdrReader reader(bytes);
  Attributes attributes;
  Attributes::decode(reader, attributes);
  if (!reader.failed()) check(attributes);
}

// New ones at the end: the seeds' first bytes are places in it.
constexpr auto kTries = std::to_array<void (*)(Bytes)>({
    try_found<Lookup>,
    try_found<LookupParent>,
    try_path,
    try_found<Create>,
    try_plain<Remove>,
    try_plain<Rename>,
    try_link,
    try_readlink,
    try_readdir,
    try_getattr,
    try_plain<Access>,
    try_getxattr,
    try_plain<SetXattr>,
    try_listxattrs,
    try_plain<RemoveXattr>,
    try_open,
    try_stateful<Close>,
    try_read,
    try_placed_read,
    try_write,
    try_plain<Commit>,
    try_setattr,
    try_stateful<Allocate>,
    try_stateful<Seek>,
    try_copy,
    try_lock<LockCall>,
    try_testlock,
    try_lock<Unlock>,
    try_plain<FreeState>,
    try_exchange_id,
    try_plain<CreateSession>,
    try_plain<BindConnection>,
    try_plain<DestroySession>,
    try_plain<DestroyClientId>,
    try_plain<ReclaimComplete>,
    try_read_place,
    try_attributes,
    try_exclusive_open,
});

}  // namespace
}  // namespace dpfs::nfs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using dpfs::nfs::kTries;
  if (size == 0) return 0;
  kTries[data[0] % kTries.size()](dpfs::nfs::Bytes(data + 1, size - 1));
  return 0;
}
