// SPDX-License-Identifier: Apache-2.0
// A COMPOUND's operations in turn, and what they share. RFC 8881, sections 2.10.6 and 16.2.
#include "responder/compound.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace dpfs::responder {

using nfs::Operation;
using nfs::Status;
using nfs::XdrWriter;

namespace {

constexpr size_t kTagBytesMax = 1024;
constexpr uint32_t kOperationsMax = 96;
constexpr size_t kNameBytesMax = 255;
// A result that is smaller in any case: before an operation that changes something, there has to be
// so much room in what the slot may keep.
constexpr size_t kSmallResultBytes = 512;

uint64_t hash_of(nfs::Bytes bytes) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

// Whose result may be large, and whose being refused afterwards changes nothing.
bool only_looks(Operation operation) {
  switch (operation) {
    case Operation::read:
    case Operation::readdir:
    case Operation::readlink:
    case Operation::getattr:
    case Operation::getxattr:
    case Operation::listxattrs:
      return true;
    default:
      return false;
  }
}

bool is_for_sessions(Operation operation) {
  switch (operation) {
    case Operation::exchange_id:
    case Operation::create_session:
    case Operation::bind_conn_to_session:
    case Operation::destroy_session:
    case Operation::destroy_clientid:
      return true;
    default:
      return false;
  }
}

// Results that say something behind a status that is not ok.
bool has_body(Operation operation, Status status) {
  return operation == Operation::setattr ||
         (status == Status::denied &&
          (operation == Operation::lock || operation == Operation::lockt)) ||
         (status == Status::offload_no_reqs && operation == Operation::copy);
}

bool is_all(const std::array<uint8_t, 12>& bytes, uint8_t value) {
  return std::ranges::all_of(bytes, [&](uint8_t byte) { return byte == value; });
}

}  // namespace

struct Compound::Row {
  Operation operation;
  Handler handler;
};

Compound::Handler Compound::handler_of(Operation operation) {
  static const auto kHandlers = [] {
    std::array<Handler, kOperationsMax> handlers{};
    constexpr Row kRows[] = {
        {Operation::access, &Compound::access},
        {Operation::close, &Compound::close},
        {Operation::commit, &Compound::commit},
        {Operation::create, &Compound::create},
        {Operation::getattr, &Compound::getattr},
        {Operation::getfh, &Compound::getfh},
        {Operation::link, &Compound::link},
        {Operation::lock, &Compound::lock},
        {Operation::lockt, &Compound::lockt},
        {Operation::locku, &Compound::locku},
        {Operation::lookup, &Compound::lookup},
        {Operation::lookupp, &Compound::lookupp},
        {Operation::open, &Compound::open},
        {Operation::open_downgrade, &Compound::open_downgrade},
        {Operation::putfh, &Compound::putfh},
        {Operation::putrootfh, &Compound::putrootfh},
        {Operation::read, &Compound::read},
        {Operation::readdir, &Compound::readdir},
        {Operation::readlink, &Compound::readlink},
        {Operation::remove, &Compound::remove},
        {Operation::rename, &Compound::rename},
        {Operation::restorefh, &Compound::restorefh},
        {Operation::savefh, &Compound::savefh},
        {Operation::setattr, &Compound::setattr},
        {Operation::write, &Compound::write},
        {Operation::bind_conn_to_session, &Compound::bind_conn_to_session},
        {Operation::exchange_id, &Compound::exchange_id},
        {Operation::create_session, &Compound::create_session},
        {Operation::destroy_session, &Compound::destroy_session},
        {Operation::free_stateid, &Compound::free_stateid},
        {Operation::sequence, &Compound::sequence},
        {Operation::test_stateid, &Compound::test_stateid},
        {Operation::destroy_clientid, &Compound::destroy_clientid},
        {Operation::reclaim_complete, &Compound::reclaim_complete},
        {Operation::allocate, &Compound::allocate},
        {Operation::copy, &Compound::copy},
        {Operation::deallocate, &Compound::deallocate},
        {Operation::seek, &Compound::seek},
        {Operation::clone, &Compound::clone},
        {Operation::getxattr, &Compound::getxattr},
        {Operation::setxattr, &Compound::setxattr},
        {Operation::listxattrs, &Compound::listxattrs},
        {Operation::removexattr, &Compound::removexattr},
    };
    for (const Row& row : kRows) handlers[static_cast<uint32_t>(row.operation)] = row.handler;
    return handlers;
  }();
  const auto number = static_cast<uint32_t>(operation);
  return number < kOperationsMax ? kHandlers[number] : nullptr;
}

