// SPDX-License-Identifier: Apache-2.0
// Opens, locks and stateids: RFC 8881, sections 18.10 to 18.12, 18.16 to 18.18, 18.38, 18.48.
#include "responder/compound.h"

namespace dpfs::responder {

using nfs::LockType;
using nfs::Status;

namespace {

constexpr size_t kOwnerBytesMax = 1024;
constexpr uint32_t kShareBits = 3;
constexpr uint32_t kWantBits = 0xff00;
constexpr uint32_t kResultLocktypePosix = 0x4;
constexpr uint32_t kResultPreserveUnlinked = 0x8;

enum class How : uint32_t { unchecked = 0, guarded = 1, exclusive = 2, exclusive4_1 = 3 };
enum class Claim : uint32_t { null = 0, previous = 1, fh = 4 };

struct LockRangeArgument {
  uint64_t offset = 0;
  uint64_t length = 0;
};

// LOCK's types that wait (READW_LT, WRITEW_LT) do not wait here, nor with most servers.
Status to_range(uint32_t type, const LockRangeArgument& from, LockedRange& to) {
  constexpr uint32_t kTypesMax = 4;
  if (type == 0 || type > kTypesMax) return Status::inval;
  to.type = type % 2 == 1 ? LockType::read : LockType::write;
  to.begin = from.offset;
  if (from.length == 0) return Status::inval;
  if (from.length == nfs::kToTheEnd) {
    to.last = UINT64_MAX;
    return Status::ok;
  }
  if (from.length - 1 > UINT64_MAX - from.offset) return Status::inval;
  to.last = from.offset + from.length - 1;
  return Status::ok;
}

}  // namespace

struct Compound::OpenArguments {
  uint32_t access = 0;
  uint32_t deny = 0;
  bool wants = false;  // it says which delegation it wants
  std::string owner;
  bool create = false;
  How how = How::unchecked;
  nfs::Verifier verifier;
  SetAttributes attributes;
  Claim claim = Claim::null;
  std::string_view name;
  bool created = false;
};

Status Compound::take_open(OpenArguments& open) {
  args_.u32();  // seqid: nothing since 4.1
  const uint32_t access = args_.u32();
  open.access = access & kShareBits;
  open.wants = (access & kWantBits) != 0;
  open.deny = args_.u32();
  args_.u64();  // the client's id: the session's
  open.owner.assign(args_.text(kOwnerBytesMax));
  open.create = args_.u32() == 1;
  Status attributes = Status::ok;
  if (open.create) {
    open.how = How{args_.u32()};
    if (open.how > How::exclusive4_1) return Status::badxdr;
    if (open.how == How::exclusive || open.how == How::exclusive4_1) {
      args_.fixed(open.verifier.bytes);
    }
    if (open.how != How::exclusive) attributes = take_attributes(args_, open.attributes);
  }
  open.claim = Claim{args_.u32()};
  Status named = Status::ok;
  switch (open.claim) {
    case Claim::null:
      named = take_name(open.name);
      break;
    case Claim::previous:
      args_.u32();  // the type of delegation that it had
      break;
    case Claim::fh:
      break;
    default:
      return Status::notsupp;
  }
  if (args_.failed()) return Status::badxdr;
  if (open.access == 0 || open.deny > kShareBits) return Status::inval;
  return named != Status::ok ? named : attributes;
}

// Section 9.6.3 and 18.51.3: during grace nothing but reclaims, and only from who had something.
Status Compound::reclaim_allowed() const {
  const Client& client = *session_->client;
  const bool allowed = world_.in_grace() && client.may_reclaim && !client.reclaim_complete;
  return allowed ? Status::ok : Status::no_grace;
}

Status Compound::create_to_open(OpenArguments& open, NodePointer& node) {
  if (!permitted(*current_, 3)) return Status::access;
  node = world_.tree.create(*current_, open.name, nfs::FileType::regular);
  node->uid = request_.call.credential.uid;
  node->gid = request_.call.credential.gid;
  if (open.how == How::exclusive || open.how == How::exclusive4_1) {
    node->exclusive = open.verifier;
  }
  apply(open.attributes, *node);
  if (open.attributes.size) node->contents.resize(*open.attributes.size);
  open.created = true;
  return Status::ok;
}

// By name, in the current directory.
Status Compound::find_to_open(OpenArguments& open, NodePointer& node) {
  if (const Status is = need_directory(); is != Status::ok) return is;
  if (!permitted(*current_, 1)) return Status::access;
  const auto entry = current_->entries.find(open.name);
  if (entry == current_->entries.end()) {
    return open.create ? create_to_open(open, node) : Status::noent;
  }
  node = entry->second.node;
  if (!open.create || open.how == How::unchecked) return Status::ok;
  if (open.how == How::guarded) return Status::exist;
  // The same OPEN once more, whose first answer was lost.
  open.created = node->exclusive == open.verifier;
  return open.created ? Status::ok : Status::exist;
}

Status Compound::open(Writer& out) {
  OpenArguments open;
  const Status taken = take_open(open);
  if (taken != Status::ok) return taken;
  if (current_ == nullptr) return Status::nofilehandle;
  Client& client = *session_->client;
  if (open.claim == Claim::previous) {
    if (const Status may = reclaim_allowed(); may != Status::ok) return may;
  } else if (world_.in_grace() || !client.reclaim_complete) {
    return Status::grace;
  }
  const NodePointer directory = current_;
  const uint64_t before = directory->change;
  NodePointer node = current_;
  if (open.claim == Claim::null) {
    const Status found = find_to_open(open, node);
    if (found != Status::ok) return found;
  }
  if (node->is_directory()) return Status::isdir;
  if (node->type == nfs::FileType::link) return Status::symlink;
  if (!node->is_regular()) return Status::wrong_type;
  const uint32_t bits = ((open.access & nfs::share::kRead) != 0 ? 4 : 0) |
                        ((open.access & nfs::share::kWrite) != 0 ? 2 : 0);
  if (!open.created && !permitted(*node, bits) && !owns(*node)) return Status::access;
  State* state = world_.state.find_state(State::Kind::open, client, open.owner, *node);
  if (world_.state.share_conflict(*node, state, open.access, open.deny)) {
    return Status::share_denied;
  }
  current_ = node;
  if (open.create && !open.created && open.attributes.size) {
    if (!permitted(*node, 2) && !owns(*node)) return Status::access;
    if (const Status set = set_size(*open.attributes.size); set != Status::ok) return set;
  }
  if (state == nullptr) {
    state = &world_.state.new_state(State::Kind::open, client, open.owner, node);
  } else {
    ++state->sequence;
  }
  state->access |= open.access;
  state->deny |= open.deny;

  constexpr uint32_t kNoDelegation = 0;
  constexpr uint32_t kNoDelegationBecause = 3;
  constexpr uint32_t kNotWanted = 0;
  put_stateid(out, *state);
  put_change(out, before, directory->change);
  out.u32(kResultLocktypePosix | (world_.options.preserve_unlinked ? kResultPreserveUnlinked : 0));
  (open.created ? open.attributes.named : Bitmap{}).put(out);
  if (open.wants) {
    out.u32(kNoDelegationBecause);
    out.u32(kNotWanted);
  } else {
    out.u32(kNoDelegation);
  }
  return Status::ok;
}

Status Compound::close(Writer& out) {
  args_.u32();  // seqid
  const StateArgument argument = take_stateid();
  if (args_.failed()) return Status::badxdr;
  if (current_ == nullptr) return Status::nofilehandle;
  State* state = nullptr;
  if (const Status found = find_state(argument, state); found != Status::ok) return found;
  if (state == nullptr || state->kind != State::Kind::open || state->node != current_) {
    return Status::bad_stateid;
  }
  if (world_.state.has_locks(*state)) return Status::locks_held;
  world_.state.remove(*state);
  if (current_->links == 0 && !world_.state.is_open(*current_)) {
    world_.tree.drop(current_->fileid);
  }
  // The stateid that nobody may use: section 18.2.4
  out.u32(UINT32_MAX);
  out.fixed(nfs::StateId{}.other);
  return Status::ok;
}

Status Compound::open_downgrade(Writer& out) {
  const StateArgument argument = take_stateid();
  args_.u32();  // seqid
  const uint32_t access = args_.u32() & kShareBits;
  const uint32_t deny = args_.u32();
  if (args_.failed()) return Status::badxdr;
  if (current_ == nullptr) return Status::nofilehandle;
  State* state = nullptr;
  if (const Status found = find_state(argument, state); found != Status::ok) return found;
  if (state == nullptr || state->kind != State::Kind::open || state->node != current_) {
    return Status::bad_stateid;
  }
  if (access == 0 || (access & ~state->access) != 0 || (deny & ~state->deny) != 0) {
    return Status::inval;
  }
  state->access = access;
  state->deny = deny;
  ++state->sequence;
  put_stateid(out, *state);
  return Status::ok;
}

void Compound::put_denied(Writer& out, const LockedRange& range) const {
  out.u64(range.begin);
  out.u64(range.last == UINT64_MAX ? nfs::kToTheEnd : range.last - range.begin + 1);
  out.enumerator(range.type);
  out.u64(range.state->client->id);
  out.text(range.state->owner);
}

Status Compound::lock(Writer& out) {
  const uint32_t type = args_.u32();
  const bool reclaim = args_.boolean();
  LockRangeArgument where;
  where.offset = args_.u64();
  where.length = args_.u64();
  const bool is_new = args_.boolean();
  std::string owner;
  if (is_new) args_.u32();  // the open's seqid
  const StateArgument argument = take_stateid();
  args_.u32();  // the lock's seqid
  if (is_new) {
    args_.u64();  // the client's id: the session's
    owner.assign(args_.text(kOwnerBytesMax));
  }
  if (args_.failed()) return Status::badxdr;
  if (const Status is = need_regular(); is != Status::ok) return is;
  LockedRange range;
  if (const Status valid = to_range(type, where, range); valid != Status::ok) return valid;
  Client& client = *session_->client;
  if (reclaim) {
    if (const Status may = reclaim_allowed(); may != Status::ok) return may;
  } else if (world_.in_grace()) {
    return Status::grace;
  }
  State* given = nullptr;
  if (const Status found = find_state(argument, given); found != Status::ok) return found;
  const State::Kind kind = is_new ? State::Kind::open : State::Kind::lock;
  if (given == nullptr || given->kind != kind || given->node != current_) {
    return Status::bad_stateid;
  }
  State& open = is_new ? *given : *given->open;
  if (!is_new) owner = given->owner;
  const uint32_t needed = range.type == LockType::read ? nfs::share::kRead : nfs::share::kWrite;
  if ((open.access & needed) == 0) return Status::openmode;
  const LockedRange* denied = world_.state.conflict(*current_, range, client, owner);
  if (denied != nullptr) {
    put_denied(out, *denied);
    return Status::denied;
  }
  State* state = world_.state.find_state(State::Kind::lock, client, owner, *current_);
  if (state == nullptr) {
    state = &world_.state.new_state(State::Kind::lock, client, owner, current_);
    state->open = &open;
  } else {
    ++state->sequence;
  }
  range.state = state;
  world_.state.lock(range);
  put_stateid(out, *state);
  return Status::ok;
}

Status Compound::lockt(Writer& out) {
  const uint32_t type = args_.u32();
  LockRangeArgument where;
  where.offset = args_.u64();
  where.length = args_.u64();
  args_.u64();  // the client's id: the session's
  const std::string owner(args_.text(kOwnerBytesMax));
  if (args_.failed()) return Status::badxdr;
  if (const Status is = need_regular(); is != Status::ok) return is;
  if (world_.in_grace()) return Status::grace;
  LockedRange range;
  if (const Status valid = to_range(type, where, range); valid != Status::ok) return valid;
  const LockedRange* denied = world_.state.conflict(*current_, range, *session_->client, owner);
  if (denied == nullptr) return Status::ok;
  put_denied(out, *denied);
  return Status::denied;
}

Status Compound::locku(Writer& out) {
  const uint32_t type = args_.u32();
  args_.u32();  // seqid
  const StateArgument argument = take_stateid();
  LockRangeArgument where;
  where.offset = args_.u64();
  where.length = args_.u64();
  if (args_.failed()) return Status::badxdr;
  if (const Status is = need_regular(); is != Status::ok) return is;
  LockedRange range;
  if (const Status valid = to_range(type, where, range); valid != Status::ok) return valid;
  State* state = nullptr;
  if (const Status found = find_state(argument, state); found != Status::ok) return found;
  if (state == nullptr || state->kind != State::Kind::lock || state->node != current_) {
    return Status::bad_stateid;
  }
  world_.state.unlock(*state, range.begin, range.last);
  ++state->sequence;
  put_stateid(out, *state);
  return Status::ok;
}

Status Compound::test_stateid(Writer& out) {
  constexpr uint32_t kMax = 1024;
  const uint32_t count = args_.u32();
  if (count > kMax) return Status::badxdr;
  out.u32(count);
  for (uint32_t i = 0; i < count && !args_.failed(); ++i) {
    const StateArgument argument = take_stateid();
    State* state = nullptr;
    const Status found = find_state(argument, state);
    out.enumerator(found == Status::ok && state == nullptr ? Status::bad_stateid : found);
  }
  return Status::ok;
}

Status Compound::free_stateid(Writer&) {
  const StateArgument argument = take_stateid();
  if (args_.failed()) return Status::badxdr;
  State* state = world_.state.find_state(argument.id);
  if (state == nullptr || state->client != session_->client) return Status::bad_stateid;
  if (!state->revoked) {
    if (state->kind == State::Kind::open || world_.state.has_locks(*state)) {
      return Status::locks_held;
    }
  }
  world_.state.remove(*state);
  return Status::ok;
}

}  // namespace dpfs::responder
