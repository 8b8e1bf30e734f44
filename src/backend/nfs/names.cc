// SPDX-License-Identifier: Apache-2.0
// Names: finding, making, removing, renaming.
#include <fcntl.h>
#include <sys/stat.h>

#include "backend/nfs/nfs_fs.h"

namespace dpfs {
namespace {

using nfs::Create;

nfs::FileType type_of(uint32_t mode) noexcept {
  switch (mode & S_IFMT) {
    case S_IFBLK:
      return nfs::FileType::block;
    case S_IFCHR:
      return nfs::FileType::character;
    case S_IFIFO:
      return nfs::FileType::fifo;
    case S_IFSOCK:
      return nfs::FileType::socket;
    default:
      return nfs::FileType::regular;
  }
}

}  // namespace

Op<fuse::EntryOut> NfsFs::nfs_lookup(Request& request, LookupArgs args) {
  if (is_hidden(args.name.view())) co_return Errno::noent;
  Op<nfs::FileHandle> asking = handle_of(args.parent);
  const Result<nfs::FileHandle> parent = co_await asking;
  if (!parent) co_return parent.error();
  if (args.name.view() == ".") {
    nfs::GetAttributes call;
    call.who = credential(request);
    call.node = *parent;
    const Result<Unit> done = co_await client_.perform(call);
    if (!done) co_return done.error();
    co_return entry_out(*parent, call.attributes);
  }
  if (args.name.view() == "..") {
    if (args.parent == NodeId::root) co_return Errno::noent;
    nfs::LookupParent call;
    call.who = credential(request);
    call.node = *parent;
    const Result<Unit> done = co_await client_.perform(call);
    if (!done) co_return done.error();
    co_return entry_out(call.handle, call.attributes);
  }
  nfs::Lookup call;
  call.who = credential(request);
  call.parent = *parent;
  call.name = args.name.view();
  Op<Unit> asking_server = ask(call, *parent);
  const Result<Unit> done = co_await asking_server;
  if (!done) co_return done.error();
  co_return entry_out(call.handle, call.attributes);
}

Op<Unit> NfsFs::nfs_forget(Request&, ForgetArgs args) {
  if (nfs::NodeRow* row = nodes_.find(args.node)) {
    nodes_.forget(*row, args.lookups);
    if (row->removed && !row->used) removed_directories_.erase(static_cast<uint64_t>(args.node));
  }
  co_return Unit{};
}

Op<fuse::EntryOut> NfsFs::make(Request& request, NodeId parent_node, nfs::Create& call) {
  if (is_hidden(call.name)) co_return Errno::perm;
  Op<nfs::FileHandle> asking = handle_of(parent_node);
  const Result<nfs::FileHandle> parent = co_await asking;
  if (!parent) co_return parent.error();
  call.who = creator(request);
  call.parent = *parent;
  Op<Unit> asking_server = ask(call, *parent);
  const Result<Unit> done = co_await asking_server;
  // It was made, and the server was gone before it could say so.
  if (!done && done.error() == Errno::exist && call.may_have_been_done()) {
    nfs::Lookup found;
    found.who = call.who;
    found.parent = *parent;
    found.name = call.name;
    const Result<Unit> looked = co_await client_.perform(found);
    if (looked && found.attributes.type == call.type && found.attributes.uid == call.who.uid) {
      co_return entry_out(found.handle, found.attributes);
    }
  }
  if (!done) co_return done.error();
  co_return entry_out(call.handle, call.attributes);
}

Op<fuse::EntryOut> NfsFs::nfs_mkdir(Request& request, MkdirArgs args) {
  Create call;
  call.name = args.name.view();
  call.type = nfs::FileType::directory;
  call.initial.has_mode = true;
  call.initial.mode = args.mode & ~args.umask & 07777;
  Op<fuse::EntryOut> making = make(request, args.parent, call);
  const Result<fuse::EntryOut> made = co_await making;
  co_return made;
}

Op<fuse::EntryOut> NfsFs::nfs_symlink(Request& request, SymlinkArgs args) {
  Create call;
  call.name = args.name.view();
  call.type = nfs::FileType::link;
  call.target = {args.target, args.target_size};
  call.initial.has_mode = true;
  call.initial.mode = 0777;
  Op<fuse::EntryOut> making = make(request, args.parent, call);
  const Result<fuse::EntryOut> made = co_await making;
  co_return made;
}

// NFS makes regular files by opening them.
Op<fuse::EntryOut> NfsFs::nfs_mknod(Request& request, MknodArgs args) {
  const uint32_t mode = args.mode & ~args.umask & 07777;
  if (type_of(args.mode) != nfs::FileType::regular) {
    Create call;
    call.name = args.name.view();
    call.type = type_of(args.mode);
    call.major = args.rdev >> 8 & 0xfff;  // as Linux encodes it: new_encode_dev()
    call.minor = (args.rdev & 0xff) | (args.rdev >> 12 & 0xfff00);
    call.initial.has_mode = true;
    call.initial.mode = mode;
    Op<fuse::EntryOut> making = make(request, args.parent, call);
    const Result<fuse::EntryOut> made = co_await making;
    co_return made;
  }
  CreateArgs create{.parent = args.parent,
                    .name = args.name,
                    .flags = O_CREAT | O_EXCL | O_RDONLY,
                    .mode = args.mode,
                    .umask = args.umask,
                    .open_flags = 0};
  Op<CreateOut> creating = nfs_create(request, create);
  const Result<CreateOut> created = co_await creating;
  if (!created) co_return created.error();
  Op<Unit> releasing = nfs_release(request, {.node = NodeId{created->entry.nodeid},
                                             .handle = Handle{created->open.fh},
                                             .drops_flock = false});
  [[maybe_unused]] const Result<Unit> released = co_await releasing;
  co_return created->entry;
}

Op<fuse::EntryOut> NfsFs::nfs_link(Request& request, LinkArgs args) {
  if (is_hidden(args.new_name.view())) co_return Errno::perm;
  Op<nfs::FileHandle> asking = handle_of(args.node);
  const Result<nfs::FileHandle> node = co_await asking;
  if (!node) co_return node.error();
  Op<nfs::FileHandle> asking_parent = handle_of(args.new_parent);
  const Result<nfs::FileHandle> parent = co_await asking_parent;
  if (!parent) co_return parent.error();
  nfs::Link call;
  call.who = credential(request);
  call.node = *node;
  call.new_parent = *parent;
  call.new_name = args.new_name.view();
  Op<Unit> asking_server = ask(call, *parent);
  const Result<Unit> done = co_await asking_server;
  if (!done && done.error() == Errno::exist && call.may_have_been_done()) {
    nfs::Lookup found;
    found.who = call.who;
    found.parent = *parent;
    found.name = call.new_name;
    const Result<Unit> looked = co_await client_.perform(found);
    if (looked && found.handle == *node) co_return entry_out(*node, found.attributes);
  }
  if (!done) co_return done.error();
  co_return entry_out(*node, call.attributes);
}

Op<uint32_t> NfsFs::nfs_readlink(Request& request, ReadlinkArgs args) {
  Op<nfs::FileHandle> asking = handle_of(args.node);
  const Result<nfs::FileHandle> node = co_await asking;
  if (!node) co_return node.error();
  nfs::ReadLink call;
  call.who = credential(request);
  call.node = *node;
  call.into = args.into;
  Op<Unit> asking_server = ask(call, *node);
  const Result<Unit> done = co_await asking_server;
  if (!done) co_return done.error();
  co_return call.bytes;
}

Op<Unit> NfsFs::nfs_unlink(Request& request, UnlinkArgs args) {
  if (is_hidden(args.name.view())) co_return Errno::noent;
  Op<nfs::FileHandle> asking = handle_of(args.parent);
  const Result<nfs::FileHandle> parent = co_await asking;
  if (!parent) co_return parent.error();
  Op<bool> hiding = hide_if_open(request, *parent, args.name);
  const Result<bool> hidden = co_await hiding;
  if (!hidden) co_return hidden.error();
  if (*hidden) co_return Unit{};
  nfs::Remove call;
  call.who = credential(request);
  call.parent = *parent;
  call.name = args.name.view();
  Op<Unit> asking_server = ask(call, *parent);
  const Result<Unit> done = co_await asking_server;
  if (!done && done.error() == Errno::noent && call.may_have_been_done()) co_return Unit{};
  co_return done;
}

// A directory that somebody has open, or stands in, goes on being one, without a name: the server
// has no such thing, so what it was is kept here.
Op<Unit> NfsFs::nfs_rmdir(Request& request, UnlinkArgs args) {
  if (is_hidden(args.name.view())) co_return Errno::noent;
  Op<nfs::FileHandle> asking = handle_of(args.parent);
  const Result<nfs::FileHandle> parent = co_await asking;
  if (!parent) co_return parent.error();
  nfs::Lookup victim;
  victim.who = credential(request);
  victim.parent = *parent;
  victim.name = args.name.view();
  const Result<Unit> found = co_await client_.perform(victim);
  nfs::Remove call;
  call.who = credential(request);
  call.parent = *parent;
  call.name = args.name.view();
  Op<Unit> asking_server = ask(call, *parent);
  Result<Unit> done = co_await asking_server;
  if (done.error() == Errno::noent && call.may_have_been_done()) done = Unit{};
  if (found && done) remember_removed(victim.handle, victim.attributes);
  co_return done;
}

void NfsFs::remember_removed(const nfs::FileHandle& handle,
                             const nfs::Attributes& attributes) noexcept {
  nfs::NodeRow* row = nodes_.find(handle);
  if (row == nullptr) return;
  row->removed = true;
  try {
    nfs::Attributes& kept = removed_directories_[static_cast<uint64_t>(nfs::Nodes::id_of(*row))];
    kept = attributes;
    kept.links = 0;
  } catch (const std::bad_alloc&) {
    row->removed = false;
  }
}

Op<Unit> NfsFs::nfs_rename2(Request& request, RenameArgs args) {
  if (args.flags != 0) co_return Errno::inval;  // as Linux's own client: NFS has none of them
  if (is_hidden(args.name.view())) co_return Errno::noent;
  if (is_hidden(args.new_name.view())) co_return Errno::perm;
  Op<nfs::FileHandle> asking = handle_of(args.parent);
  const Result<nfs::FileHandle> parent = co_await asking;
  if (!parent) co_return parent.error();
  Op<nfs::FileHandle> asking_new = handle_of(args.new_parent);
  const Result<nfs::FileHandle> new_parent = co_await asking_new;
  if (!new_parent) co_return new_parent.error();
  // What is replaced is removed. Renamed to itself, it is not.
  if (files_.size() > 0) {
    nfs::Lookup source;
    source.who = credential(request);
    source.parent = *parent;
    source.name = args.name.view();
    const Result<Unit> found = co_await client_.perform(source);
    if (!found) co_return found.error();
    Op<bool> hiding = hide_if_open_and_not(request, *new_parent, args.new_name, source.handle);
    const Result<bool> hidden = co_await hiding;
    if (!hidden) co_return hidden.error();
  }
  nfs::Rename call;
  call.who = credential(request);
  call.parent = *parent;
  call.name = args.name.view();
  call.new_parent = *new_parent;
  call.new_name = args.new_name.view();
  Op<Unit> asking_server = ask(call, *parent);
  Result<Unit> done = co_await asking_server;
  if (done.error() == Errno::acces && !(*parent == *new_parent)) {
    Op<Unit> asking_again = ask(call, *new_parent);
    done = co_await asking_again;
  }
  if (!done && done.error() == Errno::noent && call.may_have_been_done()) co_return Unit{};
  co_return done;
}

}  // namespace dpfs
