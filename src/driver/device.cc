// SPDX-License-Identifier: Apache-2.0
// Bringing a vhost-user-fs device up and down.
#include "driver/device.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace dpfs::driver {

using vhost_user::Request;
namespace protocol_feature = vhost_user::protocol_feature;
namespace feature = virtio::feature;
namespace device_status = virtio::device_status;

namespace {

// Where a failure ends the attempt to get a device at all.
template <class T>
T must(Result<T> result, const char* step) {
  if (result) return *result;
  std::string why = describe(result.error());
  if (result.error() == Errno::notconn) why = "the daemon closed the connection; its log says why";
  if (result.error() == Errno::timedout) why = "the daemon does not answer";
  throw std::runtime_error(std::string("vhost-user ") + step + ": " + why);
}

}  // namespace

Device::Device(const std::string& socket_path, const DeviceOptions& options)
    : Device(VhostUserConnection::connect(socket_path, options.connect_wait_ms), options) {}

Device::Device(VhostUserConnection connection, const DeviceOptions& options)
    : connection_(std::move(connection)), options_(options), memory_(options.memory_size) {
  negotiate();
  if (options.start) must(start(), "start of the rings");
}

// The order is QEMU's: hw/virtio/vhost-user.c, vhost_user_backend_init, then hw/virtio/vhost.c,
// vhost_dev_init.
void Device::negotiate() {
  offered_features_ = must(connection_.get(Request::get_features), "GET_FEATURES");
  if ((offered_features_ & feature::kVersion1) == 0) {
    throw std::runtime_error("the device does not offer VIRTIO_F_VERSION_1, which virtio-fs needs");
  }
  uint64_t wanted = feature::kVersion1 | vhost_user::kFeatureProtocolFeatures;
  if (options_.event_idx) wanted |= feature::kEventIdx;
  if (options_.indirect_desc) wanted |= feature::kIndirectDesc;
  features_ = offered_features_ & wanted;
  if (has(vhost_user::kFeatureProtocolFeatures))
    must(agree_on_protocol_features(), "protocol features");
  must(connection_.command(Request::set_owner), "SET_OWNER");

  const uint32_t queues = options_.request_queues + virtio::kFirstRequestQueue;
  if (queues_max_ != 0 && queues > queues_max_) {
    throw std::runtime_error(
        "the device has " + std::to_string(queues_max_ - virtio::kFirstRequestQueue) +
        " request queue(s), " + std::to_string(options_.request_queues) + " were asked for");
  }
  for (uint32_t i = 0; i < queues; ++i) {
    Queue::Options queue_options{.size = options_.queue_size, .event_idx = has(feature::kEventIdx)};
    queues_.push_back(std::make_unique<Queue>(memory_, i, queue_options));
  }
}

Result<Unit> Device::agree_on_protocol_features() {
  Result<uint64_t> offered = connection_.get(Request::get_protocol_features);
  if (!offered) return offered.error();
  offered_protocol_features_ = *offered;
  protocol_features_ = *offered & kKnownProtocolFeatures & options_.protocol_features;
  if (Result<Unit> ok = connection_.set(Request::set_protocol_features, protocol_features_); !ok)
    return ok;
  connection_.acknowledge = has_protocol(protocol_feature::kReplyAck);

  if (has_protocol(protocol_feature::kMq)) {
    Result<uint64_t> queues = connection_.get(Request::get_queue_num);
    if (!queues) return queues.error();
    queues_max_ = static_cast<uint32_t>(std::min<uint64_t>(*queues, vhost_user::kQueuesMax));
  }
  if (has_protocol(protocol_feature::kConfigureMemSlots)) {
    Result<uint64_t> slots = connection_.get(Request::get_max_mem_slots);
    if (!slots) return slots.error();
  }
  if (has_protocol(protocol_feature::kBackendReq)) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return last_errno();
    backend_request_fd_.reset(ends[0]);
    Fd theirs(ends[1]);
    if (Result<Unit> ok = connection_.command(Request::set_backend_req_fd, theirs.get()); !ok)
      return ok;
  }
  return Unit{};
}

Device::~Device() {
  if (running_ && !connection_.peer_has_closed()) [[maybe_unused]]
    Result<Unit> ignored = stop();
}

