// SPDX-License-Identifier: Apache-2.0
// What `dpfs serve` is asked to do: the one schema, filled by the command line or by a TOML file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/share_config.h"
#include "sandbox/namespaces.h"

namespace dpfs {

struct DeviceConfig {
  std::string tag;             // what the tenant mounts; 1 to 36 bytes
  std::string socket;          // path to listen at; empty with listen_fd
  int listen_fd = -1;          // a listening socket that was passed in
  std::string socket_group;    // who may connect beside the owner; empty: our own group
  ShareConfig share;           // what is served, and how
  std::string url_place;       // "FILE:LINE: url: " where a file says so, for messages
  uint16_t queues = 64;        // request queues that a VMM may use; 1 to 64
  uint32_t queue_size = 1024;  // largest ring accepted; a power of two up to 32768
  // How long an interrupt may wait for more completions while many reads or writes are under way.
  uint32_t interrupt_delay_us = 500;
  bool tells_tag = true;  // VMMs may ask for the tag; QEMU 7.1 to 8.0 ends at the offer
  bool one_vmm = false;   // the daemon ends when its first VMM has gone
};

// How the process confines itself (daemon/confinement.h). What is empty is the default, and is done
// as far as the kernel lets us.
struct SandboxConfig {
  std::string mode;                       // namespace, chroot or none
  std::string seccomp;                    // none, kill, log or trap
  std::string modcaps;                    // "+sys_admin:-chown"
  std::optional<uint64_t> rlimit_nofile;  // 0: as it is
  sandbox::NamespaceIds maps;             // of a user namespace

  // Throws ConfigMistake.
  void check() const;
};

struct ServeConfig {
  std::string log_level = "info";
  uint32_t reactors = 1;
  bool pin = false;       // each reactor to a processor of its own
  uint32_t poll_us = 50;  // how long a queue that had work is polled before sleeping; 0: never
  bool io_uring = true;
  SandboxConfig sandbox;
  std::vector<DeviceConfig> devices;

  // Throws ConfigMistake for the first value that is wrong.
  void check() const;
};

// Reads a TOML file. Throws std::runtime_error with "FILE:LINE: KEY: what was expected".
ServeConfig load_config(const std::string& file);

}  // namespace dpfs
