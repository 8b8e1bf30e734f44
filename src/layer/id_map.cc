// SPDX-License-Identifier: Apache-2.0
// Reading id ranges, and looking ids up in them.
#include "layer/id_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <stdexcept>
#include <string>

namespace dpfs {
namespace {

constexpr uint32_t kNobodysId = std::numeric_limits<uint32_t>::max();  // (uid_t)-1

[[noreturn]] void fail(std::string_view text, std::string_view why) {
  throw std::invalid_argument(fmt::format("'{}': {}", text, why));
}

bool is_of_type(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

// <type><separator><number><separator><number>...
struct Fields {
  std::string type;  // in small letters
  std::vector<uint32_t> numbers;
};

Fields fields_of(std::string_view text) {
  Fields fields;
  const auto* end_of_type = std::ranges::find_if_not(text, is_of_type);
  for (const char c : text.substr(0, static_cast<size_t>(end_of_type - text.begin()))) {
    fields.type += (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (end_of_type == text.end()) fail(text, "expected <type>:<source base>:<target base>:<count>");
  const char separator = *end_of_type;
  std::string_view rest = text.substr(fields.type.size());
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view field = rest.substr(0, rest.find(separator));
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), number);
    if (error != std::errc{} || end != field.data() + field.size()) {
      fail(text, fmt::format("'{}' is no id or count: expected a number up to 4294967295", field));
    }
    fields.numbers.push_back(number);
    rest.remove_prefix(field.size());
  }
  return fields;
}

}  // namespace

IdMap::Range IdMap::range_of(std::string_view text, Kind kind, uint32_t base, uint32_t target,
                             uint32_t count) {
  if (count > kNobodysId - base) fail(text, "the range goes beyond the last id, 4294967294");
  if (kind == Kind::shift && count > kNobodysId - target) {
    fail(text, "what it maps to goes beyond the last id, 4294967294");
  }
  if (kind == Kind::squash && target == kNobodysId) fail(text, "4294967295 is nobody's id");
  return {base, base + count, target, kind};
}

void IdMap::insert(Ranges& ranges, std::string_view text, const Range& range) {
  if (range.begin == range.end) return;
  const auto after = std::ranges::lower_bound(ranges, range.begin, {}, &Range::begin);
  const bool meets_next = after != ranges.end() && after->begin < range.end;
  const bool meets_previous = after != ranges.begin() && std::prev(after)->end > range.begin;
  if (meets_next || meets_previous) {
    const Range& other = meets_next ? *after : *std::prev(after);
    fail(text, fmt::format("maps ids that are mapped already (those from {} to {})", other.begin,
                           other.end - 1));
  }
  ranges.insert(after, range);
}

void IdMap::add(std::string_view text) {
  const Fields fields = fields_of(text);
  const std::vector<uint32_t>& n = fields.numbers;
  const bool forbids = fields.type == "forbid-guest";
  const bool squashes = fields.type == "squash-guest" || fields.type == "squash-host";
  const bool from_guest = fields.type == "guest" || fields.type == "squash-guest" || forbids;
  const bool from_host = fields.type == "host" || fields.type == "squash-host";
  if (!from_guest && !from_host && fields.type != "map") {
    fail(text, fmt::format("there is no type '{}'; expected guest, host, map, squash-guest, "
                           "squash-host or forbid-guest",
                           fields.type));
  }
  if (forbids && n.size() != 2) fail(text, "expected forbid-guest:<guest base>:<count>");
  if (!forbids && n.size() != 3) {
    fail(text, fmt::format("expected {}:<source base>:<target base>:<count>", fields.type));
  }
  if (forbids) return insert(to_host_, text, range_of(text, Kind::forbid, n[0], 0, n[1]));
  const Kind kind = squashes ? Kind::squash : Kind::shift;
  const Range range = range_of(text, kind, n[0], n[1], n[2]);
  if (from_guest) return insert(to_host_, text, range);
  if (from_host) return insert(to_guest_, text, range);
  Ranges both_to_host = to_host_;
  insert(both_to_host, text, range);
  insert(to_guest_, text, range_of(text, kind, n[1], n[0], n[2]));
  to_host_ = std::move(both_to_host);
}

const IdMap::Range* IdMap::find(const Ranges& ranges, uint32_t id) noexcept {
  const auto after = std::ranges::upper_bound(ranges, id, {}, &Range::begin);
  if (after == ranges.begin()) return nullptr;
  const Range& range = *std::prev(after);
  return id < range.end ? &range : nullptr;
}

Result<uint32_t> IdMap::to_host(uint32_t guest) const noexcept {
  const Range* range = find(to_host_, guest);
  if (range == nullptr) return guest;
  if (range->kind == Kind::forbid) return Errno::perm;
  return range->kind == Kind::squash ? range->target : range->target + (guest - range->begin);
}

uint32_t IdMap::to_guest(uint32_t host) const noexcept {
  const Range* range = find(to_guest_, host);
  if (range == nullptr) return host;
  return range->kind == Kind::squash ? range->target : range->target + (host - range->begin);
}

}  // namespace dpfs
