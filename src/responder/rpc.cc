// SPDX-License-Identifier: Apache-2.0
// Headers of calls and replies.
#include "responder/rpc.h"

#include "backend/nfs/nfs4.h"

namespace dpfs::responder {

namespace {

constexpr uint32_t kCall = 0;
constexpr uint32_t kReply = 1;
constexpr uint32_t kRpcVersion = 2;
constexpr uint32_t kAuthSys = 1;
constexpr size_t kAuthBytesMax = 400;
constexpr size_t kMachineBytesMax = 255;
constexpr uint32_t kGroupsMax = 16;

bool take_auth_sys(nfs::XdrReader from, Credential& to) {
  from.u32();  // stamp
  to.machine.assign(from.text(kMachineBytesMax));
  to.uid = from.u32();
  to.gid = from.u32();
  const uint32_t groups = from.u32();
  if (groups > kGroupsMax) return false;
  to.groups.clear();
  for (uint32_t i = 0; i < groups; ++i) to.groups.push_back(from.u32());
  return !from.failed() && from.left() == 0;
}

}  // namespace

bool take_call(nfs::XdrReader& from, Call& call) {
  call.xid = from.u32();
  if (from.u32() != kCall || from.u32() != kRpcVersion) return false;
  const uint32_t program = from.u32();
  const uint32_t version = from.u32();
  call.procedure = from.u32();
  call.credential.flavor = from.u32();
  const nfs::Bytes body = from.opaque(kAuthBytesMax);
  from.u32();                  // the verifier's flavor
  from.opaque(kAuthBytesMax);  // and its body
  if (from.failed()) return false;
  call.verdict = AcceptStat::success;
  if (program != nfs::kProgram) {
    call.verdict = AcceptStat::program_unavailable;
  } else if (version != nfs::kVersion) {
    call.verdict = AcceptStat::program_mismatch;
  } else if (call.procedure > nfs::kProcedureCompound) {
    call.verdict = AcceptStat::procedure_unavailable;
  } else if (call.credential.flavor == kAuthSys &&
             !take_auth_sys(nfs::XdrReader(body), call.credential)) {
    call.verdict = AcceptStat::garbage_arguments;
  }
  return true;
}

void put_reply_header(nfs::XdrWriter& to, uint32_t xid, AcceptStat verdict) {
  to.u32(xid);
  to.u32(kReply);
  to.u32(0);  // MSG_ACCEPTED
  to.u32(0);  // the verifier: AUTH_NONE
  to.u32(0);
  to.enumerator(verdict);
  if (verdict == AcceptStat::program_mismatch) {
    to.u32(nfs::kVersion);
    to.u32(nfs::kVersion);
  }
}

}  // namespace dpfs::responder
