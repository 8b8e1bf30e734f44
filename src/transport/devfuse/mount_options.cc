// SPDX-License-Identifier: Apache-2.0
// The table of options. mount(8), "FILESYSTEM-INDEPENDENT MOUNT OPTIONS"; mount.fuse3(8).
#include "transport/devfuse/mount_options.h"

#include <fmt/core.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

namespace dpfs::devfuse {
namespace {

struct FlagOption {
  std::string_view name;
  unsigned long set;
  unsigned long clear;
};

constexpr unsigned long kAccessTimeFlags = MS_NOATIME | MS_RELATIME | MS_STRICTATIME;
constexpr unsigned long kOfUserMounts = MS_NOSUID | MS_NODEV;

constexpr auto kFlagOptions = std::to_array<FlagOption>({
    {"ro", MS_RDONLY, 0},
    {"rw", 0, MS_RDONLY},
    {"nosuid", MS_NOSUID, 0},
    {"suid", 0, MS_NOSUID},
    {"nodev", MS_NODEV, 0},
    {"dev", 0, MS_NODEV},
    {"noexec", MS_NOEXEC, 0},
    {"exec", 0, MS_NOEXEC},
    {"sync", MS_SYNCHRONOUS, 0},
    {"async", 0, MS_SYNCHRONOUS},
    {"dirsync", MS_DIRSYNC, 0},
    {"noatime", MS_NOATIME, kAccessTimeFlags},
    {"atime", 0, kAccessTimeFlags},
    {"relatime", MS_RELATIME, kAccessTimeFlags},
    {"norelatime", 0, kAccessTimeFlags},
    {"strictatime", MS_STRICTATIME, kAccessTimeFlags},
    {"nostrictatime", 0, MS_STRICTATIME},
    {"nodiratime", MS_NODIRATIME, 0},
    {"diratime", 0, MS_NODIRATIME},
    {"lazytime", MS_LAZYTIME, 0},
    {"nolazytime", 0, MS_LAZYTIME},
    {"nosymfollow", MS_NOSYMFOLLOW, 0},
    {"symfollow", 0, MS_NOSYMFOLLOW},
    {"silent", MS_SILENT, 0},
    {"loud", 0, MS_SILENT},
    // What mount(8) makes of these for who may mount.
    {"user", kOfUserMounts | MS_NOEXEC, 0},
    {"users", kOfUserMounts | MS_NOEXEC, 0},
    {"owner", kOfUserMounts, 0},
    {"group", kOfUserMounts, 0},
    {"nouser", 0, 0},
});

// For mount(8), systemd and other tools; and what is always so.
constexpr auto kIgnored = std::to_array<std::string_view>(
    {"defaults", "auto", "noauto", "nofail", "_netdev", "nomand", "iversion", "noiversion",
     "default_permissions", "nonempty", "noowner", "nogroup", "nousers"});
constexpr auto kIgnoredPrefixes =
    std::to_array<std::string_view>({"x-", "X-", "comment=", "user=", "helper=", "uhelper="});
constexpr auto kKernelPrefixes =
    std::to_array<std::string_view>({"context=", "fscontext=", "defcontext=", "rootcontext="});
// Other ways of mount(8), which make no new mount.
constexpr auto kNoMount = std::to_array<std::string_view>(
    {"remount", "bind", "rbind", "move", "shared", "slave", "private", "unbindable"});

constexpr uint32_t kPageBytes = 4096;
constexpr size_t kNameBytesMax = 4000;  // mount(2) takes a page

bool starts_with_one_of(std::string_view text, const auto& prefixes) {
  return std::ranges::any_of(prefixes,
                             [text](std::string_view prefix) { return text.starts_with(prefix); });
}

uint32_t parse_max_read(std::string_view value) {
  uint32_t bytes = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), bytes);
  if (error != std::errc{} || end != value.data() + value.size() || bytes < kPageBytes) {
    throw std::invalid_argument(
        fmt::format("max_read={}: expected a number of bytes, at least {}", value, kPageBytes));
  }
  return bytes;
}

std::string parse_name(std::string_view key, std::string_view value) {
  if (value.empty() || value.size() > kNameBytesMax) {
    throw std::invalid_argument(
        fmt::format("{}=: expected a name of 1 to {} bytes", key, kNameBytesMax));
  }
  return std::string(value);
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> options(1);
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] == '\\' && i + 1 < list.size() && (list[i + 1] == ',' || list[i + 1] == '\\')) {
      options.back() += list[++i];
    } else if (list[i] == ',') {
      options.emplace_back();
    } else {
      options.back() += list[i];
    }
  }
  return options;
}

}  // namespace

MountOptions MountOptions::defaults(bool root) {
  MountOptions options;
  options.flags = kOfUserMounts;
  options.allow_other = root;
  return options;
}

MountOptions::Others MountOptions::apply(std::string_view list) {
  Others others;
  for (const std::string& option : split(list)) {
    const std::string_view text = option;
    if (text.empty() || std::ranges::find(kIgnored, text) != kIgnored.end() ||
        starts_with_one_of(text, kIgnoredPrefixes)) {
      continue;
    }
    if (const auto* flag = std::ranges::find(kFlagOptions, text, &FlagOption::name);
        flag != kFlagOptions.end()) {
      flags = (flags & ~flag->clear) | flag->set;
      continue;
    }
    if (starts_with_one_of(text, kKernelPrefixes)) {
      kernel_options.push_back(option);
      continue;
    }
    const size_t equals = text.find('=');
    const std::string_view key = text.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : text.substr(equals + 1);
    if (std::ranges::find(kNoMount, text) != kNoMount.end()) {
      throw std::invalid_argument(
          fmt::format("'{}' does not make a mount: use mount -i -o {} DIR", text, text));
    }
    if (text == "allow_other") {
      allow_other = true;
    } else if (text == "noallow_other") {
      allow_other = false;
    } else if (key == "max_read") {
      max_read_bytes = parse_max_read(value);
    } else if (key == "fsname") {
      fsname = parse_name(key, value);
    } else if (key == "subtype") {
      subtype = parse_name(key, value);
    } else {
      others.emplace_back(key, value);
    }
  }
  return others;
}

}  // namespace dpfs::devfuse
