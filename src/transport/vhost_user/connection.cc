// SPDX-License-Identifier: Apache-2.0
// The vhost-user protocol, message by message.
#include "transport/vhost_user/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "virtio/layout.h"

namespace dpfs::vhost_user {
namespace {

constexpr uint64_t kFeatures = virtio::feature::kVersion1 | virtio::feature::kIndirectDesc |
                               virtio::feature::kEventIdx | kFeatureProtocolFeatures;
constexpr uint64_t kProtocolFeatures =
    protocol_feature::kMq | protocol_feature::kReplyAck | protocol_feature::kConfig |
    protocol_feature::kConfigureMemSlots | protocol_feature::kBackendReq |
    protocol_feature::kResetDevice | protocol_feature::kStatus;
// As many as QEMU uses at most with vhost-user (VHOST_USER_MAX_RAM_SLOTS on x86).
constexpr uint64_t kMemorySlots = 512;

// Pieces of one message. Linux uses at most the queue's size; a buffer that crosses memory regions
// has some more.
constexpr uint32_t kPartsMin = 320;  // 1 MiB by pages, and headers
constexpr uint32_t kPartsMax = 1024;
constexpr uint32_t kPartsSpare = 64;

GuestRegion::Place place_of(const MemoryRegion& region) noexcept {
  return {.guest = GuestAddress{region.guest_phys_addr},
          .user = UserAddress{region.user_addr},
          .size = region.memory_size,
          .offset_in_file = region.mmap_offset};
}

Result<Unit> map_into(GuestMemory::Regions& regions, const GuestRegion::Place& place,
                      const Fd& file) {
  const Result<GuestRegion*> region = GuestRegion::map(place, file);
  if (!region) return region.error();
  regions.emplace_back(*region);
  return Unit{};
}

}  // namespace

Connection::Connection(Reactor& reactor, Timers& timers, ConnectionOwner& owner,
                       const DeviceOptions& options, FileSystem& fs, SessionCounters& counters,
                       Fd socket)
    : RingOwner(timers,
                std::clamp<uint32_t>(options.queue_size_max, kPartsMin, kPartsMax) + kPartsSpare),
      reactor_(reactor),
      owner_(owner),
      options_(options),
      session_(fs, options.tag, options.session, counters),
      channel_(std::move(socket)) {
  const uint32_t queues = virtio::kFirstRequestQueue + options.request_queues;
  RingOwner& ring_owner = *this;
  for (uint32_t number = 0; number < queues; ++number) {
    rings_.push_back(std::make_unique<Vring>(reactor_, ring_owner, options_.tag, number,
                                             options_.interrupt_delay_ns));
  }
}

Connection::~Connection() { DPFS_ASSERT(idle()); }

bool Connection::open() noexcept {
  if (!reactor_.watch(channel_.fd(), *this)) return false;
  ready();  // messages that came before the watch
  return true;
}

void Connection::close() noexcept {
  if (closing_) return;
  closing_ = true;
  reactor_.unwatch(channel_.fd(), *this);
  shutdown(channel_.fd(), SHUT_RDWR);
  stop_rings();
  ring_stopped();  // reports closed at once when no ring was running
}

bool Connection::idle() const noexcept {
  return std::ranges::all_of(rings_, [](const auto& ring) { return !ring->started(); });
}

void Connection::stop_rings() noexcept {
  for (const auto& ring : rings_) {
    if (ring->started() && !ring->stopping()) ring->stop();
  }
}

void Connection::rings_may_take() noexcept {
  for (const auto& ring : rings_) ring->activate();
}

void Connection::ring_stopped() noexcept {
  if (idle()) session_.queues_stopped();
  if (closing_) {
    if (idle() && !std::exchange(closed_, true)) owner_.connection_closed();
    return;
  }
  if (waits_for_ring_ >= 0 && !rings_[static_cast<size_t>(waits_for_ring_)]->started()) {
    const auto index = static_cast<uint32_t>(std::exchange(waits_for_ring_, -1));
    answered_ = true;
    if (!channel_.reply(message_, VringState{index, rings_[index]->next_avail()})) return close();
  } else if (waits_for_reset_ && idle()) {
    waits_for_reset_ = false;
  } else {
    return;
  }
  // ready() goes on by itself when the ring has stopped at once, within the call that asked for it.
  if (handling_) return;
  acknowledge(Unit{});
  ready();
}

// ---- Messages -----------------------------------------------------------------------------------

void Connection::ready() noexcept {
  // A message whose answer waits for a ring keeps the next ones waiting too.
  while (!closing_ && waits_for_ring_ < 0 && !waits_for_reset_) {
    const Result<Unit> received = channel_.receive(message_);
    if (!received) {
      if (received.error() == Errno::again) return;
      if (received.error() == Errno::proto) {
        log::warn("{}: the VMM sent something that is no vhost-user message; disconnecting it",
                  options_.tag);
      }
      return close();
    }
    heard_ = true;
    handling_ = true;
    const Result<Unit> handled = handle(message_);
    handling_ = false;
    if (!handled && refused_log_.admit() >= 0) {
      log::warn("{}: vhost-user message {} of {} bytes with {} descriptors refused: {}",
                options_.tag, message_.header.request, message_.header.size, message_.fds.size(),
                describe(handled.error()));
    }
    // EPROTO: what was asked for has an answer of its own, which we cannot give.
    if (!handled && handled.error() == Errno::proto) return close();
    if (closing_ || waits_for_ring_ >= 0 || waits_for_reset_) return;
    acknowledge(handled);
  }
}

// The answer to a message that has no answer of its own, if one is wanted.
void Connection::acknowledge(Result<Unit> handled) noexcept {
  if (std::exchange(answered_, false)) return;
  if (message_.needs_reply() && (protocol_features_ & protocol_feature::kReplyAck) != 0) {
    if (!channel_.reply(message_, uint64_t{handled ? 0u : 1u})) close();
  } else if (!handled) {
    // Nobody would learn that the device is not as the VMM believes.
    close();
  }
}

Result<Unit> Connection::handle(Message& message) noexcept {
  switch (message.request()) {
    case Request::get_features:
      return answer_u64(message, kFeatures);
    case Request::set_features:
      return set_features(message);
    case Request::set_owner:
    case Request::reset_owner:
      return Unit{};
    case Request::get_protocol_features:
      return answer_u64(message, offered_features());
    case Request::set_protocol_features:
      return set_protocol_features(message);
    case Request::get_queue_num:
      return answer_u64(message, rings_.size());
    case Request::get_max_mem_slots:
      return answer_u64(message, kMemorySlots);
    case Request::set_mem_table:
      return set_mem_table(message);
    case Request::add_mem_reg:
      return add_mem_reg(message);
    case Request::rem_mem_reg:
      return rem_mem_reg(message);
    case Request::set_vring_num:
      return set_vring_num(message);
    case Request::set_vring_addr:
      return set_vring_addr(message);
    case Request::set_vring_base:
      return set_vring_base(message);
    case Request::get_vring_base:
      return get_vring_base(message);
    case Request::set_vring_enable:
      return set_vring_enable(message);
    case Request::set_vring_kick:
    case Request::set_vring_call:
    case Request::set_vring_err:
      return set_vring_fd(message);
    case Request::get_config:
      return get_config(message);
    case Request::set_backend_req_fd:
      if (message.fds.size() != 1) return Errno::inval;
      backend_channel_ = std::move(message.fds[0]);
      return Unit{};
    case Request::set_status:
      return set_status(message);
    case Request::get_status:
      return answer_u64(message, status_);
    case Request::reset_device:
      return reset_device();
    default:
      return Errno::opnotsupp;
  }
}

Result<Unit> Connection::answer_u64(const Message& message, uint64_t value) noexcept {
  answered_ = true;
  if (!channel_.reply(message, value)) close();
  return Unit{};
}

Result<Unit> Connection::set_features(const Message& message) noexcept {
  const Result<uint64_t> features = message.as<uint64_t>();
  if (!features) return features.error();
  if ((*features & ~kFeatures) != 0) return Errno::inval;
  features_ = *features;
  return Unit{};
}

uint64_t Connection::offered_features() const noexcept {
  return options_.tells_tag ? kProtocolFeatures : kProtocolFeatures & ~protocol_feature::kConfig;
}

Result<Unit> Connection::set_protocol_features(const Message& message) noexcept {
  const Result<uint64_t> features = message.as<uint64_t>();
  if (!features) return features.error();
  if ((*features & ~offered_features()) != 0) return Errno::inval;
  protocol_features_ = *features;
  return Unit{};
}

// ---- Memory -------------------------------------------------------------------------------------

Result<Unit> Connection::set_mem_table(Message& message) noexcept {
  MemoryTable table{};
  constexpr size_t kHeadSize = offsetof(MemoryTable, regions);
  if (message.header.size < kHeadSize) return Errno::inval;
  std::memcpy(&table, message.payload.data(), std::min<size_t>(message.header.size, sizeof table));
  if (table.num_regions == 0 || table.num_regions > kMemoryTableRegionsMax ||
      message.header.size < kHeadSize + table.num_regions * sizeof(MemoryRegion) ||
      message.fds.size() != table.num_regions) {
    return Errno::inval;
  }
  GuestMemory::Regions regions;
  for (uint32_t i = 0; i < table.num_regions; ++i) {
    const Result<Unit> mapped = map_into(regions, place_of(table.regions[i]), message.fds[i]);
    if (!mapped) return mapped;
  }
  return set_regions(std::move(regions));
}

Result<Unit> Connection::add_mem_reg(Message& message) noexcept {
  const Result<SingleMemoryRegion> in = message.as<SingleMemoryRegion>();
  if (!in || message.fds.size() != 1) return Errno::inval;
  GuestMemory::Regions regions;
  if (memory_) regions = memory_->regions();
  if (regions.size() >= kMemorySlots) return Errno::nobufs;
  const Result<Unit> mapped = map_into(regions, place_of(in->region), message.fds[0]);
  if (!mapped) return mapped;
  return set_regions(std::move(regions));
}

Result<Unit> Connection::rem_mem_reg(const Message& message) noexcept {
  const Result<SingleMemoryRegion> in = message.as<SingleMemoryRegion>();
  if (!in || !memory_) return Errno::inval;
  const GuestRegion::Place place = place_of(in->region);
  GuestMemory::Regions regions = memory_->regions();
  // The offset is not compared: QEMU sends one and the text says it is meaningless here.
  const auto gone = std::erase_if(regions, [&place](const auto& region) {
    return region->place().guest == place.guest && region->place().user == place.user &&
           region->place().size == place.size;
  });
  if (gone == 0) return Errno::inval;
  return set_regions(std::move(regions));
}

// Requests in flight keep the table that they were taken under; rings go on in the new one.
Result<Unit> Connection::set_regions(GuestMemory::Regions regions) noexcept {
  const Result<GuestMemory*> memory = GuestMemory::make(std::move(regions));
  if (!memory) return memory.error();
  memory_ = MemoryPin(*memory);
  Result<Unit> all = Unit{};
  for (const auto& ring : rings_) {
    const Result<Unit> mapped = ring->remap(memory_);
    if (!mapped) all = mapped;
  }
  return all;
}

// ---- Rings --------------------------------------------------------------------------------------

Vring* Connection::ring_at(uint64_t index) noexcept {
  return index < rings_.size() ? rings_[index].get() : nullptr;
}

Result<Unit> Connection::set_vring_num(const Message& message) noexcept {
  const Result<VringState> state = message.as<VringState>();
  Vring* ring = state ? ring_at(state->index) : nullptr;
  if (ring == nullptr || ring->started() || state->num == 0 ||
      state->num > options_.queue_size_max) {
    return Errno::inval;
  }
  ring->set_size(static_cast<uint16_t>(state->num));
  return Unit{};
}

Result<Unit> Connection::set_vring_addr(const Message& message) noexcept {
  const Result<VringAddr> addr = message.as<VringAddr>();
  Vring* ring = addr ? ring_at(addr->index) : nullptr;
  if (ring == nullptr || ring->started()) return Errno::inval;
  ring->set_addresses({.desc = UserAddress{addr->desc_user_addr},
                       .avail = UserAddress{addr->avail_user_addr},
                       .used = UserAddress{addr->used_user_addr}});
  return Unit{};
}

Result<Unit> Connection::set_vring_base(const Message& message) noexcept {
  const Result<VringState> state = message.as<VringState>();
  Vring* ring = state ? ring_at(state->index) : nullptr;
  if (ring == nullptr || ring->started() || state->num > UINT16_MAX) return Errno::inval;
  ring->set_base(static_cast<uint16_t>(state->num));
  return Unit{};
}

Result<Unit> Connection::get_vring_base(const Message& message) noexcept {
  const Result<VringState> state = message.as<VringState>();
  Vring* ring = state ? ring_at(state->index) : nullptr;
  if (ring == nullptr) return Errno::proto;
  if (!ring->started()) {
    answered_ = true;
    if (!channel_.reply(message, VringState{state->index, ring->next_avail()})) close();
    return Unit{};
  }
  // ring_stopped() answers
  waits_for_ring_ = static_cast<int>(state->index);
  ring->stop();
  return Unit{};
}

Result<Unit> Connection::set_vring_enable(const Message& message) noexcept {
  const Result<VringState> state = message.as<VringState>();
  Vring* ring = state ? ring_at(state->index) : nullptr;
  if (ring == nullptr || state->num > 1) return Errno::inval;
  ring->set_enabled(state->num == 1);
  return Unit{};
}

Result<Unit> Connection::set_vring_fd(Message& message) noexcept {
  const Result<uint64_t> in = message.as<uint64_t>();
  Vring* ring = in ? ring_at(*in & vring_fd::kIndexMask) : nullptr;
  const bool has_fd = in && (*in & vring_fd::kNoFd) == 0;
  if (ring == nullptr || message.fds.size() != (has_fd ? 1u : 0u)) return Errno::inval;
  Fd fd;
  if (has_fd) fd = std::move(message.fds[0]);
  if (message.request() == Request::set_vring_call) {
    ring->set_call(std::move(fd));
    return Unit{};
  }
  if (message.request() == Request::set_vring_err) {
    ring->set_error(std::move(fd));
    return Unit{};
  }
  const Result<Unit> watched = ring->set_kick(std::move(fd));
  if (!watched) return watched;
  return start_if_complete(*ring);
}

// The kick descriptor comes last; a ring starts with it.
Result<Unit> Connection::start_if_complete(Vring& ring) noexcept {
  if (ring.started()) return Unit{};
  const Result<Unit> started = ring.start(memory_, session_, features_);
  if (!started) return started;
  if ((features_ & kFeatureProtocolFeatures) == 0) ring.set_enabled(true);
  return Unit{};
}

// ---- Device -------------------------------------------------------------------------------------

Result<Unit> Connection::get_config(const Message& message) noexcept {
  ConfigHeader head{};
  if (message.header.size < sizeof head) return Errno::proto;
  std::memcpy(&head, message.payload.data(), sizeof head);
  answered_ = true;
  virtio::FsConfig config{};
  std::memcpy(config.tag, options_.tag.data(), std::min(options_.tag.size(), sizeof config.tag));
  config.num_request_queues = options_.request_queues;
  if (head.offset > sizeof config || head.size > sizeof config - head.offset) {
    // An answer without payload is how the protocol says no here.
    if (!channel_.reply(message, std::span<const char>{})) close();
    return Errno::inval;
  }
  std::array<char, sizeof head + sizeof config> answer{};
  std::memcpy(answer.data(), &head, sizeof head);
  std::memcpy(answer.data() + sizeof head, reinterpret_cast<const char*>(&config) + head.offset,
              head.size);
  if (!channel_.reply(message, std::span<const char>(answer.data(), sizeof head + head.size)))
    close();
  return Unit{};
}

Result<Unit> Connection::set_status(const Message& message) noexcept {
  const Result<uint64_t> status = message.as<uint64_t>();
  if (!status || *status > UINT8_MAX) return Errno::inval;
  status_ = *status;
  return Unit{};
}

Result<Unit> Connection::reset_device() noexcept {
  status_ = 0;
  for (const auto& ring : rings_) ring->set_enabled(false);
  if (idle()) return Unit{};
  waits_for_reset_ = true;
  stop_rings();
  return Unit{};
}

}  // namespace dpfs::vhost_user
