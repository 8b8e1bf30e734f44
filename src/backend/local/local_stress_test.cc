// SPDX-License-Identifier: Apache-2.0
// Random operations, many at once, by a tenant that keeps no order: whatever happens, each is
// answered, and nothing is left in the end (the harness looks).
//
// DPFS_SEED=n repeats a run.
#include <linux/fs.h>

#include <condition_variable>
#include <mutex>
#include <random>

#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

uint32_t seed() {
  const char* given = std::getenv("DPFS_SEED");
  return given != nullptr ? static_cast<uint32_t>(std::atoi(given)) : std::random_device{}();
}

// Each operation is a coroutine of the reactor; what they learn goes into the lists for others.
class Chaos {
 public:
  Chaos(LocalFsHarness& harness, uint32_t seed) : fs_(harness.fs()), random_(seed) {
    nodes_.push_back(NodeId::root);
    handles_.push_back({NodeId::root, Handle{1}});
  }

  // On the reactor. Names are few, so that operations meet.
  Detached operate(std::promise<void>* last, uint32_t& in_flight) {
    ++in_flight;
    Slot& slot = take_slot();
    const std::string name = "n" + std::to_string(pick(6));
    const std::string other = "n" + std::to_string(pick(6));
    const NodeId node = nodes_[pick(nodes_.size())];
    const NodeId parent = pick(2) == 0 ? NodeId::root : nodes_[pick(nodes_.size())];
    const auto [open_node, handle] = handles_[pick(handles_.size())];
    const iovec part{slot.buffer.data(), 1 + pick(slot.buffer.size() - 1)};
    const IoView view({&part, 1});
    const uint64_t offset = pick(100'000);
    switch (pick(18)) {
      case 0:
      case 1: {
        Op<fuse::EntryOut> op = fs_.lookup(slot.request, {.parent = parent, .name = name_of(name)});
        const Result<fuse::EntryOut> out = co_await op;
        if (out) nodes_.push_back(NodeId{out->nodeid});
        break;
      }
      case 2: {
        Op<Unit> op = fs_.forget(slot.request, {.node = node, .lookups = 1 + pick(3)});
        [[maybe_unused]] const auto ignored = co_await op;
        break;
      }
      case 3: {
        Op<fuse::AttrOut> op = fs_.getattr(slot.request, {.node = node});
        [[maybe_unused]] const auto ignored = co_await op;
        break;
      }
      case 4: {
        Op<CreateOut> op = fs_.create(
            slot.request,
            {.parent = parent, .name = name_of(name), .flags = O_RDWR, .mode = 0600, .umask = 0});
        const Result<CreateOut> out = co_await op;
        if (out) nodes_.push_back(NodeId{out->entry.nodeid});
        if (out) handles_.push_back({NodeId{out->entry.nodeid}, Handle{out->open.fh}});
        break;
      }
      case 5: {
        Op<fuse::OpenOut> op = fs_.open(slot.request, {.node = node, .flags = O_RDWR});
        const Result<fuse::OpenOut> out = co_await op;
        if (out) handles_.push_back({node, Handle{out->fh}});
        break;
      }
      case 6: {
        Op<fuse::OpenOut> op = fs_.opendir(slot.request, {.node = node});
        const Result<fuse::OpenOut> out = co_await op;
        if (out) handles_.push_back({node, Handle{out->fh}});
        break;
      }
      case 7:
      case 8: {
        Op<Unit> op = fs_.release(slot.request, {.node = open_node, .handle = handle});
        [[maybe_unused]] const auto ignored = co_await op;
        break;
      }
      case 9: {
        Op<uint32_t> op = fs_.read(
            slot.request, {.node = open_node, .handle = handle, .offset = offset, .into = view});
        [[maybe_unused]] const auto ignored = co_await op;
        break;
      }
      case 10: {
        Op<fuse::WriteOut> op = fs_.write(
            slot.request, {.node = open_node, .handle = handle, .offset = offset, .from = view});
        [[maybe_unused]] const auto ignored = co_await op;
        break;
      }
      case 11: {
        Op<uint32_t> op = fs_.readdirplus(
            slot.request, {.node = open_node, .handle = handle, .offset = 0, .into = view});
        [[maybe_unused]] const auto ignored = co_await op;
        break;
      }
      case 12: {
        Op<Unit> op =
            fs_.fsync(slot.request, {.node = open_node, .handle = handle, .data_only = true});
        [[maybe_unused]] const auto ignored = co_await op;
        break;
      }
      case 13: {
        Op<Unit> op = fs_.unlink(slot.request, {.parent = parent, .name = name_of(name)});
        [[maybe_unused]] const auto ignored = co_await op;
        break;
      }
      case 14: {
        Op<fuse::EntryOut> op = fs_.mkdir(
            slot.request, {.parent = parent, .name = name_of(name), .mode = 0700, .umask = 0});
        const Result<fuse::EntryOut> out = co_await op;
        if (out) nodes_.push_back(NodeId{out->nodeid});
        break;
      }
      case 15: {
        Op<Unit> op =
            fs_.rename2(slot.request, {.parent = parent,
                                       .name = name_of(name),
                                       .new_parent = NodeId::root,
                                       .new_name = name_of(other),
                                       .flags = pick(2) == 0 ? 0u : uint32_t{RENAME_EXCHANGE}});
        [[maybe_unused]] const auto ignored = co_await op;
        break;
      }
      case 16: {
        Op<fuse::EntryOut> op = fs_.link(
            slot.request, {.node = node, .new_parent = parent, .new_name = name_of(other)});
        const Result<fuse::EntryOut> out = co_await op;
        if (out) nodes_.push_back(NodeId{out->nodeid});
        break;
      }
      default: {
        SetattrArgs args{.node = node, .in = {}};
        args.in.valid = fuse::attr_valid::kSize;
        args.in.size = offset;
        Op<fuse::AttrOut> op = fs_.setattr(slot.request, args);
        [[maybe_unused]] const auto ignored = co_await op;
        break;
      }
    }
    free_.push_back(&slot);
    ++done_;
    if (--in_flight == 0 && last != nullptr) last->set_value();
  }
  uint64_t done() const { return done_; }

 private:
  struct Slot {
    Request request;
    std::vector<char> buffer = std::vector<char>(70'000, 'c');
  };
  Slot& take_slot() {
    if (free_.empty()) free_.push_back(&slots_.emplace_back());
    Slot* slot = free_.back();
    free_.pop_back();
    return *slot;
  }
  size_t pick(size_t below) { return random_() % below; }

  LocalFs& fs_;
  std::minstd_rand random_;
  std::vector<NodeId> nodes_;
  std::vector<std::pair<NodeId, Handle>> handles_;
  std::deque<Slot> slots_;
  std::vector<Slot*> free_;
  uint64_t done_ = 0;
};

class Stress : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Both, Stress, testing::Bool(), mode_name);

TEST_P(Stress, AnyOrderOfOperationsIsAnsweredAndLeavesNothing) {
  constexpr int kOperations = 20'000;
  constexpr int kBatch = 50;
  const uint32_t run = seed();
  SCOPED_TRACE("DPFS_SEED=" + std::to_string(run));
  LocalFsHarness harness({.path = {}, .descriptors_max = 4, .file_handles = GetParam()});
  Chaos chaos(harness, run);
  uint32_t in_flight = 0;  // the reactor's
  for (int i = 0; i < kOperations; i += kBatch) {
    std::promise<void> all_done;
    for (int k = 0; k < kBatch; ++k) {
      harness.reactor().post([&, k] {
        // One more holds the count up until all have begun.
        if (k == 0) ++in_flight;
        chaos.operate(&all_done, in_flight);
        if (k == kBatch - 1 && --in_flight == 0) all_done.set_value();
      });
    }
    ASSERT_EQ(all_done.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  }
  EXPECT_EQ(chaos.done(), uint64_t{kOperations});
}

}  // namespace
}  // namespace dpfs::local
