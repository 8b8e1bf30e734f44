// SPDX-License-Identifier: Apache-2.0
// The COMPOUNDs that make a client id and a session, and end them. Sections are those of RFC 8881.
#pragma once

#include <string>

#include "backend/nfs/call.h"

namespace dpfs::nfs {

inline constexpr uint32_t kConfirmedClient = 0x80000000;  // EXCHGID4_FLAG_CONFIRMED_R

// A call that belongs to no session.
struct ControlCall : Call {
  ControlCall() noexcept {
    has_session = false;
    recovers = true;
  }
};

// EXCHANGE_ID (18.35)
struct ExchangeId final : ControlCall {
  const Verifier& verifier;
  const std::string& owner;
  uint64_t client_id = 0;
  uint32_t sequence = 0;
  uint32_t flags = 0;
  ExchangeId(const Verifier& of_this_start, const std::string& name) noexcept
      : verifier(of_this_start), owner(name) {}
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

struct ChannelAttributes {  // channel_attrs4
  uint32_t request_bytes = 0;
  uint32_t response_bytes = 0;
  uint32_t cached_bytes = 0;
  uint32_t operations = 0;
  uint32_t requests = 0;
  void encode(XdrWriter& to) const noexcept;
  static ChannelAttributes decode(XdrReader& from) noexcept;
};

// CREATE_SESSION (18.36)
struct CreateSession final : ControlCall {
  uint64_t client_id = 0;
  uint32_t sequence = 0;
  ChannelAttributes wanted;
  SessionId session;
  ChannelAttributes got;
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// BIND_CONN_TO_SESSION (18.34)
struct BindConnection final : ControlCall {
  SessionId session;
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// DESTROY_SESSION (18.37)
struct DestroySession final : ControlCall {
  SessionId session;
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// DESTROY_CLIENTID (18.50)
struct DestroyClientId final : ControlCall {
  uint64_t client_id = 0;
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// RECLAIM_COMPLETE (18.51)
struct ReclaimComplete final : Call {
  ReclaimComplete() noexcept { recovers = changes = true; }
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

}  // namespace dpfs::nfs
