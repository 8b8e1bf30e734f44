// SPDX-License-Identifier: Apache-2.0
// Stacking layers upon a back end.
#include "daemon/share.h"

#include <utility>

#include "layer/defer.h"
#include "layer/id_map_layer.h"
#include "layer/read_only.h"
#include "layer/xattr_map_layer.h"

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

CachePolicy policy_of(CacheMode mode) noexcept {
  switch (mode) {
    case CacheMode::always:
      return CachePolicy::always();
    case CacheMode::never:
      return CachePolicy::never();
    case CacheMode::metadata:
      return CachePolicy::metadata();
    case CacheMode::automatic:
      break;
  }
  return CachePolicy::automatic();
}

CachePolicy cache_policy(const ShareConfig& share) noexcept {
  CachePolicy policy = policy_of(share.cache);
  policy.entry_valid_ms = share.entry_timeout_ms.value_or(policy.entry_valid_ms);
  policy.attr_valid_ms = share.attr_timeout_ms.value_or(policy.attr_valid_ms);
  return policy;
}

}  // namespace

std::unique_ptr<FileSystem> make_share(Reactor& reactor, const ShareConfig& share,
                                       const Backends& backends) {
  std::unique_ptr<FileSystem> fs = backends.make(reactor, share);
#ifdef DPFS_DEFER
  put_upon<DeferLayer>(fs, reactor);
#endif
  // Nearest to the back end: a list of owners that is kept under another name is not looked into.
  if (!share.ids.empty()) put_upon<IdMapLayer>(fs, share.ids);
  if (share.xattrmap) put_upon<XattrMapLayer>(fs, *share.xattrmap);
  if (share.readonly) put_upon<ReadOnlyLayer>(fs);
  return fs;
}

Session::Options session_options(const ShareConfig& share) {
  Session::Options options;
  options.cache = cache_policy(share);
  options.writeback = share.writeback;
  options.direct_io = share.allow_direct_io;
  return options;
}

}  // namespace dpfs
