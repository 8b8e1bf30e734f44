// SPDX-License-Identifier: Apache-2.0
// Encoding and decoding of what refers to open files and locks.
#include "backend/nfs/file_operations.h"

#include "backend/nfs/client.h"

namespace dpfs::nfs {
namespace {

constexpr size_t kOwnerBytesMax = 1024;  // NFS4_OPAQUE_LIMIT
constexpr size_t kLockOwnerBytes = 9;

// A lock-owner's name: 'f' for flock(2), 'p' for fcntl(2), and the tenant's number.
void put_lock_owner(XdrWriter& to, uint64_t client_id, const LockOwner& owner) noexcept {
  std::array<uint8_t, kLockOwnerBytes> name;
  name[0] = owner.flock ? 'f' : 'p';
  std::memcpy(name.data() + 1, &owner.owner, sizeof owner.owner);
  to.u64(client_id);
  to.opaque(name);
}

void put_range(XdrWriter& to, uint64_t begin, uint64_t end) noexcept {
  to.u64(begin);
  to.u64(end == kToTheEnd ? kToTheEnd : end - begin);
}

Holder take_holder(XdrReader& from) noexcept {
  Holder holder;
  holder.range.begin = from.u64();
  const uint64_t length = from.u64();
  // Some say 0 for "to the end", as fcntl(2) does.
  holder.range.end = length == 0 || length > kToTheEnd - holder.range.begin
                         ? kToTheEnd
                         : holder.range.begin + length;
  holder.range.type =
      from.u32() == static_cast<uint32_t>(LockType::read) ? LockType::read : LockType::write;
  holder.client_id = from.u64();
  const Bytes name = from.opaque(kOwnerBytesMax);
  holder.known = name.size() == kLockOwnerBytes && (name[0] == 'f' || name[0] == 'p');
  if (!holder.known) return holder;
  holder.owner.flock = name[0] == 'f';
  std::memcpy(&holder.owner.owner, name.data() + 1, sizeof holder.owner.owner);
  return holder;
}

// open_delegation4, of which we ask for none.
void skip_delegation(XdrReader& from) noexcept {
  const auto skip_ace = [&from] {
    from.skip(12);
    from.opaque(kOwnerBytesMax);
  };
  switch (from.u32()) {
    case 0:  // NONE
      return;
    case 1:  // READ: stateid, recall
      from.skip(16 + 4);
      return skip_ace();
    case 2:  // WRITE: and a limit of space
      from.skip(16 + 4);
      from.skip(4 + 8);  // in bytes, or in blocks
      return skip_ace();
    case 3: {  // NONE_EXT
      const uint32_t why = from.u32();
      if (why == 1 || why == 2) from.boolean();  // WND4_CONTENTION, WND4_RESOURCE
      return;
    }
    default:
      return from.fail();
  }
}

}  // namespace

void StatefulCall::note_epoch() noexcept {
  if (open != nullptr) epoch_ = open->epoch;
}

void StatefulCall::put_stateid(CompoundWriter& to) noexcept {
  note_epoch();
  to.stateid(open != nullptr ? open->stateid : StateId{});
}

bool StatefulCall::is_lost() const noexcept { return open != nullptr && open->lost; }

bool StatefulCall::state_is_bad() noexcept {
  if (open == nullptr || open->lost) return false;
  if (open->epoch != epoch_) return true;  // it has been given anew since
  if (recovers && ++open->setbacks > Open::kSetbacksMax) return false;
  open->doubtful = true;
  client.recover_state();
  return true;
}

void OpenCall::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  XdrWriter& xdr = to.operation(Operation::open);
  xdr.u32(0);  // seqid
  xdr.u32(access | (claim == Claim::previous ? 0 : share::kWantNoDelegation));
  xdr.u32(deny);
  xdr.u64(client_.id());
  std::array<uint8_t, sizeof owner> owner_name;
  std::memcpy(owner_name.data(), &owner, sizeof owner);
  xdr.opaque(owner_name);
  xdr.boolean(create != Create::no);
  switch (create) {
    case Create::no:
      break;
    case Create::unchecked:
      xdr.u32(0);
      initial.encode(xdr);
      break;
    case Create::guarded:
      xdr.u32(1);
      initial.encode(xdr);
      break;
    case Create::exclusive:
      xdr.u32(3);  // EXCLUSIVE4_1
      xdr.fixed(verifier.bytes);
      initial.encode(xdr);
      break;
  }
  switch (claim) {
    case Claim::name:
      xdr.u32(0);
      xdr.text(name);
      break;
    case Claim::previous:
      xdr.u32(1);
      xdr.u32(0);  // no delegation
      break;
    case Claim::handle:
      xdr.u32(4);
      break;
  }
  to.operation(Operation::getfh);
  if (create == Create::exclusive) {
    // A server may keep the verifier in the file's times.
    to.operation(Operation::setattr);
    to.stateid(StateId{});
    NewAttributes now;
    now.set_access = now.set_modify = NewAttributes::Moment::now;
    now.encode(to.xdr());
  }
  kObjectAttributes.encode(to.operation(Operation::getattr));
}

void OpenCall::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::open)) return;
  stateid = from.stateid();
  from.change_info();
  from.xdr().u32();  // rflags
  from.bitmap();
  skip_delegation(from.xdr());
  if (!from.operation(Operation::getfh)) return;
  handle = from.filehandle();
  if (create == Create::exclusive) {
    if (!from.operation(Operation::setattr)) return;
    from.bitmap();
  }
  if (from.operation(Operation::getattr)) Attributes::decode(from.xdr(), attributes);
}

