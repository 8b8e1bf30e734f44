// SPDX-License-Identifier: Apache-2.0
// IdMapLayer: the tenant's users and groups are others on the host.
#pragma once

#include "layer/id_map.h"
#include "layer/layer.h"
#include "layer/scratch.h"

namespace dpfs {

// From here down a request is the host's user's (request.header, request.creation); on the way up
// every owner is the tenant's again. Owners also stand in access control lists: those are
// translated, too. Where an id is forbidden, nothing can be made with it or given to it (EPERM),
// and who has it is nobody (65534) to the back end.
class IdMapLayer : public Layer {
 public:
  IdMapLayer(FileSystem& next, const IdMaps& maps) : Layer(next), maps_(maps) {}

#define DPFS_HAS_OWNER(name, Args, Out)                       \
  Op<Out> name(Request& request, const Args& args) override { \
    return answered(Layer::name(request, args));              \
  }
  DPFS_HAS_OWNER(lookup, LookupArgs, fuse::EntryOut)
  DPFS_HAS_OWNER(getattr, GetattrArgs, fuse::AttrOut)
  DPFS_HAS_OWNER(statx, StatxArgs, fuse::StatxOut)
  DPFS_HAS_OWNER(symlink, SymlinkArgs, fuse::EntryOut)
  DPFS_HAS_OWNER(mknod, MknodArgs, fuse::EntryOut)
  DPFS_HAS_OWNER(mkdir, MkdirArgs, fuse::EntryOut)
  DPFS_HAS_OWNER(link, LinkArgs, fuse::EntryOut)
  DPFS_HAS_OWNER(create, CreateArgs, CreateOut)
  DPFS_HAS_OWNER(tmpfile, TmpfileArgs, CreateOut)
#undef DPFS_HAS_OWNER
  Op<fuse::AttrOut> setattr(Request& request, const SetattrArgs& args) override;
  Op<uint32_t> readdirplus(Request& request, const ReaddirArgs& args) override;
  Op<uint32_t> getxattr(Request& request, const GetxattrArgs& args) override;
  Op<Unit> setxattr(Request& request, const SetxattrArgs& args) override;

 private:
  using Translate = void (*)(const IdMaps& maps, std::span<char> bytes) noexcept;

  Op<Unit> admit(Request& request, const Operation& operation) override;

  template <class Out>
  Op<Out> answered(Op<Out> op) const;
  template <class Out>
  static Op<Out> answered_later(const IdMaps& maps, Op<Out> op);

  Op<uint32_t> delivered(Op<uint32_t> op, ScratchLease scratch, IoView into, Translate translate);
  Op<uint32_t> delivered_later(Op<uint32_t> op, ScratchLease scratch, IoView into,
                               Translate translate);
  static Op<Unit> done_later(Op<Unit> op, ScratchLease scratch);

  const IdMaps maps_;
  Spares<Scratch> spares_;
};

}  // namespace dpfs
