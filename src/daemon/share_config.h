// SPDX-License-Identifier: Apache-2.0
// ShareConfig: what is served and how the tenant sees it; the same for every command and back end.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "layer/id_map.h"
#include "layer/xattr_map.h"

namespace dpfs {

// A value that cannot be, and of which key (as a file has it). what() says what was expected.
class ConfigMistake : public std::invalid_argument {
 public:
  ConfigMistake(const std::string& of_key, const std::string& text)
      : std::invalid_argument(text), key(of_key) {}
  std::string key;
};

// How much the tenant's kernel keeps. See CachePolicy.
enum class CacheMode : uint8_t { automatic, always, never, metadata };

// What a back end keeps of a file that the tenant knows: a descriptor, or the name that the file
// system gives it (name_to_handle_at(2)).
enum class FileHandles : uint8_t {
  never,
  prefer,     // where they can be had
  mandatory,  // or the share is not served
};

// The defaults are those of `dpfs serve`.
struct ShareConfig {
  std::string url;

  bool create = false;  // a file system where there is none; only some back ends can
  bool readonly = false;
  CacheMode cache = CacheMode::automatic;
  std::optional<uint32_t> entry_timeout_ms;  // none: as `cache` has it
  std::optional<uint32_t> attr_timeout_ms;
  bool writeback = false;
  bool allow_direct_io = false;  // the tenant's O_DIRECT is passed on

  bool xattr = true;
  std::optional<XattrMap> xattrmap;
  // Both need xattr. Lists are also off where xattrmap gives them another name: the host would not
  // follow them then.
  bool posix_acl = true;
  bool security_label = false;
  IdMaps ids;
  bool project_ids = false;  // the tenant may change them

  bool announce_submounts = true;
  FileHandles inode_file_handles = FileHandles::prefer;

  // Throws ConfigMistake when options do not go together.
  void check() const;
};

// One option of a share, as every place that may say it knows it: --entry-timeout on a command
// line, entry_timeout in a file and behind mount's -o.
struct ShareOption {
  using Flag = bool ShareConfig::*;
  // Replaces what was there; saying the same again changes nothing. Throws std::invalid_argument
  // that says what was expected.
  using Set = void (*)(ShareConfig& share, std::string_view value);
  using SetAll = void (*)(ShareConfig& share, std::span<const std::string> values);

  std::string_view name;
  std::string_view value_name;        // "SECONDS"; empty for a switch
  std::string_view help;              // of a switch: what it does when it is on
  std::string_view help_of_off = {};  // of a switch: what --no-... does
  // One of the three.
  Flag flag = nullptr;       // a switch
  Set set = nullptr;         // with one value, the last that is given
  SetAll set_all = nullptr;  // with any number of values
};

std::span<const ShareOption> share_options();

}  // namespace dpfs
