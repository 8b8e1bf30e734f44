// SPDX-License-Identifier: Apache-2.0
// A session over a file system on RocksDB. Besides what must hold for every session: whatever the
// tenant asked for, no record is wrong afterwards.
#include <stdlib.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "backend/kv/check/fsck.h"
#include "backend/kv/kv_fs.h"
#include "backend/kv/rocksdb/rocksdb_store.h"
#include "fuse/session_fuzz.h"
#include "io/reactor_harness.h"

namespace dpfs {
namespace {

Name name_of(std::string_view text) {
  return Name(text.data(), static_cast<uint16_t>(text.size()));
}

// One for all runs. Each run has a file system of its own, in a database that is open throughout
// and made anew now and then.
class World {
 public:
  World() {
    // In memory, where there is a place for that: nothing of it is to outlive a power failure.
    const std::filesystem::path memory = "/dev/shm";
    std::string pattern =
        std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path();
    pattern += "/dpfs_fuzz_XXXXXX";
    DPFS_ASSERT(::mkdtemp(pattern.data()) != nullptr);
    root_ = pattern;
    open_keeper();
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() {
    close_keeper();
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  void run(const uint8_t* data, size_t size) {
    if (++runs_ % kRunsPerDatabase == 0) {
      close_keeper();
      std::filesystem::remove_all(root_ / "db");
      open_keeper();
    }
    const std::string partition = "run" + std::to_string(runs_);
    serve(partition, FuzzInput(data, size));
    check(partition);
  }

 private:
  static constexpr uint64_t kRunsPerDatabase = 500;

  std::unique_ptr<kv::Store> make_store(const std::string& partition) {
    return kv::make_rocksdb_store(
        reactor_.reactor,
        {.path = root_ / "db",
         .partition = partition,
         .create = true,
         .memory = {.cache_bytes = uint64_t{32} << 20, .writes_bytes = uint64_t{32} << 20}});
  }
  // Returns when it is done.
  template <class T, class Begin>
  Result<T> wait(Begin begin) {
    std::promise<Result<T>> done;
    reactor_.reactor.post([&] { tell<T>(begin, done); });
    return done.get_future().get();
  }
  template <class T, class Begin>
  Detached tell(Begin& begin, std::promise<Result<T>>& done) {
    Op<T> op = begin();
    const Result<T> result = co_await std::move(op);
    done.set_value(result);
  }

  void open_keeper() {
    keeper_ = make_store("keeper");
    DPFS_ASSERT(wait<Unit>([this] { return keeper_->open(); }));
  }
  void close_keeper() {
    DPFS_ASSERT(wait<Unit>([this] { return keeper_->close(); }));
    keeper_.reset();
  }

  void serve(const std::string& partition, FuzzInput input) {
    // Few of everything, so that what is forgotten is read again. Its limits are within reach.
    const auto volume = std::make_shared<kv::Volume>(
        reactor_.reactor, make_store(partition),
        kv::VolumeOptions{.name = "fuzz", .nodes_max = 4, .names_max = 4, .create = true});
    // Another tenant, which makes what the one that is hostile finds there.
    KvFs friendly(volume, {});
    Negotiated negotiated;
    reactor_.call([&] { friendly.begin(negotiated); });
    furnish(friendly);
    KvFs fs(volume, {});
    const auto on_session = [this](auto task) { reactor_.call(task); };
    // What waits for a lock would wait for ever.
    const auto later = [this, &fs](uint8_t how) {
      if (how == 0xff) reactor_.call([&fs] { fs.end_waits(); });
    };
    SessionFuzzer(fs, "file", later, input, on_session).go();
    reactor_.call([&] { friendly.end(); });
  }

  void furnish(KvFs& fs) {
    Request request;
    const auto make = [&](const std::string& name, uint64_t bytes) {
      const Result<CreateOut> made = wait<CreateOut>([&] {
        return fs.create(request, {.parent = NodeId::root,
                                   .name = name_of(name),
                                   .flags = O_RDWR,
                                   .mode = 0644,
                                   .umask = 0});
      });
      DPFS_ASSERT(made);
      std::string text(bytes, 'x');
      const iovec part{text.data(), text.size()};
      DPFS_ASSERT(wait<fuse::WriteOut>([&] {
        return fs.write(request, {.node = NodeId{made->entry.nodeid},
                                  .handle = Handle{made->open.fh},
                                  .offset = bytes,
                                  .flags = 0,
                                  .write_flags = 0,
                                  .from = IoView({&part, 1})});
      }));
      DPFS_ASSERT(wait<Unit>([&] {
        return fs.release(request, {.node = NodeId{made->entry.nodeid},
                                    .handle = Handle{made->open.fh},
                                    .drops_flock = false});
      }));
    };
    make("file", 1000);
    make("large", 70'000);
    DPFS_ASSERT(wait<fuse::EntryOut>([&] {
      return fs.mkdir(
          request,
          {.parent = NodeId::root, .name = name_of("directory"), .mode = 0755, .umask = 0});
    }));
  }

  // Nobody collects garbage, so that there may be.
  class Silent final : public kv::Progress {
    void is_at(const char*, uint64_t, uint64_t) noexcept override {}
  };

  void check(const std::string& partition) {
    kv::OwnedStore owned(reactor_.reactor, make_store(partition), {});
    DPFS_ASSERT(wait<Unit>([&] { return owned.open(); }));
    Silent silent;
    kv::Fsck fsck(owned, silent, {});
    DPFS_ASSERT(wait<Unit>([&] { return fsck.run(); }));
    for (const kv::Fsck::Item& item : fsck.items()) {
      if (kv::level_of(item.finding.kind) == kv::FindingLevel::garbage) continue;
      std::fprintf(stderr, "%s %s inode %llu: %s\n", kv::word_of(item.finding.kind),
                   item.path.c_str(), static_cast<unsigned long long>(item.finding.ino),
                   kv::sentence_of(item.finding).c_str());
    }
    DPFS_ASSERT(fsck.left().count(kv::FindingLevel::damage) == 0);
    DPFS_ASSERT(wait<Unit>([&] { return owned.close(); }));
  }

  RunningReactor reactor_;
  std::filesystem::path root_;
  std::unique_ptr<kv::Store> keeper_;
  uint64_t runs_ = 0;
};

}  // namespace
}  // namespace dpfs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static dpfs::World world;
  world.run(data, size);
  return 0;
}
