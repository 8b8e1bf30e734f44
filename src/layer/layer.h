// SPDX-License-Identifier: Apache-2.0
// Layer: a file system that wraps another. Admit before, note after, forward between.
#pragma once

#include <concepts>
#include <cstdint>

#include "base/op.h"
#include "fuse/filesystem.h"

namespace dpfs {

// What a layer needs to know of any operation, without knowing its arguments.
struct Operation {
  fuse::Opcode opcode;
  bool changes;    // what is stored below, so that a read-only layer refuses it
  uint64_t bytes;  // of payload that is asked for

  // Whether something new is made: then, and only then, request.creation is about it.
  bool creates() const noexcept {
    using fuse::Opcode;
    return opcode == Opcode::symlink || opcode == Opcode::mknod || opcode == Opcode::mkdir ||
           opcode == Opcode::create || opcode == Opcode::tmpfile;
  }
};
struct Outcome {
  Errno error;
  uint64_t bytes;  // of payload that were read or written
};

// A layer overrides admit(), noted(), or both; one that changes arguments or results overrides the
// operations themselves and calls next(). What is ready below stays ready here and takes no frame.
class Layer : public FileSystem {
 public:
  // `next` outlives the layer.
  explicit Layer(FileSystem& next) noexcept : next_(next) {}

  void begin(Negotiated& negotiated) override { next_.begin(negotiated); }
  void end() noexcept override { next_.end(); }
  void interrupt(uint64_t unique) noexcept override { next_.interrupt(unique); }
  void end_waits() noexcept override { next_.end_waits(); }

#define DPFS_OP(name, Args, Out, effect)                                                \
  Op<Out> name(Request& request, const Args& args) override {                           \
    return forward<Out>(                                                                \
        request, args, Operation{fuse::Opcode::name, effect, bytes(args)},              \
        [](FileSystem& next, Request& rq, const Args& a) { return next.name(rq, a); }); \
  }
#include "fuse/ops.def"

 protected:
  FileSystem& next() noexcept { return next_; }

  // May refuse the operation, or make it wait. Not asked for FORGET, which nobody can refuse.
  virtual Op<Unit> admit(Request&, const Operation&) { return Unit{}; }
  virtual void noted(Request&, const Operation&, const Outcome&) noexcept {}

 private:
  static constexpr bool reads = false;
  static constexpr bool changes = true;

  template <class Args>
  static uint64_t bytes(const Args& args) noexcept {
    if constexpr (requires { args.into; }) return args.into.size();
    if constexpr (requires { args.from; }) return args.from.size();
    return 0;
  }
  template <class Out>
  static Outcome outcome(const Result<Out>& result) noexcept {
    if (!result) return {result.error(), 0};
    if constexpr (std::same_as<Out, uint32_t>) return {Errno::none, *result};
    if constexpr (std::same_as<Out, fuse::WriteOut>) return {Errno::none, result->size};
    if constexpr (std::same_as<Out, fuse::CopyFileRangeOut>) {
      return {Errno::none, result->bytes_copied};
    }
    return {Errno::none, 0};
  }

  template <class Out, class Args, class Call>
  Op<Out> forward(Request& request, const Args& args, const Operation& operation, Call call) {
    if (operation.opcode == fuse::Opcode::forget) return call(next_, request, args);
    Op<Unit> admitted = admit(request, operation);
    if (!admitted.ready()) {
      return forward_later<Out>(request, args, operation, call, std::move(admitted));
    }
    if (const Result<Unit> ok = admitted.take(); !ok) return ok.error();
    Op<Out> op = call(next_, request, args);
    if (!op.ready()) return finish_later(request, operation, std::move(op));
    const Result<Out> result = op.take();
    noted(request, operation, outcome(result));
    return result;
  }
  // By value: a coroutine owns what it needs after its first wait.
  template <class Out, class Args, class Call>
  Op<Out> forward_later(Request& request, Args args, Operation operation, Call call,
                        Op<Unit> admitted) {
    const Result<Unit> ok = co_await admitted;
    if (!ok) co_return ok.error();
    Op<Out> op = call(next_, request, args);
    const Result<Out> result = co_await op;
    noted(request, operation, outcome(result));
    co_return result;
  }
  template <class Out>
  Op<Out> finish_later(Request& request, Operation operation, Op<Out> op) {
    const Result<Out> result = co_await op;
    noted(request, operation, outcome(result));
    co_return result;
  }

  FileSystem& next_;
};

}  // namespace dpfs
