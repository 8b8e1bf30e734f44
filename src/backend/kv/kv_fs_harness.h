// SPDX-License-Identifier: Apache-2.0
// For tests: a RocksDB store that several daemons share as they would share a server, and which
// fails as a test tells it; file systems on it, called as if they answered at once.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "backend/kv/format.h"
#include "backend/kv/kv_fs.h"
#include "backend/kv/rocksdb/rocksdb_store.h"
#include "backend/kv/store_contract.h"
#include "io/reactor_harness.h"

namespace dpfs::kv {

inline Name name_of(std::string_view text) {
  return Name(text.data(), static_cast<uint16_t>(text.size()));
}

// One daemon's way to a store that is open, and that others use as well.
class StoreLink final : public Store {
 public:
  StoreLink(Store& below, bool exclusive, bool remote) : below_(below), traits_(below.traits()) {
    traits_.remote = remote;
    traits_.exclusive = exclusive;
  }

  // From now on, or after so many commits, everything fails so.
  void fail(Errno why, uint32_t commits_before = 0) {
    why_ = why;
    commits_left_ = commits_before;
  }
  void work_again() { why_ = Errno::none; }
  // The next commit is carried out, and its answer lost.
  void lose_an_answer() { loses_answer_ = true; }
  // Each commit waits for so many turns first.
  void be_slow(Reactor& reactor, uint32_t turns) {
    reactor_ = &reactor;
    turns_ = turns;
  }
  uint32_t syncs = 0;  // that were asked for

  const Traits& traits() const noexcept override { return traits_; }
  Op<Unit> open() override { return failing() ? Op<Unit>(why_) : Op<Unit>(Unit{}); }
  Op<Unit> close() override { return Unit{}; }
  Op<Unit> get(std::span<Get> gets) override { return failing() ? why_ : below_.get(gets); }
  Op<bool> scan(const Scan& scan, ScanReader& reader) override {
    return failing() ? why_ : below_.scan(scan, reader);
  }
  Op<Unit> sweep(Sweep& sweep, ScanReader& reader) override {
    return failing() ? why_ : below_.sweep(sweep, reader);
  }
  Op<Unit> commit(std::span<const Compare> compares, std::span<const Write> writes) override {
    if (failing()) return why_;
    if (why_ != Errno::none) --commits_left_;
    if (std::exchange(loses_answer_, false)) return commit_silently(compares, writes);
    if (turns_ > 0) return commit_slowly(compares, writes);
    return below_.commit(compares, writes);
  }
  Op<Unit> sync() override {
    ++syncs;
    return failing() ? why_ : below_.sync();
  }
  Op<Space> space() override { return failing() ? why_ : below_.space(); }

 private:
  bool failing() const noexcept { return why_ != Errno::none && commits_left_ == 0; }
  Op<Unit> commit_silently(std::span<const Compare> compares, std::span<const Write> writes) {
    Op<Unit> committing = below_.commit(compares, writes);
    const Result<Unit> done = co_await committing;
    co_return done ? Errno::timedout : done.error();
  }

  Op<Unit> commit_slowly(std::span<const Compare> compares, std::span<const Write> writes) {
    for (uint32_t i = 0; i < turns_; ++i) co_await NextTurn(*reactor_);
    Op<Unit> committing = below_.commit(compares, writes);
    const Result<Unit> done = co_await committing;
    co_return done;
  }

