// SPDX-License-Identifier: Apache-2.0
// Reading rules for the names of extended attributes, and applying them.
#include "layer/xattr_map.h"

#include <fmt/format.h>

#include <cstring>
#include <optional>
#include <stdexcept>

namespace dpfs {

class XattrMap::Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::vector<Rule> rules() {
    while (skip_space()) {
      ++count_;
      if (mapped_) fail("a map rule must be the last");
      read_rule();
    }
    if (rules_.empty()) throw std::invalid_argument("expected a rule, like :map::user.guest.:");
    return std::move(rules_);
  }

 private:
  [[noreturn]] void fail(std::string_view why) const {
    throw std::invalid_argument(fmt::format("rule {}: {}", count_, why));
  }

  // False at the end.
  bool skip_space() noexcept {
    while (!text_.empty() && std::string_view(" \t\n\r\f\v").find(text_.front()) != text_.npos) {
      text_.remove_prefix(1);
    }
    return !text_.empty();
  }

  std::string field(char separator) {
    const size_t size = text_.find(separator);
    if (size == std::string_view::npos) {
      fail(fmt::format("a field does not end with '{}'; expected {}", separator,
                       ":type:scope:key:prepend: or :map:key:prepend:"));
    }
    const std::string value(text_.substr(0, size));
    if (value.find('\0') != std::string::npos) fail("a name has a NUL inside");
    text_.remove_prefix(size + 1);
    return value;
  }

  void read_rule() {
    const char separator = text_.front();
    text_.remove_prefix(1);
    const std::string type = field(separator);
    if (type == "map") {
      const std::string key = field(separator);
      return add_map(key, field(separator));
    }
    const std::optional<Type> known = type_of(type);
    if (!known) {
      fail(
          fmt::format("there is no type '{}'; expected prefix, ok, bad, unsupported or map", type));
    }
    const std::string scope = field(separator);
    if (scope != "all" && scope != "client" && scope != "server") {
      fail(fmt::format("there is no scope '{}'; expected client, server or all", scope));
    }
    const std::string key = field(separator);
    rules_.push_back({*known, scope != "server", scope != "client", key, field(separator)});
  }

  static std::optional<Type> type_of(std::string_view type) noexcept {
    if (type == "prefix") return Type::prefix;
    if (type == "ok") return Type::ok;
    if (type == "bad") return Type::bad;
    if (type == "unsupported") return Type::unsupported;
    return std::nullopt;
  }

  // The tenant's names that begin with `key` are kept with `prepend` before them. What it would
  // reach them by without this rule is hidden and refused.
  void add_map(const std::string& key, const std::string& prepend) {
    mapped_ = true;
    rules_.push_back({Type::prefix, true, true, key, prepend});
    if (key.empty()) {
      rules_.push_back({Type::bad, true, true, "", ""});
      return;
    }
    rules_.push_back({Type::bad, true, true, prepend, key});
    rules_.push_back({Type::ok, true, true, "", ""});
  }

  std::string_view text_;
  std::vector<Rule> rules_;
  size_t count_ = 0;
  bool mapped_ = false;
};

XattrMap XattrMap::parse(std::string_view text) {
  XattrMap map;
  map.rules_ = Parser(text).rules();
  // A name that no rule is for would be a hole or a surprise: which of the two, the operator says.
  if (map.for_client("") == nullptr || map.for_server("") == nullptr) {
    throw std::invalid_argument(
        "the rules leave names out; end them with :bad:all::: to refuse and hide the rest, or with "
        ":ok:all::: to let it through");
  }
  return map;
}

const XattrMap::Rule* XattrMap::for_client(std::string_view name) const noexcept {
  for (const Rule& rule : rules_) {
    if (rule.client && name.starts_with(rule.key)) return &rule;
  }
  return nullptr;
}

const XattrMap::Rule* XattrMap::for_server(std::string_view name) const noexcept {
  for (const Rule& rule : rules_) {
    if (rule.server && name.starts_with(rule.prepend)) return &rule;
  }
  return nullptr;
}

Result<uint16_t> XattrMap::to_host(std::string_view name,
                                   std::span<char, kNameMax + 1> into) const noexcept {
  const Rule* rule = for_client(name);
  if (rule == nullptr || rule->type == Type::bad) return Errno::perm;
  if (rule->type == Type::unsupported) return Errno::opnotsupp;
  const std::string_view prefix =
      rule->type == Type::prefix ? std::string_view(rule->prepend) : std::string_view();
  const size_t size = prefix.size() + name.size();
  if (size > kNameMax) return Errno::range;
  std::memmove(into.data() + prefix.size(), name.data(), name.size());
  prefix.copy(into.data(), prefix.size());
  into[size] = '\0';
  return static_cast<uint16_t>(size);
}

size_t XattrMap::list_to_guest(std::span<char> names) const noexcept {
  size_t kept = 0;
  for (size_t at = 0; at < names.size();) {
    const char* begin = names.data() + at;
    const size_t size = ::strnlen(begin, names.size() - at);
    at += size + 1;
    if (at > names.size()) break;  // without its NUL it is no name
    std::string_view name(begin, size);
    const Rule* rule = for_server(name);
    if (rule == nullptr || rule->type == Type::bad || rule->type == Type::unsupported) continue;
    if (rule->type == Type::prefix) name.remove_prefix(rule->prepend.size());
    if (name.empty()) continue;
    std::memmove(names.data() + kept, name.data(), name.size() + 1);
    kept += name.size() + 1;
  }
  return kept;
}

bool XattrMap::renames(std::string_view name) const noexcept {
  const Rule* rule = for_client(name);
  return rule != nullptr && rule->type == Type::prefix && !rule->prepend.empty();
}

}  // namespace dpfs
