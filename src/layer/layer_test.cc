// SPDX-License-Identifier: Apache-2.0
// What a layer sees of an operation, ready or waiting.
#include "layer/layer.h"

#include <gtest/gtest.h>

#include <coroutine>
#include <optional>
#include <utility>

namespace dpfs {
namespace {

// Lets a coroutine wait until the test says go.
class Gate {
 public:
  bool await_ready() const noexcept { return open_; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }
  void await_resume() const noexcept {}
  void open() {
    open_ = true;
    if (waiter_) std::exchange(waiter_, nullptr).resume();
  }

 private:
  bool open_ = false;
  std::coroutine_handle<> waiter_;
};

class Below : public FileSystem {
 public:
  Op<uint32_t> read(Request&, const ReadArgs& args) override {
    ++reads;
    if (gate == nullptr) return static_cast<uint32_t>(args.into.size() / 2);
    return read_later(args);
  }
  Op<Unit> forget(Request&, const ForgetArgs&) override {
    ++forgets;
    return Unit{};
  }
  Op<uint32_t> read_later(ReadArgs args) {
    co_await *gate;
    co_return static_cast<uint32_t>(args.into.size() / 2);
  }
  int reads = 0;
  int forgets = 0;
  Gate* gate = nullptr;
};

class Watching : public Layer {
 public:
  using Layer::Layer;
  Op<Unit> admit(Request&, const Operation& operation) override {
    asked = operation;
    if (refusal != Errno::none) return refusal;
    if (gate == nullptr) return Unit{};
    return wait();
  }
  void noted(Request&, const Operation&, const Outcome& outcome) noexcept override {
    seen = outcome;
  }
  Op<Unit> wait() {
    co_await *gate;
    co_return Unit{};
  }
  std::optional<Operation> asked;
  std::optional<Outcome> seen;
  Errno refusal = Errno::none;
  Gate* gate = nullptr;
};

class LayerTest : public testing::Test {
 protected:
  Op<uint32_t> read() {
    return layer.read(
        request,
        {.node = NodeId{7}, .handle = {}, .offset = 0, .flags = 0, .into = IoView({&part, 1})});
  }
  char buffer[100];
  iovec part{buffer, sizeof buffer};
  Request request;
  Below below;
  Watching layer{below};
};

TEST_F(LayerTest, ForwardsAndNotesWhatIsReady) {
  const Op<uint32_t> op = read();
  ASSERT_TRUE(op.ready());
  EXPECT_EQ(*op.take(), 50u);
  EXPECT_EQ(layer.asked->opcode, fuse::Opcode::read);
  EXPECT_EQ(layer.asked->bytes, 100u);
  EXPECT_FALSE(layer.asked->changes);
  EXPECT_EQ(layer.seen->bytes, 50u);
}

TEST_F(LayerTest, NotesWhatComesLaterWhenItComes) {
  Gate gate;
  below.gate = &gate;
  const Op<uint32_t> op = read();
  EXPECT_FALSE(op.ready());
  EXPECT_FALSE(layer.seen);
  gate.open();
  ASSERT_TRUE(op.ready());
  EXPECT_EQ(*op.take(), 50u);
  EXPECT_EQ(layer.seen->bytes, 50u);
}

TEST_F(LayerTest, ReachesNobodyBelowWhileItWaitsToBeAdmitted) {
  Gate gate;
  layer.gate = &gate;
  const Op<uint32_t> op = read();
  EXPECT_EQ(below.reads, 0);
  gate.open();
  EXPECT_EQ(below.reads, 1);
  EXPECT_EQ(*op.take(), 50u);
}

TEST_F(LayerTest, RefusedReachesNobodyBelow) {
  layer.refusal = Errno::rofs;
  const Op<uint32_t> op = read();
  EXPECT_EQ(op.take().error(), Errno::rofs);
  EXPECT_EQ(below.reads, 0);
}

TEST_F(LayerTest, ForgetIsNeverAskedFor) {
  layer.refusal = Errno::rofs;
  const Op<Unit> op = layer.forget(request, {.node = NodeId{7}, .lookups = 1});
  EXPECT_TRUE(op.take());
  EXPECT_EQ(below.forgets, 1);
}

}  // namespace
}  // namespace dpfs
