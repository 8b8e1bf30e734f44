// SPDX-License-Identifier: Apache-2.0
// The vhost-user protocol as it travels: QEMU's docs/interop/vhost-user.rst.
//
// The front-end is the VMM (QEMU, cloud-hypervisor), the back-end is us. Numbers are in the
// machine's byte order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dpfs::vhost_user {

// Front-end to back-end. "Reply" says what the back-end answers; with REPLY_ACK and kNeedReply the
// others are answered by a u64, zero meaning success.
enum class Request : uint32_t {
  get_features = 1,            // reply: u64
  set_features = 2,            // u64
  set_owner = 3,               // no payload
  reset_owner = 4,             // deprecated
  set_mem_table = 5,           // MemoryTable, one fd for each region
  set_log_base = 6,            // Log, fd
  set_log_fd = 7,              // fd
  set_vring_num = 8,           // VringState
  set_vring_addr = 9,          // VringAddr
  set_vring_base = 10,         // VringState
  get_vring_base = 11,         // VringState; reply: VringState. Stops the ring
  set_vring_kick = 12,         // u64 (vring_fd), fd
  set_vring_call = 13,         // u64 (vring_fd), fd
  set_vring_err = 14,          // u64 (vring_fd), fd
  get_protocol_features = 15,  // reply: u64
  set_protocol_features = 16,  // u64
  get_queue_num = 17,          // reply: u64
  set_vring_enable = 18,       // VringState
  send_rarp = 19,
  net_set_mtu = 20,
  set_backend_req_fd = 21,  // fd
  iotlb_msg = 22,           // IotlbMessage
  set_vring_endian = 23,    // VringState
  get_config = 24,          // ConfigHeader and bytes; reply: the same
  set_config = 25,          // ConfigHeader and bytes
  create_crypto_session = 26,
  close_crypto_session = 27,
  postcopy_advise = 28,
  postcopy_listen = 29,
  postcopy_end = 30,
  get_inflight_fd = 31,  // Inflight; reply: Inflight, fd
  set_inflight_fd = 32,  // Inflight, fd
  gpu_set_socket = 33,
  reset_device = 34,       // no payload
  vring_kick = 35,         // VringState
  get_max_mem_slots = 36,  // reply: u64
  add_mem_reg = 37,        // SingleMemoryRegion, fd
  rem_mem_reg = 38,        // SingleMemoryRegion; an fd may come along and is not used
  set_status = 39,         // u64
  get_status = 40,         // reply: u64
  get_shared_object = 41,
  set_device_state_fd =
      42,  // DeviceState, fd; reply: u64 (vring_fd::kNoFd or an fd of the back-end's)
  check_device_state = 43,  // reply: u64
};
inline constexpr uint32_t kRequestMax = 43;

// Back-end to front-end, on the socket of set_backend_req_fd.
enum class BackendRequest : uint32_t {
  iotlb_msg = 1,
  config_change_msg = 2,  // no payload
  vring_host_notifier_msg = 3,
  vring_call = 4,
  vring_err = 5,
  shared_object_add = 6,
  shared_object_remove = 7,
  shared_object_lookup = 8,
};

// In the virtio feature bits: protocol features can be negotiated at all.
inline constexpr uint64_t kFeatureProtocolFeatures = 1ull << 30;
// In the virtio feature bits: log memory writes, for live migration.
inline constexpr uint64_t kFeatureLogAll = 1ull << 26;

namespace protocol_feature {
inline constexpr uint64_t kMq = 1ull << 0;
inline constexpr uint64_t kLogShmfd = 1ull << 1;
inline constexpr uint64_t kRarp = 1ull << 2;
inline constexpr uint64_t kReplyAck = 1ull << 3;
inline constexpr uint64_t kMtu = 1ull << 4;
inline constexpr uint64_t kBackendReq = 1ull << 5;
inline constexpr uint64_t kCrossEndian = 1ull << 6;
inline constexpr uint64_t kCryptoSession = 1ull << 7;
inline constexpr uint64_t kPagefault = 1ull << 8;
inline constexpr uint64_t kConfig = 1ull << 9;
inline constexpr uint64_t kBackendSendFd = 1ull << 10;
inline constexpr uint64_t kHostNotifier = 1ull << 11;
inline constexpr uint64_t kInflightShmfd = 1ull << 12;
inline constexpr uint64_t kResetDevice = 1ull << 13;
inline constexpr uint64_t kInbandNotifications = 1ull << 14;
inline constexpr uint64_t kConfigureMemSlots = 1ull << 15;
inline constexpr uint64_t kStatus = 1ull << 16;
inline constexpr uint64_t kXenMmap = 1ull << 17;
inline constexpr uint64_t kSharedObject = 1ull << 18;
inline constexpr uint64_t kDeviceState = 1ull << 19;
}  // namespace protocol_feature

