// SPDX-License-Identifier: Apache-2.0
// A small file system for tests: one file in one directory, in memory. It answers at once, or when
// it is told to, and counts what it is asked.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/list.h"
#include "fuse/dirent_writer.h"
#include "fuse/filesystem.h"
#include "fuse/handle_table.h"

namespace dpfs {

class FakeFileSystem final : public FileSystem {
 public:
  static constexpr NodeId kFile{2};
  static constexpr std::string_view kFileName = "file";

  // From now on operations wait until release() is called for them.
  void hold(bool held) noexcept { held_ = held; }
  bool anything_waits() noexcept { return !waiting_.empty(); }
  // Lets the operation go on that has waited longest, or, with `newest`, shortest.
  bool release(bool newest = false) noexcept {
    Waiter* waiter = waiting_.front();
    if (waiter == nullptr) return false;
    while (newest && waiting_.after(*waiter) != nullptr) waiter = waiting_.after(*waiter);
    waiter->unlink();
    waiter->handle.resume();
    return true;
  }
  void release_all() noexcept {
    while (release()) {
    }
  }

  std::function<void()> while_ending;      // what the reactor goes on with while end() is blocked
  std::function<void()> while_forgetting;  // and forget()
  uint32_t calls = 0;                      // of operations, FORGET included
  uint32_t sessions = 0;                   // begun
  uint32_t ended = 0;                      // and ended
  uint64_t lookups_lost = 0;               // taken back by FORGET
  std::string last_name;                   // of LOOKUP, and what SYMLINK got as its target
  std::string last_target;
  std::string last_context_name;  // of what was made last
  std::string last_context;
  uint32_t last_group = 0;
  Negotiated negotiated;

  std::vector<uint64_t> interrupted;
  uint32_t waits_ended = 0;

  void interrupt(uint64_t unique) noexcept override { interrupted.push_back(unique); }
  void end_waits() noexcept override { ++waits_ended; }

  void begin(Negotiated& agreed) override {
    DPFS_ASSERT(sessions == ended);
    ++sessions;
    negotiated = agreed;
  }
  void end() noexcept override {
    DPFS_ASSERT(sessions == ended + 1 && waiting_.empty());
    if (const auto once = std::exchange(while_ending, nullptr)) once();
    ++ended;
    handles_.clear();
  }
  size_t open_handles() const noexcept { return handles_.size(); }

#define DPFS_OP(name, Args, Out, effect)                                            \
  Op<Out> name(Request& request, const Args& args) override {                       \
    note(request);                                                                  \
    ++calls;                                                                        \
    constexpr fuse::Opcode kOpcode = fuse::Opcode::name;                            \
    if (held_ && kOpcode != fuse::Opcode::forget) return later<Out>(kOpcode, args); \
    return now<Out>(kOpcode, args);                                                 \
  }
#include "fuse/ops.def"

 private:
  struct Waiter : ListLink<> {
    explicit Waiter(List<Waiter>& list) noexcept : list(list) {}
    List<Waiter>& list;
    std::coroutine_handle<> handle;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept {
      handle = waiter;
      list.push_back(*this);
    }
    void await_resume() const noexcept {}
  };

  template <class Out, class Args>
  Op<Out> later(fuse::Opcode opcode, Args args) {
    Waiter waiter(waiting_);
    co_await waiter;
    Result<Out> result = now<Out>(opcode, args);
    co_return result;
  }

  void note(const Request& request) {
    last_context_name = request.creation.context_name.view();
    IoView context = request.creation.context;
    last_context.resize(context.size());
    context.copy_out(last_context.data(), last_context.size());
    last_group = request.creation.group;
  }
  static bool known(NodeId node) noexcept { return node == NodeId::root || node == kFile; }
  static fuse::Attr attr(NodeId node) noexcept {
    return {.ino = static_cast<uint64_t>(node), .size = kFileBytes, .nlink = 1};
  }
  static fuse::EntryOut entry() noexcept {
    return {.nodeid = static_cast<uint64_t>(kFile), .attr = attr(kFile)};
  }
  Result<fuse::OpenOut> open_handle(NodeId node) noexcept {
    const std::optional<Handle> handle = handles_.insert(node, 0);
    if (!handle) return Errno::nfile;
    return fuse::OpenOut{.fh = static_cast<uint64_t>(*handle)};
  }

