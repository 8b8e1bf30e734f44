// SPDX-License-Identifier: Apache-2.0
// ONC RPC version 2 as a server sees it: RFC 5531.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/nfs/xdr.h"

namespace dpfs::responder {

// Of AUTH_SYS; all zeros otherwise.
struct Credential {
  uint32_t flavor = 0;
  std::string machine;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;
};

enum class AcceptStat : uint32_t {
  success = 0,
  program_unavailable = 1,
  program_mismatch = 2,
  procedure_unavailable = 3,
  garbage_arguments = 4,
  system_error = 5,
};

struct Call {
  uint32_t xid = 0;
  uint32_t procedure = 0;
  Credential credential;
  AcceptStat verdict = AcceptStat::success;
};

// False: this is no call, and deserves no answer.
bool take_call(nfs::XdrReader& from, Call& call);
void put_reply_header(nfs::XdrWriter& to, uint32_t xid, AcceptStat verdict);

}  // namespace dpfs::responder
