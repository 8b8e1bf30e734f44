// SPDX-License-Identifier: Apache-2.0
// Key-value file systems, each once in the process whatever number of devices it has.
#include "daemon/kv_backends.h"

#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include "backend/kv/kv_fs.h"
#include "daemon/kv_stores.h"
#include "daemon/kv_url.h"

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
    auto volume = std::make_shared<kv::Volume>(reactor, asked.make_store(reactor), asked.volume);
    known = volume;
    return volume;
  }

 private:
  std::map<std::string, std::weak_ptr<kv::Volume>> volumes_;
};

}  // namespace

void add_kv_backends(Backends& backends) {
  // shared_ptr: of all copies of `backends`.
  const auto volumes = std::make_shared<Volumes>();
  const std::string rocksdb = "kv+rocksdb";
  backends.add(
      rocksdb, "kv+rocksdb:/path[?fs=NAME]   a file system in a RocksDB database",
      [volumes](Reactor& reactor, Url& url, const ShareConfig& share) {
        const KvAsked asked = kv_asked(url, share.create);
        return std::make_unique<KvFs>(volumes->get(reactor, asked), options_of(share));
      },
      Backends::Reach::working_folder);
  backends.set_creates(rocksdb);
  backends.set_place(rocksdb, [](Url& url) { return kv_place(kv_rocksdb_url(url).engine); });
}

}  // namespace dpfs