void Close::encode(CompoundWriter& to) noexcept {
  to.putfh(open->handle);
  to.operation(Operation::close).u32(0);
  put_stateid(to);
}

void Close::decode(CompoundReader& from) noexcept {
  if (from.operation(Operation::putfh) && from.operation(Operation::close)) from.stateid();
}

void Read::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  XdrWriter& xdr = to.operation(Operation::read);
  put_stateid(to);
  xdr.u64(offset);
  xdr.u32(static_cast<uint32_t>(data_into.size()));
}

void Read::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::read)) return;
  at_end = from.xdr().boolean();
  bytes = from.data_into(data_into);
}

void Write::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  XdrWriter& xdr = to.operation(Operation::write);
  put_stateid(to);
  xdr.u64(offset);
  xdr.enumerator(stable);
  to.data(data);
}

void Write::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::write)) return;
  bytes = from.xdr().u32();
  committed = static_cast<Stable>(from.xdr().u32());
  from.xdr().fixed(verifier.bytes);
  if (bytes > data.size()) from.xdr().fail();
}

void Commit::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  XdrWriter& xdr = to.operation(Operation::commit);
  xdr.u64(0);
  xdr.u32(0);
}

void Commit::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::commit)) return;
  from.xdr().fixed(verifier.bytes);
}

void SetAttributes::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  XdrWriter& xdr = to.operation(Operation::setattr);
  put_stateid(to);
  changed.encode(xdr);
  kObjectAttributes.encode(to.operation(Operation::getattr));
}

void SetAttributes::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::setattr)) return;
  from.bitmap();
  if (from.operation(Operation::getattr)) Attributes::decode(from.xdr(), attributes);
}

void Allocate::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  XdrWriter& xdr = to.operation(operation);
  put_stateid(to);
  xdr.u64(offset);
  xdr.u64(length);
}

void Allocate::decode(CompoundReader& from) noexcept {
  if (from.operation(Operation::putfh)) from.operation(operation);
}

void Seek::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  XdrWriter& xdr = to.operation(Operation::seek);
  put_stateid(to);
  xdr.u64(offset);
  xdr.enumerator(what);
}

void Seek::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::seek)) return;
  at_end = from.xdr().boolean();
  found = from.xdr().u64();
}

void Copy::encode(CompoundWriter& to) noexcept {
  to.putfh(from_node);
  to.operation(Operation::savefh);
  to.putfh(node);
  XdrWriter& xdr = to.operation(Operation::copy);
  to.stateid(from_open->stateid);
  put_stateid(to);
  xdr.u64(from_offset);
  xdr.u64(offset);
  xdr.u64(length);
  xdr.boolean(true);  // consecutive
  xdr.boolean(true);  // synchronous
  xdr.u32(0);         // within this server
}

bool Copy::state_is_bad() noexcept {
  if (from_open != nullptr && !from_open->lost) from_open->doubtful = true;
  return StatefulCall::state_is_bad();
}

void Copy::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::savefh) ||
      !from.operation(Operation::putfh) || !from.operation(Operation::copy)) {
    return;
  }
  // An answer with a callback's stateid means that it goes on unasked: not what we wanted.
  if (from.xdr().u32() != 0) return from.xdr().fail();
  bytes = from.xdr().u64();
  committed = static_cast<Stable>(from.xdr().u32());
  if (bytes > length) from.xdr().fail();
}

void LockCall::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  XdrWriter& xdr = to.operation(Operation::lock);
  xdr.enumerator(range.type);
  xdr.boolean(reclaim);
  put_range(xdr, range.begin, range.end);
  xdr.boolean(!lock->has_stateid);  // new_lock_owner
  if (lock->has_stateid) {
    to.stateid(lock->stateid);
    xdr.u32(0);
    note_epoch();
  } else {
    xdr.u32(0);
    put_stateid(to);
    xdr.u32(0);
    put_lock_owner(xdr, client.id(), lock->owner);
  }
  AttributeSet{attribute::kChange}.encode(to.operation(Operation::getattr));
}

void LockCall::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh)) return;
  if (!from.operation_or(Operation::lock, Status::denied)) return;
  if (from.status() == Status::denied) {
    holder = take_holder(from.xdr());
    return;
  }
  stateid = from.stateid();
  Attributes attributes;
  if (from.operation(Operation::getattr)) Attributes::decode(from.xdr(), attributes);
  change = attributes.change;
}

void TestLock::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  XdrWriter& xdr = to.operation(Operation::lockt);
  xdr.enumerator(range.type);
  put_range(xdr, range.begin, range.end);
  put_lock_owner(xdr, client_.id(), owner);
}

void TestLock::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh)) return;
  if (!from.operation_or(Operation::lockt, Status::denied)) return;
  if (from.status() == Status::denied) holder = take_holder(from.xdr());
}

void Unlock::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  XdrWriter& xdr = to.operation(Operation::locku);
  xdr.enumerator(LockType::write);
  xdr.u32(0);
  note_epoch();
  to.stateid(lock->stateid);
  put_range(xdr, begin, end);
}

void Unlock::decode(CompoundReader& from) noexcept {
  if (from.operation(Operation::putfh) && from.operation(Operation::locku)) from.stateid();
}

void FreeState::encode(CompoundWriter& to) noexcept {
  to.operation(Operation::free_stateid);
  to.stateid(stateid);
}

void FreeState::decode(CompoundReader& from) noexcept { from.operation(Operation::free_stateid); }

}  // namespace dpfs::nfs
