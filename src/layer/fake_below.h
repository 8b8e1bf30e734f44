// SPDX-License-Identifier: Apache-2.0
// FakeBelow: what a layer's test finds under the layer. It answers at once, or when it is told to,
// and remembers what it was asked.
#pragma once

#include <coroutine>
#include <string>
#include <utility>

#include "fuse/filesystem.h"

namespace dpfs {

class FakeBelow final : public FileSystem {
 public:
  // What it answers with.
  fuse::Attr attr{};
  std::string bytes;  // to what gives bytes
  Errno refusal = Errno::none;

  // What it was asked last.
  fuse::InHeader header{};
  Creation creation;
  std::string name;
  std::string label;
  std::string value;  // of SETXATTR
  fuse::SetattrIn setattr_in{};
  uint32_t calls = 0;
  Negotiated negotiated;

  // From now on operations wait until go_on() is called.
  void hold() noexcept { held_ = true; }
  void go_on() { std::exchange(waiter_, nullptr).resume(); }

  void begin(Negotiated& agreed) override { negotiated = agreed; }

#define DPFS_OP(name, Args, Out, effect)                      \
  Op<Out> name(Request& request, const Args& args) override { \
    note(request, args);                                      \
    if (held_) return later<Out>(args);                       \
    return now<Out>(args);                                    \
  }
#include "fuse/ops.def"

 private:
  struct Wait {
    FakeBelow& below;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const noexcept { below.waiter_ = waiter; }
    void await_resume() const noexcept {}
  };

  template <class Args>
  void note(const Request& request, const Args& args) {
    ++calls;
    header = request.header;
    creation = request.creation;
    label = request.creation.context_name.view();
    if constexpr (requires { args.name.view(); }) name = args.name.view();
    if constexpr (std::is_same_v<Args, SetattrArgs>) setattr_in = args.in;
    if constexpr (std::is_same_v<Args, SetxattrArgs>) {
      IoView from = args.value;
      value.resize(from.size());
      from.copy_out(value.data(), value.size());
    }
  }
  template <class Out, class Args>
  Op<Out> later(Args args) {
    co_await Wait{*this};
    Result<Out> result = now<Out>(args);
    co_return result;
  }
  template <class Out, class Args>
  Result<Out> now(const Args& args) {
    if (refusal != Errno::none) return refusal;
    Out out{};
    if constexpr (requires { args.into; }) {
      if constexpr (std::is_same_v<Out, uint32_t>) {
        IoView into = args.into;
        if (into.empty()) return static_cast<uint32_t>(bytes.size());
        if (into.size() < bytes.size()) return Errno::range;
        return static_cast<uint32_t>(into.copy_in(bytes.data(), bytes.size()));
      }
    }
    if constexpr (requires { out.attr; }) out.attr = attr;
    if constexpr (requires { out.entry.attr; }) out.entry.attr = attr;
    if constexpr (requires { out.stat; }) {
      out.stat.uid = attr.uid;
      out.stat.gid = attr.gid;
    }
    return out;
  }

  bool held_ = false;
  std::coroutine_handle<> waiter_;
};

}  // namespace dpfs
