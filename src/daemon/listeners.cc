// SPDX-License-Identifier: Apache-2.0
// Making sockets, adopting those that were passed in, and removing the former.
#include "daemon/listeners.h"

#include <fmt/core.h>
#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <exception>
#include <stdexcept>
#include <utility>

#include "base/errno.h"
#include "transport/vhost_user/server.h"

namespace dpfs {

namespace {

void give_to_group(const std::string& socket, const std::string& name) {
  const group* const found = getgrnam(name.c_str());
  if (found == nullptr) throw std::runtime_error(fmt::format("there is no group '{}'", name));
  if (chown(socket.c_str(), static_cast<uid_t>(-1), found->gr_gid) != 0) {
    throw std::runtime_error(fmt::format("cannot give socket '{}' to group '{}': {}", socket, name,
                                         describe(last_errno())));
  }
}

}  // namespace

Listeners::Listeners(const std::vector<DeviceConfig>& devices) {
  for (const DeviceConfig& device : devices) {
    try {
      if (device.listen_fd >= 0) {
        sockets_.push_back(vhost_user::adopt_listening(device.listen_fd));
      } else {
        sockets_.push_back(vhost_user::listen_at(device.socket));
        paths_.push_back(device.socket);
        if (!device.socket_group.empty()) give_to_group(device.socket, device.socket_group);
      }
    } catch (const std::exception& error) {
      remove();
      throw std::runtime_error(fmt::format("device '{}': {}", device.tag, error.what()));
    }
  }
}

std::vector<Fd> Listeners::take() noexcept {
  for (const Fd& socket : sockets_) listen(socket.get(), SOMAXCONN);
  return std::exchange(sockets_, {});
}

Listeners::~Listeners() { remove(); }

void Listeners::remove() noexcept {
  for (const std::string& path : paths_) unlink(path.c_str());
}

}  // namespace dpfs