Result<Unit> Device::start() {
  if (Result<Unit> ok = connection_.set(Request::set_features, features_); !ok) return ok;
  if (Result<Unit> ok = share_memory(); !ok) return ok;
  for (std::unique_ptr<Queue>& queue : queues_) {
    if (Result<Unit> ok = start_queue(*queue); !ok) return ok;
  }
  if (has_protocol(protocol_feature::kStatus)) {
    uint64_t status = device_status::kAcknowledge | device_status::kDriver |
                      device_status::kFeaturesOk | device_status::kDriverOk;
    if (Result<Unit> ok = connection_.set(Request::set_status, status); !ok) return ok;
  }
  running_ = true;
  return Unit{};
}

Result<Unit> Device::share_memory() {
  if (!options_.memory_slots || !has_protocol(protocol_feature::kConfigureMemSlots)) {
    return connection_.set_mem_table(memory_);
  }
  // Regions stay plugged when the rings stop, and may not be plugged twice.
  if (regions_plugged_) return Unit{};
  regions_plugged_ = true;
  for (const Memory::Region& region : memory_.regions()) {
    if (Result<Unit> ok = connection_.add_mem_reg(region); !ok) return ok;
  }
  return Unit{};
}

Result<Unit> Device::start_queue(Queue& queue) {
  const uint32_t index = queue.index();
  // Everything the device has returned so far stays returned: a restart goes on where the ring
  // stopped.
  const uint16_t base = queue.used_idx().load(std::memory_order_relaxed);
  if (Result<Unit> ok = connection_.set_vring(Request::set_vring_num, index, queue.size()); !ok)
    return ok;
  if (Result<Unit> ok = connection_.set_vring(Request::set_vring_base, index, base); !ok) return ok;
  vhost_user::VringAddr addr{
      .index = index,
      .flags = 0,
      .desc_user_addr = reinterpret_cast<uint64_t>(queue.desc_block().data),
      .used_user_addr = reinterpret_cast<uint64_t>(queue.used_block().data),
      .avail_user_addr = reinterpret_cast<uint64_t>(queue.avail_block().data),
      .log_guest_addr = 0};
  if (Result<Unit> ok = connection_.set_vring_addr(addr); !ok) return ok;
  if (Result<Unit> ok = connection_.set(Request::set_vring_kick, index, queue.kick_fd()); !ok)
    return ok;
  if (Result<Unit> ok = connection_.set(Request::set_vring_call, index, queue.call_fd()); !ok)
    return ok;
  if (Result<Unit> ok = connection_.set(Request::set_vring_err, index, queue.error_fd()); !ok) {
    return ok;
  }
  if (!has(vhost_user::kFeatureProtocolFeatures)) return Unit{};
  return connection_.set_vring(Request::set_vring_enable, index, 1);
}

Result<Unit> Device::stop() {
  running_ = false;
  for (std::unique_ptr<Queue>& queue : queues_) {
    if (has(vhost_user::kFeatureProtocolFeatures)) {
      Result<Unit> ok = connection_.set_vring(Request::set_vring_enable, queue->index(), 0);
      if (!ok) return ok;
    }
    Result<uint32_t> base = connection_.get_vring_base(queue->index());
    if (!base) return base.error();
  }
  if (has_protocol(protocol_feature::kStatus)) return connection_.set(Request::set_status, 0);
  return Unit{};
}

Result<Unit> Device::add_region(size_t size, uint64_t guest_addr) {
  const Memory::Region& region = memory_.add_region(size, guest_addr);
  bool single = options_.memory_slots && has_protocol(protocol_feature::kConfigureMemSlots);
  return single ? connection_.add_mem_reg(region) : connection_.set_mem_table(memory_);
}

Result<Unit> Device::remove_region(size_t index) {
  if (options_.memory_slots && has_protocol(protocol_feature::kConfigureMemSlots)) {
    if (Result<Unit> ok = connection_.rem_mem_reg(memory_.regions()[index]); !ok) return ok;
    memory_.remove_region(index);
    return Unit{};
  }
  memory_.remove_region(index);
  return connection_.set_mem_table(memory_);
}

Result<virtio::FsConfig> Device::config() {
  if (!has_protocol(protocol_feature::kConfig)) return Errno::nosys;
  virtio::FsConfig config{};
  Result<Unit> ok = connection_.get_config(0, std::as_writable_bytes(std::span(&config, 1)));
  if (!ok) return ok.error();
  return config;
}

std::string Device::tag() {
  Result<virtio::FsConfig> space = config();
  if (!space) return {};
  return std::string(space->tag, strnlen(space->tag, virtio::kTagSize));
}

}  // namespace dpfs::driver
