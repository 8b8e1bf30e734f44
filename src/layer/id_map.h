// SPDX-License-Identifier: Apache-2.0
// IdMap: which of the host's users (or groups) a tenant's are, and the reverse.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace dpfs {

// Two translations that know nothing of each other: the tenant's ids to the host's, and back. An id
// that no range has stays what it is.
class IdMap {
 public:
  // Adds what one of these says (virtiofsd's --translate-uid has the same):
  //
  //   guest:<guest base>:<host base>:<count>         the tenant's ids to the host's, one to one
  //   host:<host base>:<guest base>:<count>          the host's ids to the tenant's, one to one
  //   map:<guest base>:<host base>:<count>           both
  //   squash-guest:<guest base>:<host id>:<count>    all of the tenant's ids to one of the host's
  //   squash-host:<host base>:<guest id>:<count>     all of the host's ids to one of the tenant's
  //   forbid-guest:<guest base>:<count>              nothing may come to belong to these
  //
  // Throws std::invalid_argument, with what was expected, when it is none of them or maps an id a
  // second time; then nothing is added.
  void add(std::string_view text);

  bool empty() const noexcept { return to_host_.empty() && to_guest_.empty(); }
  // EPERM for one that is forbidden.
  Result<uint32_t> to_host(uint32_t guest) const noexcept;
  uint32_t to_guest(uint32_t host) const noexcept;

 private:
  enum class Kind : uint8_t { shift, squash, forbid };
  struct Range {
    uint32_t begin;
    uint32_t end;  // not among them; UINT32_MAX at most, which is nobody's id
    uint32_t target;
    Kind kind;
  };
  using Ranges = std::vector<Range>;  // by `begin`, none upon another

  static Range range_of(std::string_view text, Kind kind, uint32_t base, uint32_t target,
                        uint32_t count);
  static void insert(Ranges& ranges, std::string_view text, const Range& range);
  static const Range* find(const Ranges& ranges, uint32_t id) noexcept;

  Ranges to_host_;
  Ranges to_guest_;
};

// Of users and of groups.
struct IdMaps {
  IdMap uids;
  IdMap gids;
  bool empty() const noexcept { return uids.empty() && gids.empty(); }
};

}  // namespace dpfs