  // What the operations do. Those that have no line of their own answer with zeros.
  template <class Out, class Args>
  Result<Out> now(fuse::Opcode opcode, const Args& args) {
    if constexpr (std::is_same_v<Args, LookupArgs>) {
      last_name = args.name.view();
      if (args.name.view() != kFileName) return Errno::noent;
      return entry();
    } else if constexpr (std::is_same_v<Args, ForgetArgs>) {
      if (const auto once = std::exchange(while_forgetting, nullptr)) once();
      lookups_lost += args.lookups;
      return Unit{};
    } else if constexpr (std::is_same_v<Args, GetattrArgs>) {
      if (!known(args.node)) return Errno::stale;
      return fuse::AttrOut{.attr = attr(args.node)};
    } else if constexpr (std::is_same_v<Args, SymlinkArgs>) {
      last_name = args.name.view();
      last_target.assign(args.target, args.target_size);
      return entry();
    } else if constexpr (std::is_same_v<Args, OpenArgs>) {
      if (!known(args.node)) return Errno::stale;
      return open_handle(args.node);
    } else if constexpr (std::is_same_v<Args, CreateArgs>) {
      const Result<fuse::OpenOut> open = open_handle(kFile);
      if (!open) return open.error();
      return CreateOut{entry(), *open};
    } else if constexpr (std::is_same_v<Args, ReleaseArgs>) {
      if (!handles_.remove(args.handle, args.node)) return Errno::badf;
      return Unit{};
    } else if constexpr (std::is_same_v<Args, ReadArgs>) {
      if (handles_.find(args.handle, args.node) == nullptr) return Errno::badf;
      if (args.offset >= kFileBytes) return 0u;
      IoView into = args.into;
      return static_cast<uint32_t>(
          into.copy_in(bytes_.data() + args.offset, kFileBytes - args.offset));
    } else if constexpr (std::is_same_v<Args, WriteArgs>) {
      if (handles_.find(args.handle, args.node) == nullptr) return Errno::badf;
      if (args.offset >= kFileBytes) return Errno::fbig;
      IoView from = args.from;
      return fuse::WriteOut{.size = static_cast<uint32_t>(from.copy_out(bytes_.data() + args.offset,
                                                                        kFileBytes - args.offset))};
    } else if constexpr (std::is_same_v<Args, ReaddirArgs>) {
      if (handles_.find(args.handle, args.node) == nullptr) return Errno::badf;
      DirentWriter writer(args.into);
      const DirentWriter::Entry dirent{static_cast<uint64_t>(kFile), 1, 8, kFileName};
      if (args.offset == 0 && opcode == fuse::Opcode::readdir) writer.add(dirent);
      if (args.offset == 0 && opcode == fuse::Opcode::readdirplus) writer.add_plus(dirent, entry());
      return writer.bytes();
    } else if constexpr (std::is_same_v<Args, TmpfileArgs>) {
      const Result<fuse::OpenOut> open = open_handle(kFile);
      if (!open) return open.error();
      return CreateOut{entry(), *open};
    } else if constexpr (std::is_same_v<Args, IoctlArgs>) {
      // Gives back what it got, as far as there is room.
      IoView from = args.from;
      IoView into = args.into;
      std::array<char, 64> bytes{};
      const size_t size = from.copy_out(bytes.data(), bytes.size());
      return IoctlDone{7, static_cast<uint32_t>(into.copy_in(bytes.data(), size))};
    } else if constexpr (std::is_same_v<Args, CopyFileRangeArgs>) {
      return fuse::CopyFileRangeOut{args.length};
    } else if constexpr (std::is_same_v<Args, ReadlinkArgs>) {
      IoView into = args.into;
      return static_cast<uint32_t>(into.copy_in(last_target.data(), last_target.size()));
    } else if constexpr (std::is_same_v<Args, GetxattrArgs> ||
                         std::is_same_v<Args, ListxattrArgs>) {
      constexpr std::string_view kValue = "value";
      if (args.into.empty()) return static_cast<uint32_t>(kValue.size());
      if (args.into.size() < kValue.size()) return Errno::range;
      IoView into = args.into;
      return static_cast<uint32_t>(into.copy_in(kValue.data(), kValue.size()));
    } else if constexpr (std::is_same_v<Out, fuse::EntryOut>) {
      return entry();
    } else {
      return Out{};
    }
  }

  static constexpr size_t kFileBytes = 1 << 16;
  std::array<char, kFileBytes> bytes_{};
  HandleTable<int> handles_;
  List<Waiter> waiting_;
  bool held_ = false;
};

}  // namespace dpfs
