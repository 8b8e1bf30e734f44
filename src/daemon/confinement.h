// SPDX-License-Identifier: Apache-2.0
// Confinement: what a serving process gives up, step by step, before the first tenant is there.
#pragma once

#include <string>
#include <vector>

#include "daemon/backends.h"
#include "daemon/config.h"
#include "sandbox/capabilities.h"

namespace dpfs {

// The order matters: sockets are made before prepare(); enter() comes first in the process that
// serves, before any back end is made; seal() when all are made, before the first thread. What the
// kernel does not allow is left out and logged, unless it was asked for: then it is an error.
//
// docs/security.md has the whole picture.
class Confinement {
 public:
  // Throws std::runtime_error when a folder that is to be served is not there. The devices' URLs
  // then name their folders without links.
  Confinement(ServeConfig& config, const Backends& backends);

  // In the process that stays outside, if there is to be one. Throws std::exception.
  void prepare();
  // Whether the process that serves is to be a child of one that stays outside.
  bool is_split() const noexcept { return mode_ != Mode::none; }
  void enter();
  // Logs what is in force.
  void seal();

 private:
  // walls: Landlock alone, where the kernel has nothing else for us.
  enum class Mode : uint8_t { namespaces, chroot, walls, none };

  void fall_back(const std::string& why);
  void chroot_instead(const char* what, const std::string& why);
  void enter_namespaces();
  void leave_other_paths();
  std::string forbid_calls();
  std::string raise_walls();

  const SandboxConfig config_;
  std::vector<std::string> folders_;
  std::vector<std::string> writable_;  // those of them that are not only read
  bool network_ = false;
  bool handles_ = false;  // whether file handles are wanted
  bool paths_ = false;    // whether a back end goes on opening files by their paths
  Mode mode_ = Mode::namespaces;
  bool user_namespace_ = false;
  bool chroots_ = false;
  sandbox::Capabilities kept_;
  // For the log.
  std::string namespaces_ = "none";
  std::string files_ = "the host's";
};

}  // namespace dpfs
