// SPDX-License-Identifier: Apache-2.0
// Client ids, sessions, opens and locks.
#include "responder/state.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace dpfs::responder {

namespace {

// Ids are the epoch and a number; what is of another epoch has no number.
template <class Id>
Id make_id(uint32_t epoch, uint64_t number) {
  Id id;
  constexpr bool kIsState = std::is_same_v<Id, nfs::StateId>;
  if constexpr (kIsState) {
    std::memcpy(id.other.data(), &epoch, sizeof epoch);
    std::memcpy(id.other.data() + sizeof epoch, &number, sizeof number);
  } else {
    std::memcpy(id.bytes.data(), &epoch, sizeof epoch);
    std::memcpy(id.bytes.data() + sizeof epoch, &number, sizeof number);
  }
  return id;
}

template <size_t kSize>
uint64_t number_of(const std::array<uint8_t, kSize>& bytes, uint32_t epoch) {
  uint32_t of = 0;
  uint64_t number = 0;
  std::memcpy(&of, bytes.data(), sizeof of);
  std::memcpy(&number, bytes.data() + sizeof of, sizeof number);
  return of == epoch ? number : 0;
}

template <class Map>
auto* pointer_in(Map& map, uint64_t key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : found->second.get();
}

bool overlap(const LockedRange& one, const LockedRange& other) {
  return one.begin <= other.last && other.begin <= one.last;
}

}  // namespace

Client& StateTable::new_client(const std::string& owner, const nfs::Verifier& verifier) {
  const uint64_t id = uint64_t{epoch_} << 32 | next_client_++;
  auto client = std::make_unique<Client>();
  client->id = id;
  client->owner = owner;
  client->verifier = verifier;
  return *clients_.emplace(id, std::move(client)).first->second;
}

Client* StateTable::find_client(uint64_t id) { return pointer_in(clients_, id); }

Client* StateTable::find_client(const std::string& owner, bool confirmed) {
  for (const auto& [id, client] : clients_) {
    if (client->owner == owner && client->confirmed == confirmed) return client.get();
  }
  return nullptr;
}

bool StateTable::has_state(const Client& client) const {
  return std::ranges::any_of(states_,
                             [&](const auto& each) { return each.second->client == &client; });
}

bool StateTable::has_session(const Client& client) const {
  return std::ranges::any_of(sessions_,
                             [&](const auto& each) { return each.second->client == &client; });
}

void StateTable::remove(Client& client) {
  for (auto& [fileid, ranges] : locks_) {
    std::erase_if(ranges, [&](const LockedRange& range) { return range.state->client == &client; });
  }
  std::erase_if(states_, [&](const auto& each) { return each.second->client == &client; });
  std::erase_if(sessions_, [&](const auto& each) { return each.second->client == &client; });
  clients_.erase(client.id);
}

Session& StateTable::new_session(Client& client, const ChannelAttributes& fore) {
  const uint64_t number = next_session_++;
  auto session = std::make_unique<Session>();
  session->id = make_id<nfs::SessionId>(epoch_, number);
  session->client = &client;
  session->fore = fore;
  session->slots.resize(fore.requests_max);
  return *sessions_.emplace(number, std::move(session)).first->second;
}

Session* StateTable::find_session(const nfs::SessionId& id) {
  return pointer_in(sessions_, number_of(id.bytes, epoch_));
}

void StateTable::remove(Session& session) { sessions_.erase(number_of(session.id.bytes, epoch_)); }

void StateTable::forget_connection(uint64_t connection) {
  for (const auto& [number, session] : sessions_) session->connections.erase(connection);
}

State& StateTable::new_state(State::Kind kind, Client& client, std::string owner,
                             NodePointer node) {
  const uint64_t number = next_state_++;
  auto state = std::make_unique<State>();
  state->kind = kind;
  state->id = make_id<nfs::StateId>(epoch_, number);
  state->client = &client;
  state->owner = std::move(owner);
  state->node = std::move(node);
  return *states_.emplace(number, std::move(state)).first->second;
}

State* StateTable::find_state(const nfs::StateId& id) {
  return pointer_in(states_, number_of(id.other, epoch_));
}

State* StateTable::find_state(State::Kind kind, const Client& client, const std::string& owner,
                              const Node& node) {
  for (const auto& [number, state] : states_) {
    if (state->kind == kind && state->client == &client && state->node.get() == &node &&
        state->owner == owner && !state->revoked) {
      return state.get();
    }
  }
  return nullptr;
}

void StateTable::remove(State& state) {
  const auto ranges = locks_.find(state.node->fileid);
  if (ranges != locks_.end()) {
    std::erase_if(ranges->second, [&](const LockedRange& range) {
      return range.state == &state || range.state->open == &state;
    });
  }
  std::erase_if(states_, [&](const auto& each) { return each.second->open == &state; });
  states_.erase(number_of(state.id.other, epoch_));
}

void StateTable::revoke(const Client& client) {
  for (const auto& [number, state] : states_) {
    if (state->client != &client) continue;
    unlock(*state, 0, UINT64_MAX);
    state->revoked = true;
  }
}

bool StateTable::has_revoked(const Client& client) const {
  return std::ranges::any_of(states_, [&](const auto& each) {
    return each.second->client == &client && each.second->revoked;
  });
}

bool StateTable::is_open(const Node& node) const {
  return std::ranges::any_of(states_,
                             [&](const auto& each) { return each.second->node.get() == &node; });
}

bool StateTable::share_conflict(const Node& node, const State* own, uint32_t access,
                                uint32_t deny) const {
  return std::ranges::any_of(states_, [&](const auto& each) {
    const State& state = *each.second;
    return state.kind == State::Kind::open && &state != own && state.node.get() == &node &&
           !state.revoked && ((state.deny & access) != 0 || (state.access & deny) != 0);
  });
}

const LockedRange* StateTable::conflict(const Node& node, const LockedRange& wanted,
                                        const Client& client, const std::string& owner) const {
  for (const LockedRange& range : locks(node)) {
    const bool own = range.state->client == &client && range.state->owner == owner;
    const bool shared = range.type == nfs::LockType::read && wanted.type == nfs::LockType::read;
    if (!own && !shared && overlap(range, wanted)) return &range;
  }
  return nullptr;
}

void StateTable::lock(const LockedRange& range) {
  unlock(*range.state, range.begin, range.last);
  locks_[range.state->node->fileid].push_back(range);
}

void StateTable::unlock(const State& state, uint64_t begin, uint64_t last) {
  const auto found = locks_.find(state.node->fileid);
  if (found == locks_.end()) return;
  std::vector<LockedRange> left;
  for (const LockedRange& range : found->second) {
    if (range.state != &state || range.begin > last || range.last < begin) {
      left.push_back(range);
      continue;
    }
    if (range.begin < begin) left.push_back({range.state, range.type, range.begin, begin - 1});
    if (range.last > last) left.push_back({range.state, range.type, last + 1, range.last});
  }
  found->second = std::move(left);
}

bool StateTable::has_locks(const State& state) const {
  return std::ranges::any_of(locks(*state.node), [&](const LockedRange& range) {
    return range.state == &state || range.state->open == &state;
  });
}

const std::vector<LockedRange>& StateTable::locks(const Node& node) const {
  static const std::vector<LockedRange> kNone;
  const auto found = locks_.find(node.fileid);
  return found == locks_.end() ? kNone : found->second;
}

}  // namespace dpfs::responder
