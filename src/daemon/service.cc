// SPDX-License-Identifier: Apache-2.0
// Assembling, starting and ending.
#include "daemon/service.h"

#include <fmt/core.h>
#include <sched.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <future>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "base/log.h"
#include "daemon/reactor_call.h"
#include "daemon/share.h"
#include "daemon/url.h"
#include "transport/vhost_user/slots.h"

namespace dpfs {
namespace {

// The processors that this process may use, in order.
std::vector<int> usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  std::vector<int> processors;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<unsigned>(cpu), &set)) processors.push_back(cpu);
  }
  return processors;
}

// Threads of a reactor: what each device may need when its file system hangs, and some that are
// never among them. A ring lets few of its requests block at once (Vring::kServingMax), but it does
// not see those that a layer has held back and lets go on later: these are as many as may be in
// flight.
constexpr uint32_t kThreadsPerDevice = vhost_user::Slots::kCount + 8;
constexpr uint32_t kThreadsSpare = 8;
constexpr uint32_t kThreadsMax = 4096;

}  // namespace

Service::Service(const ServeConfig& config, const Backends& backends, std::vector<Fd> listening)
    : ended_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!ended_) throw std::system_error(errno, std::generic_category(), "eventfd");
  const std::vector<int> processors = usable_processors();
  const size_t reactors = std::min<size_t>(config.reactors, config.devices.size());
  for (size_t i = 0; i < reactors; ++i) {
    Reactor::Options options;
    options.poll_ns_max = uint64_t{config.poll_us} * 1000;
    options.io_uring = config.io_uring;
    const size_t devices = (config.devices.size() + reactors - 1) / reactors;
    options.threads_max = static_cast<uint32_t>(
        std::min<size_t>(devices * kThreadsPerDevice + kThreadsSpare, kThreadsMax));
    if (config.pin) options.cpu = processors[i % processors.size()];
    lanes_.push_back({std::make_unique<Reactor>(options), {}});
  }
  for (size_t i = 0; i < config.devices.size(); ++i) {
    const DeviceConfig& device = config.devices[i];
    Lane& lane = lane_of(backends.place_of(Url::parse(device.share.url)), i);
    vhost_user::DeviceOptions options;
    options.tag = device.tag;
    options.request_queues = device.queues;
    options.queue_size_max = static_cast<uint16_t>(device.queue_size);
    options.interrupt_delay_ns = uint64_t{device.interrupt_delay_us} * 1000;
    options.tells_tag = device.tells_tag;
    options.session = session_options(device.share);
    try {
      std::unique_ptr<FileSystem> fs = make_share(*lane.reactor, device.share, backends);
      auto server = std::make_unique<vhost_user::Server>(*lane.reactor, options, *fs,
                                                         std::move(listening[i]));
      if (device.one_vmm) server->serve_one([this] { eventfd_write(ended_.get(), 1); });
      devices_.push_back({&lane, std::move(fs), std::move(server)});
    } catch (const std::exception& error) {
      throw std::runtime_error(
          fmt::format("{}device '{}': {}", device.url_place, device.tag, error.what()));
    }
    log::info(
        "{}: serving {} at {}", device.tag, without_password(device.share.url),
        device.socket.empty() ? fmt::format("descriptor {}", device.listen_fd) : device.socket);
  }
}

Service::Lane& Service::lane_of(const std::string& place, size_t device) {
  const size_t any = device % lanes_.size();
  return lanes_[place.empty() ? any : places_.try_emplace(place, any).first->second];
}

Service::~Service() {
  for (Lane& lane : lanes_) {
    if (!lane.thread.joinable()) continue;  // ended by stop(), or never started
    lane.reactor->stop();
    lane.thread.join();
  }
}

void Service::start() {
  for (Lane& lane : lanes_) lane.thread = std::thread([&lane] { lane.reactor->run(); });
  for (const Device& device : devices_) {
    const std::optional<bool> open =
        call_on(*device.lane->reactor, [&device] { return device.server->open(); });
    if (!open || !*open) throw std::runtime_error("cannot watch a listening socket");
  }
  log::info("ready: {} device(s) on {} reactor(s), file I/O by {}", devices_.size(), lanes_.size(),
            lanes_.front().reactor->engine_name());
}

bool Service::stop(std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  // Shared with the reactors: one that hangs may come to it after we have given up.
  std::vector<std::future<void>> closed;
  for (const Device& device : devices_) {
    auto done = std::make_shared<std::promise<void>>();
    closed.push_back(done->get_future());
    device.lane->reactor->post(
        [&device, done] { device.server->close([done] { done->set_value(); }); });
  }
  for (size_t i = 0; i < closed.size(); ++i) {
    if (closed[i].wait_until(deadline) == std::future_status::ready) continue;
    log::error("{}: requests are stuck in the file system below",
               devices_[i].server->options().tag);
    return false;
  }
  for (Lane& lane : lanes_) {
    lane.reactor->stop();
    lane.thread.join();
  }
  return true;
}

void Service::log_counters() {
  for (const Device& device : devices_) {
    const std::optional<SessionCounters> answer =
        call_on(*device.lane->reactor, [&device] { return device.server->counters(); });
    if (!answer) {
      log::warn("{}: its reactor does not answer", device.server->options().tag);
      continue;
    }
    log_session_counters(device.server->options().tag, *answer);
  }
}

}  // namespace dpfs
