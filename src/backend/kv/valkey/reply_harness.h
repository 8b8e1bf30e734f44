// SPDX-License-Identifier: Apache-2.0
// For tests: what a server says, as a Reply.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "backend/kv/valkey/reply.h"

namespace dpfs::kv::valkey {

// Keeps strings in the reply.
class NoTaker final : public ValueTaker {
 public:
  bool take_value(std::string_view) noexcept override { return false; }
};

// The first reply in `bytes`; nothing where there is none.
inline std::optional<Reply> reply_of(std::string_view bytes) {
  NoTaker taker;
  ReplyReader reader(taker);
  if (!reader.feed(bytes.data(), bytes.size())) return std::nullopt;
  if (reader.next() != ReplyReader::Next::reply) return std::nullopt;
  return reader.reply();
}

}  // namespace dpfs::kv::valkey
