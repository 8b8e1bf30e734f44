// SPDX-License-Identifier: Apache-2.0
// What lies in memory between a virtio driver and a device: the split ring and virtio-fs's
// configuration space. VIRTIO 1.3; all fields are little-endian, and so must this machine be.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace dpfs::virtio {

static_assert(std::endian::native == std::endian::little, "the ring structs are little-endian");

inline constexpr uint32_t kDeviceIdFs = 26;  // section 5

// ---- Feature bits (section 6 and 2.7)
// -------------------------------------------------------------

namespace feature {
inline constexpr uint64_t kIndirectDesc = 1ull << 28;      // section 2.7.5.3
inline constexpr uint64_t kEventIdx = 1ull << 29;          // section 2.7.7
inline constexpr uint64_t kVersion1 = 1ull << 32;          // section 6.1
inline constexpr uint64_t kAccessPlatform = 1ull << 33;    // section 6
inline constexpr uint64_t kRingPacked = 1ull << 34;        // section 2.8
inline constexpr uint64_t kInOrder = 1ull << 35;           // section 2.7.9
inline constexpr uint64_t kOrderPlatform = 1ull << 36;     // section 6
inline constexpr uint64_t kNotificationData = 1ull << 38;  // section 6
inline constexpr uint64_t kRingReset = 1ull << 40;         // section 2.6.1
}  // namespace feature

// Bits below 24 belong to the device type. VIRTIO_FS_F_NOTIFICATION (section 5.11.3): Linux's
// driver never accepts it.
namespace fs_feature {
inline constexpr uint64_t kNotification = 1ull << 0;
}

// ---- Device status (section 2.1)
// ------------------------------------------------------------------

namespace device_status {
inline constexpr uint8_t kAcknowledge = 1;
inline constexpr uint8_t kDriver = 2;
inline constexpr uint8_t kDriverOk = 4;
inline constexpr uint8_t kFeaturesOk = 8;
inline constexpr uint8_t kDeviceNeedsReset = 64;
inline constexpr uint8_t kFailed = 128;
}  // namespace device_status

// ---- The split ring (section 2.7)
// -------------------------------------------------------------------

inline constexpr uint32_t kQueueSizeMax = 32768;  // section 2.7; a power of two
inline constexpr size_t kDescAlign = 16;
inline constexpr size_t kAvailAlign = 2;
inline constexpr size_t kUsedAlign = 4;

// Desc::flags
namespace desc_flag {
inline constexpr uint16_t kNext = 1;
inline constexpr uint16_t kWrite = 2;  // the device writes it; otherwise it reads
inline constexpr uint16_t kIndirect = 4;
}  // namespace desc_flag

// Section 2.7.5
struct Desc {
  uint64_t addr;  // guest-physical
  uint32_t len;
  uint16_t flags;
  uint16_t next;
};
static_assert(sizeof(Desc) == 16 && offsetof(Desc, flags) == 12);

// Section 2.7.6: ring entries (16-bit heads) follow, then used_event.
struct AvailHeader {
  uint16_t flags;
  uint16_t idx;
};
static_assert(sizeof(AvailHeader) == 4);
namespace avail_flag {
inline constexpr uint16_t kNoInterrupt = 1;
}

// Section 2.7.8: UsedElem entries follow, then avail_event.
struct UsedHeader {
  uint16_t flags;
  uint16_t idx;
};
static_assert(sizeof(UsedHeader) == 4);
struct UsedElem {
  uint32_t id;   // head of the chain
  uint32_t len;  // bytes the device has written into it
};
static_assert(sizeof(UsedElem) == 8);
namespace used_flag {
inline constexpr uint16_t kNoNotify = 1;
}

constexpr size_t desc_table_size(uint32_t queue_size) { return sizeof(Desc) * queue_size; }
constexpr size_t avail_ring_offset(uint32_t index) {
  return sizeof(AvailHeader) + sizeof(uint16_t) * index;
}
constexpr size_t used_event_offset(uint32_t queue_size) { return avail_ring_offset(queue_size); }
constexpr size_t avail_size(uint32_t queue_size) {
  return used_event_offset(queue_size) + sizeof(uint16_t);
}
constexpr size_t used_ring_offset(uint32_t index) {
  return sizeof(UsedHeader) + sizeof(UsedElem) * index;
}
constexpr size_t avail_event_offset(uint32_t queue_size) { return used_ring_offset(queue_size); }
constexpr size_t used_size(uint32_t queue_size) {
  return avail_event_offset(queue_size) + sizeof(uint16_t);
}

// Section 2.7.10.1: with EVENT_IDX, does moving an index from `before` to `now` cross `event`?
constexpr bool event_crossed(uint16_t event, uint16_t now, uint16_t before) {
  return static_cast<uint16_t>(now - event - 1) < static_cast<uint16_t>(now - before);
}

// ---- virtio-fs (section 5.11)
// -----------------------------------------------------------------------

// Queue numbers as Linux uses them: it takes request queues from 1 on and has no notification
// queue.
inline constexpr uint32_t kHiprioQueue = 0;
inline constexpr uint32_t kFirstRequestQueue = 1;

inline constexpr size_t kTagSize = 36;

// Section 5.11.4
struct FsConfig {
  char tag[kTagSize];  // UTF-8, padded with NULs, not terminated where it fills the field
  uint32_t num_request_queues;
};
static_assert(sizeof(FsConfig) == 40 && offsetof(FsConfig, num_request_queues) == 36);

}  // namespace dpfs::virtio
