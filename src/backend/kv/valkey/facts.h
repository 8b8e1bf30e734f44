// SPDX-License-Identifier: Apache-2.0
// What a server says about how it keeps what it is given.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/errno.h"

namespace dpfs::kv::valkey {

struct Facts {
  uint32_t version = 0;  // 0x0702: 7.2, as Redis counts, which Valkey goes on with
  std::string eviction;  // maxmemory-policy
  bool has_append_file = false;
};

// WAITAOF is of 7.2.
inline constexpr uint32_t kVersionMin = 0x0702;

// Of INFO's sections server, memory and persistence. False: it is the answer of something else.
bool parse_facts(std::string_view info, Facts& facts);

// Why the server cannot be used: EINVAL or EPROTO, and a sentence that says what to do about it.
struct Objection {
  Errno why = Errno::none;
  std::string text;
};
Objection objection(const Facts& facts);

struct ServerSpace {
  uint64_t total_bytes = 0;
  uint64_t used_bytes = 0;
};
// Of INFO's section memory. Without a limit of its own the server has the machine's memory.
ServerSpace parse_space(std::string_view info) noexcept;

}  // namespace dpfs::kv::valkey
