// SPDX-License-Identifier: Apache-2.0
// A whole tenant in one object: device, requests and blocking calls on one socket.
#pragma once

#include <algorithm>
#include <string>

#include "driver/client.h"
#include "driver/device.h"
#include "driver/mount.h"

namespace dpfs::driver {

struct TenantOptions {
  DeviceOptions device;
  Client::Options client;
};

// INIT is left to the caller: mount.init().
struct Tenant {
  // Makes the memory as large as the calls need. Throws std::runtime_error with a sentence for the
  // user.
  explicit Tenant(const std::string& socket_path, const TenantOptions& options = {})
      : device(socket_path, with_memory(options)), client(device, options.client), mount(client) {}

  Device device;
  Client client;
  Mount mount;

 private:
  static DeviceOptions with_memory(const TenantOptions& options) {
    constexpr size_t kRingsAndSlack = 1 << 20;
    const uint32_t queues = options.device.request_queues + virtio::kFirstRequestQueue;
    const size_t rings = queues * 32 * static_cast<size_t>(options.device.queue_size);
    DeviceOptions device = options.device;
    device.memory_size = std::max(
        device.memory_size, Client::memory_for(options.client, queues) + rings + kRingsAndSlack);
    return device;
  }
};

}  // namespace dpfs::driver