// ---- Header
// ---------------------------------------------------------------------------------------

struct Header {
  uint32_t request;
  uint32_t flags;
  uint32_t size;  // of the payload
};
static_assert(sizeof(Header) == 12);

// Header::flags
namespace header_flag {
inline constexpr uint32_t kVersionMask = 0x3;
inline constexpr uint32_t kVersion = 0x1;
inline constexpr uint32_t kReply = 1u << 2;
inline constexpr uint32_t kNeedReply = 1u << 3;
}  // namespace header_flag

// The u64 of set_vring_kick, set_vring_call and set_vring_err.
namespace vring_fd {
inline constexpr uint64_t kIndexMask = 0xff;
inline constexpr uint64_t kNoFd = 1ull << 8;  // no descriptor comes along: poll, or do not signal
}  // namespace vring_fd

// ---- Limits
// ---------------------------------------------------------------------------------------

inline constexpr uint32_t kMemoryTableRegionsMax = 8;  // of one MemoryTable
inline constexpr uint32_t kMemorySlotsMax =
    512;                                // QEMU never uses more, whatever get_max_mem_slots says
inline constexpr uint32_t kFdsMax = 8;  // of one message
inline constexpr uint32_t kConfigBytesMax = 256;
inline constexpr uint32_t kQueuesMax = 256;  // an index has 8 bits in vring_fd

// ---- Payloads
// -------------------------------------------------------------------------------------

struct VringState {
  uint32_t index;
  uint32_t num;
};
static_assert(sizeof(VringState) == 8);

// Addresses are the front-end's own virtual ones (MemoryRegion::user_addr), not guest-physical.
struct VringAddr {
  uint32_t index;
  uint32_t flags;  // vring_addr_flag
  uint64_t desc_user_addr;
  uint64_t used_user_addr;
  uint64_t avail_user_addr;
  uint64_t log_guest_addr;
};
static_assert(sizeof(VringAddr) == 40 && offsetof(VringAddr, used_user_addr) == 16);
namespace vring_addr_flag {
inline constexpr uint32_t kLog = 1u << 0;
}

struct MemoryRegion {
  uint64_t guest_phys_addr;
  uint64_t memory_size;
  uint64_t user_addr;    // where the front-end has it mapped
  uint64_t mmap_offset;  // where it begins in the fd
};
static_assert(sizeof(MemoryRegion) == 32);

// The message ends behind the last region in use.
struct MemoryTable {
  uint32_t num_regions;
  uint32_t padding;
  MemoryRegion regions[kMemoryTableRegionsMax];
};
static_assert(sizeof(MemoryTable) == 264 && offsetof(MemoryTable, regions) == 8);

struct SingleMemoryRegion {
  uint64_t padding;
  MemoryRegion region;
};
static_assert(sizeof(SingleMemoryRegion) == 40);

struct Log {
  uint64_t mmap_size;
  uint64_t mmap_offset;
};
static_assert(sizeof(Log) == 16);

// `size` bytes of configuration space follow.
struct ConfigHeader {
  uint32_t offset;
  uint32_t size;
  uint32_t flags;
};
static_assert(sizeof(ConfigHeader) == 12);
namespace config_flag {
inline constexpr uint32_t kWritable = 0;
inline constexpr uint32_t kLiveMigration = 1;
}  // namespace config_flag

// 20 bytes by the text; QEMU and rust-vmm send the C structure, with 4 bytes of padding.
struct Inflight {
  uint64_t mmap_size;
  uint64_t mmap_offset;
  uint16_t num_queues;
  uint16_t queue_size;
  uint32_t padding;
};
static_assert(sizeof(Inflight) == 24 && offsetof(Inflight, queue_size) == 18);
inline constexpr size_t kInflightSizeMin = 20;

struct IotlbMessage {
  uint64_t iova;
  uint64_t size;
  uint64_t user_addr;
  uint8_t permissions;
  uint8_t type;
  uint8_t padding[6];
};
static_assert(sizeof(IotlbMessage) == 32);

struct DeviceState {
  uint32_t direction;  // 0: the back-end saves, 1: it loads
  uint32_t phase;      // 0: stopped
};
static_assert(sizeof(DeviceState) == 8);

inline constexpr size_t kPayloadMax = sizeof(ConfigHeader) + kConfigBytesMax;
static_assert(kPayloadMax >= sizeof(MemoryTable));

}  // namespace dpfs::vhost_user
