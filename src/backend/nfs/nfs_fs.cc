// SPDX-License-Identifier: Apache-2.0
// Sessions, nodes, and what a tenant is told of them.
#include "backend/nfs/nfs_fs.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <random>

#include "base/log.h"
#include "base/monotonic.h"

namespace dpfs {
namespace {

// How long a session's end waits for the server: to be told of what is closed.
constexpr std::chrono::seconds kLeavePatience{3};
constexpr uint64_t kGiveUpNs = 1'500'000'000;  // of it, for closing what is open

// What NFS has no way to do, or what the server does by itself. Without READDIRPLUS_AUTO every
// listing brings attributes, as it does from the server anyway: then nothing has to be looked up
// afterwards.
constexpr uint64_t kKept = fuse::init_flag::kPosixLocks | fuse::init_flag::kFlockLocks |
                           fuse::init_flag::kExportSupport | fuse::init_flag::kDoReaddirplus |
                           fuse::init_flag::kWritebackCache | fuse::init_flag::kSubmounts |
                           fuse::init_flag::kCreateSuppGroup | fuse::init_flag::kHandleKillprivV2;

uint32_t now_s() noexcept { return static_cast<uint32_t>(monotonic_ns() / 1'000'000'000); }

// Nothing but SEQUENCE.
struct Nothing final : nfs::Call {
  void encode(nfs::CompoundWriter&) noexcept override {}
  void decode(nfs::CompoundReader&) noexcept override {}
};

}  // namespace

NfsFs::NfsFs(Reactor& reactor, const NfsOptions& options)
    : reactor_(reactor),
      timers_(reactor),
      options_(options),
      client_(reactor, timers_, *this, options_),
      states_(client_, files_) {
  std::random_device random;
  instance_ = uint64_t{random()} << 32 | random();
}

NfsFs::~NfsFs() { timers_.stop(look_for_leftovers_); }

void NfsFs::begin(Negotiated& negotiated) {
  negotiated.flags &= ~fuse::kPromiseFlags | kKept;
  // Opening and truncating are two requests: the second goes by the tenant's SETATTR.
  negotiated.flags &= ~fuse::init_flag::kAtomicOTrunc;
  negotiated_ = negotiated;
  client_.start();
}

// Says good-bye to the server, which drops our locks and opens then; for as long as the server
// answers within reason.
void NfsFs::end() noexcept {
  if (!client_.started()) return;
  auto left = std::make_shared<std::promise<void>>();
  std::future<void> done = left->get_future();
  leave([left] { left->set_value(); });
  reactor_.blocking([&done] { return done.wait_for(kLeavePatience); });
}

Detached NfsFs::leave(std::function<void()> done) noexcept {
  if (client_.is_ready()) {
    timers_.start(give_up_, kGiveUpNs);
  } else {
    client_.abandon();
  }
  // What is not stored is, locks are given up, what is hidden is removed.
  while (nfs::Open* open = states_.first()) {
    Op<Unit> closing = close(open->shared_from_this());
    [[maybe_unused]] const Result<Unit> closed = co_await closing;
  }
  timers_.stop(give_up_);
  Op<Unit> stopping = client_.stop();
  [[maybe_unused]] const Result<Unit> stopped = co_await stopping;
  co_await NextTurn(reactor_);  // what connections had queued to be sent comes to nothing
  opens_.clear();
  directories_.clear();
  size_t lost = 0;
  files_.each([this, &lost](nfs::File& file) {
    for (; !file.unstable.empty(); drop_first(file)) lost += file.unstable.front()->bytes;
    files_.give(file);
  });
  if (lost > 0) {
    log::warn("{}: {} KiB that nobody had asked to be stored are lost", client_.server(),
              (lost + 1023) / 1024);
  }
  nodes_.clear();
  removed_directories_.clear();
  hidden_directory_.size = 0;
  leftovers_seen_ = false;
  timers_.stop(look_for_leftovers_);
  early_interrupts_.clear();
  done();
}

void NfsFs::interrupt(uint64_t unique) noexcept {
  for (LockWait* wait = lock_waits_.front(); wait != nullptr; wait = lock_waits_.after(*wait)) {
    if (wait->unique != unique) continue;
    wait->why = Errno::intr;
    if (wait->sleep != nullptr) wait->sleep->wake();
    return;
  }
  early_interrupts_.remember(unique);
}

void NfsFs::end_waits() noexcept {
  for (LockWait* wait = lock_waits_.front(); wait != nullptr;) {
    LockWait* next = lock_waits_.after(*wait);
    wait->why = Errno::nolck;
    if (wait->sleep != nullptr) wait->sleep->wake();
    wait = next;
  }
}

nfs::Credential NfsFs::credential(const Request& request) noexcept {
  nfs::Credential who;
  who.uid = request.header.uid;
  who.gid = request.header.gid;
  return who;
}

nfs::Credential NfsFs::creator(const Request& request) noexcept {
  nfs::Credential who = credential(request);
  if (request.creation.group != Creation::kNoGroup) {
    who.groups[who.group_count++] = request.creation.group;
  }
  return who;
}

// False when that is not done, or of no use.
bool NfsFs::claim(nfs::Credential& who, uint32_t group) const noexcept {
  if (!options_.claims_groups || who.uid == 0 || group == who.gid ||
      who.group_count >= nfs::Credential::kGroupsMax) {
    return false;
  }
  who.groups[who.group_count++] = group;
  return true;
}

// FUSE tells one group of a user's, AUTH_SYS wants all. But the tenant's kernel has checked the
// permissions with all of them before it asked: what it let pass and the server refuses, the user
// may do as a member of the object's group, which is claimed then.
Op<Unit> NfsFs::ask(nfs::Call& call, nfs::FileHandle object) {
  Result<Unit> done = co_await client_.perform(call);
  if (done || (done.error() != Errno::acces && done.error() != Errno::perm)) co_return done;
  if (!options_.claims_groups || call.who.uid == 0) co_return done;
  nfs::GetAttributes owner;
  owner.who = call.who;
  owner.node = object;
  owner.wanted = {nfs::attribute::kOwnerGroup};
  const Result<Unit> told = co_await client_.perform(owner);
  if (!told || !claim(call.who, owner.attributes.gid)) co_return done;
  done = co_await client_.perform(call);
  co_return done;
}

Op<nfs::FileHandle> NfsFs::handle_of(NodeId node) {
  if (nfs::NodeRow* row = nodes_.find(node)) return row->handle;
  if (node == NodeId::root) return wait_for_root();
  return Errno::stale;
}

Op<nfs::FileHandle> NfsFs::wait_for_root() {
  Nothing nothing;
  const Result<Unit> there = co_await client_.perform(nothing);
  if (!there) co_return there.error();
  nfs::NodeRow* root = nodes_.find(NodeId::root);
  if (root == nullptr) co_return Errno::io;
  co_return root->handle;
}

// What does not change is believed longer and longer, as mount(8) has it for NFS.
void NfsFs::note(nfs::NodeRow& row, const nfs::Attributes& attributes) noexcept {
  const uint32_t now = now_s();
  row.mode = attributes.mode;
  row.gid = attributes.gid;
  const bool directory = attributes.type == nfs::FileType::directory;
  const uint32_t least = directory ? options_.acdirmin : options_.acregmin;
  const uint32_t most = directory ? options_.acdirmax : options_.acregmax;
  if (row.change != attributes.change || row.seen_s == 0) {
    row.valid_s = least;
  } else if (now - row.seen_s >= row.valid_s) {
    row.valid_s = std::clamp(row.valid_s * 2, least, std::max(least, most));
  } else {
    row.change = attributes.change;
    return;
  }
  row.seen_s = now;
  row.change = attributes.change;
}

// A server drops set-user-id and set-group-id bits as it thinks right; those that are left are
// dropped in the owner's name.
Op<Unit> NfsFs::drop_privileges(NodeId node, nfs::FileHandle handle) {
  const nfs::NodeRow* row = nodes_.find(node);
  if (row == nullptr || row->type == nfs::FileType::directory || (row->mode & 06000) == 0) {
    co_return Unit{};
  }
  nfs::GetAttributes now;
  now.node = handle;
  Result<Unit> done = co_await client_.perform(now);
  if (!done) co_return done;
  uint32_t mode = now.attributes.mode & ~04000u;
  if ((mode & 010) != 0) mode &= ~02000u;  // without it, the bit means something else
  if (mode != now.attributes.mode) {
    nfs::SetAttributes call(client_);
    call.who.uid = now.attributes.uid;
    call.who.gid = now.attributes.gid;
    call.node = handle;
    call.changed.has_mode = true;
    call.changed.mode = mode;
    done = co_await client_.perform(call);
  }
  if (nfs::NodeRow* still = nodes_.find(node)) still->mode = mode;
  co_return done;
}

// A name that has to be looked up for each open brings the file's size and times along, which
// opening does not tell the tenant's kernel. In the tenant's own hands, nothing has to be asked.
uint64_t NfsFs::name_valid_ms(nfs::FileType type) const noexcept {
  const bool tenants_own = (negotiated_.cache.directory_flags & fuse::open_flag::kCacheDir) != 0;
  const bool asks = options_.close_to_open && type == nfs::FileType::regular && !tenants_own;
  return asks ? 0 : negotiated_.cache.entry_valid_ms;
}

uint64_t NfsFs::valid_ms(const nfs::NodeRow& row, uint32_t otherwise) const noexcept {
  return options_.learns_validity ? row.valid_s * 1000ull : otherwise;
}

fuse::Attr NfsFs::attr_of(const nfs::NodeRow& row, const nfs::Attributes& attributes) noexcept {
  fuse::Attr attr = nfs::to_fuse(attributes, std::min(client_.read_bytes_max(), 1u << 20));
  if (row.file != nfs::kNoFile && files_.at(row.file).hidden && attr.nlink > 0) --attr.nlink;
  // Another file system of the server's begins here.
  const bool begins = attributes.type == nfs::FileType::directory &&
                      attributes.mounted_on_fileid != 0 &&
                      attributes.mounted_on_fileid != attributes.fileid;
  if (begins && (negotiated_.flags & fuse::init_flag::kSubmounts) != 0 &&
      nfs::Nodes::id_of(row) != NodeId::root) {
    attr.flags |= fuse::attr_flag::kSubmount;
  }
  return attr;
}

fuse::AttrOut NfsFs::attr_out(NodeId node, const nfs::Attributes& attributes) noexcept {
  fuse::AttrOut out{};
  nfs::NodeRow* row = nodes_.find(node);
  if (row == nullptr) return out;  // forgotten meanwhile: nobody will look
  note(*row, attributes);
  const uint64_t valid = valid_ms(*row, negotiated_.cache.attr_valid_ms);
  out.attr_valid = valid / 1000;
  out.attr_valid_nsec = static_cast<uint32_t>(valid % 1000 * 1'000'000);
  out.attr = attr_of(*row, attributes);
  return out;
}

Result<fuse::EntryOut> NfsFs::entry_out(const nfs::FileHandle& handle,
                                        const nfs::Attributes& attributes) noexcept {
  nfs::NodeRow* row = nodes_.find_or_add(handle, attributes);
  if (row == nullptr) return Errno::nomem;
  ++row->lookups;
  note(*row, attributes);
  fuse::EntryOut out{};
  out.nodeid = static_cast<uint64_t>(nfs::Nodes::id_of(*row));
  const uint64_t valid = valid_ms(*row, negotiated_.cache.attr_valid_ms);
  const uint64_t entry_valid = name_valid_ms(attributes.type);
  out.entry_valid = entry_valid / 1000;
  out.entry_valid_nsec = static_cast<uint32_t>(entry_valid % 1000 * 1'000'000);
  out.attr_valid = valid / 1000;
  out.attr_valid_nsec = static_cast<uint32_t>(valid % 1000 * 1'000'000);
  out.attr = attr_of(*row, attributes);
  return out;
}

}  // namespace dpfs
