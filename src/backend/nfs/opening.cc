// SPDX-License-Identifier: Apache-2.0
// Opening, creating and closing files.
#include <fcntl.h>

#include "backend/nfs/nfs_fs.h"

namespace dpfs {
namespace {

using nfs::OpenCall;
using nfs::OpenRef;

}  // namespace

// With O_ACCMODE's 3, Linux means "for ioctl only".
uint32_t NfsFs::share_access(uint32_t flags) const noexcept {
  const bool writes_back = (negotiated_.flags & fuse::init_flag::kWritebackCache) != 0;
  switch (flags & O_ACCMODE) {
    case O_RDONLY:
      return nfs::share::kRead;
    case O_WRONLY:
      // Whoever writes pages back reads what is around.
      return writes_back ? nfs::share::kBoth : nfs::share::kWrite;
    default:
      return nfs::share::kBoth;
  }
}

OpenRef NfsFs::find_open(Handle handle, NodeId node) noexcept {
  OpenRef* open = opens_.find(handle, node);
  return open == nullptr ? nullptr : *open;
}

Op<fuse::OpenOut> NfsFs::hand_out(nfs::NodeRow& row, const OpenCall& call, uint32_t access,
                                  const nfs::Credential& who) {
  const NodeId node = nfs::Nodes::id_of(row);
  nfs::File* file = files_.of(row, node);
  OpenRef open;
  std::optional<Handle> handle;
  if (file != nullptr) {
    open = std::allocate_shared<nfs::Open>(nfs::PoolAllocator<nfs::Open>());
    open->node = node;
    open->file = file->index;
    open->handle = call.handle;
    open->access = access;
    open->owner = call.owner;
    open->stateid = call.stateid;
    open->who = who;
    open->errors_told = file->errors;
    handle = opens_.insert(node, open);
  }
  if (!handle) {
    nfs::Open state;
    state.handle = call.handle;
    state.stateid = call.stateid;
    nfs::Close close_call(client_);
    close_call.open = &state;
    close_call.who = who;
    [[maybe_unused]] const Result<Unit> closed = co_await client_.perform(close_call);
    co_return file == nullptr ? Errno::nomem : Errno::nfile;
  }
  states_.add(*open);
  ++file->opens;
  file->who = who;
  fuse::OpenOut out{};
  out.fh = static_cast<uint64_t>(*handle);
  out.open_flags = negotiated_.cache.file_flags;
  // What the tenant's kernel has of the contents is still right: close-to-open.
  if (row.cached_change != 0 && row.cached_change == call.attributes.change &&
      (out.open_flags & fuse::open_flag::kDirectIo) == 0) {
    out.open_flags |= fuse::open_flag::kKeepCache;
  }
  row.cached_change = (access & nfs::share::kWrite) != 0 ? 0 : call.attributes.change;
  co_return out;
}

Op<fuse::OpenOut> NfsFs::nfs_open(Request& request, OpenArgs args) {
  Op<nfs::FileHandle> asking = handle_of(args.node);
  const Result<nfs::FileHandle> node = co_await asking;
  if (!node) co_return node.error();
  OpenCall call(client_);
  call.who = credential(request);
  call.node = *node;
  call.access = share_access(args.flags);
  call.owner = next_owner_++;
  Op<Unit> asking_server = ask(call, *node);
  Result<Unit> done = co_await asking_server;
  if (!done && done.error() == Errno::acces && call.access == nfs::share::kBoth &&
      (args.flags & O_ACCMODE) == O_WRONLY) {
    call.access = nfs::share::kWrite;
    done = co_await client_.perform(call);
  }
  if (!done) co_return done.error();
  nfs::NodeRow* row = nodes_.find_or_add(call.handle, call.attributes);
  if (row == nullptr) co_return Errno::nomem;
  note(*row, call.attributes);
  Op<fuse::OpenOut> handing = hand_out(*row, call, call.access, call.who);
  const Result<fuse::OpenOut> out = co_await handing;
  if (!out || (args.flags & O_TRUNC) == 0) co_return out;
  const OpenRef open = find_open(Handle{out->fh}, nfs::Nodes::id_of(*row));
  nfs::SetAttributes truncate(client_);
  truncate.who = call.who;
  truncate.node = *node;
  truncate.open = open.get();
  truncate.changed.has_size = true;
  done = co_await client_.perform(truncate);
  if (done) co_return out;
  Op<Unit> releasing =
      nfs_release(request, {.node = args.node, .handle = Handle{out->fh}, .drops_flock = false});
  [[maybe_unused]] const Result<Unit> released = co_await releasing;
  co_return done.error();
}

// O_EXCL exactly once: the server keeps our verifier with the file, and knows the second attempt
// for the first (RFC 8881, section 18.16.3).
Op<CreateOut> NfsFs::nfs_create(Request& request, CreateArgs args) {
  if (is_hidden(args.name.view())) co_return Errno::perm;
  Op<nfs::FileHandle> asking = handle_of(args.parent);
  const Result<nfs::FileHandle> parent = co_await asking;
  if (!parent) co_return parent.error();
  OpenCall call(client_);
  call.who = creator(request);
  call.node = *parent;
  call.claim = OpenCall::Claim::name;
  call.name = args.name.view();
  call.access = share_access(args.flags);
  call.owner = next_owner_++;
  call.initial.has_mode = true;
  call.initial.mode = args.mode & ~args.umask & 07777;
  if ((args.flags & O_EXCL) != 0) {
    call.create = OpenCall::Create::exclusive;
    const uint64_t number = call.owner ^ instance_;
    std::memcpy(call.verifier.bytes.data(), &number, sizeof number);
  } else {
    call.create = OpenCall::Create::unchecked;
    if ((args.flags & O_TRUNC) != 0) call.initial.has_size = true;
  }
  Op<Unit> asking_server = ask(call, *parent);
  Result<Unit> done = co_await asking_server;
  // Servers that don't take EXCLUSIVE4_1.
  if (!done && call.create == OpenCall::Create::exclusive &&
      (call.status() == nfs::Status::notsupp || call.status() == nfs::Status::inval)) {
    call.create = OpenCall::Create::guarded;
    done = co_await client_.perform(call);
  }
  if (!done) co_return done.error();
  const Result<fuse::EntryOut> entry = entry_out(call.handle, call.attributes);
  nfs::NodeRow* row = nodes_.find(call.handle);
  if (!entry || row == nullptr) co_return Errno::nomem;
  Op<fuse::OpenOut> handing = hand_out(*row, call, call.access, call.who);
  const Result<fuse::OpenOut> out = co_await handing;
  if (!out) {
    row = nodes_.find(NodeId{entry->nodeid});  // a FORGET may have come meanwhile
    if (row != nullptr) nodes_.forget(*row, 1);
    co_return out.error();
  }
  co_return CreateOut{.entry = *entry, .open = *out};
}

// NFS has no files without a name.
Op<CreateOut> NfsFs::nfs_tmpfile(Request&, TmpfileArgs) { return Errno::opnotsupp; }

Op<Unit> NfsFs::nfs_flush(Request&, FlushArgs args) {
  const OpenRef open = find_open(args.handle, args.node);
  if (!open) co_return Errno::badf;
  nfs::File& file = files_.at(open->file);
  const Using keeps(*this, file);
  Op<Unit> storing = store_for(open, file);
  const Result<Unit> stored = co_await storing;
  Op<Unit> unlocking = drop_locks(args.node, {.owner = args.lock_owner, .flock = false});
  [[maybe_unused]] const Result<Unit> unlocked = co_await unlocking;
  co_return stored;
}

Op<Unit> NfsFs::nfs_fsync(Request&, FsyncArgs args) {
  const OpenRef open = find_open(args.handle, args.node);
  if (!open) co_return Errno::badf;
  if (open->lost) co_return Errno::io;
  nfs::File& file = files_.at(open->file);
  const Using keeps(*this, file);
  Op<Unit> storing = store_for(open, file);
  const Result<Unit> stored = co_await storing;
  co_return stored;
}

Op<Unit> NfsFs::nfs_release(Request&, ReleaseArgs args) {
  const OpenRef open = find_open(args.handle, args.node);
  if (!open) co_return Errno::badf;
  opens_.remove(args.handle, args.node);
  Op<Unit> closing = close(open);
  const Result<Unit> closed = co_await closing;
  co_return closed;
}

// A lock that is asked for once this has begun waits for it: Linux does not wait for the RELEASE by
// which close(2) gives up a lock.
Op<Unit> NfsFs::close(OpenRef open) {
  nfs::File& file = files_.at(open->file);
  const Using keeps(*this, file);
  open->closing = true;
  co_await file.locking.lock();
  Op<Unit> unlocking = drop_all_locks(open);
  [[maybe_unused]] const Result<Unit> unlocked = co_await unlocking;
  file.locking.unlock(reactor_);
  Op<Unit> storing = store_for(open, file);
  const Result<Unit> stored = co_await storing;
  if (!open->lost) {
    nfs::Close call(client_);
    call.who = open->who;
    call.open = open.get();
    [[maybe_unused]] const Result<Unit> closed = co_await client_.perform(call);
  }
  open->unlink();
  --file.opens;
  if (file.opens == 0 && file.hidden) {
    file.hidden = false;
    const nfs::HiddenName hidden = file.hidden_name;
    Op<Unit> removing = remove_hidden(hidden);
    [[maybe_unused]] const Result<Unit> removed = co_await removing;
  }
  co_return stored;
}

void NfsFs::let_go(nfs::File& file) noexcept {
  if (!nfs::Files::is_idle(file)) return;
  nfs::NodeRow* row = nodes_.find(file.node);
  files_.give(file);
  if (row == nullptr) return;
  row->file = nfs::kNoFile;
  nodes_.forget(*row, 0);  // if it was waiting for this
}

}  // namespace dpfs
