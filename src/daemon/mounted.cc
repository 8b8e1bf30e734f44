// SPDX-License-Identifier: Apache-2.0
// Mounting, waiting, unmounting.
#include "daemon/mounted.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "base/log.h"
#include "daemon/reactor_call.h"
#include "daemon/share.h"
#include "daemon/url.h"
#include "transport/devfuse/kernel_mount.h"

namespace dpfs {
namespace {

// Threads of the reactor's own that may be inside a file system's call, for what goes on after a
// wait. Requests come with threads of their own.
constexpr uint32_t kThreads = 128;

// How often an unmount gets more time, once for each `patience`.
constexpr uint32_t kUnmountTriesMax = 30;

}  // namespace

Mounted::Mounted(const MountConfig& config, const Backends& backends)
    : config_(config),
      ended_event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      closed_future_(closed_.get_future()) {
  if (!ended_event_) throw std::runtime_error("cannot make an eventfd");
  Reactor::Options options;
  options.io_uring = config.io_uring;
  options.threads_max = kThreads;
  reactor_ = std::make_unique<Reactor>(options);
  fs_ = make_share(*reactor_, config_.share, backends);
  device_ = devfuse::mount_at(config_.directory, config_.options);
  start();
}

void Mounted::start() {
  devfuse::ConnectionOwner& owner = *this;
  const devfuse::Connection::Options options{.session = session_options(config_.share),
                                             .io_uring = config_.fuse_io_uring};
  connection_ = std::make_unique<devfuse::Connection>(*reactor_, owner, *fs_, config_.directory,
                                                      device_.get(), options, counters_);
  std::future<bool> begun = begun_.get_future();
  thread_ = std::thread([this] { reactor_->run(); });
  reactor_->post([this] {
    if (!connection_->open()) begun_.set_value(false);
  });
  if (begun.get()) return;
  stop(kAnswerPatience);
  throw std::runtime_error(fmt::format(
      "cannot mount on '{}': the kernel's FUSE protocol is too old", config_.directory));
}

Mounted::~Mounted() {
  if (thread_.joinable()) stop(kAnswerPatience);
}

void Mounted::connection_begun(bool accepted) noexcept {
  way_ = connection_->way();
  begun_.set_value(accepted);
}

void Mounted::connection_ended() noexcept {
  // Later, when nothing of the connection is on the stack. Ending its session may take time.
  reactor_->post([this] {
    connection_.reset();
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t told = write(ended_event_.get(), &one, sizeof one);
    closed_.set_value();
  });
}

bool Mounted::ended() const noexcept {
  return closed_future_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

// An unmount that has to wait for the file system below must not hold up the end. But a kernel that
// writes back much, or forgets a million files, may take its time: as long as requests come.
bool Mounted::unmount_within(std::chrono::seconds patience) {
  auto done = std::make_shared<std::promise<Errno>>();  // the thread may be left behind
  std::future<Errno> result = done->get_future();
  std::thread([done, directory = config_.directory] {
    Result<Unit> unmounted = devfuse::unmount(directory, false);
    if (unmounted.error() == Errno::busy) {
      log::warn("{}: in use; it is detached, and files that are open there get errors", directory);
      unmounted = devfuse::unmount(directory, true);
    }
    done->set_value(unmounted.error());
  }).detach();
  uint64_t served = requests_served();
  for (uint32_t tries = 0; result.wait_for(patience) != std::future_status::ready; ++tries) {
    const uint64_t before = std::exchange(served, requests_served());
    if (served == before || tries == kUnmountTriesMax) return false;
    log::info("{}: the kernel is still at it", config_.directory);
  }
  // EINVAL: somebody else was faster.
  if (const Errno why = result.get(); why != Errno::none && why != Errno::inval) {
    log::error("{}: cannot unmount: {}", config_.directory, describe(why));
  }
  return true;
}

uint64_t Mounted::requests_served() {
  const std::optional<uint64_t> sum = call_on(*reactor_, [this] {
    uint64_t requests = 0;
    for (uint32_t i = 0; i < SessionCounters::kOpcodes; ++i) requests += counters_.of(i).requests;
    return requests;
  });
  return sum.value_or(0);
}

bool Mounted::stop(std::chrono::seconds patience) {
  if (!unmount_within(patience)) {
    log::error("{}: requests are stuck in the file system below", config_.directory);
    abort();
    [[maybe_unused]] const Result<Unit> detached = devfuse::unmount(config_.directory, true);
    return false;
  }
  return finish(patience);
}

bool Mounted::finish(std::chrono::seconds patience) {
  reactor_->post([this] {
    if (connection_ != nullptr) connection_->close();
  });
  if (closed_future_.wait_for(patience) != std::future_status::ready) {
    log::error("{}: requests are stuck in the file system below", config_.directory);
    abort();
    return false;
  }
  reactor_->stop();
  thread_.join();
  return true;
}

// The kernel ends a mount when the last descriptor of its /dev/fuse is closed; whoever waits gets
// an error. Requests that come back from below later write their replies to nobody.
void Mounted::abort() noexcept {
  const Fd nobody(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (nobody) dup2(nobody.get(), device_.get());
  call_on(*reactor_, [this] {
    if (connection_ != nullptr) connection_->abandon();
    return true;
  });
}

std::string Mounted::describe_service() const {
  return fmt::format("{} is mounted on {}, requests by {}, file I/O by {}",
                     without_password(config_.share.url), config_.directory, way_,
                     reactor_->engine_name());
}

void Mounted::log_counters() {
  if (!thread_.joinable()) return log_session_counters(config_.directory, counters_);
  const std::optional<SessionCounters> counters = call_on(*reactor_, [this] { return counters_; });
  if (!counters) return log::warn("{}: its reactor does not answer", config_.directory);
  log_session_counters(config_.directory, *counters);
}

}  // namespace dpfs
