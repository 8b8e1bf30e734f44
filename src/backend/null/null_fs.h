// SPDX-License-Identifier: Apache-2.0
// The back end null: answers at once. A flat tree of files full of zeros, for measuring the rest.
#pragma once

#include <cstdint>

#include "fuse/filesystem.h"

namespace dpfs {

// The root holds f0, f1, .. Reads give zeros, writes are accepted and dropped; nothing ever
// changes. It keeps no state: a node's number says which file it is, and a handle is its node's
// number.
class NullFs final : public FileSystem {
 public:
  struct Options {
    uint32_t files = 16;
    uint64_t file_bytes = 1ull << 30;  // of each
  };

  NullFs() noexcept : NullFs(Options{}) {}
  explicit NullFs(const Options& options) noexcept : options_(options) {}

  void begin(Negotiated& negotiated) override {
    constexpr uint64_t kKept = fuse::init_flag::kDoReaddirplus | fuse::init_flag::kReaddirplusAuto;
    negotiated.flags &= ~fuse::kPromiseFlags | kKept;
    cache_ = negotiated.cache;
  }

  Op<fuse::EntryOut> lookup(Request&, const LookupArgs& args) override;
  Op<Unit> forget(Request&, const ForgetArgs& args) override;
  Op<fuse::AttrOut> getattr(Request&, const GetattrArgs& args) override;
  Op<fuse::AttrOut> setattr(Request&, const SetattrArgs& args) override;
  Op<fuse::OpenOut> open(Request&, const OpenArgs& args) override;
  Op<uint32_t> read(Request&, const ReadArgs& args) override;
  Op<fuse::WriteOut> write(Request&, const WriteArgs& args) override;
  Op<fuse::StatfsOut> statfs(Request&, const NodeArgs& args) override;
  Op<Unit> release(Request&, const ReleaseArgs& args) override;
  Op<Unit> flush(Request&, const FlushArgs& args) override;
  Op<Unit> fsync(Request&, const FsyncArgs& args) override;
  Op<fuse::OpenOut> opendir(Request&, const OpenArgs& args) override;
  Op<uint32_t> readdir(Request&, const ReaddirArgs& args) override;
  Op<uint32_t> readdirplus(Request&, const ReaddirArgs& args) override;
  Op<Unit> releasedir(Request&, const ReleaseArgs& args) override;
  Op<Unit> fsyncdir(Request&, const FsyncArgs& args) override;
  Op<Unit> access(Request&, const AccessArgs& args) override;
  Op<Unit> syncfs(Request&, const NodeArgs& args) override;

 private:
  bool is_file(NodeId node) const noexcept;
  bool is_node(NodeId node) const noexcept;
  // ESTALE, EBADF, or nothing against it.
  Result<Unit> check(NodeId node) const noexcept;
  Result<Unit> check(NodeId node, Handle handle) const noexcept;
  fuse::Attr attr(NodeId node) const noexcept;
  fuse::AttrOut attr_out(NodeId node) const noexcept;
  fuse::EntryOut entry_out(NodeId node) const noexcept;
  Op<uint32_t> list(const ReaddirArgs& args, bool plus) const;

  const Options options_;
  CachePolicy cache_;
};

}  // namespace dpfs