  Store& below_;
  Traits traits_;
  Reactor* reactor_ = nullptr;
  uint32_t turns_ = 0;
  Errno why_ = Errno::none;
  uint32_t commits_left_ = 0;
  bool loses_answer_ = false;
};

// The store, and the reactor of all that use it.
class KvWorld {
 public:
  explicit KvWorld(const FormatOptions& options = {}) {
    std::string name = (std::filesystem::temp_directory_path() / "dpfs-kv-XXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) folder_ = name;
    client_ = std::make_unique<ContractClient>(
        reactor_,
        make_rocksdb_store(reactor_.reactor, {.path = folder_ + "/database", .create = true}));
    EXPECT_EQ(client_->open(), Errno::none);
    EXPECT_EQ(why<Unit>([&] { return format(store(), options); }), Errno::none);
  }
  KvWorld(const KvWorld&) = delete;
  KvWorld& operator=(const KvWorld&) = delete;
  ~KvWorld() {
    client_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  // What the store has, whoever uses it.
  ContractClient& client() noexcept { return *client_; }
  Store& store() noexcept { return client_->store(); }
  RunningReactor& reactor() noexcept { return reactor_; }
  template <class T>
  Errno why(const std::function<Op<T>()>& begin) {
    return client_->why<T>(begin);
  }
  size_t records(Collection collection) { return client_->sweep(collection).size(); }

  // What is counted is what there is.
  void expect_usage_is_right() {
    Amount there;
    for (const KeptRecord& record : client_->sweep(Collection::inode)) {
      Inode inode;
      ASSERT_TRUE(decode(record.value, inode));
      there.bytes += static_cast<int64_t>(inode.stored);
      ++there.inodes;
    }
    EXPECT_EQ(counted(UsageCounter::bytes), there.bytes);
    EXPECT_EQ(counted(UsageCounter::inodes), there.inodes);
  }
  int64_t counted(UsageCounter counter) {
    uint64_t number = 0;
    const std::optional<std::string> value = client_->get(usage_key(counter));
    EXPECT_TRUE(!value || decode_number(*value, number));
    return static_cast<int64_t>(number);
  }

 private:
  RunningReactor reactor_;
  std::string folder_;
  std::unique_ptr<ContractClient> client_;
};

// A daemon with a volume, and tenants of it. It uses the file system from its first request on.
class KvDaemon {
 public:
  struct Options {
    Ownership::Options ownership;
    bool exclusive = false;  // says its store
    bool remote = false;     // that, too
    uint32_t tenants = 1;
  };
  explicit KvDaemon(KvWorld& world) : KvDaemon(world, Options()) {}
  KvDaemon(KvWorld& world, const Options& options) : world_(world) {
    auto link = std::make_unique<StoreLink>(world.store(), options.exclusive, options.remote);
    link_ = link.get();
    world.reactor().call([&] {
      volume_ =
          std::make_shared<Volume>(world.reactor().reactor, std::move(link),
                                   VolumeOptions{.name = "test", .ownership = options.ownership});
      for (uint32_t i = 0; i < options.tenants; ++i) {
        tenants_.push_back(std::make_unique<KvFs>(volume_, KvOptions{}));
        Negotiated negotiated;
        tenants_.back()->begin(negotiated);
      }
    });
  }
  KvDaemon(const KvDaemon&) = delete;
  KvDaemon& operator=(const KvDaemon&) = delete;
  ~KvDaemon() { end(); }

  // As SIGTERM does.
  void end() {
    world_.reactor().call([&] {
      for (auto& tenant : tenants_) tenant->end();
      tenants_.clear();
      volume_.reset();
    });
  }
  // As SIGKILL does: nothing of it reaches the store any more.
  void die() {
    world_.reactor().call([&] { link_->fail(Errno::timedout); });
    end();
  }
  // Everything fails from then on, or after so many commits.
  void fail(Errno why, uint32_t commits_before = 0) {
    world_.reactor().call([&] { link_->fail(why, commits_before); });
  }
  void work_again() {
    world_.reactor().call([&] { link_->work_again(); });
  }
  void be_slow(uint32_t turns) {
    world_.reactor().call([&] { link_->be_slow(world_.reactor().reactor, turns); });
  }
  void lose_an_answer() {
    world_.reactor().call([&] { link_->lose_an_answer(); });
  }

  // How often the store was told to make all safe.
  uint32_t syncs() {
    uint32_t count = 0;
    world_.reactor().call([&] { count = link_->syncs; });
    return count;
  }

  // Any operation of a tenant: daemon.call(&KvFs::lookup, {.parent = ..., .name = ...}). What
  // `args` refers to stays until then.
  template <class Out, class Args>
  Result<Out> call(Op<Out> (KvFs::*operation)(Request&, const Args&),
                   const std::type_identity_t<Args>& args, size_t tenant = 0) {
    return world_.client().wait<Out>(
        [&, operation] { return (tenants_[tenant].get()->*operation)(request_, args); });
  }

  // Several that begin in one turn, whatever they answer; returns when all are done.
  void together(const std::vector<std::function<Op<Unit>(KvFs&, Request&)>>& operations) {
    std::vector<std::promise<void>> done(operations.size());
    world_.reactor().call([&] {
      for (size_t i = 0; i < operations.size(); ++i) {
        tell(operations[i](*tenants_.front(), request_), done[i]);
      }
    });
    for (std::promise<void>& each : done) each.get_future().wait();
  }

  Result<fuse::EntryOut> look_up(std::string_view name, NodeId parent = NodeId::root) {
    return call(&KvFs::lookup, {.parent = parent, .name = name_of(name)});
  }
  Errno make_directory(std::string_view name) {
    return call(&KvFs::mkdir,
                {.parent = NodeId::root, .name = name_of(name), .mode = 0755, .umask = 0})
        .error();
  }
  struct File {
    NodeId node;
    Handle handle;
  };
  Result<CreateOut> try_create(std::string_view name) {
    return call(
        &KvFs::create,
        {.parent = NodeId::root, .name = name_of(name), .flags = O_RDWR, .mode = 0644, .umask = 0});
  }
  File create(std::string_view name) {
    const Result<CreateOut> made = try_create(name);
    EXPECT_TRUE(made) << name << ": " << describe(made.error());
    if (!made) return {};
    return {NodeId{made->entry.nodeid}, Handle{made->open.fh}};
  }
  File open(std::string_view name) {
    const Result<fuse::EntryOut> entry = look_up(name);
    EXPECT_TRUE(entry) << name << ": " << describe(entry.error());
    if (!entry) return {};
    return open(NodeId{entry->nodeid});
  }
  // What a tenant has looked up before.
  File open(NodeId node) {
    const Result<fuse::OpenOut> open = call(&KvFs::open, {.node = node, .flags = O_RDWR});
    EXPECT_TRUE(open) << describe(open.error());
    return {node, Handle{open ? open->fh : 0}};
  }
  Errno write(const File& file, uint64_t offset, std::string text) {
    const iovec part{text.data(), text.size()};
    const Result<fuse::WriteOut> written = call(&KvFs::write, {.node = file.node,
                                                               .handle = file.handle,
                                                               .offset = offset,
                                                               .flags = 0,
                                                               .write_flags = 0,
                                                               .from = IoView({&part, 1})});
    if (!written) return written.error();
    return written->size == text.size() ? Errno::none : Errno::nospc;
  }
  std::string read(const File& file, uint64_t offset, size_t bytes) {
    std::string text(bytes, '?');
    const iovec part{text.data(), text.size()};
    const Result<uint32_t> read = call(&KvFs::read, {.node = file.node,
                                                     .handle = file.handle,
                                                     .offset = offset,
                                                     .flags = 0,
                                                     .into = IoView({&part, 1})});
    EXPECT_TRUE(read) << describe(read.error());
    text.resize(read ? *read : 0);
    return text;
  }
  Errno truncate(const File& file, uint64_t size) {
    return call(&KvFs::setattr,
                {.node = file.node, .in = {.valid = fuse::attr_valid::kSize, .size = size}})
        .error();
  }
  Errno rename(std::string_view name, std::string_view new_name) {
    return call(&KvFs::rename2, {.parent = NodeId::root,
                                 .name = name_of(name),
                                 .new_parent = NodeId::root,
                                 .new_name = name_of(new_name),
                                 .flags = 0})
        .error();
  }
  Errno unlink(std::string_view name) {
    return call(&KvFs::unlink, {.parent = NodeId::root, .name = name_of(name)}).error();
  }
  Errno allocate(const File& file, uint32_t mode, uint64_t offset, uint64_t length) {
    return call(&KvFs::fallocate, {.node = file.node,
                                   .handle = file.handle,
                                   .offset = offset,
                                   .length = length,
                                   .mode = mode})
        .error();
  }
  Errno sync(const File& file) {
    return call(&KvFs::fsync, {.node = file.node, .handle = file.handle}).error();
  }
  void close(const File& file) {
    EXPECT_TRUE(
        call(&KvFs::release, {.node = file.node, .handle = file.handle, .drops_flock = false}));
  }
  fuse::Kstatfs statfs() {
    const Result<fuse::StatfsOut> out = call(&KvFs::statfs, {.node = NodeId::root});
    EXPECT_TRUE(out);
    return out ? out->st : fuse::Kstatfs{};
  }

 private:
  static Detached tell(Op<Unit> operation, std::promise<void>& done) {
    [[maybe_unused]] const Result<Unit> result = co_await std::move(operation);
    done.set_value();
  }

  KvWorld& world_;
  StoreLink* link_ = nullptr;  // of the volume
  std::shared_ptr<Volume> volume_;
  std::vector<std::unique_ptr<KvFs>> tenants_;
  Request request_;
};

}  // namespace dpfs::kv
