// SPDX-License-Identifier: Apache-2.0
// Asking a reactor from another thread, and logging what it counts.
#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string_view>

#include "fuse/session.h"
#include "io/reactor.h"

namespace dpfs {

// How long a reactor may take to answer a question. It is never busy for so long: one that is
// hangs.
inline constexpr std::chrono::seconds kAnswerPatience{2};

// Runs `task` on `reactor` and waits for its answer; nothing when it does not come.
template <class F>
auto call_on(Reactor& reactor, F task) -> std::optional<decltype(task())> {
  // Shared: a reactor that hangs may come to it after we have given up.
  auto result = std::make_shared<std::promise<decltype(task())>>();
  auto answer = result->get_future();
  reactor.post([result, task] { result->set_value(task()); });
  if (answer.wait_for(kAnswerPatience) != std::future_status::ready) return std::nullopt;
  return answer.get();
}

// A line for each operation that has had requests, to the log.
void log_session_counters(std::string_view name, const SessionCounters& counters);

}  // namespace dpfs
