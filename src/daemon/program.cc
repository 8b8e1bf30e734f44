// SPDX-License-Identifier: Apache-2.0
// Choosing a subcommand.
#include "daemon/program.h"

#include <fmt/core.h>

#include <cstdio>
#include <string_view>

#include "cli/bench.h"
#include "daemon/kv_command.h"
#include "daemon/mount_command.h"
#include "daemon/process.h"
#include "daemon/serve_command.h"
#include "daemon/virtiofsd_command.h"

namespace dpfs {
namespace {

constexpr const char* kUsage = R"(dpfs: file systems for tenants, over plain virtio-fs

Usage: dpfs COMMAND [OPTIONS]

Commands:
  serve      serve virtio-fs devices to VMMs over vhost-user
  mount      mount a URL on a directory of this machine
  umount     unmount it
  virtiofsd  serve one directory, in place of virtiofsd
  kv         tools for key-value file systems: check, mend
  bench      measure a vhost-user-fs device, without a VM
  version    print the version
  help       print this

Examples:
  dpfs serve --socket /run/dpfs/share.sock --tag share local:/srv/share
  dpfs mount local:/srv/share /mnt
  dpfs bench --socket /run/dpfs/share.sock --job randread --depth 32

'dpfs COMMAND --help' says more.
)";

}  // namespace

int program_main(int argc, char** argv, const Backends& backends) {
  fill_standard_descriptors();
  if (argc > 0 && is_mount_helper(argv[0])) return mount_helper_main(argc, argv, backends);
  if (argc > 0 && is_virtiofsd(argv[0])) return virtiofsd_main(argc, argv, backends);
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "serve") return serve_main(argc - 1, argv + 1, backends);
  if (command == "virtiofsd") return virtiofsd_main(argc - 1, argv + 1, backends);
  if (command == "mount") return mount_main(argc - 1, argv + 1, backends);
  if (command == "umount") return umount_main(argc - 1, argv + 1);
  if (command == "kv") return kv_main(argc - 1, argv + 1);
  if (command == "bench") return cli::bench_main(argc - 1, argv + 1);
  if (command == "version" || command == "--version") {
    fmt::print("dpfs {}\n", DPFS_VERSION);
    return 0;
  }
  if (command == "help" || command == "--help" || command == "-h") {
    fmt::print("{}", kUsage);
    return 0;
  }
  if (command.empty()) {
    fmt::print(stderr, "{}", kUsage);
  } else {
    fmt::print(stderr, "dpfs: '{}' is no command\nTry: dpfs help\n", command);
  }
  return 2;
}

}  // namespace dpfs
