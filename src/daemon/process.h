// SPDX-License-Identifier: Apache-2.0
// What every command does with its process: standard descriptors, signals, limits, the log's level.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>

#include "base/log.h"

namespace dpfs {

// A request that hangs below (a dead network mount) must not keep the process for ever.
inline constexpr std::chrono::seconds kStopPatience{10};

// Puts /dev/null where standard input, output or error is closed, so that nothing that is opened
// later is taken for them. Before anything else is opened.
void fill_standard_descriptors() noexcept;

// trace, debug, info, warn or error. Throws std::out_of_range for any other.
log::Level level_of(const std::string& name);

// Blocks SIGTERM, SIGINT, SIGHUP and SIGUSR1, for a thread that waits for them, in this thread and
// all that it will start; ignores those that would end the process for a tenant's doing.
sigset_t block_signals();

// Each file that a tenant has open is a descriptor of ours. The soft limit is low for programs that
// use select(2).
void raise_descriptor_limit();
// The same, to `asked` (0: leaves it), or where nothing is asked to at most a million. Throws
// std::runtime_error when we may not have as many.
void set_descriptor_limit(std::optional<uint64_t> asked);

}  // namespace dpfs
