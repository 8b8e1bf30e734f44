// SPDX-License-Identifier: Apache-2.0
// The command lines of `dpfs mount` and of mount(8)'s helper, and their life as a process.
#include "daemon/mount_command.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "daemon/background.h"
#include "daemon/mounted.h"
#include "daemon/process.h"
#include "daemon/share_options.h"
#include "daemon/url.h"

namespace dpfs {
namespace {

constexpr const char* kExamples = R"(
Mount options (-o), as mount(8) has them: ro, rw, noatime, relatime, noexec, sync, dirsync, dev,
suid, allow_other (root's default) and noallow_other, max_read=BYTES, fsname=NAME, subtype=NAME.
Permissions are always checked by the kernel (default_permissions). nosuid and nodev are the
default. The options above may stand there too: -o cache=always,log_level=debug.

Examples:
  dpfs mount local:/srv/share /mnt
  dpfs mount -o ro,noatime local:/srv/share /mnt
  dpfs mount --foreground --log-level debug null: /mnt
  dpfs umount /mnt

With a link /sbin/mount.dpfs to this program, in /etc/fstab:
  local:/srv/share  /mnt  dpfs  ro,allow_other  0 0

Signals: SIGTERM and SIGINT unmount and end; SIGUSR1 logs the counters. umount(8) works too.)";

// What the command line says.
struct MountRequest {
  MountConfig config;
  std::vector<std::string> options;  // of each -o
  bool foreground = false;
  bool no_io_uring = false;
  std::string fuse_io_uring = "auto";
  std::string log_level = "info";
  std::string log_file;
};

void add_options(CLI::App& app, MountRequest& request) {
  app.add_option("-o,--options", request.options, "Mount options, separated by commas")
      ->type_name("OPTIONS")
      ->expected(1)
      ->allow_extra_args(false)  // what follows is the URL's
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("-f,--foreground", request.foreground, "Stay in the foreground; log to stderr");
  app.add_option("--log-file", request.log_file,
                 "Where the background's log goes, instead of the journal")
      ->type_name("FILE");
  app.add_option("--log-level", request.log_level, "trace, debug, info, warn or error")
      ->capture_default_str()
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}))
      ->type_name("LEVEL");
  app.add_flag("--no-io-uring", request.no_io_uring, "Use threads for file I/O");
  app.add_option("--fuse-io-uring", request.fuse_io_uring,
                 "Requests come by io_uring where the kernel offers it (auto), or not (off)")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "off"}))
      ->type_name("HOW");
  app.add_option("URL", request.config.share.url, "What to mount")->type_name("")->required();
  app.add_option("DIR", request.config.directory, "Where")->type_name("")->required();
  add_share_options(app, request.config.share);
}

// `-o log-level=debug` is `--log-level=debug`, so that fstab can say it. `sloppy` (mount -s) leaves
// out what nobody knows.
std::vector<std::string> as_long_options(const CLI::App& app,
                                         const devfuse::MountOptions::Others& others, bool sloppy) {
  std::vector<std::string> arguments;
  for (const auto& [key, value] : others) {
    std::string name = "--" + key;
    std::ranges::replace(name, '_', '-');
    static const std::set<std::string> kNotInLists{"--options", "--foreground", "--help"};
    if (app.get_option_no_throw(name) == nullptr || kNotInLists.contains(name)) {
      if (sloppy) continue;
      throw std::invalid_argument(fmt::format("'{}' is no mount option that dpfs knows", key));
    }
    if (!value.empty()) name.append("=").append(value);
    arguments.push_back(std::move(name));
  }
  return arguments;
}

devfuse::MountOptions::Others apply_options(MountRequest& request) {
  request.config.options = devfuse::MountOptions::defaults(geteuid() == 0);
  request.config.options.fsname = without_password(request.config.share.url);
  devfuse::MountOptions::Others others;
  for (const std::string& list : request.options) {
    std::ranges::move(request.config.options.apply(list), std::back_inserter(others));
  }
  return others;
}

// Fills `request` from arguments without the program's name. Throws CLI::ParseError and
// std::invalid_argument.
void parse(CLI::App& app, MountRequest& request, std::vector<std::string> arguments, bool sloppy) {
  // CLI11 wants them in reverse.
  app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  const devfuse::MountOptions::Others others = apply_options(request);
  if (others.empty()) return;
  // In front, since behind "--" there are no options.
  std::vector<std::string> all = as_long_options(app, others, sloppy);
  std::ranges::move(arguments, std::back_inserter(all));
  app.parse(std::vector<std::string>(all.rbegin(), all.rend()));
  apply_options(request);
}

enum class Ending : uint8_t { unmounted, asked };

Ending wait_for_end(Mounted& mounted, const sigset_t& signals) {
  const Fd signal_fd(signalfd(-1, &signals, SFD_CLOEXEC));
  while (true) {
    pollfd what[] = {{.fd = signal_fd.get(), .events = POLLIN, .revents = 0},
                     {.fd = mounted.ended_fd(), .events = POLLIN, .revents = 0}};
    if (poll(what, std::size(what), -1) < 0) continue;
    if (what[1].revents != 0) return Ending::unmounted;
    signalfd_siginfo signal;
    if (read(signal_fd.get(), &signal, sizeof signal) != sizeof signal) continue;
    if (signal.ssi_signo != SIGUSR1) {
      log::info("ending: SIG{}", sigabbrev_np(static_cast<int>(signal.ssi_signo)));
      return Ending::asked;
    }
    mounted.log_counters();
  }
}

