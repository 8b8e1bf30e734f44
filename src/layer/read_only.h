// SPDX-License-Identifier: Apache-2.0
// ReadOnlyLayer: refuses whatever would change what is stored below.
#pragma once

#include "layer/layer.h"

namespace dpfs {

// EROFS, as of a file system that is mounted read-only. Locks change nothing and are let through.
// What reading itself changes (the time of the last access) is up to the file system below.
class ReadOnlyLayer : public Layer {
 public:
  using Layer::Layer;

  void begin(Negotiated& negotiated) override;

  Op<fuse::OpenOut> open(Request& request, const OpenArgs& args) override;
  Op<Unit> access(Request& request, const AccessArgs& args) override;
  Op<IoctlDone> ioctl(Request& request, const IoctlArgs& args) override;

 private:
  Op<Unit> admit(Request& request, const Operation& operation) override;
};

}  // namespace dpfs
