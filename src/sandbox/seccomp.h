// SPDX-License-Identifier: Apache-2.0
// The system calls that a serving process makes, and forbidding it all others (seccomp(2)).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace dpfs::sandbox {

// What happens at a call that is not on the list.
enum class OtherCalls : uint8_t {
  allow,  // no filter at all
  kill,   // the process is ended, and the audit log says at which call
  log,    // the call is made, and the audit log says so
  trap,   // SIGSYS: for a debugger
};

// What the process still has to do with the network: sockets that it has, or new ones as well.
enum class Network : uint8_t { sockets_only, tcp_clients };

// From now on, for all threads, and for ever. Sets no_new_privs. Throws std::system_error, also
// where the kernel has no seccomp.
//
// Not on the list is what is needed at the start only: making sockets (but for TCP's, where
// `network` says so), rings and namespaces, mounting, starting programs. Of some calls only what is
// used is allowed: threads but no processes, ioctl() for a file's flags, memory that is not
// executable, signals to the own process.
void forbid_other_calls(OtherCalls action, Network network);

// The filter as the kernel takes it (struct sock_filter), for the machine of that name: "x86_64" or
// "aarch64". For tests. Throws std::system_error.
std::vector<uint64_t> filter_of(std::string_view machine, OtherCalls action);

}  // namespace dpfs::sandbox
