// SPDX-License-Identifier: Apache-2.0
// Whether a folder is a database, and a database is ours.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dpfs::kv::rocks {

// The one record that is no partition's: what the database is, and how its keys and operands are
// written. Its key begins with NUL, and no partition's name does.
inline constexpr std::string_view kFormatKey{"\0format", 7};
inline constexpr std::string_view kFormat = "dpfs-kv 1";

enum class FormatIs : uint8_t { known, newer, foreign };
FormatIs judge_format(std::string_view format) noexcept;

struct FolderLook {
  bool has_database = false;
  // Has something that RocksDB does not put there. A database that was not completely created is
  // none yet, but not foreign either.
  bool is_foreign = false;
  std::string foreign;  // what, as an example
};
FolderLook look_into_folder(int folder);

}  // namespace dpfs::kv::rocks
