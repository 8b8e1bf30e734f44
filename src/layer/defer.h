// SPDX-License-Identifier: Apache-2.0
// DeferLayer: no operation is ever ready at once. For the build that flushes out what relies on it.
#pragma once

#include "io/reactor.h"
#include "layer/layer.h"

namespace dpfs {

class DeferLayer : public Layer {
 public:
  DeferLayer(FileSystem& next, Reactor& reactor) noexcept : Layer(next), reactor_(reactor) {}

 private:
  Op<Unit> admit(Request&, const Operation&) override { return wait(); }
  Op<Unit> wait() {
    co_await NextTurn(reactor_);
    co_return Unit{};
  }

  Reactor& reactor_;
};

}  // namespace dpfs
