// SPDX-License-Identifier: Apache-2.0
// What an operator says of an NFS share.
#pragma once

#include <cstdint>
#include <string>

namespace dpfs {

struct NfsOptions {
  std::string server;  // a name or an address
  uint16_t port = 2049;
  std::string path;  // of the export or below it, from the server's root: "/export/path"

  uint32_t nconnect = 1;  // TCP connections
  uint32_t slots = 128;   // requests under way at the same time
  uint32_t read_bytes_max =
      1u << 20;  // of one READ, and of one WRITE; less where the server says so
  uint32_t write_bytes_max = 1u << 20;
  // Each open looks its name up again: who opens a file sees what others had closed before.
  // Without, within the cache policy's timeouts (mount(8): nocto).
  bool close_to_open = true;
  bool soft = false;           // give up after timeo * (retrans + 1), with EIO
  uint32_t timeo_ds = 600;     // tenths of a second until an answer is given up and asked for again
  uint32_t retrans = 2;        // how often
  uint32_t minor_version = 2;  // the newest to try: 1 or 2
  // How long attributes may be believed, in seconds: between these, longer for what does not
  // change. As mount(8) has them for NFS.
  bool learns_validity = false;  // one of the next four was given; else the cache policy holds
  uint32_t acregmin = 3;
  uint32_t acregmax = 60;
  uint32_t acdirmin = 30;
  uint32_t acdirmax = 60;
  uint64_t unstable_bytes_max = 64u << 20;  // kept until the server has stored them
  // A user who is refused may be a member of the object's group: the tenant's kernel has checked
  // it. Not where users and groups are mapped to others.
  bool claims_groups = true;
  std::string client_name;  // by which the server knows us again after our restart; empty: never
};

}  // namespace dpfs
