// SPDX-License-Identifier: Apache-2.0
// A vhost-user-fs device as a VMM brings it up: negotiation, memory, rings. No FUSE yet.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "driver/memory.h"
#include "driver/queue.h"
#include "driver/vhost_user_connection.h"
#include "virtio/layout.h"

namespace dpfs::driver {

struct DeviceOptions {
  uint32_t request_queues = 1;
  uint16_t queue_size = 128;         // QEMU's default
  size_t memory_size = 64ull << 20;  // bytes of tenant memory
  uint32_t connect_wait_ms = 0;      // for a daemon that is only starting
  bool event_idx = true;             // where the device offers it
  bool indirect_desc = true;         // where the device offers it
  bool memory_slots = false;  // ADD_MEM_REG instead of SET_MEM_TABLE, where the device has it
  bool start = true;          // bring the rings up at once
  uint64_t protocol_features = ~0ull;  // of those below, which to accept
};

// Protocol features that the driver knows how to use.
inline constexpr uint64_t kKnownProtocolFeatures =
    vhost_user::protocol_feature::kMq | vhost_user::protocol_feature::kReplyAck |
    vhost_user::protocol_feature::kConfig | vhost_user::protocol_feature::kConfigureMemSlots |
    vhost_user::protocol_feature::kBackendReq | vhost_user::protocol_feature::kResetDevice |
    vhost_user::protocol_feature::kStatus | vhost_user::protocol_feature::kInflightShmfd;

class Device {
 public:
  // Connects and negotiates; with options.start, the rings run when it returns. Throws
  // std::runtime_error with a sentence for the user.
  Device(const std::string& socket_path, const DeviceOptions& options);
  Device(VhostUserConnection connection, const DeviceOptions& options);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Features, memory table and rings, in QEMU's order.
  Result<Unit> start();
  // Stops every ring, as a VMM does at reset or before it goes. start() works again afterwards.
  Result<Unit> stop();
  // Memory hot-plug: by ADD_MEM_REG with memory_slots, else by a whole new table.
  Result<Unit> add_region(size_t size, uint64_t guest_addr);
  Result<Unit> remove_region(size_t index);

  uint64_t offered_features() const noexcept { return offered_features_; }
  uint64_t features() const noexcept { return features_; }
  bool has(uint64_t feature) const noexcept { return (features_ & feature) != 0; }
  uint64_t offered_protocol_features() const noexcept { return offered_protocol_features_; }
  uint64_t protocol_features() const noexcept { return protocol_features_; }
  bool has_protocol(uint64_t feature) const noexcept { return (protocol_features_ & feature) != 0; }
  // What the back-end has, hiprio included; 0 where it does not say.
  uint32_t queues_max() const noexcept { return queues_max_; }
  // From the configuration space; ENOSYS where the back-end leaves that to the VMM.
  Result<virtio::FsConfig> config();
  std::string tag();

  const DeviceOptions& options() const noexcept { return options_; }
  VhostUserConnection& connection() noexcept { return connection_; }
  // Where the back-end sends its own requests; -1 where BACKEND_REQ was not agreed on.
  int backend_request_fd() const noexcept { return backend_request_fd_.get(); }
  Memory& memory() noexcept { return memory_; }
  Queue& hiprio() noexcept { return *queues_[virtio::kHiprioQueue]; }
  // From virtio::kFirstRequestQueue on.
  Queue& queue(uint32_t index) noexcept { return *queues_[index]; }
  uint32_t queue_count() const noexcept { return static_cast<uint32_t>(queues_.size()); }

 private:
  void negotiate();
  Result<Unit> agree_on_protocol_features();
  Result<Unit> share_memory();
  Result<Unit> start_queue(Queue& queue);

  VhostUserConnection connection_;
  DeviceOptions options_;
  Memory memory_;
  std::vector<std::unique_ptr<Queue>> queues_;
  Fd backend_request_fd_;
  uint64_t offered_features_ = 0;
  uint64_t features_ = 0;
  uint64_t offered_protocol_features_ = 0;
  uint64_t protocol_features_ = 0;
  uint32_t queues_max_ = 0;
  bool running_ = false;
  bool regions_plugged_ = false;
};

}  // namespace dpfs::driver
