// SPDX-License-Identifier: Apache-2.0
// The table of a share's options, and what their values may be.
#include "daemon/share_config.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

namespace dpfs {
namespace {

// "cache: 'x': expected auto, ..." is what the operator reads in the end.
[[noreturn]] void fail(std::string_view value, std::string_view expected) {
  throw std::invalid_argument(fmt::format("'{}': expected {}", value, expected));
}

// What a value may be, by name.
template <class Value, size_t kCount>
Value choose(std::string_view text, std::string_view expected,
             const std::pair<std::string_view, Value> (&choices)[kCount]) {
  for (const auto& [name, value] : choices) {
    if (name == text) return value;
  }
  fail(text, expected);
}

constexpr double kTimeoutMax_s = 4'000'000;  // what fits into 32 bits of milliseconds

uint32_t milliseconds_of(std::string_view text) {
  double seconds = -1;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), seconds, std::chars_format::fixed);
  // Written so that what is no number at all is refused, too.
  const bool fits = seconds >= 0 && seconds <= kTimeoutMax_s;
  if (error != std::errc{} || end != text.data() + text.size() || !fits) {
    fail(text, "seconds, like 1 or 0.5, up to 4000000");
  }
  return static_cast<uint32_t>(seconds * 1000 + 0.5);
}

void set_cache(ShareConfig& share, std::string_view value) {
  share.cache = choose<CacheMode>(value, "auto, always, never or metadata",
                                  {{"auto", CacheMode::automatic},
                                   {"always", CacheMode::always},
                                   {"never", CacheMode::never},
                                   {"metadata", CacheMode::metadata}});
}

void set_file_handles(ShareConfig& share, std::string_view value) {
  share.inode_file_handles = choose<FileHandles>(value, "never, prefer or mandatory",
                                                 {{"never", FileHandles::never},
                                                  {"prefer", FileHandles::prefer},
                                                  {"fallback", FileHandles::prefer},
                                                  {"mandatory", FileHandles::mandatory}});
}

void set_ids(IdMap& ids, std::span<const std::string> values) {
  IdMap map;
  for (const std::string& value : values) map.add(value);
  ids = std::move(map);
}

const std::array kOptions{
    ShareOption{.name = "create",
                .help = "Make a file system where there is none (kv+... URLs)",
                .help_of_off = "Serve only what is there",
                .flag = &ShareConfig::create},
    ShareOption{.name = "readonly",
                .help = "The tenant may change nothing",
                .help_of_off = "The tenant may make changes",
                .flag = &ShareConfig::readonly},
    ShareOption{.name = "cache",
                .value_name = "POLICY",
                .help = "What the tenant's kernel keeps. auto: for a second, contents until a file "
                        "is opened again; always: for a day, as if it were alone; metadata: names "
                        "and attributes for a day, no contents; never: nothing",
                .set = set_cache},
    ShareOption{
        .name = "entry-timeout",
        .value_name = "SECONDS",
        .help = "How long names are believed, instead of what --cache says",
        .set = [](ShareConfig& share,
                  std::string_view value) { share.entry_timeout_ms = milliseconds_of(value); }},
    ShareOption{
        .name = "attr-timeout",
        .value_name = "SECONDS",
        .help = "How long attributes are believed, instead of what --cache says",
        .set = [](ShareConfig& share,
                  std::string_view value) { share.attr_timeout_ms = milliseconds_of(value); }},
    ShareOption{.name = "writeback",
                .help = "The tenant's kernel may keep what is written, and write it later",
                .help_of_off = "What the tenant writes arrives at once",
                .flag = &ShareConfig::writeback},
    ShareOption{.name = "allow-direct-io",
                .help = "The tenant's O_DIRECT goes around the host's page cache, too",
                .help_of_off = "The tenant's O_DIRECT uses the host's page cache",
                .flag = &ShareConfig::allow_direct_io},
    ShareOption{.name = "xattr",
                .help = "Extended attributes",
                .help_of_off = "No extended attributes, and so no access control lists nor labels",
                .flag = &ShareConfig::xattr},
    ShareOption{.name = "xattrmap",
                .value_name = "RULES",
                .help = "Under which names the host keeps extended attributes, like "
                        ":map::user.guest.:",
                .set = [](ShareConfig& share,
                          std::string_view value) { share.xattrmap = XattrMap::parse(value); }},
    ShareOption{.name = "posix-acl",
                .help = "POSIX access control lists, which the tenant's kernel follows",
                .help_of_off = "No POSIX access control lists",
                .flag = &ShareConfig::posix_acl},
    ShareOption{.name = "security-label",
                .help = "New files get the tenant's security label (SELinux) as they are made",
                .help_of_off = "New files get no security label from the tenant",
                .flag = &ShareConfig::security_label},
    ShareOption{
        .name = "translate-uid",
        .value_name = "MAP",
        .help = "Users of the tenant and of the host, as <type>:<source base>:<target "
                "base>:<count>; type: map (guest and host, both ways), guest, host, "
                "squash-guest, squash-host, or forbid-guest:<base>:<count>. May be given "
                "several times",
        .set_all = [](ShareConfig& share,
                      std::span<const std::string> values) { set_ids(share.ids.uids, values); }},
    ShareOption{
        .name = "translate-gid",
        .value_name = "MAP",
        .help = "The same for groups",
        .set_all = [](ShareConfig& share,
                      std::span<const std::string> values) { set_ids(share.ids.gids, values); }},
    ShareOption{.name = "project-ids",
                .help = "The tenant may change project ids, by which quotas may be counted",
                .help_of_off = "The tenant may not change project ids",
                .flag = &ShareConfig::project_ids},
    ShareOption{.name = "announce-submounts",
                .help = "A file system mounted inside the share is one for the tenant, too",
                .help_of_off = "The tenant sees one file system, whatever is mounted inside",
                .flag = &ShareConfig::announce_submounts},
    ShareOption{.name = "inode-file-handles",
                .value_name = "WHEN",
                .help = "Files that the tenant knows are remembered by file handles instead of "
                        "open descriptors: never, prefer or mandatory",
                .set = set_file_handles},
};

}  // namespace

void ShareConfig::check() const {
  if (writeback && (cache == CacheMode::never || cache == CacheMode::metadata)) {
    throw ConfigMistake("writeback",
                        "writeback: nothing is kept to be written later with cache never and "
                        "metadata; expected cache auto or always");
  }
}

std::span<const ShareOption> share_options() { return kOptions; }

}  // namespace dpfs