Compound::Fate Compound::run() {
  seen_.xid = request_.call.xid;
  seen_.connection = request_.connection;
  if (world_.options.record) {
    seen_.credential = request_.call.credential;
    hash_ = hash_of(request_.arguments);
  }
  const std::string_view tag = args_.text(kTagBytesMax);
  const uint32_t minor = args_.u32();
  const uint32_t operations = args_.u32();
  if (args_.failed()) return Fate::garbage;

  XdrWriter head(room_);
  const size_t status_at = head.reserve_u32();
  head.text(tag);
  const size_t count_at = head.reserve_u32();
  size_ = head.size();
  if (minor == 0 || minor > world_.options.minor_version_max) {
    status_ = Status::minor_vers_mismatch;
  } else {
    for (uint32_t i = 0; i < operations && fate_ == Fate::answered; ++i) {
      if (!run_one(i, operations)) break;
    }
  }
  if (world_.options.record) {
    seen_.operations.assign(operations_.begin(), operations_.begin() + looked_at_);
    world_.seen.push_back(seen_);
    if (world_.seen.size() > World::kSeenMax) world_.seen.pop_front();
  }
  if (fate_ != Fate::answered || replayed_) return fate_;
  head.patch_u32(status_at, static_cast<uint32_t>(status_));
  head.patch_u32(count_at, results_);
  finish_slot();
  return fate_;
}

std::optional<Status> Compound::scripted(Operation operation) {
  Script& script = world_.script;
  if (script.empty()) return std::nullopt;
  if (script.take(Script::Action::drop_before, operation)) {
    fate_ = Fate::dropped;
    return Status::ok;
  }
  if (script.take(Script::Action::lose_before, operation)) {
    fate_ = Fate::lost;
    return Status::ok;
  }
  const auto answer = script.take(Script::Action::answer, operation);
  if (!answer) return std::nullopt;
  ++world_.counters.injected[static_cast<uint32_t>(operation)];
  return answer->status;
}

Status Compound::check_place(Operation operation, uint32_t index, uint32_t operations) const {
  if (operation == Operation::sequence) return index == 0 ? Status::ok : Status::sequence_pos;
  if (session_ != nullptr) {
    return operation == Operation::bind_conn_to_session ? Status::not_only_op : Status::ok;
  }
  if (!is_for_sessions(operation)) return Status::op_not_in_session;
  return operations == 1 ? Status::ok : Status::not_only_op;
}

bool Compound::run_one(uint32_t index, uint32_t operations) {
  const auto operation = Operation{args_.u32()};
  if (args_.failed()) {
    fate_ = index == 0 ? Fate::garbage : Fate::answered;
    status_ = Status::badxdr;
    return false;
  }
  if (looked_at_ < operations_.size()) operations_[looked_at_++] = operation;
  const Handler handler = handler_of(operation);
  if (handler == nullptr) {
    status_ = Status::notsupp;
    put_result(operation, status_, {});
    return false;
  }
  if (uncached_replay_) {
    status_ = Status::retry_uncached_rep;
    put_result(operation, status_, {});
    return false;
  }
  const bool must_fit =
      slot_ != nullptr && seen_.cache_this && session_->fore.cached_bytes_max < room_.size();
  const size_t fits = must_fit ? session_->fore.cached_bytes_max : room_.size();
  status_ = check_place(operation, index, operations);
  if (status_ == Status::ok && must_fit && !only_looks(operation) &&
      size_ + kSmallResultBytes > fits) {
    status_ = Status::rep_too_big_to_cache;
  }
  std::optional<Status> injected;
  if (status_ == Status::ok) injected = scripted(operation);
  if (fate_ != Fate::answered) return false;
  XdrWriter body(room_.subspan(std::min(size_ + 2 * sizeof(uint32_t), room_.size())));
  if (injected) {
    status_ = *injected;
    if (operation == Operation::setattr) body.u32(0);  // what has been set: nothing
  } else if (status_ == Status::ok) {
    status_ = (this->*handler)(body);
    ++world_.counters.executed[static_cast<uint32_t>(operation)];
    if (replayed_) return false;
    if (args_.failed()) status_ = Status::badxdr;
    if (body.overflowed()) status_ = Status::rep_too_big;
    if (must_fit && size_ + body.size() + payload_.size() > fits) {
      status_ = Status::rep_too_big_to_cache;
    }
  }
  put_result(operation, status_, body.bytes());
  return status_ == Status::ok;
}

