// SPDX-License-Identifier: Apache-2.0
// Restarts, grace, leases and handles.
#include "responder/world.h"

#include <algorithm>
#include <cstring>
#include <ctime>

namespace dpfs::responder {

namespace {

constexpr uint32_t kHandleMagic = 0x64706673;

nfs::Verifier verifier_of(uint32_t epoch) {
  nfs::Verifier verifier;
  std::memcpy(verifier.bytes.data(), &epoch, sizeof epoch);
  return verifier;
}

struct HandleFields {
  uint32_t magic;
  uint32_t generation;
  uint64_t fileid;
};
static_assert(sizeof(HandleFields) == 16);

}  // namespace

World::World(const Options& with) : options(with), state(1), write_verifier(verifier_of(1)) {
  options.handle_bytes =
      std::clamp<uint32_t>(options.handle_bytes, sizeof(HandleFields), nfs::FileHandle::kBytesMax);
}

uint64_t World::now_ms() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);  // for leases: each SEQUENCE looks at it
  constexpr uint64_t kSecondMs = 1000;
  constexpr long kMillisecondNs = 1'000'000;
  return static_cast<uint64_t>(now.tv_sec) * kSecondMs +
         static_cast<uint64_t>(now.tv_nsec / kMillisecondNs) + clock_offset_ms_;
}

void World::restart() {
  reclaimers.clear();
  for (const auto& [id, client] : state.clients()) {
    if (client->confirmed && state.has_state(*client)) reclaimers.insert(client->owner);
  }
  ++epoch_;
  write_verifier = verifier_of(epoch_);
  state = StateTable(epoch_);
  tree.lose_unstable();
  grace_ends_ms_ = options.grace_ms == 0 ? 0 : now_ms() + options.grace_ms;
}

bool World::in_grace() {
  if (grace_ends_ms_ != 0 && (now_ms() >= grace_ends_ms_ || reclaimers.empty())) grace_ends_ms_ = 0;
  return grace_ends_ms_ != 0;
}

void World::expire_leases() {
  const uint64_t now = now_ms();
  std::vector<Client*> expired;
  for (const auto& [id, client] : state.clients()) {
    if (client->renewed_ms + options.lease_ms < now) expired.push_back(client.get());
  }
  for (Client* client : expired) state.remove(*client);
}

nfs::FileHandle World::handle_of(const Node& node) const {
  const bool is_root = node.fileid == tree.root()->fileid;
  const HandleFields fields{kHandleMagic, is_root ? 0 : handle_generation_, node.fileid};
  nfs::FileHandle handle;
  handle.size = static_cast<uint8_t>(options.handle_bytes);
  std::memcpy(handle.bytes.data(), &fields, sizeof fields);
  // Filled with something that must come back as it is.
  for (size_t i = sizeof fields; i < handle.size; ++i) {
    handle.bytes[i] = static_cast<uint8_t>(node.fileid * 31 + i);
  }
  return handle;
}

nfs::Status World::find(nfs::Bytes handle, NodePointer& node) const {
  HandleFields fields{};
  if (handle.size() != options.handle_bytes) return nfs::Status::badhandle;
  std::memcpy(&fields, handle.data(), sizeof fields);
  if (fields.magic != kHandleMagic) return nfs::Status::badhandle;
  node = tree.find(fields.fileid);
  if (node == nullptr) return nfs::Status::stale;
  const nfs::FileHandle now = handle_of(*node);
  if (std::memcmp(now.bytes.data(), handle.data(), handle.size()) == 0) return nfs::Status::ok;
  node = nullptr;
  return nfs::Status::stale;
}

nfs::Bytes World::prepared_bytes(uint64_t offset, size_t bytes) {
  const size_t needed = kPreparedPeriod + bytes;
  if (prepared.size() < needed) {
    prepared.resize(needed);
    for (size_t i = 0; i < needed; ++i) {
      const uint64_t at = i % kPreparedPeriod;
      prepared[i] = static_cast<uint8_t>(at * 2654435761u >> 13);
    }
  }
  return nfs::Bytes(prepared).subspan(offset % kPreparedPeriod, bytes);
}

}  // namespace dpfs::responder
