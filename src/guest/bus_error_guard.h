// SPDX-License-Identifier: Apache-2.0
// Survives a VMM that takes memory away from under us.
#pragma once

#include <cstddef>

namespace dpfs {

// Touching a page of a mapped file that has been truncated since raises SIGBUS, which would end the
// daemon and with it every other tenant's device. Ranges that are guarded are replaced, as a whole,
// by memory of our own when that happens: the requests of that tenant then read zeros and answer
// nobody. A SIGBUS anywhere else ends the process as usual. (System calls need no guard: they fail
// with EFAULT.)
//
// From any thread. False when too many ranges are guarded already.
bool guard_from_bus_errors(void* start, size_t size) noexcept;
// Before the range is unmapped.
void unguard(void* start) noexcept;

}  // namespace dpfs
