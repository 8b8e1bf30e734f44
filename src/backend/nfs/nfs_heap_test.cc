// SPDX-License-Identifier: Apache-2.0
// Once warm, operations take no memory from the heap. A program of its own, because it counts.
#include "backend/nfs/nfs_fs_harness.h"
#include "base/count_allocations.h"

namespace dpfs::nfs {
namespace {

// All operations that a busy tenant sends, a few times over, as one coroutine on the reactor.
class Tenant {
 public:
  Tenant(NfsFs& fs, Request& request) : fs_(fs), request_(request) {}

  // How many allocations the second half of the work took.
  Detached work(std::promise<uint64_t>& taken) {
    for (int round = 0; round < 10; ++round) {
      Op<Unit> working = work_on("a");
      const Result<Unit> worked = co_await working;
      must(worked);
    }
    const uint64_t before = allocations_counted_here;
    for (int round = 0; round < 10; ++round) {
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
    Op<uint32_t> reading = fs_.read(request_, {.node = node, .handle = handle, .into = view});
    const Result<uint32_t> read = co_await reading;
    must(read);
    Op<Unit> syncing = fs_.fsync(request_, {.node = node, .handle = handle, .data_only = false});
    const Result<Unit> synced = co_await syncing;
    must(synced);
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

  NfsFs& fs_;
  Request& request_;
  char buffer_[64 * 1024] = {};
  bool failed_ = false;
};

TEST(NfsFsHeap, OperationsTakeNoMemoryFromTheHeap) {
  if (!kCountsAllocations) GTEST_SKIP() << "a sanitizer has its own malloc";
  NfsFsHarness harness;
  harness.put("a", std::string(64 * 1024, 'x'));
  Tenant tenant(harness.fs(), harness.request());
  std::promise<uint64_t> taken;
  harness.on_reactor([&] { tenant.work(taken); });
  EXPECT_EQ(taken.get_future().get(), 0u);
  EXPECT_FALSE(tenant.failed());
}

}  // namespace
}  // namespace dpfs::nfs
