// SPDX-License-Identifier: Apache-2.0
// One process that serves, and where it is confined, one outside that looks after it.
#include "daemon/serve.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <functional>
#include <iterator>
#include <string>

#include "base/fd.h"
#include "base/log.h"
#include "daemon/confinement.h"
#include "daemon/listeners.h"
#include "daemon/process.h"
#include "daemon/service.h"
#include "sandbox/supervisor.h"

namespace dpfs {
namespace {

void wait_for_end(Service& service, const sigset_t& signals) {
  const Fd arriving(signalfd(-1, &signals, SFD_CLOEXEC));
  while (true) {
    pollfd both[] = {{.fd = arriving.get(), .events = POLLIN, .revents = 0},
                     {.fd = service.ended_fd(), .events = POLLIN, .revents = 0}};
    if (poll(both, std::size(both), -1) < 0) continue;
    if (both[1].revents != 0) return log::info("ending: its VMM has gone");
    signalfd_siginfo info;
    if (read(arriving.get(), &info, sizeof info) != sizeof info) continue;
    if (info.ssi_signo != SIGUSR1) {
      return log::info("ending: SIG{}", sigabbrev_np(static_cast<int>(info.ssi_signo)));
    }
    service.log_counters();
  }
}

// In the process that serves.
int work(const ServeConfig& config, const Backends& backends, Confinement& confinement,
         Listeners& listeners, const sigset_t& signals, const sandbox::Notifier& up) {
  confinement.enter();
  Service service(config, backends, listeners.take());
  confinement.seal();
  service.start();
  up.say("READY=1");
  wait_for_end(service, signals);
  up.say("STOPPING=1");
  service.log_counters();
  if (!service.stop(kStopPatience)) {
    log::error("giving up after {} s", kStopPatience.count());
    listeners.remove();
    _exit(1);
  }
  log::info("ended");
  return 0;
}

int work_or_say_why(const std::function<int()>& worker) {
  try {
    return worker();
  } catch (const std::exception& error) {
    log::error("{}", std::string(error.what()));
    return 1;
  }
}

int start(ServeConfig& config, const Backends& backends) {
  config.check();
  log::set_level(level_of(config.log_level));
  const sigset_t signals = block_signals();
  set_descriptor_limit(config.sandbox.rlimit_nofile);
  umask(0);  // the tenant's kernel has applied the tenant's
  Confinement confinement(config, backends);
  sandbox::Notifier up = sandbox::Notifier::to_service_manager();
  Listeners listeners(config.devices);
  confinement.prepare();
  const auto worker = [&](const sandbox::Notifier& said_to) {
    return work_or_say_why(
        [&] { return work(config, backends, confinement, listeners, signals, said_to); });
  };
  if (!confinement.is_split()) return worker(up);
  sandbox::Supervisor supervisor(signals, [&](const sandbox::Notifier& said_to) {
    up.be_silent();
    return worker(said_to);
  });
  listeners.leave();
  return supervisor.run(up);
}

}  // namespace

int serve(ServeConfig config, const Backends& backends) {
  try {
    return start(config, backends);
  } catch (const std::exception& error) {
    log::error("{}", std::string(error.what()));
    return 1;
  }
}

}  // namespace dpfs
