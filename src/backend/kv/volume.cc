// SPDX-License-Identifier: Apache-2.0
// Mounting, loading, committing.
#include "backend/kv/volume.h"

#include <algorithm>

#include "backend/kv/format.h"
#include "backend/kv/found.h"
#include "backend/kv/locked.h"
#include "base/log.h"

namespace dpfs::kv {
namespace {

CachedName cached(const Entry& entry) noexcept {
  return {.inode = entry.ino, .cookie = entry.cookie, .type = entry.type};
}

}  // namespace

Volume::Volume(Reactor& reactor, std::unique_ptr<Store> store, const VolumeOptions& options)
    : reactor_(reactor),
      timers_(reactor),
      options_(options),
      store_(std::move(store)),
      ownership_(reactor, timers_, *store_, options.ownership),
      nodes_(options.nodes_max),
      names_({.rows = options.names_max}),
      locks_(reactor),
      garbage_(*this),
      replaced_(*this, timers_),
      access_times_(*this, timers_) {}

Volume::~Volume() = default;

Detached Volume::detach(std::function<void()> done, std::vector<NodeRef> nameless) noexcept {
  // What stays is removed when the file system is mounted again.
  [[maybe_unused]] const Result<Unit> closed = co_await remove_closed(nameless);
  nameless.clear();
  if (--sessions_ == 0) {
    co_await leaving_.lock();
    const Locked leaving(leaving_, reactor_);
    const uint64_t begun = sessions_begun_;
    if (sessions_ == 0) {
      // Before the lock is taken, which what they do may need.
      [[maybe_unused]] const Result<Unit> written = co_await access_times_.end();
      [[maybe_unused]] const Result<Unit> removed = co_await replaced_.end();
      [[maybe_unused]] const Result<Unit> collected = co_await garbage_.end();
    }
    co_await mounting_.lock();
    const Locked locked(mounting_, reactor_);
    if (sessions_ == 0 && begun == sessions_begun_) {
      if (open_) {
        [[maybe_unused]] const Result<Unit> unmounted = co_await unmount();
      }
    } else if (mounted_) {
      // Sessions have begun meanwhile, whose last one will come here again.
      garbage_.begin();
    }
  }
  done();
}

// ---- Being mounted ------------------------------------------------------------------------------

// Who comes while somebody tries gets the outcome of that try.
Op<Unit> Volume::make_sure_later() {
  const uint64_t tries = mount_tries_;
  co_await mounting_.lock();
  const Locked locked(mounting_, reactor_);
  if (is_sure()) co_return Unit{};
  if (mounted_) {
    const Result<Unit> sure = co_await ownership_.make_sure();
    co_return sure;
  }
  if (mount_tries_ != tries) co_return mount_error_;
  const Result<Unit> done = co_await mount();
  ++mount_tries_;
  mount_error_ = done.error();
  if (!done) {
    log::error("{}: cannot be used: {}", options_.name, describe(done.error()));
    [[maybe_unused]] const Result<Unit> undone = co_await unmount();
  }
  co_return done;
}

Op<Unit> Volume::mount() {
  Result<Unit> ok = co_await store_->open();
  if (!ok) co_return ok;
  open_ = true;
  if (options_.create) {
    ok = co_await format(*store_, {});
    if (!ok && ok.error() != Errno::exist) co_return ok;
    if (ok) log::info("{}: made a file system", options_.name);
  }
  ok = co_await read_superblock();
  if (!ok) co_return ok;
  ok = co_await ownership_.claim();
  if (!ok) co_return ok;
  // What changes under another owner is read when we are the owner.
  FoundNumber next;
  Get get{.key = {.collection = Collection::allocator}, .reader = &next};
  ok = co_await store_->get({&get, 1});
  if (!ok) co_return ok;
  if (next.why(get) != Errno::none) co_return Errno::io;
  next_ino_ = inos_end_ = next.value;
  ok = co_await read_usage();
  if (!ok) co_return ok;
  synced_ = kUnknown;
  mounted_ = true;
  ok = co_await remove_orphans();
  if (ok) garbage_.begin();
  co_return ok;
}

// While no commit is in flight; one that is begun meanwhile leaves it to the next.
Op<Unit> Volume::read_usage() {
  const uint64_t begun = commits_begun_;
  FoundNumber bytes;
  FoundNumber inodes;
  std::array gets{Get{.key = usage_key(UsageCounter::bytes), .reader = &bytes},
                  Get{.key = usage_key(UsageCounter::inodes), .reader = &inodes}};
  const Result<Unit> got = co_await store_->get(gets);
  if (!got) co_return got;
  if (bytes.why(gets[0]) == Errno::io || inodes.why(gets[1]) == Errno::io) co_return Errno::io;
  if (commits_begun_ != begun) co_return Unit{};
  usage_is_sure_ = true;
  usage_.begin(
      {.bytes = static_cast<int64_t>(bytes.value), .inodes = static_cast<int64_t>(inodes.value)},
      {.bytes = superblock_.bytes_max, .inodes = superblock_.inodes_max});
  co_return Unit{};
}

Op<Unit> Volume::read_superblock() {
  Found<Superblock> found;
  Get get{.key = {.collection = Collection::superblock}, .reader = &found};
  const Result<Unit> got = co_await store_->get({&get, 1});
  if (!got) co_return got;
  const Errno why = found.why(get);
  if (why == Errno::noent) {
    log::error("{}: there is no file system; --create makes one", options_.name);
  } else if (why == Errno::none && found.value.format > kFormat) {
    log::error("{}: its format is {}, and {} is the newest that this dpfs knows", options_.name,
               found.value.format, kFormat);
    co_return Errno::opnotsupp;
  }
  if (why != Errno::none) co_return why;
  superblock_ = found.value;
  co_return Unit{};
}

namespace {

// Numbers of a scan, as many as go at once.
class FoundNumbers final : public ScanReader {
 public:
  bool found(const Key& key, std::string_view) noexcept override {
    numbers[count++] = key.number;
    return count < numbers.size();
  }
  std::array<uint64_t, 64> numbers{};
  size_t count = 0;
};

}  // namespace

// Those whose last handle was in a daemon that is no more.
Op<Unit> Volume::remove_orphans() {
  Scan scan{.collection = Collection::orphan};
  bool all = false;
  while (!all) {
    FoundNumbers found;
    scan.records_max = static_cast<uint32_t>(found.numbers.size());
    const Result<bool> scanned = co_await store_->scan(scan, found);
    if (!scanned) co_return scanned.error();
    all = *scanned;
    for (size_t i = 0; i < found.count; ++i) {
      const NodeRef node = nodes_.get(found.numbers[i]);
      if (!node) co_return Errno::nomem;
      // Who has it waits for this mount: a tenant that knows its number still. It stays then, until
      // that one has closed it or somebody mounts again.
      if (!node->lock.try_lock()) continue;
      const Locked locked(node->lock, reactor_);
      const Result<Unit> removed = co_await remove_orphan(*node);
      if (!removed) co_return removed;
    }
    if (found.count > 0) scan.from_number = found.numbers[found.count - 1] + 1;
    all = all || found.count == 0;
  }
  co_return Unit{};
}

Op<Unit> Volume::unmount() {
  mounted_ = false;
  if (open_) {
    [[maybe_unused]] const Result<Unit> synced = co_await store_->sync();
    [[maybe_unused]] const Result<Unit> released = co_await ownership_.release();
    [[maybe_unused]] const Result<Unit> closed = co_await store_->close();
  }
  open_ = false;
  nodes_.clear();
  names_.clear();
  contents_.clear();
  co_return Unit{};
}

// ---- Reading ------------------------------------------------------------------------------------

Op<Unit> Volume::load_later(Node& node) {
  Result<Unit> sure = co_await make_sure();
  if (!sure) co_return sure;
  while (node.state == Node::State::unknown) {
    const uint32_t changes = node.changes;
    Found<Inode> found;
    Get get{.key = {.collection = Collection::inode, .object = node.ino}, .reader = &found};
    const Result<Unit> got = co_await store_->get({&get, 1});
    if (!got) co_return got;
    const Errno why = found.why(get);
    if (why == Errno::io) co_return why;
    // What was read is older than what somebody has done meanwhile.
    if (node.changes == changes) fill(node, found.value, why == Errno::none);
  }
  co_return state_of(node);
}

Op<Unit> Volume::load_with_contents(Node& node) {
  Result<Unit> sure = co_await make_sure();
  if (!sure) co_return sure;
  while (node.state == Node::State::unknown) {
    const uint32_t changes = node.changes;
    Found<Inode> found;
    SmallContents::Fetch contents(contents_, node.ino);
    std::array gets{
        Get{.key = {.collection = Collection::inode, .object = node.ino}, .reader = &found},
        Get{.key = {.collection = Collection::contents, .object = node.ino}, .reader = &contents}};
    const Result<Unit> got = co_await store_->get(gets);
    if (!got) co_return got;
    const Errno why = found.why(gets[0]);
    if (why == Errno::io) co_return why;
    if (node.changes != changes) continue;
    const bool in_line = (found.value.flags & inode_flag::kInline) != 0;
    if (why == Errno::none && in_line) contents.keep(!gets[1].found);
    fill(node, found.value, why == Errno::none);
  }
  co_return state_of(node);
}

// Somebody else may have read it, too.
void Volume::fill(Node& node, const Inode& inode, bool is_there) noexcept {
  if (node.state != Node::State::unknown) return;
  node.inode = inode;
  node.state = is_there ? Node::State::there : Node::State::gone;
}

Op<Entry> Volume::find_name(Node& directory, std::string_view name) {
  if (const CachedName* known = known_name(directory, name)) {
    if (known->absent()) co_return Errno::noent;
    co_return Entry{.ino = known->inode, .cookie = known->cookie, .type = known->type};
  }
  const NameCache::Ticket ticket = names_.ticket(directory.ino, name);
  Found<Entry> found;
  Get get{.key = {.collection = Collection::entry, .object = directory.ino, .name = name},
          .reader = &found};
  const Result<Unit> got = co_await store_->get({&get, 1});
  if (!got) co_return got.error();
  const Errno why = found.why(get);
  if (why == Errno::io) co_return why;
  names_.fill(ticket, directory.ino, name, cached(found.value));
  if (why != Errno::none) co_return why;
  co_return found.value;
}

// ---- Changing -----------------------------------------------------------------------------------

Spares<Change>::Lease Volume::new_change() noexcept {
  Spares<Change>::Lease lease = changes_.take();
  if (lease) (*lease).clear();
  return lease;
}

Op<Unit> Volume::commit(Change& change) {
  if (!is_sure()) {
    const Result<Unit> sure = co_await make_sure();
    if (!sure) co_return sure;
  }
  if (!usage_is_sure_) {
    const Result<Unit> sure = co_await make_usage_sure();
    if (!sure) co_return sure;
  }
  const Amount more{.bytes = change.bytes, .inodes = change.inodes};
  const Result<Unit> reserved = co_await reserve(more);
  if (!reserved) co_return reserved;
  if (change.bytes != 0) {
    change.write(
        {.kind = Write::Kind::add, .key = usage_key(UsageCounter::bytes), .number = change.bytes});
  }
  if (change.inodes != 0) {
    change.write({.kind = Write::Kind::add,
                  .key = usage_key(UsageCounter::inodes),
                  .number = change.inodes});
  }
  const Compare owner = ownership_.compare();
  set_leaving(change, true);
  ++commits_;
  ++commits_begun_;
  const Result<Unit> done = co_await store_->commit({&owner, 1}, change.writes());
  --commits_;
  set_leaving(change, false);
  if (done) {
    usage_.settle(more, more);
    apply(change);
    co_return done;
  }
  usage_.release(more);
  doubt(change);
  if (done.error() != kCompareFailed) {
    usage_is_sure_ = false;
    co_return done;
  }
  ownership_.lose();
  co_return Errno::io;
}

Op<Unit> Volume::reserve(const Amount& more) {
  Result<Unit> reserved = usage_.reserve(more);
  if (!reserved && !replaced_.empty()) {
    [[maybe_unused]] const Result<Unit> removed = co_await replaced_.remove_all();
    reserved = usage_.reserve(more);
  }
  co_return reserved;
}

Op<Unit> Volume::check_room(uint64_t bytes) {
  // More than any engine has, and sums with it are numbers still.
  if (bytes > (uint64_t{1} << 60)) co_return Errno::nospc;
  const Amount more{.bytes = static_cast<int64_t>(bytes)};
  const Result<Unit> reserved = co_await reserve(more);
  if (!reserved) co_return reserved;
  usage_.release(more);
  const Result<Store::Space> space = co_await store_->space();
  if (space && space->free_bytes < bytes) co_return Errno::nospc;
  co_return Unit{};
}

Op<Unit> Volume::sync_store() {
  // Those that are under way may be done too late for it.
  const uint64_t commits = commits_ == 0 ? commits_begun_ : kUnknown;
  const Result<Unit> done = co_await store_->sync();
  if (done && commits != kUnknown) synced_ = commits;
  co_return done;
}

// Nobody opens it meanwhile.
void Volume::set_leaving(const Change& change, bool leaving) noexcept {
  for (const Change::NodeChange& each : change.nodes()) {
    if (each.state == Node::State::gone) each.node->leaving = leaving;
  }
}

void Volume::apply(const Change& change) noexcept {
  for (const Change::NodeChange& each : change.nodes()) {
    each.node->set(each.inode, each.state);
    contents_.forget(each.node->ino);
  }
  for (const Change::NameChange& each : change.names()) {
    names_.set(each.parent, each.name, cached(each.entry));
  }
  if (change.leaves_garbage) garbage_.collect();
}

void Volume::doubt(const Change& change) noexcept {
  for (const Change::NodeChange& each : change.nodes()) {
    each.node->doubt();
    contents_.forget(each.node->ino);
  }
  for (const Change::NameChange& each : change.names()) names_.forget(each.parent, each.name);
}

Op<uint64_t> Volume::new_ino() {
  if (next_ino_ < inos_end_) co_return next_ino_++;
  co_await allocating_.lock();
  const Locked locked(allocating_, reactor_);
  if (next_ino_ == inos_end_) {
    Result<Unit> sure = co_await make_sure();
    if (!sure) co_return sure.error();
    std::array<char, 8> room;
    const Write write{.kind = Write::Kind::put,
                      .key = {.collection = Collection::allocator},
                      .value = encode_number(next_ino_ + kInoBlock, room)};
    const Compare owner = ownership_.compare();
    const Result<Unit> done = co_await store_->commit({&owner, 1}, {&write, 1});
    // Where nobody knows whether it was done, the numbers are left out.
    if (!done) {
      if (done.error() == kCompareFailed) ownership_.lose();
      co_return done.error() == kCompareFailed ? Errno::io : done.error();
    }
    inos_end_ = next_ino_ + kInoBlock;
  }
  co_return next_ino_++;
}

// ---- Files without a name -----------------------------------------------------------------------

Op<Unit> Volume::remove_closed(const std::vector<NodeRef>& nameless) {
  for (const NodeRef& node : nameless) {
    co_await node->lock.lock();
    const Locked locked(node->lock, reactor_);
    if (node->opens > 0 || !node->is_there() || node->inode.nlink > 0) continue;
    const Result<Unit> removed = co_await remove_orphan(*node);
    if (!removed) co_return removed;
  }
  co_return Unit{};
}

Op<Unit> Volume::remove_orphan(Node& node) {
  const Result<Unit> loaded = co_await load(node);
  Spares<Change>::Lease change = new_change();
  if (!change) co_return Errno::nomem;
  if (!loaded && loaded.error() != Errno::stale) co_return loaded;
  (*change).erase_orphan(node);
  // Somebody may have given it a name.
  if (loaded && node.inode.nlink == 0) erase_inode(*change, node, node.inode);
  const Result<Unit> done = co_await commit(*change);
  co_return done;
}

namespace {

// What may go in one commit with the inode. The rest is garbage, and goes piece by piece.
constexpr uint64_t kChunksAtOnce = 16;

}  // namespace

void Volume::erase_inode(Change& change, Node& node, const Inode& last) noexcept {
  change.erase(node, last);
  --change.inodes;
  const bool in_line = (last.flags & inode_flag::kInline) != 0;
  const uint64_t chunks = (last.size + chunk_bytes() - 1) / chunk_bytes();
  // Chunks go behind the commit that says so, where they are not part of it: a daemon that dies in
  // between must not leave a file without its contents.
  const bool at_once = !store_->traits().remote;
  const bool small = at_once && chunks <= kChunksAtOnce && last.size <= kGroupBytes &&
                     (last.flags & (inode_flag::kBehindEnd | inode_flag::kShrinking)) == 0;
  if ((!in_line && !small) || (last.flags & inode_flag::kXattrs) != 0) {
    change.write(
        {.kind = Write::Kind::put, .key = {.collection = Collection::garbage, .number = node.ino}});
    change.leaves_garbage = true;
  }
  if (in_line) {
    change.write({.kind = Write::Kind::erase,
                  .key = {.collection = Collection::contents, .object = node.ino}});
    change.bytes -= static_cast<int64_t>(last.stored);
  } else if (small && last.stored > 0) {
    for (uint64_t i = 0; i < chunks; ++i) {
      change.write({.kind = Write::Kind::erase,
                    .key = {.collection = Collection::chunk, .object = node.ino, .number = i}});
    }
    change.write({.kind = Write::Kind::erase,
                  .key = {.collection = Collection::pages, .object = node.ino, .number = 0}});
    change.bytes -= static_cast<int64_t>(last.stored);
  }
}

}  // namespace dpfs::kv
