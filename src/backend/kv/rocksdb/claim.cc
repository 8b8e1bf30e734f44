// SPDX-License-Identifier: Apache-2.0
// Who has which partition of which database, in this process.
#include "backend/kv/rocksdb/claim.h"

#include <fcntl.h>
#include <rocksdb/db.h>
#include <sys/stat.h>

#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "base/log.h"

namespace dpfs::kv::rocks {
namespace {

// A folder by its identity: it may have several names.
using Folder = std::pair<dev_t, ino_t>;

Fd open_folder(const RocksdbOptions& options, Errno& why) noexcept {
  const char* path = options.path.c_str();
  if (options.create && mkdirat(AT_FDCWD, path, 0700) != 0 && errno != EEXIST) {
    why = last_errno();
    log::error("cannot create the folder {}: {}", options.path, describe(why));
    return {};
  }
  Fd folder(openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) {
    why = last_errno();
    log::error("cannot open the database {}: {}", options.path, describe(why));
  }
  return folder;
}

}  // namespace

// Lives while somebody uses it, or is about to.
struct Claim::Shared {
  explicit Shared(const Folder& which) : folder(which) {}

  const Folder folder;
  std::mutex mutex;  // of what follows; held while the database is opened or closed
  std::unique_ptr<Database> database;
  std::set<std::string, std::less<>> partitions;

  // All of the process, while they live.
  struct All {
    std::mutex mutex;
    std::map<Folder, std::weak_ptr<Shared>> shared;
  };
  static All& all() {
    static All& all = *new All;
    return all;
  }
  static std::shared_ptr<Shared> of(const Folder& folder) {
    All& known = all();
    const std::lock_guard lock(known.mutex);
    std::erase_if(known.shared, [](const auto& entry) { return entry.second.expired(); });
    std::weak_ptr<Shared>& entry = known.shared[folder];
    std::shared_ptr<Shared> shared = entry.lock();
    if (!shared) entry = shared = std::make_shared<Shared>(folder);
    return shared;
  }
};

std::unique_ptr<Claim> Claim::take(const RocksdbOptions& options, Errno& why) noexcept {
  if (!is_rocksdb_partition_name(options.partition)) {
    log::error("'{}' cannot be the name of a file system in a database: 1 to 64 visible characters",
               options.partition);
    why = Errno::inval;
    return nullptr;
  }
  Fd folder = open_folder(options, why);
  if (!folder) return nullptr;
  struct stat status{};
  if (fstat(folder.get(), &status) != 0) {
    why = last_errno();
    return nullptr;
  }
  std::shared_ptr<Shared> shared = Shared::of({status.st_dev, status.st_ino});
  const std::lock_guard lock(shared->mutex);
  if (!shared->database) {
    shared->database = Database::open(std::move(folder), options, why);
    if (!shared->database) return nullptr;
  }
  if (!shared->partitions.insert(options.partition).second) {
    log::error("this process has the file system '{}' of {} already", options.partition,
               options.path);
    why = Errno::busy;
    return nullptr;
  }
  Database& database = *shared->database;
  return std::unique_ptr<Claim>(new Claim(std::move(shared), database, options.partition));
}

Claim::~Claim() {
  const std::lock_guard lock(shared_->mutex);
  shared_->partitions.erase(partition_);
  if (shared_->partitions.empty()) shared_->database.reset();
}

}  // namespace dpfs::kv::rocks
