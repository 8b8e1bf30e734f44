// SPDX-License-Identifier: Apache-2.0
// Landlock: what this process may reach from now on, whatever its rights (landlock(7)).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dpfs::sandbox {

struct Walls {
  // Folders that everything is allowed in; nothing outside of them. Empty: files are not confined.
  //
  // Not to be used together with file handles (open_by_handle_at(2)): the kernel forgets where a
  // file lies that was opened so, and Landlock then refuses to open it for reading and writing and
  // to link it, though it does lie in one of the folders.
  std::vector<std::string> folders;
  bool tcp = false;  // whether TCP connections may be made
};

// For the calling thread and all that it starts. Sets no_new_privs. Returns what is in force, for
// the log: "files network signals"; empty where the kernel has no Landlock. Throws
// std::system_error.
std::string raise_walls(const Walls& walls);

}  // namespace dpfs::sandbox
