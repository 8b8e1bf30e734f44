// SPDX-License-Identifier: Apache-2.0
// Encoding and decoding of what makes and ends sessions.
#include "backend/nfs/session_operations.h"

namespace dpfs::nfs {
namespace {

constexpr uint32_t kUseNonPnfs = 0x10000;  // EXCHGID4_FLAG_USE_NON_PNFS
constexpr size_t kOpaqueMax = 1024;        // NFS4_OPAQUE_LIMIT

}  // namespace

void ExchangeId::encode(CompoundWriter& to) noexcept {
  XdrWriter& xdr = to.operation(Operation::exchange_id);
  xdr.fixed(verifier.bytes);
  xdr.text(owner);
  xdr.u32(kUseNonPnfs);
  xdr.u32(0);  // SP4_NONE
  xdr.u32(0);  // eia_client_impl_id: none
}

void ExchangeId::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::exchange_id)) return;
  XdrReader& xdr = from.xdr();
  client_id = xdr.u64();
  sequence = xdr.u32();
  flags = xdr.u32();
  if (xdr.u32() != 0) xdr.fail();  // we have asked for no protection
  xdr.u64();
  xdr.opaque(kOpaqueMax);  // server_owner
  xdr.opaque(kOpaqueMax);  // server_scope
  // eir_server_impl_id and all behind it are of no use to us.
}

void ChannelAttributes::encode(XdrWriter& to) const noexcept {
  to.u32(0);  // header padding
  to.u32(request_bytes);
  to.u32(response_bytes);
  to.u32(cached_bytes);
  to.u32(operations);
  to.u32(requests);
  to.u32(0);  // no RDMA
}

ChannelAttributes ChannelAttributes::decode(XdrReader& from) noexcept {
  ChannelAttributes channel;
  from.u32();
  channel.request_bytes = from.u32();
  channel.response_bytes = from.u32();
  channel.cached_bytes = from.u32();
  channel.operations = from.u32();
  channel.requests = from.u32();
  const uint32_t rdma = from.u32();
  if (rdma > 1) from.fail();
  if (rdma == 1) from.u32();
  return channel;
}

void CreateSession::encode(CompoundWriter& to) noexcept {
  XdrWriter& xdr = to.operation(Operation::create_session);
  xdr.u64(client_id);
  xdr.u32(sequence);
  xdr.u32(0);  // not persistent, no back channel
  wanted.encode(xdr);
  ChannelAttributes{4096, 4096, 0, 2, 1}.encode(xdr);
  xdr.u32(0x40000000);  // callback program, of which there will be none
  xdr.u32(1);           // csa_sec_parms
  xdr.u32(0);           // AUTH_NONE
}

void CreateSession::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::create_session)) return;
  from.xdr().fixed(session.bytes);
  from.xdr().u32();  // sequence
  from.xdr().u32();  // flags
  got = ChannelAttributes::decode(from.xdr());
  // The back channel's, of no use to us.
}

void BindConnection::encode(CompoundWriter& to) noexcept {
  XdrWriter& xdr = to.operation(Operation::bind_conn_to_session);
  xdr.fixed(session.bytes);
  xdr.u32(1);  // CDFC4_FORE
  xdr.boolean(false);
}

void BindConnection::decode(CompoundReader& from) noexcept {
  from.operation(Operation::bind_conn_to_session);
}

void DestroySession::encode(CompoundWriter& to) noexcept {
  to.operation(Operation::destroy_session).fixed(session.bytes);
}

void DestroySession::decode(CompoundReader& from) noexcept {
  from.operation(Operation::destroy_session);
}

void DestroyClientId::encode(CompoundWriter& to) noexcept {
  to.operation(Operation::destroy_clientid).u64(client_id);
}

void DestroyClientId::decode(CompoundReader& from) noexcept {
  from.operation(Operation::destroy_clientid);
}

void ReclaimComplete::encode(CompoundWriter& to) noexcept {
  to.operation(Operation::reclaim_complete).boolean(false);
}

void ReclaimComplete::decode(CompoundReader& from) noexcept {
  from.operation(Operation::reclaim_complete);
}

}  // namespace dpfs::nfs
