// SPDX-License-Identifier: Apache-2.0
// A volume for a moment, on a reactor of its own.
#include "daemon/kv_probe.h"

#include <fmt/core.h>

#include <future>
#include <stdexcept>
#include <string>
#include <thread>

#include "base/errno.h"

namespace dpfs {
namespace {

class Trial {
 public:
  Trial(Reactor& reactor, kv::Volume& volume) : reactor_(reactor), volume_(volume) {}

  // On another thread than the reactor's.
  Errno outcome() {
    std::future<Errno> outcome = outcome_.get_future();
    reactor_.post([this] { run(); });
    return outcome.get();
  }

 private:
  Detached run() noexcept {
    volume_.attach();
    const Result<Unit> sure = co_await volume_.make_sure();
    volume_.detach([this, why = sure.error()] { outcome_.set_value(why); });
  }

  Reactor& reactor_;
  kv::Volume& volume_;
  std::promise<Errno> outcome_;
};

std::string meaning(Errno why, const kv::Volume& volume) {
  for (const int nobody : {ETIMEDOUT, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ENOTCONN}) {
    if (why == to_errno(nobody)) {
      return fmt::format("no server answers ({}); check that they run, and their addresses",
                         describe(why));
    }
  }
  switch (why) {
    case Errno::busy: {
      const std::string& holder = volume.holder();
      return fmt::format(
          "{} has this file system and serves it; end that daemon first, or take the file system "
          "away from it with the option takeover",
          holder.empty() ? "another daemon" : holder);
    }
    case Errno::noent:
      return "there is no file system yet; say --create to make one";
    case Errno::acces:
      return "the servers refuse this user or password; see docs/kv.md for what the user must be "
             "allowed";
    default:
      return fmt::format("it cannot be used: {}", describe(why));
  }
}

}  // namespace

void probe_kv(const KvAsked& asked) {
  Reactor::Options options;
  options.io_uring = false;
  Reactor reactor(options);
  kv::Volume volume(reactor, asked.make_store(reactor), asked.volume);
  std::thread thread([&reactor] { reactor.run(); });
  const Errno why = Trial(reactor, volume).outcome();
  reactor.stop();
  thread.join();
  if (why == Errno::none) return;
  throw std::runtime_error(fmt::format("'{}': {}", asked.volume.name, meaning(why, volume)));
}

}  // namespace dpfs
