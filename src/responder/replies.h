// SPDX-License-Identifier: Apache-2.0
// Replies that do not go out at once and as they are: delayed, held, reordered, damaged, in
// fragments.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "backend/nfs/xdr.h"
#include "responder/script.h"

namespace dpfs::responder {

// A whole message behind its record mark.
struct Reply {
  static constexpr size_t kHeadBytes = 24;  // of RPC
  uint64_t connection = 0;
  std::vector<uint8_t> message;
  uint32_t announced = 0;  // in place of its size, where it is not 0
};

class Replies {
 public:
  // How long a group that is not whole waits for others.
  static constexpr uint64_t kGroupWaitMs = 5;

  void damage(Reply& reply, Damage how, uint64_t seed);
  // With its record marks.
  std::vector<uint8_t> to_bytes(const Reply& reply) const;

  void delay(Reply reply, uint64_t due_ms) { delayed_.emplace(due_ms, std::move(reply)); }
  void hold(Reply reply) { held_.push_back(std::move(reply)); }
  // Goes to the others of its group, or on its way at once.
  void queue(Reply reply, uint64_t now_ms);
  void release_held(bool last_first);
  size_t held() const noexcept { return held_.size(); }
  void set_group(size_t group) { group_ = group; }
  void set_fragment_bytes(size_t bytes) { fragment_bytes_ = bytes; }
  // Nothing is to be done to replies as such.
  bool plain() const noexcept { return group_ <= 1 && fragment_bytes_ == 0; }

  // Those whose time has come, in the order in which they go out.
  std::vector<Reply> take_ready(uint64_t now_ms);
  // When there will be another one.
  std::optional<uint64_t> next_ms() const;
  void forget_connection(uint64_t connection);

 private:
  std::multimap<uint64_t, Reply> delayed_;
  std::vector<Reply> held_;
  struct Group {
    std::vector<Reply> replies;
    uint64_t due_ms = 0;
  };
  std::map<uint64_t, Group> groups_;  // by connection
  std::vector<Reply> ready_;
  size_t group_ = 1;
  size_t fragment_bytes_ = 0;
};

}  // namespace dpfs::responder
