// SPDX-License-Identifier: Apache-2.0
// For tests: a reactor that runs on a thread of its own.
#pragma once

#include <functional>
#include <future>
#include <thread>

#include "base/op.h"
#include "io/reactor.h"

namespace dpfs {

class RunningReactor {
 public:
  explicit RunningReactor(const Reactor::Options& options = {})
      : reactor(options), thread_([this] { reactor.run(); }) {}
  RunningReactor(const RunningReactor&) = delete;
  RunningReactor& operator=(const RunningReactor&) = delete;
  ~RunningReactor() {
    reactor.stop();
    thread_.join();
  }

  // Runs `task` on the reactor and waits until it is done.
  void call(const std::function<void()>& task) {
    std::promise<void> done;
    reactor.post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }
  // What `question` says on the reactor.
  int says(const std::function<int()>& question) {
    int answer = 0;
    call([&] { answer = question(); });
    return answer;
  }
  // Returns when a turn is over: what was ready before has been done.
  void turn() {
    std::promise<void> done;
    reactor.post([&] { after_a_turn(done); });
    done.get_future().wait();
  }

  Reactor reactor;

 private:
  Detached after_a_turn(std::promise<void>& done) {
    co_await NextTurn(reactor);
    done.set_value();
  }

  std::thread thread_;
};

}  // namespace dpfs
