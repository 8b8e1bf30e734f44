// SPDX-License-Identifier: Apache-2.0
// INFO, read and judged.
#include "backend/kv/valkey/facts.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "backend/kv/valkey/topology.h"

namespace dpfs::kv::valkey {
namespace {

// "7.2.4"
bool parse_version(std::string_view text, uint32_t& version) noexcept {
  uint8_t major = 0;
  uint8_t minor = 0;
  const char* const end = text.data() + text.size();
  const auto [dot, major_error] = std::from_chars(text.data(), end, major);
  if (major_error != std::errc() || dot == end || *dot != '.') return false;
  const auto [rest, minor_error] = std::from_chars(dot + 1, end, minor);
  if (minor_error != std::errc() || (rest != end && *rest != '.')) return false;
  version = uint32_t{major} << 8 | minor;
  return true;
}

}  // namespace

bool parse_facts(std::string_view info, Facts& facts) {
  facts = {};
  if (!parse_version(info_field(info, "redis_version"), facts.version)) return false;
  facts.eviction = info_field(info, "maxmemory_policy");
  facts.has_append_file = info_number(info, "aof_enabled") == 1;
  return true;
}

Objection objection(const Facts& facts) {
  if (facts.version < kVersionMin) {
    return {Errno::proto,
            fmt::format("is of version {}.{}; 7.2 is needed at least, which is Valkey from the "
                        "beginning",
                        facts.version >> 8, facts.version & 0xff)};
  }
  if (facts.eviction != "noeviction") {
    return {Errno::inval,
            fmt::format("may throw records away when its memory is full: set its maxmemory-policy "
                        "to noeviction (it is '{}')",
                        facts.eviction)};
  }
  return {};
}

ServerSpace parse_space(std::string_view info) noexcept {
  ServerSpace space;
  space.total_bytes = info_number(info, "maxmemory");
  if (space.total_bytes == 0) space.total_bytes = info_number(info, "total_system_memory");
  space.used_bytes = std::min(info_number(info, "used_memory"), space.total_bytes);
  return space;
}

}  // namespace dpfs::kv::valkey
