// SPDX-License-Identifier: Apache-2.0
// Client ids, sessions and SEQUENCE: RFC 8881, section 18.33 and the following.
#include <algorithm>

#include "responder/compound.h"

namespace dpfs::responder {

using nfs::Status;

namespace {

constexpr size_t kOpaqueBytesMax = 1024;  // NFS4_OPAQUE_LIMIT

namespace exchange_flag {
constexpr uint32_t kUseNonPnfs = 0x10000;
constexpr uint32_t kUpdateConfirmed = 0x40000000;
constexpr uint32_t kConfirmed = 0x80000000;
}  // namespace exchange_flag

constexpr uint32_t kBindForeOrBoth = 0x7;
constexpr uint32_t kBindFore = 1;
constexpr uint32_t kRdmaAddressesMax = 1;

ChannelAttributes take_channel(nfs::XdrReader& from) {
  ChannelAttributes channel;
  channel.header_pad_bytes = from.u32();
  channel.request_bytes_max = from.u32();
  channel.response_bytes_max = from.u32();
  channel.cached_bytes_max = from.u32();
  channel.operations_max = from.u32();
  channel.requests_max = from.u32();
  const uint32_t rdma = from.u32();
  if (rdma > kRdmaAddressesMax) from.fail();
  if (rdma == 1) from.u32();
  return channel;
}

void put_channel(nfs::XdrWriter& to, const ChannelAttributes& channel) {
  to.u32(0);  // no padding of headers
  to.u32(channel.request_bytes_max);
  to.u32(channel.response_bytes_max);
  to.u32(channel.cached_bytes_max);
  to.u32(channel.operations_max);
  to.u32(channel.requests_max);
  to.u32(0);  // no RDMA
}

// What both sides can do.
ChannelAttributes agree(const ChannelAttributes& wanted, const Options& options) {
  constexpr uint32_t kHeadBytes = 4096;
  ChannelAttributes agreed;
  agreed.request_bytes_max =
      std::min(wanted.request_bytes_max, options.write_bytes_max + kHeadBytes);
  agreed.response_bytes_max =
      std::min(wanted.response_bytes_max, options.read_bytes_max + kHeadBytes);
  agreed.cached_bytes_max = std::min(wanted.cached_bytes_max, options.cached_bytes_max);
  agreed.operations_max = std::min(wanted.operations_max, options.operations_max);
  agreed.requests_max = std::clamp<uint32_t>(wanted.requests_max, 1, options.slots);
  return agreed;
}

// callback_sec_parms4<>, which nobody calls back with
void skip_callback_security(nfs::XdrReader& from) {
  constexpr uint32_t kAuthNone = 0;
  constexpr uint32_t kAuthSys = 1;
  constexpr uint32_t kMax = 16;
  const uint32_t count = from.u32();
  if (count > kMax) from.fail();
  for (uint32_t i = 0; i < count && !from.failed(); ++i) {
    const uint32_t flavor = from.u32();
    if (flavor == kAuthNone) continue;
    if (flavor != kAuthSys) return from.fail();
    from.u32();  // stamp
    from.opaque(255);
    from.u32();  // uid
    from.u32();  // gid
    const uint32_t groups = from.u32();
    if (groups > kMax) return from.fail();
    from.skip(groups * sizeof(uint32_t));
  }
}

}  // namespace

Status Compound::exchange_id(Writer& out) {
  constexpr uint32_t kNoStateProtection = 0;
  nfs::Verifier verifier;
  args_.fixed(verifier.bytes);
  const std::string owner(args_.text(kOpaqueBytesMax));
  const uint32_t flags = args_.u32();
  if (args_.u32() != kNoStateProtection) return Status::notsupp;
  const uint32_t implementations = args_.u32();
  if (implementations > 1) return Status::badxdr;
  if (implementations == 1) {
    args_.opaque(kOpaqueBytesMax);  // domain
    args_.opaque(kOpaqueBytesMax);  // name
    args_.u64();
    args_.u32();
  }
  if (args_.failed()) return Status::badxdr;

  Client* confirmed = world_.state.find_client(owner, true);
  if ((flags & exchange_flag::kUpdateConfirmed) != 0) {
    if (confirmed == nullptr) return Status::noent;
    if (!(confirmed->verifier == verifier)) return Status::not_same;
  }
  Client* client = confirmed;
  if (confirmed == nullptr || !(confirmed->verifier == verifier)) {
    // Of one that has restarted the old record stays until the new one is confirmed.
    if (Client* before = world_.state.find_client(owner, false)) world_.state.remove(*before);
    client = &world_.state.new_client(owner, verifier);
    client->may_reclaim = world_.reclaimers.contains(owner);
  }
  client->renewed_ms = world_.now_ms();
  out.u64(client->id);
  out.u32(client->sequence);
  out.u32(exchange_flag::kUseNonPnfs | (client->confirmed ? exchange_flag::kConfirmed : 0));
  out.u32(kNoStateProtection);
  out.u64(0);             // so_minor_id
  out.text("responder");  // so_major_id
  out.text("responder");  // the scope
  out.u32(0);             // nothing of the implementation
  return Status::ok;
}

Status Compound::create_session(Writer& out) {
  const uint64_t id = args_.u64();
  const uint32_t sequence = args_.u32();
  args_.u32();  // flags: sessions here are not persistent, and nobody calls back
  const ChannelAttributes wanted = take_channel(args_);
  const ChannelAttributes back = take_channel(args_);
  args_.u32();  // the callback program
  skip_callback_security(args_);
  if (args_.failed()) return Status::badxdr;

  Client* client = world_.state.find_client(id);
  if (client == nullptr) return Status::stale_clientid;
  if (sequence + 1 == client->sequence && !client->create_session_reply.empty()) {
    out.fixed(client->create_session_reply);
    return Status::ok;
  }
  if (sequence != client->sequence) return Status::seq_misordered;
  constexpr uint32_t kResponseBytesMin = 512;
  if (wanted.response_bytes_max < kResponseBytesMin) return Status::toosmall;

  if (!client->confirmed) {
    Client* before = world_.state.find_client(client->owner, true);
    if (before != nullptr) world_.state.remove(*before);
    client->confirmed = true;
  }
  ++client->sequence;
  client->renewed_ms = world_.now_ms();
  Session& session = world_.state.new_session(*client, agree(wanted, world_.options));
  session.connections.insert(request_.connection);
  out.fixed(session.id.bytes);
  out.u32(sequence);
  out.u32(0);  // flags
  put_channel(out, session.fore);
  put_channel(out, back);
  client->create_session_reply.assign(out.bytes().begin(), out.bytes().end());
  return Status::ok;
}

Status Compound::bind_conn_to_session(Writer& out) {
  nfs::SessionId id;
  args_.fixed(id.bytes);
  const uint32_t direction = args_.u32();
  args_.boolean();  // RDMA
  if (args_.failed()) return Status::badxdr;
  Session* session = world_.state.find_session(id);
  if (session == nullptr) return Status::badsession;
  if ((direction & ~kBindForeOrBoth) != 0) return Status::inval;
  session->connections.insert(request_.connection);
  out.fixed(id.bytes);
  out.u32(kBindFore);
  out.boolean(false);
  return Status::ok;
}

Status Compound::destroy_session(Writer&) {
  nfs::SessionId id;
  args_.fixed(id.bytes);
  Session* session = world_.state.find_session(id);
  if (session == nullptr) return Status::badsession;
  if (session == session_) {
    session_ = nullptr;
    slot_ = nullptr;
  }
  world_.state.remove(*session);
  return Status::ok;
}

Status Compound::destroy_clientid(Writer&) {
  const uint64_t id = args_.u64();
  Client* client = world_.state.find_client(id);
  if (client == nullptr) return Status::stale_clientid;
  if (world_.state.has_session(*client) || world_.state.has_state(*client)) {
    return Status::clientid_busy;
  }
  world_.state.remove(*client);
  return Status::ok;
}

// Section 2.10.6.1: a slot's sequence is one more than its last, or the same for a retry.
Status Compound::admit_to_slot(uint32_t number, uint32_t sequence, bool cache_this) {
  Slot& slot = session_->slots[number];
  if (sequence == slot.sequence && sequence != 0) {
    if (world_.options.record && slot.request_hash != hash_) {
      ++world_.counters.false_retries;
      return Status::seq_false_retry;
    }
    if (!slot.cached) {
      ++world_.counters.uncached_replays;
      uncached_replay_ = true;
      return Status::ok;
    }
    ++world_.counters.replays;
    replayed_ = true;
    std::ranges::copy(slot.reply, room_.begin());
    size_ = slot.reply.size();
    return Status::ok;
  }
  if (sequence != slot.sequence + 1) {
    ++world_.counters.misordered;
    return Status::seq_misordered;
  }
  slot_ = &slot;
  seen_.slot = number;
  seen_.sequence = sequence;
  seen_.cache_this = cache_this;
  return Status::ok;
}

Status Compound::sequence(Writer& out) {
  nfs::SessionId id;
  args_.fixed(id.bytes);
  const uint32_t sequence = args_.u32();
  const uint32_t slot = args_.u32();
  args_.u32();  // the highest slot in use
  const bool cache_this = args_.boolean();
  if (args_.failed()) return Status::badxdr;
  Session* session = world_.state.find_session(id);
  if (session == nullptr) return Status::badsession;
  if (slot >= session->slots.size()) return Status::badslot;
  if (request_.bytes > session->fore.request_bytes_max) return Status::req_too_big;
  if (world_.options.require_binding && !session->connections.contains(request_.connection)) {
    return Status::conn_not_bound_to_session;
  }
  session->connections.insert(request_.connection);
  session_ = session;
  const Status admitted = admit_to_slot(slot, sequence, cache_this);
  if (admitted != Status::ok) session_ = nullptr;
  if (admitted != Status::ok || replayed_) return admitted;

  Client& client = *session->client;
  client.renewed_ms = world_.now_ms();
  const auto highest = static_cast<uint32_t>(session->slots.size() - 1);
  uint32_t flags = world_.sequence_flags;
  if (world_.state.has_revoked(client)) {
    flags |= nfs::sequence_status::kExpiredAllStateRevoked;
  }
  out.fixed(id.bytes);
  out.u32(sequence);
  out.u32(slot);
  out.u32(highest);
  out.u32(std::min(highest, world_.target_slots - 1));
  out.u32(flags);
  return Status::ok;
}

Status Compound::reclaim_complete(Writer&) {
  const bool one_file_system = args_.boolean();
  if (args_.failed()) return Status::badxdr;
  if (one_file_system) return need_current();
  Client& client = *session_->client;
  if (client.reclaim_complete) return Status::complete_already;
  client.reclaim_complete = true;
  world_.reclaimers.erase(client.owner);
  return Status::ok;
}

}  // namespace dpfs::responder
