// SPDX-License-Identifier: Apache-2.0
// XattrMapLayer: the host keeps a tenant's extended attributes under other names, or not at all.
#pragma once

#include "layer/layer.h"
#include "layer/scratch.h"
#include "layer/xattr_map.h"

namespace dpfs {

class XattrMapLayer : public Layer {
 public:
  XattrMapLayer(FileSystem& next, const XattrMap& map) : Layer(next), map_(map) {}

  void begin(Negotiated& negotiated) override;

  Op<uint32_t> getxattr(Request& request, const GetxattrArgs& args) override;
  Op<uint32_t> listxattr(Request& request, const ListxattrArgs& args) override;
  Op<Unit> setxattr(Request& request, const SetxattrArgs& args) override;
  Op<Unit> removexattr(Request& request, const RemovexattrArgs& args) override;

 private:
  Op<Unit> admit(Request& request, const Operation& operation) override;
  Result<Name> to_host(Request& request, const Name& name) const noexcept;
  Op<uint32_t> listed_later(Op<uint32_t> op, ScratchLease scratch, IoView into);

  const XattrMap map_;
  Spares<Scratch> spares_;
};

}  // namespace dpfs
