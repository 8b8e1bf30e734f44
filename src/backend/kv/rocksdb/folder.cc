// SPDX-License-Identifier: Apache-2.0
// By the names of its files, and by the record that says so.
#include "backend/kv/rocksdb/folder.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/fd.h"

namespace dpfs::kv::rocks {
namespace {

bool is_rocksdb_file(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, 7> kBegins = {
      "LOCK", "LOG", "IDENTITY", "CURRENT", "MANIFEST-", "OPTIONS-", "lost+found"};
  static constexpr std::array<std::string_view, 4> kEnds = {".log", ".sst", ".dbtmp", ".trash"};
  return std::ranges::any_of(kBegins, [&](auto begin) { return name.starts_with(begin); }) ||
         std::ranges::any_of(kEnds, [&](auto end) { return name.ends_with(end); });
}

}  // namespace

FormatIs judge_format(std::string_view format) noexcept {
  if (format == kFormat) return FormatIs::known;
  return format.starts_with("dpfs-kv ") ? FormatIs::newer : FormatIs::foreign;
}

FolderLook look_into_folder(int folder) {
  FolderLook look;
  Fd own(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(own ? fdopendir(own.get()) : nullptr, closedir);
  if (!entries) return look;
  own.release();  // it is the listing's now
  while (const dirent* entry = readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (name == "CURRENT") look.has_database = true;
    if (!is_rocksdb_file(name)) {
      look.is_foreign = true;
      look.foreign = name;
    }
  }
  // RocksDB is left to judge where there is a database.
  if (look.has_database) look.is_foreign = false;
  return look;
}

}  // namespace dpfs::kv::rocks
