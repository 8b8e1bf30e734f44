// SPDX-License-Identifier: Apache-2.0
// Key-value file systems, each once in the process whatever number of devices it has.
#include "daemon/kv_backends.h"

#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include "backend/kv/kv_fs.h"
#include "daemon/kv_probe.h"
#include "daemon/kv_servers.h"
#include "daemon/kv_stores.h"

namespace dpfs {
namespace {

KvOptions options_of(const ShareConfig& share) {
  KvOptions options;
  options.xattrs = share.xattr;
  options.posix_acls = share.xattr && share.posix_acl;
  options.security_labels = share.xattr && share.security_label;
  return options;
}

// The volumes that devices have now.
class Volumes {
 public:
  std::shared_ptr<kv::Volume> get(Reactor& reactor, const KvAsked& asked) {
    std::weak_ptr<kv::Volume>& known = volumes_[asked.place];
    if (std::shared_ptr<kv::Volume> volume = known.lock()) {
      if (&volume->reactor() == &reactor) return volume;
      throw std::logic_error("two reactors for one file system");
    }
    if (asked.is_shared) probe_kv(asked);
    auto volume = std::make_shared<kv::Volume>(reactor, asked.make_store(reactor), asked.volume);
    known = volume;
    return volume;
  }

 private:
  std::map<std::string, std::weak_ptr<kv::Volume>> volumes_;
};

}  // namespace

void add_kv_backends(Backends& backends) {
  struct Scheme {
    const char* name;
    const char* usage;
    Backends::Reach reach;
  };
  constexpr Scheme kSchemes[] = {
      {"kv+rocksdb", "kv+rocksdb:/path[?fs=NAME]   a file system in a RocksDB database",
       Backends::Reach::working_folder},
      {"kv+valkey", "kv+valkey://server,.../NAME  a file system on a Valkey server or cluster",
       Backends::Reach::network},
      {"kv+redis", "kv+redis://server,.../NAME   the same, on Redis", Backends::Reach::network}};
  // shared_ptr: of all copies of `backends`.
  const auto volumes = std::make_shared<Volumes>();
  for (const Scheme& scheme : kSchemes) {
    backends.add(
        scheme.name, scheme.usage,
        [volumes](Reactor& reactor, Url& url, const ShareConfig& share) {
          const KvAsked asked = kv_asked(url, share.create);
          return std::make_unique<KvFs>(volumes->get(reactor, asked), options_of(share));
        },
        scheme.reach);
    backends.set_creates(scheme.name);
    backends.set_place(scheme.name, kv_place_of);
    if (scheme.reach == Backends::Reach::network) {
      backends.set_by_address(scheme.name, kv_valkey_url_by_address);
    }
  }
}

}  // namespace dpfs
