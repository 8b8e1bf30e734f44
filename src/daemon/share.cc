// SPDX-License-Identifier: Apache-2.0
// Stacking layers upon a back end.
#include "daemon/share.h"

#include <utility>

#include "layer/defer.h"
#include "layer/read_only.h"

namespace dpfs {
namespace {

// A layer that owns what it wraps.
template <class LayerType>
class Owning final : public LayerType {
 public:
  template <class... More>
  explicit Owning(std::unique_ptr<FileSystem> below, More&&... more)
      : LayerType(*below, std::forward<More>(more)...), below_(std::move(below)) {}

 private:
  std::unique_ptr<FileSystem> below_;
};

template <class LayerType, class... More>
void put_upon(std::unique_ptr<FileSystem>& fs, More&&... more) {
  fs = std::make_unique<Owning<LayerType>>(std::move(fs), std::forward<More>(more)...);
}

}  // namespace

std::unique_ptr<FileSystem> make_share(Reactor& reactor, const ShareConfig& share,
                                       const Backends& backends) {
  std::unique_ptr<FileSystem> fs = backends.make(reactor, share);
#ifdef DPFS_DEFER
  put_upon<DeferLayer>(fs, reactor);
#endif
  if (share.readonly) put_upon<ReadOnlyLayer>(fs);
  return fs;
}

Session::Options session_options(const ShareConfig&) { return {}; }

}  // namespace dpfs
