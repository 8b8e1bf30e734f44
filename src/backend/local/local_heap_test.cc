// SPDX-License-Identifier: Apache-2.0
// Once warm, operations take no memory from the heap. A program of its own, because it counts.
#include "backend/local/local_fs_harness.h"
#include "base/count_allocations.h"

namespace dpfs::local {
namespace {

// All operations that a busy tenant sends, a few times over, on the reactor.
class Tenant {
 public:
  explicit Tenant(LocalFsHarness& harness) : fs_(harness.fs()), request_(harness.request()) {}

  void work() {
    for (int round = 0; round < 20; ++round) {
      for (const char* name : {"a", "b", "c", "d"}) work_on(name);
      list();
    }
  }
  bool failed() const { return failed_; }

 private:
  template <class T>
  T must(Result<T> result) {
    failed_ |= !result;
    return *result;
  }

  void work_on(const char* name) {
    const NodeId node{
        must(fs_.lookup(request_, {.parent = NodeId::root, .name = name_of(name)}).take()).nodeid};
    must(fs_.getattr(request_, {.node = node}).take());
    const Handle handle{must(fs_.open(request_, {.node = node, .flags = O_RDWR}).take()).fh};
    const iovec part{buffer_, sizeof buffer_};
    const IoView view({&part, 1});
    must(fs_.write(request_, {.node = node,
                              .handle = handle,
                              .offset = 0,
                              .flags = 0,
                              .write_flags = 0,
                              .from = view})
             .take());
    must(fs_.read(request_, {.node = node, .handle = handle, .into = view}).take());
    must(fs_.getattr(request_, {.node = node, .has_handle = true, .handle = handle}).take());
    must(fs_.flush(request_, {.node = node, .handle = handle}).take());
    must(fs_.release(request_, {.node = node, .handle = handle}).take());
    must(fs_.forget(request_, {.node = node, .lookups = 1}).take());

    const CreateOut made = must(fs_.create(request_, {.parent = NodeId::root,
                                                      .name = name_of("new"),
                                                      .flags = O_RDWR,
                                                      .mode = 0600,
                                                      .umask = 0})
                                    .take());
    const NodeId file{made.entry.nodeid};
    must(fs_.release(request_, {.node = file, .handle = Handle{made.open.fh}}).take());
    must(fs_.unlink(request_, {.parent = NodeId::root, .name = name_of("new")}).take());
    must(fs_.forget(request_, {.node = file, .lookups = 1}).take());
  }

  void list() {
    const Handle handle{must(fs_.opendir(request_, {.node = NodeId::root}).take()).fh};
    const iovec part{buffer_, 600};
    uint64_t offset = 0;
    while (true) {
      const uint32_t bytes = must(fs_.readdirplus(request_, {.node = NodeId::root,
                                                             .handle = handle,
                                                             .offset = offset,
                                                             .into = IoView({&part, 1})})
                                      .take());
      if (bytes == 0) break;
      fuse::Direntplus entry;
      for (uint32_t at = 0; at < bytes; at += fuse::direntplus_size(entry.dirent.namelen)) {
        std::memcpy(&entry, buffer_ + at, sizeof entry);
        offset = entry.dirent.off;
        const NodeId node{entry.entry_out.nodeid};
        if (node != NodeId{0}) must(fs_.forget(request_, {.node = node, .lookups = 1}).take());
      }
    }
    must(fs_.releasedir(request_, {.node = NodeId::root, .handle = handle}).take());
  }

  LocalFs& fs_;
  Request& request_;
  char buffer_[4096] = {};
  bool failed_ = false;
};

TEST(LocalFsHeap, OperationsTakeNoMemoryFromTheHeap) {
  if (!kCountsAllocations) GTEST_SKIP() << "a sanitizer has its own malloc";
  LocalFsHarness harness;
  if (!harness.fs().uses_handles()) GTEST_SKIP() << "no file handles here: places take memory";
  for (const char* name : {"a", "b", "c", "d"}) harness.host_write(name, std::string(4096, 'x'));
  Tenant tenant(harness);
  uint64_t taken = 0;
  harness.on_reactor([&] {
    tenant.work();
    const uint64_t before = allocations_counted;
    tenant.work();
    taken = allocations_counted - before;
  });
  EXPECT_FALSE(tenant.failed());
  EXPECT_EQ(taken, 0u);
}

TEST(LocalFsHeap, ReadsThatWaitTakeTheirFramesFromThePool) {
  LocalFsHarness harness;
  harness.host_write("cold", std::string(1 << 20, 'x'));
  const Fd host(::open((harness.share / "cold").c_str(), O_RDONLY));
  ::fsync(host.get());
  const NodeId node = harness.node("cold");
  const Handle handle = harness.open(node, O_RDONLY);
  uint64_t grown = 0;
  for (int round = 0; round < 5; ++round) {
    ::posix_fadvise(host.get(), 0, 0, POSIX_FADV_DONTNEED);
    EXPECT_EQ(harness.read(node, handle, 0, 1 << 20).size(), 1u << 20);
    uint64_t now = 0;
    harness.on_reactor([&] { now = harness.reactor().frames().grown(); });
    if (round > 0) {
      EXPECT_EQ(now, grown);
    }
    grown = now;
  }
}

}  // namespace
}  // namespace dpfs::local
