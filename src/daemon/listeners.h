// SPDX-License-Identifier: Apache-2.0
// Listeners: the sockets that VMMs connect to, from before anything else is there until all is
// gone.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "daemon/config.h"

namespace dpfs {

// Made by the process that is not confined, which alone can remove them again.
class Listeners {
 public:
  // Throws std::runtime_error with a message for the operator.
  explicit Listeners(const std::vector<DeviceConfig>& devices);
  Listeners(const Listeners&) = delete;
  Listeners& operator=(const Listeners&) = delete;
  // Removes the sockets' paths.
  ~Listeners();

  // One for each device, for the process that serves: whoever connects is told its pid
  // (SO_PEERCRED), not that of the process that made them.
  std::vector<Fd> take() noexcept;
  // In the process that does not serve.
  void leave() noexcept { sockets_.clear(); }
  // For a process that ends without this object's end.
  void remove() noexcept;

 private:
  std::vector<Fd> sockets_;
  std::vector<std::string> paths_;
};

}  // namespace dpfs
