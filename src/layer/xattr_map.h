// SPDX-License-Identifier: Apache-2.0
// XattrMap: under which names the host keeps a tenant's extended attributes, and which it hides.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace dpfs {

// Rules, of which the first that matches a name is applied to it; the same as virtiofsd's
// --xattrmap (docs/man/dpfs-serve.1 explains them):
//
//   :type:scope:key:prepend:    type: prefix, ok, bad, unsupported; scope: client, server, all
//   :map:key:prepend:           what is mostly wanted, in short; the last rule
//
// The first character of a rule separates its fields. White space may stand between rules.
class XattrMap {
 public:
  static constexpr size_t kNameMax = 255;  // XATTR_NAME_MAX

  // Throws std::invalid_argument, with what was expected, when a rule is none, or when there are
  // names that no rule is for.
  static XattrMap parse(std::string_view text);

  // Of a name that the tenant uses: writes the host's to `into`, with a NUL behind it, and gives
  // its size. EPERM and EOPNOTSUPP where the rules say so, ERANGE where it would be too long.
  // `name` may lie in `into`.
  Result<uint16_t> to_host(std::string_view name,
                           std::span<char, kNameMax + 1> into) const noexcept;

  // Of a list of the host's names, each with a NUL behind it: makes it the tenant's, in place, and
  // gives its size, which is no larger.
  size_t list_to_guest(std::span<char> names) const noexcept;

  // Whether `name` is kept under another one.
  bool renames(std::string_view name) const noexcept;

 private:
  enum class Type : uint8_t { prefix, ok, bad, unsupported };
  struct Rule {
    Type type;
    bool client;  // matches the tenant's names that begin with `key`
    bool server;  // matches the host's names that begin with `prepend`
    std::string key;
    std::string prepend;
  };
  class Parser;

  const Rule* for_client(std::string_view name) const noexcept;
  const Rule* for_server(std::string_view name) const noexcept;

  std::vector<Rule> rules_;
};

}  // namespace dpfs
