// SPDX-License-Identifier: Apache-2.0
// A file system for a moment, on a reactor of its own.
#include "daemon/nfs_probe.h"

#include <fmt/core.h>

#include <chrono>
#include <stdexcept>
#include <thread>

#include "backend/nfs/nfs_fs.h"
#include "base/log.h"
#include "daemon/nfs_url.h"
#include "daemon/reactor_call.h"

namespace dpfs {
namespace {

constexpr std::chrono::seconds kPatience{5};
constexpr std::chrono::milliseconds kLook{5};

struct Answer {
  bool there = false;
  Errno refused = Errno::none;
  bool done() const noexcept { return there || refused != Errno::none; }
};

Answer ask(Reactor& reactor, NfsFs& fs) {
  call_on(reactor, [&fs] {
    Negotiated negotiated;
    fs.begin(negotiated);
    return true;
  });
  const auto until = std::chrono::steady_clock::now() + kPatience;
  Answer answer;
  while (!answer.done() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(kLook);
    const std::optional<Answer> now =
        call_on(reactor, [&fs] { return Answer{fs.client().is_ready(), fs.client().refused()}; });
    if (now) answer = *now;
  }
  call_on(reactor, [&fs] {
    fs.end();
    return true;
  });
  return answer;
}

}  // namespace

void probe_nfs(const NfsOptions& options) {
  nfs_addresses(options);
  Reactor::Options reactor_options;
  reactor_options.io_uring = false;
  Reactor reactor(reactor_options);
  Answer answer;
  {
    NfsFs fs(reactor, options);
    std::thread thread([&reactor] { reactor.run(); });
    answer = ask(reactor, fs);
    reactor.stop();
    thread.join();
  }
  const std::string share =
      fmt::format("nfs://{}:{}{}", options.server, options.port, options.path);
  if (answer.refused != Errno::none) {
    throw std::runtime_error(
        fmt::format("'{}' cannot be had: {}; is that path exported, in version 4, to this machine?",
                    share, describe(answer.refused)));
  }
  if (answer.there) return;
  if (options.soft) {
    throw std::runtime_error(
        fmt::format("'{}': no answer; without 'soft' the share waits until there is one", share));
  }
  log::warn("'{}': no answer yet; requests wait until there is one", share);
}

}  // namespace dpfs
