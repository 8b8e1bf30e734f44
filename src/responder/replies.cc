// SPDX-License-Identifier: Apache-2.0
// What is done to replies on their way.
#include "responder/replies.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <random>
#include <utility>

#include "responder/connection.h"

namespace dpfs::responder {

namespace {

void put_word(std::vector<uint8_t>& to, size_t at, uint32_t word) {
  word = nfs::to_big_endian(word);
  if (at + sizeof word <= to.size()) std::memcpy(to.data() + at, &word, sizeof word);
}

}  // namespace

void Replies::damage(Reply& reply, Damage how, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint8_t>& message = reply.message;
  const size_t body = std::min(Reply::kHeadBytes, message.size());
  const size_t body_bytes = message.size() - body;
  const auto up_to = [&](size_t limit) { return limit == 0 ? 0 : random() % limit; };
  switch (how) {
    case Damage::truncated:
      message.resize((body + up_to(body_bytes)) & ~size_t{3});
      return;
    case Damage::oversized:
      message.resize(message.size() + 4 + 4 * up_to(1024), 0);
      return;
    case Damage::bits_flipped:
      for (size_t flips = 1 + up_to(8); flips > 0 && body_bytes > 0; --flips) {
        message[body + up_to(body_bytes)] ^= static_cast<uint8_t>(1u << up_to(8));
      }
      return;
    case Damage::random_body:
      std::generate(message.begin() + static_cast<long>(body), message.end(),
                    [&] { return static_cast<uint8_t>(random()); });
      return;
    case Damage::random_all:
      std::ranges::generate(message, [&] { return static_cast<uint8_t>(random()); });
      return;
    case Damage::wrong_xid:
      put_word(message, 0, static_cast<uint32_t>(random() | 1));
      return;
    case Damage::huge_record:
      reply.announced = 0x7fffffff;
      return;
    case Damage::huge_lengths:
      for (size_t at = body + 4 * up_to(body_bytes / 4); at < message.size(); at += 4) {
        put_word(message, at, UINT32_MAX);
      }
      return;
  }
}

std::vector<uint8_t> Replies::to_bytes(const Reply& reply) const {
  std::vector<uint8_t> bytes;
  size_t at = 0;
  do {
    const size_t left = reply.message.size() - at;
    const size_t size = fragment_bytes_ == 0 ? left : std::min(left, fragment_bytes_);
    const bool last = size == left;
    const size_t mark_at = bytes.size();
    bytes.resize(mark_at + sizeof(uint32_t));
    const size_t announced = reply.announced != 0 ? reply.announced : size;
    put_word(bytes, mark_at,
             static_cast<uint32_t>(announced) | (last ? Connection::kLastFragment : 0));
    bytes.insert(bytes.end(), reply.message.begin() + static_cast<long>(at),
                 reply.message.begin() + static_cast<long>(at + size));
    at += size;
  } while (at < reply.message.size());
  return bytes;
}

void Replies::queue(Reply reply, uint64_t now_ms) {
  if (group_ <= 1) {
    ready_.push_back(std::move(reply));
    return;
  }
  Group& group = groups_[reply.connection];
  group.replies.push_back(std::move(reply));
  group.due_ms = group.replies.size() >= group_ ? now_ms : now_ms + kGroupWaitMs;
}

void Replies::release_held(bool last_first) {
  std::vector<Reply> released = std::exchange(held_, {});
  if (last_first) std::ranges::reverse(released);
  std::ranges::move(released, std::back_inserter(ready_));
}

std::vector<Reply> Replies::take_ready(uint64_t now_ms) {
  while (!delayed_.empty() && delayed_.begin()->first <= now_ms) {
    queue(std::move(delayed_.begin()->second), now_ms);
    delayed_.erase(delayed_.begin());
  }
  for (auto& [connection, group] : groups_) {
    if (group.replies.empty() || group.due_ms > now_ms) continue;
    std::ranges::reverse(group.replies);
    std::ranges::move(group.replies, std::back_inserter(ready_));
    group.replies.clear();
  }
  return std::exchange(ready_, {});
}

std::optional<uint64_t> Replies::next_ms() const {
  std::optional<uint64_t> next;
  const auto consider = [&](uint64_t ms) { next = next ? std::min(*next, ms) : ms; };
  if (!ready_.empty()) consider(0);
  if (!delayed_.empty()) consider(delayed_.begin()->first);
  for (const auto& [connection, group] : groups_) {
    if (!group.replies.empty()) consider(group.due_ms);
  }
  return next;
}

void Replies::forget_connection(uint64_t connection) {
  const auto is_its = [&](const Reply& reply) { return reply.connection == connection; };
  std::erase_if(delayed_, [&](const auto& each) { return is_its(each.second); });
  std::erase_if(held_, is_its);
  std::erase_if(ready_, is_its);
  groups_.erase(connection);
}

}  // namespace dpfs::responder
