// SPDX-License-Identifier: Apache-2.0
// The command line of `dpfs serve`.
#include "daemon/serve_command.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <stdexcept>

#include "base/log.h"
#include "daemon/config.h"
#include "daemon/serve.h"
#include "daemon/share_options.h"

namespace dpfs {
namespace {

constexpr const char* kDeviceGroup = "Options of the device";
constexpr const char* kDaemonGroup = "Options of the daemon";

constexpr const char* kExamples = R"(
Examples:
  dpfs serve --socket /run/dpfs/share.sock --tag share local:/srv/share
      One device. Give the socket to the VMM; in the guest: mount -t virtiofs share /mnt
  dpfs serve --readonly --cache always --socket S --tag images local:/srv/images
      Nobody changes these files, so the guest may keep what it has read.
  dpfs serve --translate-uid map:0:1000:1 --translate-gid map:0:1000:1 ...
      What root in the guest makes belongs to user 1000 here, and the reverse.
  dpfs serve --config /etc/dpfs/serve.toml
      Several devices, each with a [[device]] table:
          reactors = 2
          [[device]]
          tag = "share"
          socket = "/run/dpfs/share.sock"
          url = "local:/srv/share"
          cache = "never"                    # options of the share, with '_' for '-'
          translate_uid = ["map:0:1000:1"]
  dpfs serve --fd 3 --tag share local:/srv/share
      The listening socket is passed in (systemd socket activation).

Signals: SIGTERM and SIGINT end cleanly; SIGUSR1 logs each device's counters.)";

void check_url(const DeviceConfig& device, const Backends& backends) {
  try {
    backends.check(device.share.url);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(device.url_place + error.what());
  }
}

}  // namespace

int serve_main(int argc, char** argv, const Backends& backends) {
  CLI::App app("Serves virtio-fs devices to VMMs over vhost-user.", "dpfs serve");
  app.footer("URLs:\n" + backends.usage() + kExamples);
  ServeConfig config;
  DeviceConfig device;
  std::string file;
  app.add_option("--config", file, "TOML file with [[device]] tables")->type_name("FILE");
  std::vector<CLI::Option*> device_options{
      app.add_option("--socket", device.socket, "Where to listen for the VMM")->type_name("PATH"),
      app.add_option("--socket-group", device.socket_group,
                     "Group whose members may connect, too (default: our own)")
          ->type_name("GROUP"),
      app.add_option("--fd", device.listen_fd,
                     "A listening socket that was passed in, instead of --socket")
          ->type_name("FD"),
      app.add_option("--tag", device.tag, "What the tenant mounts; 1 to 36 bytes")
          ->type_name("TAG"),
      app.add_option("--queues", device.queues, "Request queues that the VMM may use, 1 to 64")
          ->capture_default_str()
          ->type_name("N"),
      app.add_option("--queue-size", device.queue_size, "Largest ring accepted, a power of two")
          ->capture_default_str()
          ->type_name("N"),
      app.add_option("--interrupt-delay", device.interrupt_delay_us,
                     "How long an interrupt may wait for more completions while many reads or "
                     "writes are under way; 0: not at all")
          ->capture_default_str()
          ->type_name("US"),
      app.add_option("URL", device.share.url, "What to serve")->type_name(""),
  };
  for (CLI::Option* option : device_options) option->group(kDeviceGroup);
  const std::vector<CLI::Option*> share_options = add_share_options(app, device.share);
  device_options.insert(device_options.end(), share_options.begin(), share_options.end());
  auto* reactors =
      app.add_option("--reactors", config.reactors, "Threads that the devices are spread over")
          ->capture_default_str()
          ->type_name("N");
  auto* pin = app.add_flag("--pin", config.pin, "Pin each reactor to a processor");
  auto* poll_us =
      app.add_option("--poll-us", config.poll_us,
                     "How long a queue that had work is polled before sleeping; 0: never")
          ->capture_default_str()
          ->type_name("US");
  auto* sandbox = app.add_option("--sandbox", config.sandbox.mode,
                                 "namespace, chroot or none (default: namespace where the kernel "
                                 "lets us)")
                      ->type_name("HOW");
  auto* seccomp = app.add_option("--seccomp", config.sandbox.seccomp,
                                 "At a system call that serving does not need: none, kill, log or "
                                 "trap (default: kill)")
                      ->type_name("ACTION");
  auto* modcaps = app.add_option("--modcaps", config.sandbox.modcaps,
                                 "Capabilities to keep or give up, like +sys_admin:-chown")
                      ->type_name("LIST");
  auto* rlimit_nofile =
      app.add_option("--rlimit-nofile", config.sandbox.rlimit_nofile,
                     "Descriptors that may be open (default: what is allowed, at most 1000000; 0: "
                     "as it is)")
          ->type_name("N");
  bool no_io_uring = false;
  auto* no_io_uring_option = app.add_flag("--no-io-uring", no_io_uring, "Use threads for file I/O");
  auto* log_level =
      app.add_option("--log-level", config.log_level, "trace, debug, info, warn or error")
          ->capture_default_str()
          ->type_name("LEVEL");
  for (CLI::Option* option : {reactors, pin, poll_us, no_io_uring_option, log_level}) {
    option->group(kDaemonGroup);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    const auto asked = std::ranges::find_if(device_options,
                                            [](const auto* option) { return option->count() > 0; });
    const bool asked_for_one = asked != device_options.end();
    if (asked_for_one && !file.empty()) {
      throw std::invalid_argument((*asked)->get_name() +
                                  " is for one device, and --config has its own");
    }
    if (file.empty()) {
      if (asked_for_one) config.devices.push_back(device);
      config.check();
    } else {
      // What the command line says goes before what the file says.
      const ServeConfig said = config;
      config = load_config(file);
      if (reactors->count() > 0) config.reactors = said.reactors;
      if (pin->count() > 0) config.pin = said.pin;
      if (poll_us->count() > 0) config.poll_us = said.poll_us;
      if (log_level->count() > 0) config.log_level = said.log_level;
      if (sandbox->count() > 0) config.sandbox.mode = said.sandbox.mode;
      if (seccomp->count() > 0) config.sandbox.seccomp = said.sandbox.seccomp;
      if (modcaps->count() > 0) config.sandbox.modcaps = said.sandbox.modcaps;
      if (rlimit_nofile->count() > 0) config.sandbox.rlimit_nofile = said.sandbox.rlimit_nofile;
      config.sandbox.check();
    }
    if (no_io_uring) config.io_uring = false;
    for (const DeviceConfig& each : config.devices) check_url(each, backends);
  } catch (const std::exception& error) {
    fmt::print(stderr, "dpfs serve: {}\nTry: dpfs serve --help\n", error.what());
    return 2;
  }
  return serve(config, backends);
}

}  // namespace dpfs
