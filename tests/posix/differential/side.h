// SPDX-License-Identifier: Apache-2.0
// One of the two directories: applies operations and says in a line of text what came of each.
#pragma once

#include <sys/stat.h>

#include <array>
#include <string>

#include "base/fd.h"
#include "tests/posix/differential/operation.h"

namespace dpfs::posix {

class Side {
 public:
  // An empty directory that only this object uses.
  explicit Side(const std::string& directory);
  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;
  ~Side();

  // Whether attributes of root's own namespace are taken; use them only where both sides do.
  bool takes_trusted_attributes() const;
  void use_trusted_attributes(bool use) { trusted_ = use; }

  // Whether a symlink has the times that it was given; compare them only where both sides do that.
  bool keeps_times_of_symlinks() const;
  void compare_times_of_symlinks(bool compare) { symlink_times_ = compare; }

  // Directories and special files are closed again at once.
  void keep_only_regular_files_open(bool only) { regular_only_ = only; }

  // The outcome: success or an errno, what was read, and how the files concerned look afterwards.
  // Equal for two sides whose file systems do the same.
  std::string apply(const Operation& operation);

 private:
  std::string act(const Operation& operation);
  std::string act_on_names(const Operation& operation);
  std::string act_on_attributes(const Operation& operation);
  std::string act_on_open_file(const Operation& operation);
  std::string open_into_slot(const Operation& operation);
  std::string copy_range(const Operation& operation);
  std::string map_write(const Operation& operation);
  std::string list(const std::string& path) const;
  std::string look(const std::string& path) const;
  std::string look(const Fd& file) const;
  std::string whole_tree(const std::string& path) const;
  std::string text_of(const struct stat& found) const;

  const char* attribute_of(const Operation& operation) const;

  std::string directory_;
  bool trusted_ = false;
  bool symlink_times_ = true;
  bool regular_only_ = false;
  Fd root_;
  std::array<Fd, kSlots> slots_;
};

}  // namespace dpfs::posix
