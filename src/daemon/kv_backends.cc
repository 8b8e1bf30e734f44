// SPDX-License-Identifier: Apache-2.0
// Key-value file systems, each once in the process whatever number of devices it has.
#include "daemon/kv_backends.h"

#include <fmt/core.h>

#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include "backend/kv/kv_fs.h"
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

// What is wrong can be said before anything is served.
void check_folder(const KvRocksdbUrl& asked, const Url& url) {
  using Kind = kv::RocksdbFolder::Kind;
  const kv::RocksdbFolder folder = kv::inspect_rocksdb(asked.engine.path);
  const bool creates = asked.volume.create;
  switch (folder.kind) {
    case Kind::absent:
      if (creates) return;
      throw std::runtime_error(
          fmt::format("'{}': there is no file system yet; say --create to make one", url.text()));
    case Kind::newer:
    case Kind::other:
    case Kind::unreadable:
      throw std::runtime_error(fmt::format("'{}': {}", url.text(), folder.problem));
    case Kind::ours:
      return;
  }
}

// The volumes that devices have now.
class Volumes {
 public:
  std::shared_ptr<kv::Volume> get(Reactor& reactor, const KvRocksdbUrl& asked) {
    std::weak_ptr<kv::Volume>& known = volumes_[kv_place(asked.engine)];
    if (std::shared_ptr<kv::Volume> volume = known.lock()) {
      if (&volume->reactor() == &reactor) return volume;
      throw std::logic_error("two reactors for one file system");
    }
    auto volume = std::make_shared<kv::Volume>(
        reactor, kv::make_rocksdb_store(reactor, asked.engine), asked.volume);
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
        KvRocksdbUrl asked = kv_rocksdb_url(url);
        asked.volume.create = asked.volume.create || share.create;
        asked.engine.create = asked.volume.create;
        url.check_all_options_known();
        check_folder(asked, url);
        return std::make_unique<KvFs>(volumes->get(reactor, asked), options_of(share));
      },
      Backends::Reach::working_folder);
  backends.set_creates(rocksdb);
  backends.set_place(rocksdb, [](Url& url) { return kv_place(kv_rocksdb_url(url).engine); });
}

}  // namespace dpfs
