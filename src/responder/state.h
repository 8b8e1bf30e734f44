// SPDX-License-Identifier: Apache-2.0
// What the responder knows of its clients: client ids, sessions with their slots, opens and locks.
// RFC 8881, sections 2.4, 2.10, 8 and 9.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend/nfs/nfs4.h"
#include "responder/tree.h"

namespace dpfs::responder {

struct ChannelAttributes {
  uint32_t header_pad_bytes = 0;
  uint32_t request_bytes_max = 0;
  uint32_t response_bytes_max = 0;
  uint32_t cached_bytes_max = 0;
  uint32_t operations_max = 0;
  uint32_t requests_max = 0;
};

struct Client {
  uint64_t id = 0;
  std::string owner;  // co_ownerid
  nfs::Verifier verifier;
  bool confirmed = false;
  bool reclaim_complete = false;
  bool may_reclaim = false;  // it had state before the restart
  uint32_t sequence = 1;     // the next CREATE_SESSION's
  std::vector<uint8_t> create_session_reply;
  uint64_t renewed_ms = 0;
};

struct Slot {
  uint32_t sequence = 0;
  uint64_t request_hash = 0;
  bool cached = false;
  std::vector<uint8_t> reply;  // from the compound's status on
};

struct Session {
  nfs::SessionId id;
  Client* client = nullptr;
  ChannelAttributes fore;
  std::vector<Slot> slots;
  std::set<uint64_t> connections;
};

// An open or a set of locks: what a stateid names.
struct State {
  enum class Kind : uint8_t { open, lock };
  Kind kind = Kind::open;
  nfs::StateId id;
  uint32_t sequence = 1;
  Client* client = nullptr;
  std::string owner;
  NodePointer node;
  uint32_t access = 0;  // of an open; of locks: that of the open they were made by
  uint32_t deny = 0;
  State* open = nullptr;  // of locks
  bool revoked = false;   // the lease was lost: good for FREE_STATEID only
};

struct LockedRange {
  State* state = nullptr;
  nfs::LockType type = nfs::LockType::read;
  uint64_t begin = 0;
  uint64_t last = 0;  // the last byte, so that a lock to the end has one
};

class StateTable {
 public:
  // Of `epoch`, which changes with each restart: ids of others are not found.
  explicit StateTable(uint32_t epoch) : epoch_(epoch) {}

  Client& new_client(const std::string& owner, const nfs::Verifier& verifier);
  Client* find_client(uint64_t id);
  Client* find_client(const std::string& owner, bool confirmed);
  bool has_state(const Client& client) const;
  bool has_session(const Client& client) const;
  // With its sessions, opens and locks.
  void remove(Client& client);
  const std::map<uint64_t, std::unique_ptr<Client>>& clients() const noexcept { return clients_; }

  Session& new_session(Client& client, const ChannelAttributes& fore);
  Session* find_session(const nfs::SessionId& id);
  void remove(Session& session);
  void forget_connection(uint64_t connection);

  State& new_state(State::Kind kind, Client& client, std::string owner, NodePointer node);
  State* find_state(const nfs::StateId& id);
  State* find_state(State::Kind kind, const Client& client, const std::string& owner,
                    const Node& node);
  // Locks of an open go before it.
  void remove(State& state);
  // Everything of the client's stays named, and is good for nothing.
  void revoke(const Client& client);
  bool has_revoked(const Client& client) const;
  bool is_open(const Node& node) const;
  // Whether somebody else's open of the file forbids this one.
  bool share_conflict(const Node& node, const State* own, uint32_t access, uint32_t deny) const;

  // A lock that is in the way of one like `wanted`, whose state may be nullptr.
  const LockedRange* conflict(const Node& node, const LockedRange& wanted, const Client& client,
                              const std::string& owner) const;
  void lock(const LockedRange& range);
  void unlock(const State& state, uint64_t begin, uint64_t last);
  bool has_locks(const State& state) const;
  const std::vector<LockedRange>& locks(const Node& node) const;

 private:
  uint32_t epoch_;
  uint64_t next_client_ = 1;
  uint64_t next_session_ = 1;
  uint64_t next_state_ = 1;
  std::map<uint64_t, std::unique_ptr<Client>> clients_;
  std::unordered_map<uint64_t, std::unique_ptr<Session>> sessions_;
  std::unordered_map<uint64_t, std::unique_ptr<State>> states_;
  std::unordered_map<uint64_t, std::vector<LockedRange>> locks_;  // by fileid
};

}  // namespace dpfs::responder