int mount_and_serve(const MountRequest& request, const Backends& backends, Background background) {
  const log::Level level = level_of(request.log_level);
  // Who mounts in the background hears of trouble only.
  log::set_level(request.foreground ? level : std::max(level, log::Level::warn));
  const sigset_t signals = block_signals();
  raise_descriptor_limit();
  umask(0);  // the kernel has applied the caller's
  Mounted mounted(request.config, backends);
  background.ready(request.log_file);
  log::set_level(level);
  log::info("ready: {}", mounted.describe_service());
  sd_notify(0, "READY=1");
  const Ending ending = wait_for_end(mounted, signals);
  sd_notify(0, "STOPPING=1");
  const bool ended =
      ending == Ending::asked ? mounted.stop(kStopPatience) : mounted.finish(kStopPatience);
  if (!ended) {
    log::error("giving up after {} s", kStopPatience.count());
    _exit(1);
  }
  mounted.log_counters();
  log::info("{}: unmounted, ended", request.config.directory);
  return 0;
}

// What is wrong with the arguments is said before anything is started.
void check(MountRequest& request, const Backends& backends) {
  backends.check(request.config.share.url);
  request.config.share.check();
  // So that the kernel says so as well: to access(2), statvfs(2), and in the list of mounts.
  if (request.config.share.readonly) request.config.options.flags |= MS_RDONLY;
  request.config.io_uring = !request.no_io_uring;
  request.config.fuse_io_uring = request.fuse_io_uring == "auto";
  std::error_code error;
  const std::filesystem::path directory =
      std::filesystem::canonical(request.config.directory, error);
  // A dead mount cannot be looked at; what there is to say about it, mounting says.
  request.config.directory =
      error ? std::filesystem::absolute(request.config.directory).string() : directory.string();
  if (!request.log_file.empty()) {
    request.log_file = std::filesystem::absolute(request.log_file).string();
  }
}

int run(MountRequest& request, const Backends& backends) {
  try {
    return mount_and_serve(request, backends,
                           request.foreground ? Background::none() : Background::begin());
  } catch (const std::exception& error) {
    log::error("{}", std::string(error.what()));
    return 1;
  }
}

int parse_check_and_run(std::vector<std::string> arguments, bool sloppy, const Backends& backends) {
  CLI::App app("Mounts a URL on a directory of this machine.", "dpfs mount");
  app.footer("URLs:\n" + backends.usage() + kExamples);
  MountRequest request;
  add_options(app, request);
  try {
    parse(app, request, std::move(arguments), sloppy);
    check(request, backends);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "dpfs mount: {}\nTry: dpfs mount --help\n", error.what());
    return 2;
  }
  return run(request, backends);
}

}  // namespace

int mount_main(int argc, char** argv, const Backends& backends) {
  return parse_check_and_run({argv + 1, argv + argc}, false, backends);
}

bool is_mount_helper(const char* program) {
  const std::string name = std::filesystem::path(program).filename();
  return name == "mount.dpfs" || name == "mount.fuse.dpfs";
}

int mount_helper_main(int argc, char** argv, const Backends& backends) {
  constexpr int kWrongCall = 1;  // mount(8), "EXIT STATUS"
  constexpr int kMountFailure = 32;
  std::vector<std::string> arguments;
  bool sloppy = false;
  bool fake = false;
  bool options_end = false;
  std::vector<std::string> operands;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const bool flags = !options_end && argument.size() > 1 && argument.front() == '-';
    if (!flags) {
      operands.emplace_back(argument);
    } else if (argument == "--") {
      options_end = true;
    } else if ((argument == "-o" || argument == "-t") && i + 1 < argc) {
      ++i;
      if (argument == "-o") arguments.insert(arguments.end(), {"-o", argv[i]});
    } else if (argument.find_first_not_of("sfnvw", 1) == std::string_view::npos) {
      sloppy |= argument.find('s') != std::string_view::npos;
      fake |= argument.find('f') != std::string_view::npos;
    } else {
      fmt::print(stderr, "{}: '{}' is not understood\nUsage: {} URL DIR [-sfnv] [-o OPTIONS]\n",
                 argv[0], argument, argv[0]);
      return kWrongCall;
    }
  }
  if (operands.size() != 2) {
    fmt::print(stderr, "Usage: {} URL DIR [-sfnv] [-o OPTIONS]\n", argv[0]);
    return kWrongCall;
  }
  if (fake) return 0;
  arguments.emplace_back("--");
  std::ranges::move(operands, std::back_inserter(arguments));
  const int status = parse_check_and_run(std::move(arguments), sloppy, backends);
  if (status == 0) return 0;
  return status == 2 ? kWrongCall : kMountFailure;
}

}  // namespace dpfs
