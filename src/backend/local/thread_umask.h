// SPDX-License-Identifier: Apache-2.0
// A umask of the calling thread's own.
#pragma once

#include <sys/types.h>

namespace dpfs::local {

// The host's file system applies the umask to what is created, and leaves it out where the parent
// directory has a default ACL; so it has to see the tenant's umask, and the mode without it. Linux
// keeps the umask for all threads that share one "fs" with each other, so each thread takes an fs
// of its own when it first comes here. The umask stays until the next call: all that create
// something on this thread come through here, and nearly always want the same one again.
//
// False when the thread cannot have one (a seccomp filter that forbids unshare(2)).
bool set_thread_umask(mode_t umask) noexcept;

}  // namespace dpfs::local
