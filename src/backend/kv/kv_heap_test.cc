// SPDX-License-Identifier: Apache-2.0
// Once warm, operations take no memory from the heap. A program of its own, because it counts.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string_view>

#include "backend/kv/format.h"
#include "backend/kv/kv_fs.h"
#include "backend/kv/memory_store.h"
#include "base/count_allocations.h"
#include "io/reactor_harness.h"

namespace dpfs::kv {
namespace {

Name name_of(std::string_view text) {
  return Name(text.data(), static_cast<uint16_t>(text.size()));
}

// All operations that a busy tenant sends, a few times over, as one coroutine on the reactor.
class Tenant {
 public:
  explicit Tenant(KvFs& fs) : fs_(fs) {}

  // How many allocations the work took once it was warm.
  Detached work(std::promise<uint64_t>& taken) {
    Op<CreateOut> making = fs_.create(
        request_,
        {.parent = NodeId::root, .name = name_of("a"), .flags = O_RDWR, .mode = 0644, .umask = 0});
    const Result<CreateOut> made = co_await making;
    must(made);
    uint64_t before = 0;
    for (int round = 0; round < 300; ++round) {
      if (round == 100) before = allocations_counted_here;
      Op<Unit> working = work_on("a");
      const Result<Unit> worked = co_await working;
      must(worked);
    }
    taken.set_value(allocations_counted_here - before);
  }
  bool failed() const { return failed_; }

 private:
  template <class T>
  T must(Result<T> result) {
    failed_ |= !result;
    return *result;
  }

  Op<Unit> work_on(std::string_view name) {
    Op<fuse::EntryOut> looking =
        fs_.lookup(request_, {.parent = NodeId::root, .name = name_of(name)});
    const Result<fuse::EntryOut> entry = co_await looking;
    const NodeId node{must(entry).nodeid};
    Op<fuse::EntryOut> missing =
        fs_.lookup(request_, {.parent = NodeId::root, .name = name_of("missing")});
    const Result<fuse::EntryOut> nothing = co_await missing;
    failed_ |= nothing.error() != Errno::noent;
    Op<fuse::AttrOut> asking = fs_.getattr(request_, {.node = node});
    const Result<fuse::AttrOut> attr = co_await asking;
    must(attr);
    Op<fuse::OpenOut> opening = fs_.open(request_, {.node = node, .flags = O_RDWR});
    const Result<fuse::OpenOut> open = co_await opening;
    const Handle handle{must(open).fh};
    const iovec part{buffer_, sizeof buffer_};
    const IoView view({&part, 1});
    Op<fuse::WriteOut> writing = fs_.write(
        request_,
        {.node = node, .handle = handle, .offset = 0, .flags = 0, .write_flags = 0, .from = view});
    const Result<fuse::WriteOut> written = co_await writing;
    must(written);
    Op<uint32_t> reading =
        fs_.read(request_, {.node = node, .handle = handle, .offset = 0, .flags = 0, .into = view});
    const Result<uint32_t> read = co_await reading;
    must(read);
    Op<Unit> syncing = fs_.fsync(request_, {.node = node, .handle = handle, .data_only = false});
    const Result<Unit> synced = co_await syncing;
    must(synced);
    Op<fuse::StatfsOut> counting = fs_.statfs(request_, {.node = NodeId::root});
    const Result<fuse::StatfsOut> counted = co_await counting;
    must(counted);
    Op<Unit> flushing = fs_.flush(request_, {.node = node, .handle = handle, .lock_owner = 1});
    const Result<Unit> flushed = co_await flushing;
    must(flushed);
    Op<Unit> releasing =
        fs_.release(request_, {.node = node, .handle = handle, .drops_flock = false});
    const Result<Unit> released = co_await releasing;
    must(released);
    Op<Unit> forgetting = fs_.forget(request_, {.node = node, .lookups = 1});
    const Result<Unit> forgotten = co_await forgetting;
    must(forgotten);
    co_return Unit{};
  }

  KvFs& fs_;
  Request request_;
  char buffer_[4096] = {};
  bool failed_ = false;
};

Detached make_file_system(Store& store, std::promise<Errno>& done) {
  Op<Unit> formatting = format(store, {});
  const Result<Unit> formatted = co_await formatting;
  done.set_value(formatted.error());
}

TEST(KvFsHeap, OperationsTakeNoMemoryFromTheHeap) {
  if (!kCountsAllocations) GTEST_SKIP() << "a sanitizer has its own malloc";
  RunningReactor reactor;
  auto store = std::make_unique<MemoryStore>();
  std::promise<Errno> made;
  reactor.call([&] { make_file_system(*store, made); });
  ASSERT_EQ(made.get_future().get(), Errno::none);
  std::unique_ptr<KvFs> fs;
  reactor.call([&] {
    fs = std::make_unique<KvFs>(
        std::make_shared<Volume>(reactor.reactor, std::move(store), VolumeOptions{}), KvOptions{});
    Negotiated negotiated;
    fs->begin(negotiated);
  });
  Tenant tenant(*fs);
  std::promise<uint64_t> taken;
  reactor.call([&] { tenant.work(taken); });
  EXPECT_EQ(taken.get_future().get(), 0u);
  EXPECT_FALSE(tenant.failed());
  reactor.call([&] {
    fs->end();
    fs.reset();
  });
}

}  // namespace
}  // namespace dpfs::kv
