// SPDX-License-Identifier: Apache-2.0
// Counters in the log.
#include "daemon/reactor_call.h"

#include "base/log.h"

namespace dpfs {

void log_session_counters(std::string_view name, const SessionCounters& counters) {
  for (uint32_t opcode = 0; opcode < SessionCounters::kOpcodes; ++opcode) {
    const OpCounters& counter = counters.of(opcode);
    if (counter.requests == 0) continue;
    const char* operation = opcode_name(opcode);
    log::info("{}: {:<16} {:>10} requests {:>6} errors {:>14} bytes", name,
              operation != nullptr ? operation : "unknown", counter.requests, counter.errors,
              counter.bytes);
  }
}

}  // namespace dpfs