void Compound::put_result(Operation operation, Status status, nfs::Bytes body) {
  XdrWriter head(room_.subspan(size_));
  head.enumerator(operation);
  head.enumerator(status);
  if (status == Status::ok || has_body(operation, status)) {
    size_ += head.size() + body.size();
  } else {
    size_ += head.size();
    payload_ = {};
  }
  ++results_;
}

void Compound::finish_slot() {
  if (slot_ == nullptr) return;
  slot_->sequence = seen_.sequence;
  slot_->request_hash = hash_;
  slot_->cached = seen_.cache_this;
  if (slot_->cached) slot_->reply.assign(room_.begin(), room_.begin() + static_cast<long>(size_));
}

Compound::StateArgument Compound::take_stateid() {
  StateArgument argument;
  argument.sequence = args_.u32();
  args_.fixed(argument.id.other);
  if (argument.sequence == 1 && is_all(argument.id.other, 0)) return current_state_;
  return argument;
}

void Compound::put_stateid(Writer& out, const State& state) {
  out.u32(state.sequence);
  out.fixed(state.id.other);
  current_state_ = {state.sequence, state.id};
}

Status Compound::find_state(const StateArgument& argument, State*& state) const {
  state = nullptr;
  if (argument.sequence == 0 && is_all(argument.id.other, 0)) return Status::ok;
  if (argument.sequence == UINT32_MAX && is_all(argument.id.other, 0xff)) return Status::ok;
  state = world_.state.find_state(argument.id);
  if (state == nullptr || state->client != session_->client) return Status::bad_stateid;
  if (state->revoked) return Status::expired;
  if (argument.sequence != 0 && argument.sequence < state->sequence) return Status::old_stateid;
  return argument.sequence > state->sequence ? Status::bad_stateid : Status::ok;
}

Status Compound::check_io(const Node& node, const StateArgument& argument, uint32_t access) const {
  State* state = nullptr;
  const Status found = find_state(argument, state);
  if (found != Status::ok) return found;
  if (state == nullptr) {
    const uint32_t bits = access == nfs::share::kRead ? 4 : 2;
    if (!permitted(node, bits) && !owns(node)) return Status::access;
    return world_.state.share_conflict(node, nullptr, access, 0) ? Status::locked : Status::ok;
  }
  if (state->node.get() != &node) return Status::bad_stateid;
  const State& open = state->kind == State::Kind::lock ? *state->open : *state;
  return (open.access & access) != 0 ? Status::ok : Status::openmode;
}

Status Compound::take_name(std::string_view& name) {
  constexpr size_t kBytesMax = 64 << 10;
  name = args_.text(kBytesMax);
  if (args_.failed()) return Status::badxdr;
  if (name.empty()) return Status::inval;
  if (name.size() > kNameBytesMax) return Status::nametoolong;
  if (name == "." || name == "..") return Status::badname;
  return name.find('/') != name.npos || name.find('\0') != name.npos ? Status::badchar : Status::ok;
}

Status Compound::need_directory() const {
  if (current_ == nullptr) return Status::nofilehandle;
  if (current_->type == nfs::FileType::link) return Status::symlink;
  return current_->is_directory() ? Status::ok : Status::notdir;
}

Status Compound::need_regular() const {
  if (current_ == nullptr) return Status::nofilehandle;
  if (current_->is_directory()) return Status::isdir;
  if (current_->type == nfs::FileType::link) return Status::symlink;
  return current_->is_regular() ? Status::ok : Status::wrong_type;
}

bool Compound::permitted(const Node& node, uint32_t bits) const {
  const Credential& who = request_.call.credential;
  if (!world_.options.permissions || who.uid == 0) return true;
  uint32_t granted = node.mode;
  if (who.uid == node.uid) {
    granted = node.mode >> 6;
  } else if (who.gid == node.gid || std::ranges::find(who.groups, node.gid) != who.groups.end()) {
    granted = node.mode >> 3;
  }
  return (granted & bits) == bits;
}

bool Compound::owns(const Node& node) const {
  const uint32_t uid = request_.call.credential.uid;
  return !world_.options.permissions || uid == 0 || uid == node.uid;
}

FileSystemAttributes Compound::file_system() const {
  return {.lease_s = std::max<uint32_t>(1, world_.options.lease_ms / 1000),
          .read_bytes_max = world_.options.read_bytes_max,
          .write_bytes_max = world_.options.write_bytes_max,
          .space_bytes = world_.options.space_bytes,
          .space_used_bytes = 0,
          .xattrs = world_.options.xattrs};
}

void Compound::put_change(Writer& out, uint64_t before, uint64_t after) {
  out.boolean(true);  // atomic
  out.u64(before);
  out.u64(after);
}

}  // namespace dpfs::responder
