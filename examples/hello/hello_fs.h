// SPDX-License-Identifier: Apache-2.0
// A whole back end: one file, "hello", that greets. Start your own from here.
#pragma once

#include <dirent.h>
#include <sys/stat.h>

#include <string>

#include "fuse/dirent_writer.h"
#include "fuse/filesystem.h"

namespace dpfs::examples {

// Overrides what it can do; everything else answers ENOSYS, which Linux understands. Each method is
// handed checked arguments and returns a value, an Errno, or (as a coroutine) a promise of either.
class HelloFs : public FileSystem {
 public:
  explicit HelloFs(std::string text) : text_(std::move(text)) {}

  Op<fuse::EntryOut> lookup(Request&, const LookupArgs& args) override {
    if (args.parent != NodeId::root || args.name.view() != "hello") return Errno::noent;
    return fuse::EntryOut{.nodeid = static_cast<uint64_t>(kHello), .attr = attr_of(kHello)};
  }

  Op<fuse::AttrOut> getattr(Request&, const GetattrArgs& args) override {
    if (args.node != NodeId::root && args.node != kHello) return Errno::stale;
    return fuse::AttrOut{.attr = attr_of(args.node)};
  }

  Op<uint32_t> read(Request&, const ReadArgs& args) override {
    if (args.node != kHello) return Errno::isdir;
    if (args.offset >= text_.size()) return 0u;
    IoView into = args.into;  // the tenant's own memory
    return static_cast<uint32_t>(
        into.copy_in(text_.data() + args.offset, text_.size() - args.offset));
  }

  Op<uint32_t> readdir(Request&, const ReaddirArgs& args) override {
    if (args.node != NodeId::root) return Errno::notdir;
    DirentWriter entries(args.into);
    if (args.offset == 0) entries.add({2, /*next_offset=*/1, DT_REG, "hello"});
    return entries.bytes();
  }

 private:
  static constexpr NodeId kHello{2};

  fuse::Attr attr_of(NodeId node) const {
    const bool is_root = node == NodeId::root;
    return {.ino = static_cast<uint64_t>(node),
            .size = is_root ? 0 : text_.size(),
            .mode = is_root ? S_IFDIR | 0555u : S_IFREG | 0444u,
            .nlink = 1};
  }

  const std::string text_;
};

}  // namespace dpfs::examples
